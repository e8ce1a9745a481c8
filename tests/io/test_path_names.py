"""Names out of skills, models and data that become names of files: one folder, one bounded name, whatever they hold."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsa_lite.cli.new import default_folder
from dsa_lite.config import Config
from dsa_lite.io.files import path_name
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.records import Exercise
from dsa_lite.stages import pipeline
from dsa_lite.stages.export import export, file_stem

HOSTILE = ["../../escaped", "/etc/passwd", "..", ".", "a/../../b", "C:\\temp\\x", "x" * 400, "ü" * 400, "-rf",
           "a\nb\0c", "~/x", "\ud83d", "", "con", "LPT1.txt", "$(reboot)", "\u202egpj.exe"]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_run_folder_lies_in_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = pipeline.next_folder(name)
    folder.mkdir(parents=True)  # a name that the file system takes
    assert [p.name for p in tmp_path.iterdir()] == ["runs"]
    assert folder.resolve().parent == (tmp_path / "runs").resolve()
    assert pipeline.next_folder(name).name.endswith("-2")


def test_a_usual_name_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("calculus", "social-studies", "my_skill.v2", "Brüche"):
        assert pipeline.next_folder(name) == Path("runs") / f"{name}-{date.today():%Y%m%d}-1"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_new_skills_folder_lies_here(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = default_folder(name)
    folder.mkdir()
    assert [p.name for p in tmp_path.iterdir()] == [str(folder)]


@pytest.mark.parametrize("name", HOSTILE)
def test_exported_files_and_ollama_names_are_plain(name: str) -> None:
    for stem in (file_stem(name, "calculus"), file_stem("/models/base", name), file_stem(name, name)):
        assert os.sep not in stem
        assert stem.isascii()
        assert all(c.isalnum() or c in "._-" for c in stem)
        assert stem[0].isalnum()
        assert len(stem) <= 80  # what Ollama takes


@pytest.mark.parametrize("name", HOSTILE)
def test_a_data_set_stays_in_its_folder(name: str, tmp_path: Path) -> None:
    identity = {"skill": name, "teacher": "t", "student": "s", "backend": "torch", "seed": "0"}
    with RunDir.open(tmp_path / "run", identity, Config().model_dump()) as run:
        run.begin("tune", "x")
        run.adapter.mkdir()
        (run.adapter / "adapter_model.safetensors").write_bytes(b"x")
        run.exercises().append(
            Exercise(id="../../e", problem="p", solution="s", answer="1", skills=("a",), origin="single")
        )
        run.finish("tune")
    export(RunDir.read(tmp_path / "run"), "dataset", tmp_path / "out")
    assert {p.name for p in tmp_path.iterdir()} == {"run", "out"}


@given(st.text())
def test_every_text_gives_one_bounded_name(text: str) -> None:
    for name in (path_name(text), path_name(text, ascii_only=True)):
        assert 0 < len(name.encode()) <= 100
        assert Path(name).name == name
        assert name == path_name(name)  # a name stays what it is
        assert name[0] not in ".-~"
        assert name.isprintable()
