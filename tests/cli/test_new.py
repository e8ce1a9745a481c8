"""`dsa-lite new`: a file to edit, from a teacher or without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dsa_lite.cli import cli
from dsa_lite.io import plugins
from dsa_lite.io.skills import load_skill
from dsa_lite.teacher import TeacherOptions
from dsa_lite.testing import ScriptedTeacher

EVIL = "Bad\x1b]0;title\x07 name"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scripted(monkeypatch: pytest.MonkeyPatch, *names: str) -> ScriptedTeacher:
    topics = [
        {"name": n, "description": f"about {n}", "prerequisites": list(names[:i][-1:])} for i, n in enumerate(names)
    ]
    text = json.dumps({"description": "All about it.", "checker": "exact", "topics": topics})
    teacher = ScriptedTeacher(lambda _: text)
    monkeypatch.setattr(plugins, "open_teacher", lambda kind, source, options: teacher)
    return teacher


def test_an_empty_template_needs_no_teacher(terminal: CliRunner) -> None:
    result = terminal.invoke(cli, ["new", "SQL window functions", "--empty"])
    assert result.exit_code == 0, result.output
    assert "dsa-lite run ./sql-window-functions" in result.stdout
    assert load_skill("sql-window-functions").title == "SQL window functions"
    again = terminal.invoke(cli, ["new", "SQL window functions", "--empty"])
    assert again.exit_code == 2
    assert "there is already sql-window-functions/skill.toml" in again.stderr


def test_a_teachers_syllabus_becomes_a_skill(terminal: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    teacher = scripted(monkeypatch, "Rows", EVIL, "Ranks", "Frames")
    result = terminal.invoke(
        cli, ["new", "SQL: window functions", "--teacher", "http://localhost:1/v1", "-o", "my dir/s"]
    )
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    assert "Frames (after Ranks)" in result.stdout
    assert "dsa-lite run 'my dir/s'" in result.stdout
    pack = load_skill("my dir/s")
    assert (pack.name, pack.title, pack.checker) == ("sql-window-functions", "SQL: window functions", "exact")
    assert [t.name for t in pack.topics] == ["Rows", "Ranks", "Frames"]
    assert teacher.closed


def test_run_takes_a_subject_in_quotes(terminal: CliRunner, monkeypatch: pytest.MonkeyPatch, pipeline: Any) -> None:
    scripted(monkeypatch, "Rows", "Ranks", "Frames")
    words = ["run", "SQL window functions", "--teacher", "http://localhost:1/v1", "--quiet"]
    refused = terminal.invoke(cli, [*words, "--dry-run"])
    assert refused.exit_code == 2
    assert "dsa-lite new 'SQL window functions'" in refused.stderr
    result = terminal.invoke(cli, words)
    assert result.exit_code == 0, result.output
    assert pipeline.asked["skill"] == "./sql-window-functions"
    assert [t.name for t in load_skill("sql-window-functions").topics] == ["Rows", "Ranks", "Frames"]
    edited = Path("sql-window-functions/skill.toml")
    edited.write_text(edited.read_text().replace("Ranks", "Ranking"))
    assert terminal.invoke(cli, words).exit_code == 0
    assert "Ranking" in edited.read_text()


def test_an_unusable_teacher_leaves_nothing_behind(
    terminal: CliRunner, monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    teacher = scripted(monkeypatch, "Rows")
    result = terminal.invoke(cli, ["new", "SQL", "--teacher", "http://localhost:1/v1"])
    assert result.exit_code == 1
    assert "1 usable topics" in result.stderr
    assert "--empty" in result.stderr
    assert not list(here.iterdir())
    assert teacher.closed


def test_the_bundled_teacher_says_that_a_real_one_is_needed(terminal: CliRunner, here: Path) -> None:
    pytest.importorskip("llama_cpp")
    result = terminal.invoke(cli, ["new", "Roman numerals"])
    assert result.exit_code == 1
    assert "no usable syllabus for 'Roman numerals'" in result.stderr
    assert "a GGUF file, or the URL" in result.stderr
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["new"], "Missing argument 'TITLE'"),
        (["new", " ?! "], "TITLE is the subject in words"),
        (["new", "SQL", "--empty", "--teacher", "x.gguf"], "leave --teacher out"),
        (["new", "SQL", "--teacher", "none.gguf"], "none.gguf"),
    ],
)
def test_usage_errors(terminal: CliRunner, words: list[str], message: str, here: Path) -> None:
    result = terminal.invoke(cli, words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not list(here.iterdir())


def test_the_teacher_may_be_a_name_and_the_environment_sets_what_run_would_have(
    terminal: CliRunner, monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    models = here / "my models"
    models.mkdir()
    (models / "big.gguf").write_bytes(b"GGUF")
    teacher = scripted(monkeypatch, "Rows", "Ranks", "Frames")
    opened: list[tuple[str, TeacherOptions]] = []
    monkeypatch.setattr(
        plugins, "open_teacher", lambda kind, source, options: opened.append((source, options)) or teacher
    )
    for name, value in (("MODELS", str(models)), ("TEACHER_CONTEXT_TOKENS", "1234"), ("SEED", "7")):
        monkeypatch.setenv(f"DSA_LITE_{name}", value)
    result = terminal.invoke(cli, ["new", "SQL", "--teacher", "big.gguf"])
    assert result.exit_code == 0, result.output
    ((source, options),) = opened
    assert (source, options.context_tokens) == (str(models / "big.gguf"), 1234)
    seed = teacher.requests[0].seed
    assert terminal.invoke(cli, ["new", "SQL", "--teacher", "big.gguf", "--seed", "8", "-o", "other"]).exit_code == 0
    assert teacher.requests[1].seed != seed
    assert "dsa-lite models" in " ".join(terminal.invoke(cli, ["new", "--help"]).stdout.split())


def test_documents_give_the_outline_and_stay_in_the_next_line(
    terminal: CliRunner, monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    docs = here / "the docs"
    docs.mkdir()
    (docs / "guide.md").write_text("# Frames\nRows a function sees.\n# Ranking\nGaps.\n", encoding="utf-8")
    (docs / f"{EVIL}.txt").write_bytes(b"\0")
    teacher = scripted(monkeypatch, "Rows", "Ranks", "Frames")
    words = ["new", "SQL", "--teacher", "http://localhost:1/v1", "--docs", "the docs"]
    result = terminal.invoke(cli, words)
    assert result.exit_code == 0, result.output
    assert teacher.requests[0].messages[-1].content.endswith("documents:\n> Frames\n> Ranking")
    assert "dsa-lite run ./sql --docs 'the docs'" in result.stdout
    assert "is no text: it holds zero bytes" in result.stderr
    assert "\x1b" not in result.output
    refused = terminal.invoke(cli, ["new", "Other", "--empty", "--docs", "the docs"])
    assert refused.exit_code == 2
    assert "leave --docs out" in refused.stderr
    missing = terminal.invoke(cli, [*words[:2], "-o", "x", *words[2:-1], "nowhere"])
    assert missing.exit_code == 2
    assert "documents: nowhere does not exist" in missing.stderr
