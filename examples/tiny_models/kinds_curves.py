"""Exercises that use derivatives: second derivatives, slopes, tangent lines, critical points."""

from __future__ import annotations

from random import Random

from .kinds_algebra import is_small, linear_steps, random_poly
from .rules import derive, derive_steps
from .steps import Item, Poly, by_level, draw, eval_steps, make_item, poly_text, product_steps, signed, sum_steps, term


def second_from(rng: Random, level: str, poly: Poly) -> Item | None:
    """The second derivative of a given polynomial."""
    if max(poly) < 2 or max(poly) > 6 or any(abs(c) > 30 for c in poly.values()):
        return None
    first = derive(poly)
    second = derive(first)
    text = poly_text(poly)
    steps = [*derive_steps(poly), f"first {poly_text(first)}", *derive_steps(first)]
    return make_item("Second derivatives", f"Find the second derivative of {text}.", steps, poly_text(second), text)


def second_derivatives(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """The second derivative of a polynomial of two terms."""
    high = rng.randint(2, by_level(level, 3, 4, 6))
    poly = {high: draw(rng, 1, by_level(level, 6, 9, 9), lead), rng.randint(0, high - 1): signed(rng, 9)}
    return second_from(rng, level, poly) if poly[high] else None


def slopes_from(rng: Random, level: str, poly: Poly) -> Item | None:
    """The slope of the graph of a given polynomial."""
    x = rng.randint(1, by_level(level, 5, 6, 9)) if max(poly) < 3 else rng.randint(1, 4)
    if not 2 <= max(poly) <= 3 or any(abs(c) > 30 for c in poly.values()) or not is_small(derive(poly), x):
        return None
    text, first = poly_text(poly), derive(poly)
    steps, value = eval_steps(first, x)
    steps = [*derive_steps(poly), poly_text(first), f"put x={x}", *steps]
    return make_item("Slopes", f"Find the slope of y={text} at x={x}.", steps, str(value), f"{text}@{x}")


def slopes(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """The slope of a curve at a point: derive, then evaluate."""
    return slopes_from(rng, level, random_poly(rng, level, lead)) if lead != 0 else None


def tangent_from(rng: Random, level: str, poly: Poly) -> Item | None:
    """The tangent line to the graph of a given polynomial."""
    x = rng.randint(1, by_level(level, 4, 5, 7))
    if max(poly) != 2 or any(abs(c) > 30 for c in poly.values()) or not is_small(poly, x):
        return None
    text, first = poly_text(poly), derive(poly)
    (one, slope), (two, height) = eval_steps(first, x), eval_steps(poly, x)
    shift = height - slope * x
    steps = [*derive_steps(poly), poly_text(first), f"put x={x}", *one, f"slope {slope}", *two, f"y {height}"]
    steps += [*product_steps(slope, x), *sum_steps(height, -slope * x)]
    line = poly_text({1: slope, 0: shift})
    return make_item("Tangent lines", f"Find the tangent line to y={text} at x={x}.", steps, f"y={line}", f"{text}@{x}")


def tangent_lines(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """The line y=mx+b that touches a parabola at a point."""
    poly = random_poly(rng, "medium", lead, by_level(level, 5, 7, 9))
    return tangent_from(rng, level, poly) if lead != 0 else None


def critical_from(rng: Random, level: str, poly: Poly) -> Item | None:
    """The critical point of a given quadratic."""
    if max(poly) != 2 or poly.get(1, 0) % (2 * poly[2]) or abs(poly[2]) > 30:
        return None
    steps, x = linear_steps(2 * poly[2], poly[1]) if poly.get(1) else ([f"{term(2 * poly[2], 1)}=0"], 0)
    text = poly_text(poly)
    steps = [*derive_steps(poly), *steps, f"so x={x}"]
    return make_item("Critical points", f"Find the critical point of {text}.", steps, str(x), text)


def critical_points(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """Where the derivative of a quadratic is 0."""
    a, x, c = draw(rng, 1, by_level(level, 3, 5, 8), lead), signed(rng, by_level(level, 6, 9, 9)), signed(rng, 20)
    if not 0 < abs(a) <= 20:
        return None
    poly = {2: a, 1: -2 * a * x, 0: c}
    if level == "easy" and rng.random() < 0.5:
        del poly[0]
    return critical_from(rng, level, poly)
