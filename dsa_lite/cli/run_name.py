"""A RUN argument: a run folder by its path, or by its name as `dsa-lite runs list` prints it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dsa_lite.io.run_folder.rundir import RunDir

#: Where `dsa-lite run` puts a run that is told no other place.
RUNS = Path("runs")


def run_path(name: str) -> Path:
    """The type of a RUN argument. What exists at the path itself is taken as it is: the command says what is wrong.

    Raises UsageError with close matches where there is neither.
    """
    from dsa_lite.io.run_folder.run_list import locate

    path = Path(name).expanduser()
    return named_run(name) or (path if path.exists() else locate(name, RUNS))


def read_run(path: Path) -> RunDir:
    """A run to look at. What is missing there, or not as it was written, is said on stderr."""
    from dsa_lite.io.run_folder.rundir import RunDir

    return RunDir.read(path, told)


def told(text: str) -> None:
    """A warning about a run, on stderr."""
    import click

    from dsa_lite.cli.text import clean

    click.echo(f"Warning: {clean(text)}", err=True)


def named_run(name: str) -> Path | None:
    """The run at the path `name`, else the one of that name among the runs; None where there is neither."""
    from dsa_lite.io.run_folder.run_list import is_run

    return next((path for path in (Path(name).expanduser(), RUNS / name) if is_run(path)), None)
