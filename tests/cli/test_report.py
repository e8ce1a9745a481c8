"""`dsa-lite report`: the page from a run folder, without the engines that made the run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from dsa_lite.cli import cli
from dsa_lite.io.run_folder.rundir import RunDir


def test_the_page_is_written_into_the_run_or_to_a_file(finished: Path, tmp_path: Path, terminal: CliRunner) -> None:
    result = terminal.invoke(cli, ["report", str(finished)])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{finished / 'report.html'} (")
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert '"title":"Calculus"' in page
    assert "Differentiate [bold red]3 + 4[/] \\u001b[31m" in page
    out = tmp_path / "new" / "mine.html"
    assert terminal.invoke(cli, ["report", str(finished), "--out", str(out)]).exit_code == 0
    assert out.read_text(encoding="utf-8") == page


def test_an_unfinished_run_has_a_page(tmp_path: Path, terminal: CliRunner) -> None:
    with RunDir.open(tmp_path / "r", {"skill": "calculus"}, {}) as run:
        run.begin("graph", "x")
        result = terminal.invoke(cli, ["report", str(tmp_path / "r")])  # while it is being worked on
    assert result.exit_code == 0, result.output
    assert '["graph","running"]' in (tmp_path / "r" / "report.html").read_text(encoding="utf-8")


def test_what_is_no_run_is_left_alone(tmp_path: Path, terminal: CliRunner) -> None:
    result = terminal.invoke(cli, ["report", str(tmp_path)])
    assert result.exit_code == 2
    assert "is no run folder" in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_damaged_run_is_named_and_its_page_stays(finished: Path, terminal: CliRunner) -> None:
    assert terminal.invoke(cli, ["report", str(finished)]).exit_code == 0
    page = (finished / "report.html").read_bytes()
    with (finished / "exercises.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"id": 3}\n')
    result = terminal.invoke(cli, ["report", str(finished)])
    assert result.exit_code == 2, result.output
    assert "exercises.jsonl:4: id" in result.stderr
    assert (finished / "report.html").read_bytes() == page


def test_no_engine_is_needed(finished: Path) -> None:
    program = (
        "import sys\n"
        "for name in ('torch', 'mlx', 'transformers', 'peft', 'llama_cpp', 'safetensors', 'openai', 'playwright'):\n"
        "    sys.modules[name] = None\n"
        "from dsa_lite.cli import cli\n"
        f"cli(['report', {str(finished)!r}])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (finished / "report.html").exists()
