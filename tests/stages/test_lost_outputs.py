"""A stage is done when its outputs are there and are what was written: the rest is rebuilt, redone, or said."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsa_lite.errors import ConfigError, RunFolderError
from dsa_lite.events import StageFinished
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.stages.export import export
from dsa_lite.stages.finished import asking
from dsa_lite.stages.report import map_rows
from dsa_lite.testing import ScriptedTeacher


@pytest.fixture
def desk(training_desk: Any, undisturbed: Any) -> Any:
    """A desk whose `run` is a copy of the undisturbed one."""
    shutil.copytree(undisturbed.folder, training_desk.folder / "run")
    return training_desk


def cut(path: Path) -> None:
    """Half of the lines, as after a copy that stopped."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: len(lines) // 2]))


def gone(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def nan(path: Path) -> None:
    """The last number of a file of weights becomes NaN."""
    path.write_bytes(path.read_bytes()[:-4] + struct.pack("<f", float("nan")))


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def done(desk: Any) -> list[str]:
    return [e.stage for e in desk.events if isinstance(e, StageFinished) and e.status == "done"]


WEIGHTS = "adapter/adapter_model.safetensors"
LOSSES: list[tuple[str, Callable[[Path], None], list[str]]] = [
    ("adapter", gone, ["tune", "report"]),
    (WEIGHTS, gone, ["tune", "report"]),
    (WEIGHTS, half, ["tune", "report"]),
    (WEIGHTS, nan, ["tune", "report"]),
    ("adapter/adapter_config.json", gone, ["tune", "report"]),
    ("graph.json", gone, ["graph", "report"]),
    ("graph.json", half, ["graph", "report"]),
    ("prerequisites.jsonl", cut, ["graph", "report"]),
    ("textbooks.jsonl", cut, ["textbooks", "report"]),
    ("own_answers.jsonl", cut, ["rehearsal", "report"]),
    ("evaluation/after-eval.jsonl", cut, ["evaluate", "report"]),
    ("evaluation/summary.json", gone, ["report"]),
    ("evaluation/summary.json", half, ["report"]),
    ("evaluation/items-eval.jsonl", cut, ["report"]),
    ("training_dynamics/dynamics_epoch_1.jsonl", half, ["report"]),
    ("report.html", gone, ["report"]),
]


@pytest.mark.parametrize(("name", "damage", "redone"), LOSSES, ids=[f"{n}-{d.__name__}" for n, d, _ in LOSSES])
def test_what_is_lost_is_made_again_by_the_same_command(
    desk: Any, undisturbed: Any, name: str, damage: Callable[[Path], None], redone: list[str]
) -> None:
    damage(desk.folder / "run" / name)
    desk.run()
    assert done(desk) == redone
    assert not undisturbed.differs_from(desk.result("run"))
    told = [w for w in desk.warnings() if name.split("/")[-1] in w]
    assert told, desk.warnings()
    desk.run(ScriptedTeacher({}))
    assert not done(desk)
    assert not desk.warnings()


@pytest.mark.parametrize("damage", [gone, half, nan], ids=lambda d: d.__name__)
def test_asking_and_exporting_refuse_a_damaged_adapter_alike(
    desk: Any, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    damage(desk.folder / "run" / WEIGHTS)
    run = RunDir.read(desk.folder / "run")
    said = []
    with pytest.raises(RunFolderError) as caught, asking(run) as ask:
        ask("What is 3 + 4?", True)
    said.append((caught.value.message, caught.value.hint))
    with pytest.raises(RunFolderError) as caught:
        export(run, "peft", tmp_path / "out", items=0)
    said.append((caught.value.message, caught.value.hint))
    assert said[0] == said[1]
    assert "adapter_model.safetensors" in said[0][0]
    assert "go on with" in said[0][1]
    assert not (tmp_path / "out").exists()


def test_a_run_without_its_checkpoints_is_whole(desk: Any, undisturbed: Any) -> None:
    """They may be deleted to save space: the adapter answers, and nothing is trained again."""
    run = desk.folder / "run"
    with asking(RunDir.read(run), 4) as ask:
        expected = ask("What is 3 + 4?", True)
    gone(run / "checkpoints")
    with asking(RunDir.read(run), 4) as ask:
        assert ask("What is 3 + 4?", True) == expected
    gone(run / "evaluation" / "after-eval.jsonl")
    desk.run(ScriptedTeacher({}))
    assert done(desk) == ["evaluate", "report"]
    assert not undisturbed.differs_from(desk.result("run"))


def test_without_adapter_and_checkpoints_the_student_is_trained_again(desk: Any, undisturbed: Any) -> None:
    for name in ("checkpoints", "adapter"):
        gone(desk.folder / "run" / name)
    desk.run()
    assert done(desk) == ["pretrain", "tune", "evaluate", "report"]
    assert not undisturbed.differs_from(desk.result("run"))


def test_a_pretraining_that_is_lost_comes_back_when_tuning_starts_over(desk: Any) -> None:
    for path in (desk.folder / "run" / "checkpoints").glob("pretrain-*"):
        gone(path)
    desk.run(tune={"epochs": 2})
    assert done(desk) == ["pretrain", "tune", "evaluate", "report"]


@pytest.mark.parametrize("name", ["rounds/01/decisions.jsonl", "rounds/01/observations.jsonl"])
def test_what_cannot_be_made_again_is_said_every_time(desk: Any, name: str) -> None:
    cut(desk.folder / "run" / name)
    for _ in range(2):
        desk.run(ScriptedTeacher({}))
        assert not done(desk)
        (told,) = desk.warnings()
        assert name in told
        assert " of " in told


def headless(path: Path) -> None:
    """The first five lines are lost."""
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[5:]))


def test_lost_exercises_of_the_first_round_are_written_again(desk: Any, undisturbed: Any) -> None:
    headless(desk.folder / "run" / "exercises.jsonl")
    desk.run()
    assert done(desk) == ["exercises", "report"]
    assert not undisturbed.differs_from(desk.result("run"))
    desk.run(ScriptedTeacher({}))
    assert not desk.warnings()


@pytest.mark.parametrize("name", ["exercises.jsonl", "rejected.jsonl", "votes.jsonl"])
def test_lost_exercises_train_nobody_anew(desk: Any, undisturbed: Any, name: str) -> None:
    """Those of the first round are written again, so that the student's training set is what it was."""
    cut(desk.folder / "run" / name)
    desk.run()
    assert not {"pretrain", "tune", "evaluate"} & set(done(desk)), desk.warnings()
    assert name in " ".join(desk.warnings())
    changed = undisturbed.differs_from(desk.result("run"))
    assert WEIGHTS not in changed


@pytest.mark.parametrize("name", ["exercises.jsonl", "rounds/03/decisions.jsonl", "votes.jsonl"])
def test_readers_say_what_is_missing(desk: Any, name: str) -> None:
    said: list[str] = []
    map_rows(RunDir.read(desk.folder / "run", said.append))
    assert not said
    path = desk.folder / "run" / name
    whole = len(path.read_bytes().splitlines())
    cut(path)
    map_rows(RunDir.read(desk.folder / "run", said.append))
    (told,) = said
    assert f"{path} holds {whole // 2:,} of {whole:,} lines" in told
    assert "go on with" in told


def test_broken_notes_of_the_teacher_stop_nothing(desk: Any) -> None:
    (desk.folder / "run" / "teacher.json").write_text("{", encoding="utf-8")
    assert RunDir.read(desk.folder / "run").teacher_slots() == 0
    desk.run(ScriptedTeacher({}))
    assert "teacher.json" in " ".join(desk.warnings())
    assert not done(desk)


@pytest.mark.parametrize("name", ["evaluation/summary.json", "graph.json"])
def test_a_reader_of_a_broken_file_is_told_how_it_comes_back(desk: Any, name: str) -> None:
    half(desk.folder / "run" / name)
    run = RunDir.read(desk.folder / "run")
    with pytest.raises(ConfigError) as caught:
        run.read_graph() if name == "graph.json" else run.read_summary()
    assert "go on with" in caught.value.hint
    assert "--fresh" not in caught.value.hint


def test_a_broken_ledger_loses_nothing(desk: Any, undisturbed: Any) -> None:
    half(desk.folder / "run" / "manifest.json")
    with pytest.raises(ConfigError) as caught:
        RunDir.read(desk.folder / "run")
    assert "go on with" in caught.value.hint
    desk.run(ScriptedTeacher({}))
    assert not undisturbed.differs_from(desk.result("run"))
    assert not desk.teacher.requests


def test_the_ledger_of_another_version_is_left_alone(desk: Any) -> None:
    path = desk.folder / "run" / "manifest.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"version": 1', '"version": 2'), encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(ConfigError) as caught:
        desk.run()
    assert "[versions]" in caught.value.hint
    assert path.read_bytes() == before
