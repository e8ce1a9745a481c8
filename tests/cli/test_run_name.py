"""A RUN argument is a path or a name, for every command that takes one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from dsa_lite.cli import cli

COMMANDS = {
    "show": ["show", "RUN", "--json"],
    "map": ["map", "RUN", "--json"],
    "report": ["report", "RUN"],
    "ask": ["ask", "RUN", "What?"],
    "chat": ["chat", "RUN"],
    "export": ["export", "RUN", "--to", "dataset"],
    "data inspect": ["data", "inspect", "RUN"],
    "graph": ["graph", "RUN"],
}


@pytest.fixture
def named(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The finished run as runs/calculus-20260131-1 of the current folder."""
    (tmp_path / "runs").mkdir()
    finished.rename(tmp_path / "runs" / "calculus-20260131-1")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs" / "calculus-20260131-1"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_name_is_as_good_as_a_path(command: str, named: Path, terminal: CliRunner) -> None:
    by_name, by_path = (
        terminal.invoke(cli, [run if word == "RUN" else word for word in COMMANDS[command]], input="")
        for run in (named.name, f"runs/{named.name}")
    )
    assert (by_name.exit_code, by_name.output) == (by_path.exit_code, by_path.output)
    assert "does not exist" not in by_name.output
    assert "there is no skill" not in by_name.output


@pytest.mark.parametrize("command", COMMANDS)
def test_a_mistyped_name_gets_close_matches(command: str, named: Path, terminal: CliRunner) -> None:
    result = terminal.invoke(cli, ["calculus-20260113-1" if word == "RUN" else word for word in COMMANDS[command]])
    assert result.exit_code == 2
    assert "did you mean" in result.stderr
    assert named.name in result.stderr


def test_a_run_at_the_path_itself_comes_first(named: Path, terminal: CliRunner) -> None:
    named.rename("calculus")  # as the bundled skill is called
    assert json.loads(terminal.invoke(cli, ["show", "calculus", "--json"]).stdout)["run"] == "calculus"
    Path("runs", "done").mkdir()
    Path("done").mkdir()
    refused = terminal.invoke(cli, ["show", "done"])
    assert refused.exit_code == 2
    assert "is no run folder" in refused.stderr


def test_a_skill_is_still_a_skill(named: Path, terminal: CliRunner) -> None:
    assert "the syllabus" in terminal.invoke(cli, ["graph", "calculus"]).stdout
