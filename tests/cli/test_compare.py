"""Runs side by side where not every run has every set of questions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dsa_lite.cli import cli
from dsa_lite.config import Config
from dsa_lite.io.run_folder.rundir import RunDir

NONE = {"accuracy": None, "n": 0, "low": None, "high": None}
SOME = {"accuracy": 0.5, "n": 10, "low": 0.24, "high": 0.76}
SETS: dict[str, dict[str, Any]] = {
    "whole": {"eval": SOME, "transfer": SOME, "general": SOME},
    "no transfer": {"eval": SOME, "transfer": NONE, "general": SOME},
    "without the word": {"eval": SOME},
    "nothing": {"eval": NONE, "transfer": NONE, "general": NONE},
    "empty": {},
}


def run(folder: Path, sets: dict[str, Any]) -> str:
    identity = {"skill": "s", "teacher": "t", "student": "m", "backend": "torch", "seed": "0"}
    with RunDir.open(folder, identity, Config().model_dump()) as opened:
        opened.write_summary(
            {"skill": "s", "before": sets, "after": sets, "seconds": 1.0, "regions": {}, "mcnemar": {}}
        )
    return str(folder)


@pytest.mark.parametrize("first", SETS)
@pytest.mark.parametrize("second", SETS)
def test_any_two_runs_are_compared(first: str, second: str, tmp_path: Path, terminal: CliRunner) -> None:
    runs = [run(tmp_path / "one", SETS[first]), run(tmp_path / "two", SETS[second])]
    shown = terminal.invoke(cli, ["compare", *runs])
    assert shown.exit_code == 0, shown.output
    assert ("50.0 %" in shown.stdout) == bool({first, second} - {"nothing", "empty"})
    found = json.loads(terminal.invoke(cli, ["compare", *runs, "--json"]).stdout)
    assert list(found["runs"]) == ["one", "two"]


@pytest.mark.parametrize("kind", SETS)
def test_any_run_is_shown(kind: str, tmp_path: Path, terminal: CliRunner) -> None:
    result = terminal.invoke(cli, ["show", run(tmp_path / "one", SETS[kind])])
    assert result.exit_code == 0, result.output
