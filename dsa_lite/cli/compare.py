"""`dsa-lite compare`: runs side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsa_lite.cli.failure import debug_option
from dsa_lite.cli.run_name import run_path, told

if TYPE_CHECKING:
    from rich.console import Console


@click.command(
    "compare",
    short_help="Show runs side by side.",
    epilog="\b\nExamples:\n  dsa-lite compare runs/mine runs/other"
    "\n  dsa-lite compare runs/mine runs/mine/static --json",
)
@click.argument("runs", type=run_path, nargs=-1, required=True, metavar="RUN RUN …")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@debug_option
def compare_command(runs: tuple[Path, ...], as_json: bool) -> None:
    """Show finished runs side by side: scores, cost, data map, and in which settings they differ.

    Each run is tested against the first on the questions that both answered.
    """
    from dsa_lite.stages.comparing_runs import compare

    if len(runs) < 2:
        raise click.UsageError("name two runs or more")
    found = compare(runs, told)
    if as_json:
        from dsa_lite.cli.text import one_json

        click.echo(one_json(found))
        return
    from dsa_lite.cli.tables import stdout_console

    print_comparison(stdout_console(), found)


def print_comparison(console: Console, found: Mapping[str, Any]) -> None:
    """What `comparing_runs.compare` found, for people."""
    from dsa_lite.cli.run_tables import cost_table, paired_table, scores_by_run, settings_by_run
    from dsa_lite.cli.tables import heading, indented

    runs, first = found["runs"], found["against"]
    console.print(heading("Held-out questions answered after training (95 % interval)"))
    console.print(scores_by_run(runs))
    console.print(heading(f"Against {first}, on the same questions"))
    console.print(paired_table(found["paired"]))
    console.print(indented("exact McNemar test; how much seeds differ is not in these figures", "dim"))
    console.print(heading("Cost (tokens), and what the exercises turned out to be"))
    console.print(cost_table(runs))
    if found["differing"]:
        console.print(heading("Settings that differ"))
        console.print(settings_by_run(found["differing"]))
