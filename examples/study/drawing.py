"""Two plain SVG pictures: curves with intervals, and differences with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from .figures import Estimate

COLOURS = ("#4477aa", "#cc6677", "#228833", "#aa7744", "#aa3377", "#66ccee", "#777777")
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 660, 320, 60, 40, 20, 140
QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)
Curve = Sequence[tuple[float, Estimate]]


def curves(
    named: Mapping[str, Curve], across: str, upwards: str, ticks: Sequence[tuple[float, str]] | None = None
) -> str:
    """Points (x, estimate of a share in [0, 1]) of each curve, joined; x from 0. `ticks`: places and names on x."""
    most = max((x for points in named.values() for x, _ in points), default=1.0)
    if ticks is None:
        ticks = [(share * most, f"{share * most:,.0f}") for share in QUARTERS]

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT + x / most * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y * (HEIGHT - BOTTOM - TOP)

    parts = [_line(*place(0, 0), *place(most, 0)), _line(*place(0, 0), *place(0, 1))]
    for share in QUARTERS:
        x, y = place(0, share)
        parts.append(_text(x - 6, y + 4, f"{share:.0%}", "end"))
    parts += [_text(place(x, 0)[0], place(x, 0)[1] + 16, name, "middle") for x, name in ticks]
    parts += [_text(WIDTH / 2, HEIGHT - 4, across, "middle"), _text(4, 12, upwards, "start")]
    for number, (name, points) in enumerate(named.items()):
        colour, aside = COLOURS[number % len(COLOURS)], 3 * number  # px: intervals at one x do not hide each other
        places = [(place(x, 0)[0] + aside, place(x, e.mean)[1], e) for x, e in sorted(points)]
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)
        parts.append(f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, y, e in places:
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
            if math.isfinite(e.low):
                ends = [place(0, min(1.0, max(0.0, end)))[1] for end in (e.low, e.high)]
                parts.append(_line(x, ends[0], x, ends[1], colour))
        parts.append(_text(WIDTH - RIGHT + 12, TOP + 16 * (number + 1), name, "start", colour))
    return _picture(WIDTH, HEIGHT, parts)


def differences(named: Mapping[str, Estimate], across: str) -> str:
    """One row per name: the mean difference, in points of a hundred, and its interval, around zero."""
    rows = {name: e for name, e in named.items() if e.n}
    ends = [abs(v) for e in rows.values() for v in (e.mean, e.low, e.high) if math.isfinite(v)]
    most = max([*ends, 0.01])
    height = 22 * len(rows) + 50
    middle, half = 390, 220

    def at(value: float) -> float:
        return middle + value / most * half

    parts = [_line(middle, 10, middle, height - 40, "#888888")]
    for number, (name, e) in enumerate(rows.items()):
        y = 22 * number + 20
        parts.append(_text(10, y + 4, name, "start"))
        parts.append(f'<circle cx="{at(e.mean):.1f}" cy="{y}" r="4" fill="{COLOURS[0]}"/>')
        if math.isfinite(e.low):
            parts.append(_line(at(e.low), y, at(e.high), y, COLOURS[0]))
    for value in (-most, 0.0, most):
        parts.append(_text(at(value), height - 24, f"{100 * value:+.1f}", "middle"))
    parts.append(_text(middle, height - 6, across, "middle"))
    return _picture(WIDTH, height, parts)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str = "#555555") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#555555") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


def _picture(width: float, height: float, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" font-family="sans-serif" '
    return head + 'font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
