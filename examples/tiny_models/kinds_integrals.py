"""Exercises of integral calculus."""

from __future__ import annotations

from random import Random

from .kinds_algebra import is_small
from .rules import divides_evenly, integral, integral_rule, integral_steps
from .steps import (
    Item,
    Poly,
    by_level,
    eval_steps,
    joined,
    make_item,
    poly_text,
    quotient_steps,
    scaled,
    signed,
    sum_steps,
    term,
)


def _integrate(rng: Random, text: str) -> str:
    return f"Integrate {text}." if rng.random() < 0.7 else f"Find the integral of {text}."


def antiderivatives_from(rng: Random, level: str, poly: Poly) -> Item | None:
    """Integrate a given single term."""
    n, c = next(iter(poly.items()))
    if len(poly) != 1 or n > 11 or not divides_evenly(poly) or not 0 < abs(c) <= 300:
        return None
    text = term(c, n)
    steps = integral_rule(c, n) if n else []
    return make_item("Antiderivatives", _integrate(rng, text), steps, f"{term(c // (n + 1), n + 1)}+C", text)


def antiderivatives(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """The antiderivative of cx^n, with the constant."""
    n, m = rng.randint(1, by_level(level, 6, 9, 9)), rng.randint(1, by_level(level, 9, 12, 30))
    c = m * (n + 1)
    if lead is not None:
        fitting = [e for e in range(1, 10) if lead and lead % (e + 1) == 0]
        if not fitting:
            return None
        n, c = rng.choice(fitting), lead
    elif level != "easy" and rng.random() < 0.3:
        c = -c
    return antiderivatives_from(rng, level, {n: c})


def integrals_from(rng: Random, level: str, poly: Poly) -> Item | None:
    """Integrate a given polynomial term by term."""
    if len(poly) < 2 or max(poly) > 6 or not divides_evenly(poly) or any(abs(c) > 99 for c in poly.values()):
        return None
    text = poly_text(poly)
    answer = poly_text(integral(poly)) + "+C"
    return make_item("Integrals of polynomials", _integrate(rng, text), integral_steps(poly), answer, text)


def _even_poly(rng: Random, level: str, lead: int | None, high: int) -> Poly | None:
    """A polynomial of two or three terms whose antiderivative has whole coefficients."""
    degree = rng.randint(1, high)
    if lead is not None:
        fitting = [n for n in range(1, high + 1) if lead and lead % (n + 1) == 0]
        if not fitting:
            return None
        degree = rng.choice(fitting)
    size = by_level(level, 4, 6, 9)
    poly = {degree: (degree + 1) * rng.randint(1, size) if lead is None else lead}
    lower = sorted(rng.sample(range(degree), min(degree, rng.randint(1, 2))), reverse=True)
    for n in lower:
        poly[n] = (n + 1) * signed(rng, size)
    return poly


def integrals(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """The integral of a polynomial, with the constant."""
    poly = _even_poly(rng, level, lead, by_level(level, 2, 3, 4))
    return integrals_from(rng, level, poly) if poly else None


def sine_integrals(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """The integral of a sin(bx), a cos(bx) or a sum of the two."""
    count = 1 if level == "easy" or (level == "medium" and rng.random() < 0.5) else 2
    texts, steps, results = [], [], []
    for i, name in enumerate(rng.sample(("sin", "cos"), 2)[:count]):
        m, b = rng.randint(1, 12), rng.randint(2, by_level(level, 9, 9, 12))
        a = m * b if not i or rng.random() < 0.7 else -m * b
        if lead is not None and not i:
            b = next((d for d in (b, *range(2, 10)) if lead and lead % d == 0), 0)
            a = lead
        if not b or abs(a) > 150:
            return None
        texts.append(scaled(a, f"{name}({b}x)"))
        sign, other = (-1, "cos") if name == "sin" else (1, "sin")
        steps += [f"{name}({b}x) gives {'-' if sign < 0 else ''}{other}({b}x)", *quotient_steps(a, b)]
        results.append(scaled(sign * a // b, f"{other}({b}x)"))
    text = joined(texts)
    answer = joined(results) + "+C"
    return make_item("Integrals of sine and cosine", _integrate(rng, text), steps, answer, text)


def definite_from(rng: Random, level: str, poly: Poly) -> Item | None:
    """Integrate a given polynomial between two small numbers."""
    if max(poly) > 2 or not divides_evenly(poly) or any(abs(c) > 60 for c in poly.values()):
        return None
    low = rng.randint(0, by_level(level, 1, 2, 3))
    high = low + rng.randint(1, 4)
    whole, text = integral(poly), poly_text(poly)
    if not is_small(whole, high):
        return None
    (one, top), (two, bottom) = eval_steps(whole, high), eval_steps(whole, low)
    steps = [*integral_steps(poly), poly_text(whole), f"put x={high}", *one]
    # At 0 every term of an antiderivative vanishes, so there is nothing to work out.
    steps += [f"put x={low}", *two] if low else ["put x=0 gives 0"]
    steps += sum_steps(top, -bottom) or [f"{top}-0={top}"]
    problem = f"Integrate {text} from {low} to {high}."
    return make_item("Definite integrals", problem, steps, str(top - bottom), f"{text}@{low},{high}")


def definite_integrals(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """The integral of a linear or quadratic expression between two numbers."""
    poly = _even_poly(rng, "easy" if level == "easy" else "medium", lead, by_level(level, 1, 2, 2))
    return definite_from(rng, level, poly) if poly else None
