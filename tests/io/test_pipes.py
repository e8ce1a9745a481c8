"""Places where a file is expected and a pipe lies: refused by name, never waited for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of Unix")

SKILL = 'name = "s"\ntitle = "S"\n[[topic]]\nname = "T"\n'


def skill_with(folder: Path, table: str) -> list[str]:
    (folder / "skill.toml").write_text(SKILL + table, encoding="utf-8")
    return ["run", str(folder), "--dry-run"]


PLACES: dict[str, Callable[[Path, Path], list[str]]] = {
    "--config": lambda pipe, folder: ["run", "calculus", "--config", str(pipe), "--dry-run"],
    "held-out questions": lambda pipe, folder: skill_with(folder, '[held_out]\neval = "pipe"\n'),
    "exercises": lambda pipe, folder: skill_with(folder, '[data]\nexercises = "pipe.jsonl"\n'),
    "data": lambda pipe, folder: ["data", "inspect", str(folder / "pipe.jsonl")],
    "--docs": lambda pipe, folder: ["run", "calculus", "--docs", str(folder), "--teacher", str(pipe), "--dry-run"],
}


@pytest.mark.parametrize("place", PLACES)
def test_a_pipe_is_refused(place: str, tmp_path: Path) -> None:
    for name in ("pipe", "pipe.jsonl", "pipe.md"):
        os.mkfifo(tmp_path / name)
    words = PLACES[place](tmp_path / "pipe", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "dsa_lite", *words], cwd=tmp_path, capture_output=True, text=True, timeout=100,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )  # fmt: skip
    assert done.returncode in (1, 2), done.stdout + done.stderr
    assert "bug" not in done.stderr
    assert "pipe" in done.stderr
