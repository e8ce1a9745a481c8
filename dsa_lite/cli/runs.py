"""`dsa-lite runs`: the runs on this disk."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsa_lite.cli.failure import GuardedGroup, debug_option
from dsa_lite.cli.run_name import RUNS
from dsa_lite.cli.show import show_command

if TYPE_CHECKING:
    from dsa_lite.io.run_folder.run_list import RunFacts

_folder_option = click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=RUNS,
    show_default=True,
    metavar="FOLDER",
    help="Where the runs are.",
)


@click.group("runs", cls=GuardedGroup)
def runs_group() -> None:
    """List, show and delete runs.

    RUN is a run folder, or its name in the folder of the runs.
    """


@runs_group.command("list", epilog="\b\nExamples:\n  dsa-lite runs list\n  dsa-lite runs list --folder ~/runs --json")
@_folder_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@debug_option
def list_command(folder: Path, as_json: bool) -> None:
    """List the runs, the latest first: skill, models, where they stand, scores, size on disk."""
    from dsa_lite.io.run_folder.run_list import facts, find_runs

    runs = sorted((facts(path) for path in find_runs(folder)), key=lambda run: (-run.changed, run.path))
    if as_json:
        from dsa_lite.cli.text import one_json

        click.echo(one_json({"runs": [_row(run) for run in runs]}))
        return
    _print(runs, folder)


@runs_group.command("show", epilog="\b\nExample:\n  dsa-lite runs show calculus-20260131-1")
@click.argument("run")
@_folder_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@debug_option
@click.pass_context
def show_one_command(context: click.Context, run: str, folder: Path, as_json: bool) -> None:
    """Show the stages and scores of RUN, as dsa-lite show does."""
    from dsa_lite.io.run_folder.run_list import locate

    context.invoke(show_command, run=locate(run, folder), as_json=as_json)


@runs_group.command(
    "rm", epilog="\b\nExamples:\n  dsa-lite runs rm calculus-20260131-1\n  dsa-lite runs rm runs/old --yes"
)
@click.argument("run")
@_folder_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@debug_option
def rm_command(run: str, folder: Path, yes: bool) -> None:
    """Delete RUN with its adapter and everything else that dsa-lite wrote there.

    Files of other origin stay and are named. A run that is being worked on is not deleted.
    """
    from dsa_lite.cli.text import clean, size
    from dsa_lite.io.run_folder.run_list import delete, facts, locate

    path = locate(run, folder)
    found = facts(path)
    if not yes:
        what = f"{clean(str(path))} ({clean(found.skill)}, {_day(found)}, {clean(found.status)}, {size(found.size)})"
        click.confirm(f"Delete {what}? Its adapter goes with it.", abort=True)
    left = delete(path)
    if left:
        click.echo(f"Deleted the run. {clean(str(path))} stays, with what is not dsa-lite's: {clean(', '.join(left))}")
    else:
        click.echo(f"Deleted {clean(str(path))}.")


def _row(run: RunFacts) -> dict[str, Any]:
    changed = datetime.fromtimestamp(run.changed).astimezone().isoformat(timespec="seconds")
    return {**asdict(run), "path": str(run.path), "changed": changed}


def _day(run: RunFacts) -> str:
    return f"{datetime.fromtimestamp(run.changed):%Y-%m-%d %H:%M}"


def _print(runs: list[RunFacts], folder: Path) -> None:
    from rich.text import Text

    from dsa_lite.cli.tables import indented, stdout_console
    from dsa_lite.cli.text import clean, percent, size

    console = stdout_console()
    if not runs:
        console.print(f"No runs in {clean(str(folder))}. Make one with: dsa-lite run calculus", soft_wrap=True)
        return
    for run in runs:
        console.print(Text(clean(str(run.path)), style="bold"), soft_wrap=True)
        scores = f"{percent(run.before, 1)} -> {percent(run.after, 1)}" if run.after is not None else "no scores yet"
        facts = f"{run.skill}: {scores}, {run.status}, {_day(run)}, {size(run.size)}"
        console.print(indented(clean(facts)))
        console.print(indented(clean(f"{run.student}, taught by {run.teacher}"), "dim"))
    total = size(sum(run.size for run in runs))
    console.print(f"\n{len(runs)} run{'s' if len(runs) > 1 else ''}, {total}. Details: dsa-lite runs show RUN")
