"""`dsa-lite show`: where a run stands and what it has reached."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsa_lite.cli.failure import debug_option
from dsa_lite.cli.run_name import read_run, run_path

if TYPE_CHECKING:
    from dsa_lite.io.run_folder.rundir import RunDir


@click.command(
    "show", short_help="Show the stages and scores of a run.", epilog="\b\nExample:\n  dsa-lite show runs/mine"
)
@click.argument("run", type=run_path)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@debug_option
def show_command(run: Path, as_json: bool) -> None:
    """Show the stages of RUN with their times, and the scores before and after.

    RUN is a run folder or the name of a run; it may be unfinished, or being worked on.
    """
    folder = read_run(run)
    stages = _stages(folder)
    summary = folder.read_summary()
    if as_json:
        from dsa_lite.cli.text import one_json

        click.echo(one_json({"run": str(run), "stages": stages, "summary": summary}))
        return
    from dsa_lite.cli.outcome import print_next, print_rounds, print_scores
    from dsa_lite.cli.tables import stages_table, stdout_console
    from dsa_lite.cli.text import clean, duration

    console = stdout_console()
    console.print(f"Run {clean(str(run))}", soft_wrap=True)
    times = [(s["stage"], s["status"], "" if s["seconds"] is None else duration(s["seconds"])) for s in stages]
    console.print(stages_table(times, ("stage", "status", "time")))
    if summary is None:
        console.print(
            f"\nNot finished: no scores yet. Go on with the same dsa-lite run command and --out {clean(str(run))}",
            soft_wrap=True,
        )
        return
    print_scores(console, summary, splits=("eval", "transfer", "general"))
    print_rounds(console, summary)
    print_next(console, summary, folder)


def _stages(run: RunDir) -> list[dict[str, Any]]:
    from dsa_lite.events import STAGES

    entries = {name: run.stage(name) for name in STAGES}
    return [
        {"stage": name, "status": entry.status if entry else "to do", "seconds": entry.seconds if entry else None}
        for name, entry in entries.items()
    ]
