"""Backends by name, and models by name."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from dsa_lite.errors import DsaError, MissingExtra, ModelError, UsageError
from dsa_lite.io import plugins
from dsa_lite.io.models import choosing as models
from dsa_lite.io.models.choosing import choose_student, choose_teacher
from dsa_lite.student import StudentOptions
from dsa_lite.teacher import TeacherOptions


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Backends of every kind of health."""
    (tmp_path / "fake_missing.py").write_text("import a_package_nobody_has\n")
    (tmp_path / "fake_broken.py").write_text("from dsa_lite.records import NoSuchName\n")
    (tmp_path / "fake_failing.py").write_text("1 / 0\n")
    (tmp_path / "fake_late.py").write_text("def open_it(*_):\n    import a_package_nobody_has\n")
    good = ModuleType("fake_good")
    good.open_it = lambda source, options: (source, options)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fake_good", good)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = [EntryPoint(n, f"fake_{n}:open_it", "g") for n in ("good", "missing", "broken", "failing", "late")]
    monkeypatch.setattr(plugins, "entry_points", lambda group: found)


@pytest.mark.usefixtures("entries")
def test_open() -> None:
    options = TeacherOptions()
    assert plugins.open_teacher("good", "x.gguf", options) == ("x.gguf", options)  # type: ignore[comparison-overlap]
    assert plugins.student_backends() == ["broken", "failing", "good", "late", "missing"]
    with pytest.raises(UsageError) as caught:
        plugins.open_student("tensorflow", "x", StudentOptions())
    assert "good" in caught.value.hint


@pytest.mark.usefixtures("entries")
@pytest.mark.parametrize("name", ["missing", "late"])
def test_missing_package_gives_the_pip_line(name: str) -> None:
    with pytest.raises(MissingExtra, match="a_package_nobody_has") as caught:
        plugins.open_student(name, "x", StudentOptions())
    assert caught.value.hint == f'pip install "dsa-lite[{name}]"'


@pytest.mark.usefixtures("entries")
def test_broken_backends() -> None:
    with pytest.raises(DsaError, match="is broken: cannot import name 'NoSuchName'"):
        plugins.open_student("broken", "x", StudentOptions())
    with pytest.raises(DsaError, match="fails to load: ZeroDivisionError"):
        plugins.open_student("failing", "x", StudentOptions())


def test_teachers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_bundled", lambda role: tmp_path / role)
    with pytest.raises(ModelError, match="bundled teacher is missing"):
        choose_teacher(None)
    (tmp_path / "teacher").mkdir()
    gguf = tmp_path / "teacher" / "tiny.gguf"
    gguf.write_bytes(b"GGUF")
    (tmp_path / "teacher" / "dsa-lite.toml").write_text("seed = 3")
    choice = choose_teacher(None)
    assert (choice.kind, choice.source, choice.bundled, choice.settings) == ("llama_cpp", str(gguf), True, {"seed": 3})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "small.gguf").write_bytes(b"GGUF")  # for the skills that name it
    assert choose_teacher(None) == choose_teacher("tiny") == choice
    assert choose_teacher("small").bundled
    assert choose_teacher(str(gguf)).label == "tiny"
    assert not choose_teacher(str(gguf)).bundled
    url = choose_teacher("http://localhost:8080/v1")
    assert (url.kind, url.source) == ("openai", "http://localhost:8080/v1")
    for name, words in (
        ("gpt", "neither"),
        (str(tmp_path / "no.gguf"), "no teacher file"),
        (str(gguf.parent), r"tiny\.gguf"),
    ):
        with pytest.raises(UsageError, match=words) as caught:
            choose_teacher(name)
        assert "--teacher takes" in caught.value.hint


def test_students(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_bundled", lambda role: tmp_path / role)
    with pytest.raises(ModelError, match="bundled student is missing"):
        choose_student(None, "auto")
    folder = tmp_path / "student"
    folder.mkdir()
    with pytest.raises(UsageError, match=r"no config\.json"):
        choose_student(str(folder), "auto")
    (folder / "config.json").write_text("{}")
    assert choose_student(None, "auto").bundled
    assert choose_student(None, "auto").kind == "torch"
    with pytest.raises(ModelError, match=r"no tokenizer\.json; it has no model\.safetensors"):
        choose_student(str(folder), "mlx")
    for name in ("tokenizer.json", "model.safetensors"):
        (folder / name).write_text("{}")
    assert choose_student(str(folder), "mlx").kind == "mlx"
    assert choose_student("org/some-model", "auto").source == "org/some-model"
    for name in ("./none", str(tmp_path / "none"), "a/b/c", "model.gguf", ""):
        with pytest.raises(UsageError):
            choose_student(name, "auto")
