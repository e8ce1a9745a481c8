"""Help, usage errors and lightness."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from dsa_lite import __version__
from dsa_lite.cli import cli

HEAVY = ("numpy", "networkx", "torch", "mlx", "transformers", "pydantic", "rich", "jinja2", "sympy", "llama_cpp")


def commands(group: click.Group, prefix: str = "") -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    for name, command in group.commands.items():
        found += (
            commands(command, f"{prefix}{name} ") if isinstance(command, click.Group) else [(prefix + name, command)]
        )
    return found


@pytest.mark.parametrize(("name", "command"), commands(cli))
def test_every_command_and_option_has_help_and_an_example(
    name: str, command: click.Command, terminal: CliRunner
) -> None:
    assert command.help
    assert f"dsa-lite {name}" in (command.epilog or "")
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.name}"
    result = terminal.invoke(cli, [*name.split(), "--help"])
    assert result.exit_code == 0
    assert "Example" in result.stdout


def test_the_main_help_lists_the_exit_codes(terminal: CliRunner) -> None:
    text = terminal.invoke(cli, ["--help"]).stdout
    for line in ("0    done", "2    the command line", "4    the run folder", "130  interrupted"):
        assert line in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rnu", "calculus"], "Did you mean 'run'"),
        (["frobnicate"], "config, data, doctor"),
        (["run"], "Missing argument 'SKILL'"),
        (["run", "calculus", "--techer", "x"], "--teacher"),
        (["run", "calculus", "--backend", "jax"], "--backend takes auto, mlx, torch"),
        (["run", "calculus", "--seed", "-1"], "-1 is not in the range"),
    ],
)
def test_usage_errors(terminal: CliRunner, words: list[str], message: str) -> None:
    result = terminal.invoke(cli, words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["run", "--help"], ["rnu"], ["run", "x", "--seed", "a"]])
def test_help_and_usage_errors_load_nothing_heavy(words: list[str]) -> None:
    program = f"""
import sys
from dsa_lite.cli import main
sys.argv[1:] = {words!r}
try:
    main()
except SystemExit:
    pass
print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


def test_python_m_is_the_same() -> None:
    done = subprocess.run([sys.executable, "-m", "dsa_lite", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"dsa-lite, version {__version__}\n"


def test_a_closed_pipe_is_no_traceback() -> None:
    command = f"{sys.executable} -m dsa_lite config schema | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stderr == ""
