"""A scatter plot in letters: every example by the deviation and the mean of its loss."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from rich.text import Text

from dsa_lite.cli.tables import REGION_STYLE

#: Region -> its letter; colour only repeats what the letter says.
LETTERS = {"error": "X", "hard": "H", "easy": "o", "ambiguous": "a", "unclassified": "?"}
#: (deviation, mean loss, region), nats per target token.
Point = tuple[float, float, str]
_HEIGHT, _MARGIN, _WIDEST = 22, 8, 100


def scatter(points: Sequence[Point], width: int) -> Iterator[Text]:
    """Lines of at most `width` columns. Both axes grow with the square root, because most losses are small.

    A cell shows the region that most of its examples belong to; of equally many, the one listed first in `LETTERS`.
    """
    known = [p for p in points if math.isfinite(p[0]) and math.isfinite(p[1])]
    if not known:
        yield Text("No example has a loss that can be drawn.")
        return
    columns = max(10, min(width, _WIDEST) - _MARGIN)
    right, top = max(p[0] for p in known) or 1.0, max(p[1] for p in known) or 1.0
    cells: dict[tuple[int, int], Counter[str]] = {}
    for deviation, loss, region in known:
        cell = _place(loss, top, _HEIGHT), _place(deviation, right, columns)
        cells.setdefault(cell, Counter())[region] += 1
    yield Text("mean loss, nats per token", style="dim")
    for row in reversed(range(_HEIGHT)):
        label = f"{_value(row, top, _HEIGHT):.2f}" if row % 7 == 0 or row == _HEIGHT - 1 else ""
        line = Text(f"{label:>{_MARGIN - 2}} ┤" if label else " " * (_MARGIN - 1) + "│", style="dim")
        for column in range(columns):
            line.append_text(_cell(cells.get((row, column))))
        line.rstrip()
        yield line
    yield Text(" " * (_MARGIN - 1) + "└" + "─" * columns, style="dim")
    yield Text(_ruler(right, columns), style="dim")
    yield Text(f"{'spread of the loss over the epochs':>{_MARGIN + columns}}", style="dim")
    yield from _legend(points, len(points) - len(known))


def _place(value: float, largest: float, cells: int) -> int:
    return min(cells - 1, int(math.sqrt(max(value, 0.0) / largest) * cells))


def _value(cell: int, largest: float, cells: int) -> float:
    """The value in the middle of the lowest and highest of a cell; 0 at the origin, the largest at the end."""
    return largest * (cell / (cells - 1)) ** 2


def _cell(regions: Counter[str] | None) -> Text:
    if not regions:
        return Text(" ")
    region = max(LETTERS, key=lambda name: regions.get(name, 0))  # max keeps the first of equals
    return Text(LETTERS[region], style=REGION_STYLE.get(region, ""))


def _ruler(right: float, columns: int) -> str:
    line = " " * _MARGIN
    for quarter in range(5):
        at = _MARGIN + quarter * (columns - 1) // 4
        label = f"{_value(quarter * (columns - 1) // 4, right, columns):.2f}"
        start = min(at, _MARGIN + columns - len(label))
        line = line[:start].ljust(start) + label
    return line


def _legend(points: Sequence[Point], left_out: int) -> Iterator[Text]:
    counts = Counter(region for *_, region in points)
    line = Text("")
    for region, letter in LETTERS.items():
        if counts[region]:
            line.append(f"{letter} {region} {counts[region]:,}   ", style=REGION_STYLE.get(region, ""))
    yield line
    yield Text("a letter is the region that most examples at this place belong to; square-root axes", style="dim")
    if left_out:
        yield Text(f"{left_out:,} without a finite loss are not drawn", style="dim")
