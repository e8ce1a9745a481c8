"""Options that the tests of their commands leave out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dsa_lite.cli import cli

FAILING = (
    ["run", "no such skill"],
    ["new", "A title", "--teacher", "no such teacher"],
    ["show", "nowhere"],
    ["map", "nowhere"],
    ["graph", "nowhere"],
    ["report", "nowhere"],
    ["data", "inspect", "nowhere"],
    ["ask", "nowhere", "What?"],
    ["chat", "nowhere"],
    ["export", "nowhere", "--to", "peft"],
    ["runs", "show", "nowhere"],
    ["runs", "rm", "nowhere", "--yes"],
    ["config", "show", "--preset", "no such preset"],
    ["config", "init", "--preset", "no such preset"],
)


@pytest.mark.parametrize("words", FAILING, ids=[" ".join(words[:2]) for words in FAILING])
def test_debug_shows_where_an_error_comes_from(
    words: list[str], terminal: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plain = terminal.invoke(cli, words)
    assert plain.exit_code == 2, plain.output
    assert "Traceback" not in plain.stderr
    told = terminal.invoke(cli, [*words, "--debug"])
    assert told.exit_code == 2
    assert "Traceback" in told.stderr
    assert told.stderr.endswith(plain.stderr)


@pytest.mark.parametrize(
    "words", [["skills"], ["models"], ["doctor"], ["runs", "list"], ["config", "schema"]], ids=" ".join
)
def test_debug_changes_nothing_where_nothing_fails(
    words: list[str], terminal: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert terminal.invoke(cli, [*words, "--debug", "--json"]).exit_code == 0


def test_a_preset_is_the_first_layer(pipeline: Any, terminal: CliRunner) -> None:
    result = terminal.invoke(cli, ["run", "calculus", "--preset", "quick", "--seed", "3"])
    assert result.exit_code == 0, result.output
    assert [label for label, _ in pipeline.asked["layers"]] == ["preset quick", "flags"]
    assert pipeline.asked["layers"][0][1]["tune"]


def test_the_settings_of_a_teacher_are_shown(terminal: CliRunner, tmp_path: Path) -> None:
    file = tmp_path / "mine.gguf"
    file.write_bytes(b"GGUF")
    (tmp_path / "mine.dsa-lite.toml").write_text("[teacher]\nattempts = 9\n", encoding="utf-8")
    result = terminal.invoke(cli, ["config", "show", "--teacher", str(file), "--changed"])
    assert result.exit_code == 0, result.output
    assert "teacher.attempts = 9" in result.stdout
    assert "teacher's own file" in result.stdout


def test_as_many_items_are_compared_as_asked_for(
    finished: Path, terminal: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dsa_lite.stages import export as stage

    asked: list[int] = []

    def export(run: Any, kind: str, out: Path, *, items: int, **_: Any) -> stage.Exported:
        asked.append(items)
        return stage.Exported(kind, out)

    monkeypatch.setattr(stage, "export", export)
    words = ["export", str(finished), "--to", "peft", "--out", str(tmp_path / "out")]
    for more in (["--num-items", "3"], [], ["--no-check"]):
        assert terminal.invoke(cli, [*words, *more]).exit_code == 0
    assert asked == [3, 10, 0]
    assert terminal.invoke(cli, [*words, "--num-items", "0"]).exit_code == 2
