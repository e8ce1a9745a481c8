"""The derivative and the antiderivative of a polynomial, as values and as written steps."""

from __future__ import annotations

from .steps import Poly, product_steps, quotient_steps, term


def power_rule(c: int, n: int) -> list[str]:
    """Steps of differentiating cx^n for n >= 2."""
    return [*product_steps(c, n), f"{n}-1={n - 1}"]


def derive(poly: Poly) -> Poly:
    """The derivative of a polynomial."""
    return {n - 1: c * n for n, c in poly.items() if n}


def derive_steps(poly: Poly) -> list[str]:
    """The derivative term by term, each term named before its steps."""
    steps: list[str] = []
    for n, c in sorted(poly.items(), reverse=True):
        name = term(c, n) + ": "
        if n < 2:
            steps.append(name + (str(c) if n else "0"))
            continue
        first, *rest = power_rule(c, n)
        steps += [name + first, *rest, term(c * n, n - 1)]
    return steps


def integral(poly: Poly) -> Poly:
    """The antiderivative of a polynomial whose coefficients divide exactly."""
    return {n + 1: c // (n + 1) for n, c in poly.items()}


def integral_rule(c: int, n: int) -> list[str]:
    """Steps of integrating cx^n."""
    return [f"{n}+1={n + 1}", *quotient_steps(c, n + 1)]


def integral_steps(poly: Poly) -> list[str]:
    """The antiderivative term by term, each term named before its steps."""
    steps: list[str] = []
    for n, c in sorted(poly.items(), reverse=True):
        name = term(c, n) + ": "
        if n == 0:
            steps.append(name + term(c, 1))
            continue
        first, *rest = integral_rule(c, n)
        steps += [name + first, *rest, term(c // (n + 1), n + 1)]
    return steps


def divides_evenly(poly: Poly) -> bool:
    """Whether the antiderivative has whole coefficients."""
    return all(c % (n + 1) == 0 for n, c in poly.items())
