"""Two columns of a printed page whose pieces of text come line by line, across both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

#: Where it begins, in points from the left and from below; its text, with the blank before it if there is one.
Piece = tuple[float, float, str]

_LINES = 6  # that both columns share; fewer are taken for a table
_WORDS = 4  # of a line in each column on average; cells of tables have fewer
_NEAR = 3.0  # points: how exactly a column's lines begin below each other


def in_columns(pieces: Sequence[Piece]) -> str:
    """The text with the left column before the right one; "" where the page has no two columns, or has them in order.

    Lines across the whole page (a title, a figure's caption) divide the columns, as in print.
    """
    lines = [list(line) for _, line in groupby(pieces, key=lambda piece: round(piece[1]))]
    gutter = _gutter(lines)
    if gutter is None:
        return ""
    split = [_halves(line, gutter) for line in lines]
    both = [(left, right) for left, right in split if left and right]
    words = [sum(len(part.split()) for part in side) for side in zip(*both, strict=True)]
    if len(both) < _LINES or min(words) < _WORDS * len(both):
        return ""
    widest = max(len(left) for left, _ in both) * 1.5
    text: list[str] = []
    columns: tuple[list[str], list[str]] = ([], [])
    for left, right in split:
        if left and not right and len(left) > widest:
            text += [*columns[0], *columns[1], left]
            columns = ([], [])
        else:
            for column, part in zip(columns, (left, right), strict=True):
                column += [part] * bool(part)
    return "\n".join([*text, *columns[0], *columns[1]])


def _gutter(lines: Sequence[Sequence[Piece]]) -> float | None:
    """Where the right column begins: the place inside a line at which most lines begin anew."""
    begins = Counter(round(piece[0] / _NEAR) for line in lines for piece in line[1:] if piece[0] > line[0][0] + _NEAR)
    place, count = max(begins.items(), key=lambda item: item[1], default=(0, 0))
    return (place - 0.5) * _NEAR if count >= max(_LINES, len(lines) / 2) else None


def _halves(line: Sequence[Piece], gutter: float) -> tuple[str, str]:
    left, right = ("".join(text for x, _, text in line if (x >= gutter) is after) for after in (False, True))
    return " ".join(left.split()), " ".join(right.split())
