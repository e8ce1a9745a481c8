"""Two plain SVG pictures: curves with intervals, and differences with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from .figures import Estimate

COLOURS = ("#4477aa", "#cc6677", "#228833", "#aa7744")
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640, 320, 60, 40, 20, 120
Curve = Sequence[tuple[float, Estimate]]


def curves(named: Mapping[str, Curve], across: str, upwards: str) -> str:
    """Points (x, estimate of a share in [0, 1]) of each curve, joined; x from 0."""
    most = max((x for points in named.values() for x, _ in points), default=1.0)

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT + x / most * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y * (HEIGHT - BOTTOM - TOP)

    parts = [_line(*place(0, 0), *place(most, 0)), _line(*place(0, 0), *place(0, 1))]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = place(0, share)
        parts.append(_text(x - 6, y + 4, f"{share:.0%}", "end"))
        x, y = place(share * most, 0)
        parts.append(_text(x, y + 16, f"{share * most:,.0f}", "middle"))
    parts += [_text(WIDTH / 2, HEIGHT - 4, across, "middle"), _text(4, 12, upwards, "start")]
    for number, (name, points) in enumerate(named.items()):
        colour, places = COLOURS[number % len(COLOURS)], [(*place(x, e.mean), x, e) for x, e in sorted(points)]
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y, *_ in places)
        parts.append(f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, y, where, e in places:
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
            if math.isfinite(e.low):
                ends = [place(where, min(1.0, max(0.0, end)))[1] for end in (e.low, e.high)]
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
