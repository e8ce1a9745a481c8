"""Events as progress: one live display on a terminal, occasional plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from dsa_lite.cli.pace import Pace
from dsa_lite.cli.text import clean, duration
from dsa_lite.events import Emit, Event, Note, StageFinished, StageProgress, StageStarted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

LINE_SECONDS = 10.0
_NAME_WIDTH = 10


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Emit]:
    """Give the function that shows events on stderr. Live only where both outputs are a terminal."""
    if quiet:
        yield lambda _: None
        return
    from rich.console import Console

    console = Console(stderr=True, markup=False, highlight=False, emoji=False)
    if sys.stdout.isatty() and sys.stderr.isatty() and not console.is_dumb_terminal:
        with Live(console) as live:
            yield live
    else:
        yield Lines(sys.stderr)


def figures_words(figures: Mapping[str, float | int | str]) -> str:
    """E.g. "loss 1.23, rejected 4"."""
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else clean(f"{name} {value}")
        for name, value in figures.items()
    )


def finished_words(event: StageFinished) -> str:
    how = "as before" if event.status == "reused" else duration(event.seconds)
    return f"{clean(event.summary)} ({how})" if event.summary else f"({how})"


class Lines:
    """Plain lines: the start and end of a stage, every note, and progress now and then."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out, self._clock = out, clock
        self._pace: Pace | None = None
        self._next = 0.0

    def __call__(self, event: Event) -> None:
        if isinstance(event, StageStarted):
            self._pace, self._next = Pace(event, self._clock), 0.0
            what = f"{event.total:,} {self._pace.unit}".rstrip() if event.total else ""
            self._say(event.stage, ", ".join(filter(None, (clean(event.label), what))) or "started")
        elif isinstance(event, StageProgress):
            self._progress(event)
        elif isinstance(event, StageFinished):
            self._say(event.stage, f"done: {finished_words(event)}")
        else:
            self._say(event.stage, f"{'warning: ' if event.level == 'warning' else ''}{clean(event.text)}")

    def _progress(self, event: StageProgress) -> None:
        if self._pace is None or self._pace.stage != event.stage:
            self._pace = Pace(StageStarted(event.stage, event.total, ""), self._clock)
        self._pace.update(event)
        if self._clock() < self._next:
            return
        self._next = self._clock() + LINE_SECONDS
        pace = self._pace
        words = (
            clean(event.label),
            pace.count_words(),
            pace.speed_words(),
            pace.time_words(),
            figures_words(event.figures),
        )
        self._say(event.stage, ", ".join(filter(None, words)))

    def _say(self, stage: str, words: str) -> None:
        self._out.write(f"{clean(stage)}: {words}\n")
        self._out.flush()


class Live:
    """One rich progress display; finished stages stand above it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._narrow = console.width < 90
        self._display: Progress = _columns(console, self._narrow)
        self._paces: dict[str, tuple[Pace, TaskID]] = {}
        self._tick = "✓" if console.encoding.lower().startswith("utf") else "+"

    def __enter__(self) -> Live:
        self._display.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._display.stop()

    def __call__(self, event: Event) -> None:
        if isinstance(event, StageStarted):
            self._start(event)
        elif isinstance(event, StageProgress):
            self._progress(event)
        elif isinstance(event, StageFinished):
            self._drop(event.stage)
            self._line(self._tick, event.stage, finished_words(event), "green")
        else:
            self._note(event)

    def _start(self, event: StageStarted) -> None:
        self._drop(event.stage)
        pace = Pace(event)
        task = self._display.add_task(clean(event.stage), total=event.total or None, pace=pace, figures="")
        self._paces[event.stage] = (pace, task)

    def _progress(self, event: StageProgress) -> None:
        if event.stage not in self._paces:
            self._start(StageStarted(event.stage, event.total, ""))
        pace, task = self._paces[event.stage]
        pace.update(event)
        figures = figures_words(event.figures)
        self._display.update(task, completed=pace.done, total=pace.total or None, figures=figures)

    def _note(self, event: Note) -> None:
        self._line(
            "!" if event.level == "warning" else " ",
            event.stage,
            clean(event.text),
            "yellow" if event.level == "warning" else "dim",
        )

    def _drop(self, stage: str) -> None:
        if stage in self._paces:
            self._display.remove_task(self._paces.pop(stage)[1])

    def _line(self, mark: str, stage: str, words: str, style: str) -> None:
        from rich.table import Table
        from rich.text import Text

        row = Table.grid(padding=(0, 1))
        row.add_column(width=1)
        row.add_column(width=_NAME_WIDTH)
        row.add_column(ratio=1)
        row.add_row(
            Text(mark, style=style),
            Text(clean(stage), style="bold"),
            Text(words, style="dim" if style == "dim" else ""),
        )
        self._console.print(row)


def _columns(console: Console, narrow: bool) -> Progress:
    from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
    from rich.text import Text

    class PaceColumn(ProgressColumn):
        """Rendered at every refresh, so that the clock runs while a stage is silent."""

        def render(self, task: Task) -> Text:
            pace: Pace = task.fields["pace"]
            words = [pace.count_words(), pace.speed_words(), pace.time_words()]
            words += [] if narrow else [clean(pace.label), task.fields["figures"]]
            return Text(", ".join(filter(None, words)), no_wrap=True, overflow="ellipsis")

    return Progress(
        SpinnerColumn("line"),
        TextColumn("{task.description:<" + str(_NAME_WIDTH) + "}", style="bold", markup=False),
        BarColumn(bar_width=8 if narrow else 24),
        PaceColumn(),
        console=console,
        transient=True,
        refresh_per_second=4,
    )
