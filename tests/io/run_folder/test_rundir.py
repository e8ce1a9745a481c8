"""Run folders: identity, lock, stages, checkpoints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dsa_lite.errors import DsaError, RunFolderError, UsageError
from dsa_lite.io.run_folder.rundir import RunDir, delete, digest
from dsa_lite.records import Decision, Decomposition, Exercise, Graded, Observed, Rejected, Textbook

IDENTITY = {"skill": "calculus", "teacher": "t", "student": "s", "backend": "torch", "seed": "0"}
RESOLVED = {"seed": 0, "tune": {"rounds": 3, "learning_rate": 2e-4, "order": "random"}, "none": None}


def opened(folder: Path, **changes: Any) -> RunDir:
    fresh = changes.pop("fresh", False)
    return RunDir.open(folder, IDENTITY | changes, RESOLVED, fresh=fresh)


def exercise(n: int, round: int = 0) -> Exercise:
    return Exercise(id=f"e{n}", problem="p", solution="s", answer="1", skills=("a",), origin="single", round=round)


def observed(n: int) -> Observed:
    return Observed(example=f"e{n}", epoch=0, loss=1.0, tokens=3, correct=1)


def fill(run: RunDir) -> None:
    """Every stage done, with something of each kind on disk."""
    for stage in ("graph", "textbooks", "exercises", "pretrain", "tune", "evaluate", "report"):
        assert run.begin(stage, "h") == "new"
        run.rejected().append(Rejected(id=stage, stage=stage, reason="r"))
        run.add_seconds(stage, 1.5)
        run.finish(stage)
    run.decompositions().append(Decomposition(id="need-0-a", skill="a", prerequisites=("b",)))
    run.write_graph({"nodes": []})
    run.textbooks().append(Textbook(id="t", skill="a", text="x"))
    run.exercises().append(exercise(0))
    run.exercises().append(exercise(1, round=1))
    run.observations(1).append(observed(0))
    run.decisions(1).append(
        Decision(example="e0", skill="a", region="easy", action="keep", weight=1, loss=1, deviation=0, score=0)
    )
    run.graded("before", "eval").append(Graded(id="i", topic="a", reply="", answer=None, correct=False))
    run.write_summary({"n": 1})
    run.write_training_dynamics(0, [{"guid": "e0", "logits_epoch_0": [0.1, 0.2], "gold": 0}])
    run.adapter.mkdir()
    (run.exports / "gguf").mkdir(parents=True)
    run.save_checkpoint("pretrain", lambda p: None, {})
    run.save_checkpoint("tune", lambda p: None, {})
    run.write_report("<html>")


def test_files_have_their_places(tmp_path: Path) -> None:
    with opened(tmp_path / "r") as run:
        fill(run)
        run.events_log.append({"a": 1})
        assert run.seconds() == pytest.approx(7 * 1.5)
        assert run.read_graph() == {"nodes": []}
        assert run.read_summary() == {"n": 1}
    names = {p.relative_to(run.path).as_posix() for p in run.path.rglob("*") if p.is_file()}
    assert {
        "run.toml",
        "manifest.json",
        "events.jsonl",
        "graph.json",
        "prerequisites.jsonl",
        "textbooks.jsonl",
        "exercises.jsonl",
        "rejected.jsonl",
        "rounds/01/observations.jsonl",
        "rounds/01/decisions.jsonl",
        "evaluation/before-eval.jsonl",
        "evaluation/summary.json",
        "training_dynamics/dynamics_epoch_0.jsonl",
        "report.html",
    } <= names
    assert RunDir.read(run.path).settings()["config"] == {"seed": 0, "tune": RESOLVED["tune"]}


def test_read_needs_a_run_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no run\.toml"):
        RunDir.read(tmp_path)
    with pytest.raises(UsageError, match="does not exist"):
        RunDir.read(tmp_path / "x")


def test_other_identity_is_refused_with_every_difference(tmp_path: Path) -> None:
    opened(tmp_path).close()
    with pytest.raises(RunFolderError) as caught:
        opened(tmp_path, seed="1", student="big")
    assert "seed: was 0, asked for 1" in str(caught.value)
    assert "student: was s, asked for big" in str(caught.value)
    assert "--fresh" in caught.value.hint
    opened(tmp_path).close()  # the lock was let go


def test_fresh_removes_known_files_only(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        fill(run)
    (tmp_path / "notes.txt").write_text("mine")
    with opened(tmp_path, seed="1", fresh=True) as run:
        assert run.stage("graph") is None
        assert run.exercises().read() == []
    assert {p.name for p in tmp_path.iterdir()} == {"notes.txt", "run.toml", "run.lock", "earlier-export-1"}


def test_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    for fresh in (False, True):
        with pytest.raises(UsageError, match=r"thesis\.tex"):
            opened(tmp_path, fresh=fresh)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(UsageError, match="is a file"):
        opened(tmp_path / "thesis.tex")


_HOLDER = """
import sys
from pathlib import Path
from dsa_lite.io.run_folder.rundir import RunDir
run = RunDir.open(Path(sys.argv[1]), dict(skill="calculus", teacher="t", student="s", backend="torch", seed="0"), {})
print("held", flush=True)
sys.stdin.read()
"""


def test_second_process_is_refused_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == b"held"
        with pytest.raises(RunFolderError, match=f"process {holder.pid}") as caught:
            opened(tmp_path)
        assert caught.value.exit_code == 4
        RunDir.read(tmp_path)
        holder.kill()
    assert (tmp_path / "run.lock").read_text().strip() == str(holder.pid)
    opened(tmp_path).close()


def test_begin(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        assert run.begin("graph", "h") == "new"
        assert run.begin("graph", "h") == "resumed"
        run.finish("graph")
    with opened(tmp_path) as run:
        assert run.begin("graph", "h") == "reused"
        assert run.begin("graph", "i") == "changed"
        entry = run.stage("graph")
        assert entry is not None
        assert (entry.status, entry.input_hash, entry.seconds) == ("running", "i", 0.0)


def test_changed_tune_keeps_what_came_before(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        fill(run)
        assert run.begin("tune", "other") == "changed"
        assert [e.id for e in run.exercises().read()] == ["e0"]
        assert [r.id for r in run.rejected().read()] == ["graph", "textbooks", "exercises", "pretrain"]
        assert run.textbooks().count() == 1
        assert run.load_checkpoint("pretrain") is not None
        assert run.load_checkpoint("tune") is None
        assert run.read_summary() is None
        assert not run.adapter.exists()
        assert not run.exports.exists()  # they hold the student that was
        assert (tmp_path / "earlier-export-1" / "gguf").is_dir()
        assert run.observations(1).read() == []
        assert run.stage("evaluate") is None
        assert run.stage("pretrain") is not None
        run.observations(1).append(observed(5))
        assert run.observations(1).count() == 1


def test_exports_are_moved_aside_and_said_never_deleted_with_the_student(tmp_path: Path) -> None:
    said: list[str] = []
    for number in (1, 2):
        with RunDir.open(tmp_path / "r", IDENTITY, RESOLVED, fresh=number == 2, warn=said.append) as run:
            if number == 1:
                fill(run)
                (run.exports / "gguf" / "model.gguf").write_text("first")
                run.begin("tune", "other")
                (run.exports / "mlx").mkdir(parents=True)
    kept = [tmp_path / "r" / f"earlier-export-{number}" for number in (1, 2)]
    assert (kept[0] / "gguf" / "model.gguf").read_text() == "first"
    assert [p.name for p in kept[1].iterdir()] == ["mlx"]
    assert [line.rpartition(" ")[2] for line in said] == [str(path) for path in kept]
    assert delete(tmp_path / "r") == []
    assert not (tmp_path / "r").exists()


def test_a_time_budget_stands_in_the_run_file(tmp_path: Path) -> None:
    within = {"seconds": 3600.0, "settings": {"tune": {"rounds": 2}}}
    with RunDir.open(tmp_path, IDENTITY, RESOLVED, within=within) as run:
        assert run.settings()["within"] == within


def test_what_a_record_gains_later_changes_no_digest() -> None:
    plain = exercise(0)
    assert digest([plain]) == digest([plain.model_copy(update={"parents": ()})])
    assert digest([plain]) != digest([plain.model_copy(update={"parents": ("e1",)})])
    assert '"parents"' not in plain.model_dump_json(exclude_defaults=True)


def test_changed_graph_clears_all(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        fill(run)
        run.begin("graph", "other")
    left = {p.name for p in tmp_path.iterdir()}
    assert left <= {"run.toml", "run.lock", "manifest.json", "rejected.jsonl", "checkpoints", "earlier-export-1"}
    assert (tmp_path / "rejected.jsonl").read_bytes() == b""


def test_crash_while_clearing_is_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path) as run:
        fill(run)
        monkeypatch.setattr(run, "_clear", lambda stages: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run.begin("textbooks", "other")
    with opened(tmp_path) as run:
        assert run.stage("textbooks") is None
        assert run.begin("textbooks", "h") == "changed"  # even with the first inputs: outputs may be half gone
        assert run.textbooks().count() == 0
        assert run.begin("graph", "h") == "reused"


def _write(text: str) -> Any:
    def write(folder: Path) -> None:
        (folder / "deep").mkdir()
        (folder / "deep" / "state.bin").write_text(text)

    return write


def test_checkpoints_keep_the_latest(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        assert run.load_checkpoint("tune") is None
        for n in range(3):
            run.save_checkpoint("tune", _write(str(n)), {"step": n})
        found = run.load_checkpoint("tune")
        assert found is not None
        assert found[1] == {"step": 2}
        assert (found[0] / "deep" / "state.bin").read_text() == "2"
        assert len(list((tmp_path / "checkpoints").iterdir())) == 1
        run.drop_checkpoints("tune")
        assert run.load_checkpoint("tune") is None


def test_failing_write_leaves_the_last_one(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise OSError(28, "No space left on device")

    with opened(tmp_path) as run:
        run.save_checkpoint("tune", _write("1"), {"step": 1})
        with pytest.raises(DsaError, match="no space left"):
            run.save_checkpoint("tune", fail, {"step": 2})
        found = run.load_checkpoint("tune")
        assert found is not None
        assert found[1] == {"step": 1}
        assert len(list((tmp_path / "checkpoints").iterdir())) == 1


@pytest.mark.parametrize("damage", ["torn", "missing", "meta"])
def test_damaged_checkpoint_is_passed_over(tmp_path: Path, damage: str) -> None:
    warnings: list[str] = []
    with RunDir.open(tmp_path, IDENTITY, RESOLVED, warn=warnings.append) as run:
        run.save_checkpoint("tune", _write("good"), {})
        found = run.load_checkpoint("tune")
        assert found is not None
        state = found[0] / "deep" / "state.bin"
        if damage == "torn":
            state.write_text("goo")
        elif damage == "missing":
            state.unlink()
        else:
            (found[0] / "meta.json").write_text("[]")
        assert run.load_checkpoint("tune") is None
    assert len(warnings) == 1
    assert "not used" in warnings[0]


def test_digest_does_not_depend_on_order() -> None:
    items = [exercise(n) for n in range(4)]
    assert digest(items) == digest(reversed(items))
    assert digest(items) != digest(items[:3])
