"""`dsa-lite report`: the page that shows a run, made anew from its folder."""

from __future__ import annotations

from pathlib import Path

import click

from dsa_lite.cli.failure import debug_option
from dsa_lite.cli.run_name import read_run, run_path


@click.command(
    "report",
    short_help="Make the report page of a run anew.",
    epilog="\b\nExamples:\n  dsa-lite report runs/mine\n  dsa-lite report runs/mine --out mine.html",
)
@click.argument("run", type=run_path)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Where to write the page.  [default: report.html in RUN]",
)  # fmt: skip
@debug_option
def report_command(run: Path, out: Path | None) -> None:
    """Write RUN as one HTML page: scores, skills, every example, rounds and settings.

    RUN is a run folder or the name of a run; it may be unfinished: the page then says what is missing. The page needs
    no network and no other file, so it can be sent to others.
    """
    from dsa_lite.cli.text import clean, size
    from dsa_lite.io.files import write_atomic
    from dsa_lite.io.html import report_page

    folder = read_run(run)
    page = report_page(folder)
    if out is None:
        out = folder.write_report(page)
    else:
        write_atomic(out, page)
    click.echo(f"{clean(str(out))} ({size(len(page.encode('utf-8', 'replace')))})")
