"""`dsa-lite runs`: listed, found, deleted, and nothing else deleted."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from dsa_lite.cli import cli
from dsa_lite.io.run_folder.rundir import RunDir

IDENTITY = {"skill": "calculus", "teacher": "/models/big.gguf", "student": "org/small", "backend": "torch", "seed": "0"}


@pytest.fixture
def runs(tmp_path: Path, finished: Path) -> Path:
    """A finished run, a stopped one, and a folder that is none."""
    folder = tmp_path / "runs"
    folder.mkdir()
    finished.rename(folder / "done")
    with RunDir.open(folder / "done", IDENTITY | {"teacher": "t", "student": "s"}, {}) as run:
        for stage in ("evaluate", "report"):
            run.begin(stage, "x")
            run.finish(stage)
    with RunDir.open(folder / "stopped", IDENTITY, {}) as run:
        run.begin("graph", "x")
        run.finish("graph")
        run.begin("textbooks", "x")
    os.utime(folder / "stopped" / "manifest.json", (10**9, 10**9))
    (folder / "other").mkdir()
    (folder / "other" / "run.toml").write_text('title = "of another program"\n')
    (folder / "other" / "checkpoints").mkdir()
    return folder


def test_list(runs: Path, terminal: CliRunner, width: int) -> None:
    result = terminal.invoke(cli, ["runs", "list", "--folder", str(runs)])
    assert result.exit_code == 0, result.output
    flat = " ".join(result.stdout.split())
    for words in ("calculus: 2.1 % -> 78.3 %, finished", "tiny-student, taught by tiny-teacher", "2001-09-09",
                  "no scores yet, stopped in textbooks", "org/small, taught by big.gguf", "2 runs"):  # fmt: skip
        assert words in flat, words
    assert flat.index("done") < flat.index("stopped"), "the latest first"


def test_list_as_json(runs: Path, terminal: CliRunner) -> None:
    found = json.loads(terminal.invoke(cli, ["runs", "list", "--folder", str(runs), "--json"]).stdout)["runs"]
    assert [Path(run["path"]).name for run in found] == ["done", "stopped"]
    assert (found[0]["before"], found[0]["after"], found[1]["after"]) == (0.021, 0.783, None)
    size = sum(p.stat().st_size for p in (runs / "done").rglob("*") if p.is_file())
    assert found[0]["size"] == size > 0


def test_no_runs_and_a_run_that_cannot_be_read(runs: Path, tmp_path: Path, terminal: CliRunner) -> None:
    empty = terminal.invoke(cli, ["runs", "list", "--folder", str(tmp_path / "none")])
    assert empty.exit_code == 0
    assert "dsa-lite run calculus" in empty.stdout
    (runs / "done" / "manifest.json").write_text("{broken")
    result = terminal.invoke(cli, ["runs", "list", "--folder", str(runs)])
    assert result.exit_code == 0
    assert "unreadable" in result.stdout
    assert "stopped in textbooks" in result.stdout


def test_a_run_at_work_is_listed_as_such_and_not_deleted(runs: Path, terminal: CliRunner) -> None:
    with RunDir.open(runs / "stopped", IDENTITY, {}):
        listed = terminal.invoke(cli, ["runs", "list", "--folder", str(runs)])
        assert "running: textbooks" in " ".join(listed.stdout.split())
        result = terminal.invoke(cli, ["runs", "rm", "stopped", "--folder", str(runs), "--yes"])
        assert result.exit_code == 4
        assert f"in use by process {os.getpid()}" in result.stderr
        assert (runs / "stopped" / "run.toml").exists()
    again = terminal.invoke(cli, ["runs", "list", "--folder", str(runs)])
    assert "stopped in textbooks" in " ".join(again.stdout.split())


def test_show_by_name_and_by_path(runs: Path, terminal: CliRunner) -> None:
    by_name = terminal.invoke(cli, ["runs", "show", "done", "--folder", str(runs)])
    assert by_name.exit_code == 0, by_name.output
    assert by_name.stdout == terminal.invoke(cli, ["show", str(runs / "done")]).stdout
    found = json.loads(terminal.invoke(cli, ["runs", "show", str(runs / "done"), "--json"]).stdout)
    assert found["summary"]["skill"] == "calculus"


def test_rm_asks_first(runs: Path, terminal: CliRunner) -> None:
    words = ["runs", "rm", "done", "--folder", str(runs)]
    for answer in ("n\n", ""):
        result = terminal.invoke(cli, words, input=answer)
        assert result.exit_code == 130
        assert "calculus" in result.stdout
        assert (runs / "done" / "exercises.jsonl").exists()
    assert terminal.invoke(cli, words, input="y\n").exit_code == 0
    assert not (runs / "done").exists()
    assert (runs / "stopped").exists()


def test_rm_leaves_what_others_put_there(runs: Path, terminal: CliRunner) -> None:
    (runs / "done" / "notes.md").write_text("mine")
    result = terminal.invoke(cli, ["runs", "rm", "done", "--folder", str(runs), "--yes"])
    assert result.exit_code == 0, result.output
    assert "notes.md" in result.stdout
    assert [p.name for p in (runs / "done").iterdir()] == ["notes.md"]


@pytest.mark.parametrize(
    ("name", "message"), [("other", "is no run folder"), ("dnoe", "did you mean done"), (".", "is no run folder")]
)
def test_rm_refuses_what_is_no_run(runs: Path, terminal: CliRunner, name: str, message: str) -> None:
    before = sorted(runs.rglob("*"))
    result = terminal.invoke(cli, ["runs", "rm", name, "--folder", str(runs), "--yes"])
    assert result.exit_code == 2
    assert message in result.stderr
    assert sorted(runs.rglob("*")) == before


def test_rm_does_not_follow_a_link(runs: Path, tmp_path: Path, terminal: CliRunner) -> None:
    (tmp_path / "link").symlink_to(runs / "done")
    result = terminal.invoke(cli, ["runs", "rm", str(tmp_path / "link"), "--yes"])
    assert result.exit_code == 2
    assert (runs / "done" / "run.toml").exists()


def test_a_mistyped_verb(terminal: CliRunner) -> None:
    result = terminal.invoke(cli, ["runs", "remove"])
    assert result.exit_code == 2
    assert "No such command 'remove'" in result.stderr
