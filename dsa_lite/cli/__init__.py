"""The command line: the only place that prints, reads the environment and ends the process.

Importing this package imports click and nothing heavier, so that help and usage errors come at once; every command
imports what it needs when it runs.
"""

from __future__ import annotations

import sys
from typing import TextIO

import click

from dsa_lite import __version__
from dsa_lite.cli.chat import ask_command, chat_command
from dsa_lite.cli.compare import compare_command
from dsa_lite.cli.config import config_group
from dsa_lite.cli.data import data_group
from dsa_lite.cli.doctor import doctor_command
from dsa_lite.cli.export import export_command
from dsa_lite.cli.failure import GuardedGroup
from dsa_lite.cli.graph import graph_command
from dsa_lite.cli.map import map_command
from dsa_lite.cli.models import models_command
from dsa_lite.cli.new import new_command
from dsa_lite.cli.report import report_command
from dsa_lite.cli.run import run_command
from dsa_lite.cli.runs import runs_group
from dsa_lite.cli.show import show_command
from dsa_lite.cli.skills import skills_command

EPILOG = """\b
Start here:
  dsa-lite run calculus

\b
Exit codes:
  0    done
  1    an error; the message says what to do
  2    the command line, a setting or a skill name is wrong
  4    the run folder is in use or belongs to another configuration
  130  interrupted; the same command goes on

Every option can also be set in the environment: DSA_LITE_RUN_SEED=1 is --seed 1 of run. NO_COLOR turns colours off.
"""


@click.group(
    cls=GuardedGroup,
    epilog=EPILOG,
    context_settings={
        "auto_envvar_prefix": "DSA_LITE",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
)
@click.version_option(__version__, "--version", prog_name="dsa-lite", help="Show the version and leave.")
def cli() -> None:
    """Teach a local language model a new skill, offline.

    A teacher model writes textbooks and exercises for a skill, a student model learns from them with LoRA, and a
    report shows what was learned, what was forgotten and why.
    """


for _command in (
    run_command,
    new_command,
    show_command,
    map_command,
    graph_command,
    compare_command,
    report_command,
    data_group,
    ask_command,
    chat_command,
    export_command,
    skills_command,
    models_command,
    runs_group,
    doctor_command,
    config_group,
):
    cli.add_command(_command)


def main() -> None:
    """Entry point of the `dsa-lite` script."""
    for stream in (sys.stdout, sys.stderr):
        _never_fail_on_a_letter(stream)
    cli(prog_name="dsa-lite")


def _never_fail_on_a_letter(stream: TextIO) -> None:
    """A terminal that cannot show a letter gets a question mark, not a traceback."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
