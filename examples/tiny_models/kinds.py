"""The registry of skills: names, prerequisites, descriptions and exercise makers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random

from . import kinds_algebra as alg
from . import kinds_arithmetic as ari
from . import kinds_calculus as cal
from . import kinds_curves as cur
from . import kinds_integrals as itg
from .steps import Item, Poly

SUBJECT = "Calculus"
LEVELS = ("easy", "medium", "hard")
Maker = Callable[[Random, str, "int | None"], "Item | None"]
FromPoly = Callable[[Random, str, Poly], "Item | None"]

__all__ = ["BASE", "CALCULUS", "KINDS", "LEVELS", "NAMES", "SUBJECT", "Item", "Kind", "always", "ancestors", "make"]


@dataclass(frozen=True)
class Kind:
    """One skill: what it needs, what it is, and how its exercises are made."""

    name: str
    prerequisites: tuple[str, ...]
    description: str
    maker: Maker
    from_poly: FromPoly | None = None
    group: str = "base"
    weight: float = 1.0


def _kind(
    name: str,
    needs: str,
    text: str,
    maker: Maker,
    weight: float = 1.0,
    from_poly: FromPoly | None = None,
    group: str = "base",
) -> Kind:
    return Kind(name, tuple(n for n in needs.split("; ") if n), text, maker, from_poly, group, weight)


_ARITHMETIC = [
    _kind("Addition", "", "Add whole numbers column by column, units first, and carry the tens.", ari.addition, 1.6),
    _kind(
        "Subtraction",
        "Addition",
        "Subtract whole numbers column by column, units first, and borrow a ten when the upper digit is too small.",
        ari.subtraction,
        1.6,
    ),
    _kind(
        "Negative numbers",
        "Subtraction; Addition",
        "Add, subtract and multiply with a minus sign: find the size first, then the sign.",
        ari.negative_numbers,
        1.5,
    ),
    _kind(
        "Multiplication",
        "Addition",
        "Multiply by the table; split a larger number into tens and units and add the two products.",
        ari.multiplication,
        2.0,
    ),
    _kind(
        "Division",
        "Multiplication; Subtraction",
        "Divide by finding how often the divisor fits, the tens of the quotient first.",
        ari.division,
        1.4,
    ),
    _kind(
        "Powers",
        "Multiplication",
        "A power multiplies a number by itself as often as the exponent says.",
        ari.powers,
        1.2,
    ),
    _kind(
        "Evaluating expressions",
        "Powers; Addition; Negative numbers",
        "Put a number in place of x: powers first, then products, then the sum from left to right.",
        alg.evaluating,
        2.4,
        alg.evaluating_from,
    ),
    _kind(
        "Like terms",
        "Addition; Negative numbers",
        "Terms with the same letters or the same function are collected by adding their coefficients.",
        alg.like_terms,
        1.2,
    ),
    _kind(
        "Multiplying powers",
        "Multiplication; Addition",
        "To multiply two terms multiply the coefficients and add the exponents.",
        alg.multiplying_powers,
        0.9,
        alg.multiplying_from,
    ),
    _kind(
        "Expanding brackets",
        "Multiplying powers; Like terms",
        "Multiply every term of one bracket with every term of the other, then collect.",
        alg.expanding,
        2.2,
    ),
    _kind(
        "Linear equations",
        "Subtraction; Division",
        "Bring the numbers to one side, then divide by the coefficient of x.",
        alg.linear_equations,
        1.4,
    ),
    _kind(
        "Factoring",
        "Expanding brackets; Negative numbers",
        "Find two numbers with the right product and the right sum, or take out a common factor.",
        alg.factoring,
        2.2,
        alg.factoring_from,
    ),
]

_CALCULUS = [
    _kind(
        "Limits",
        "Evaluating expressions; Division",
        "The limit of a continuous expression is its value: put the number in place of x.",
        cal.limits,
        1.2,
        cal.limits_from,
        "calculus",
    ),
    _kind(
        "Limits by factoring",
        "Factoring; Limits",
        "When both parts of a quotient become 0, factor, cancel the common bracket and put the number in.",
        cal.limits_by_factoring,
        1.4,
        None,
        "calculus",
    ),
    _kind(
        "Power rule",
        "Multiplication; Subtraction",
        "The derivative of ax^n: multiply a by n and lower the exponent by 1.",
        cal.power_rule_item,
        1.0,
        cal.power_rule_from,
        "calculus",
    ),
    _kind(
        "Derivatives of polynomials",
        "Power rule",
        "Differentiate term by term with the power rule; a number alone becomes 0.",
        cal.derivatives,
        1.0,
        cal.derivatives_from,
        "calculus",
    ),
    _kind(
        "Product rule",
        "Power rule; Multiplying powers",
        "The derivative of u*v is u'*v+u*v'.",
        cal.product_rule,
        1.2,
        None,
        "calculus",
    ),
    _kind(
        "Quotient rule",
        "Derivatives of polynomials; Multiplication; Negative numbers",
        "The derivative of u/v is u'v-uv' over the square of v.",
        cal.quotient_rule,
        1.2,
        None,
        "calculus",
    ),
    _kind(
        "Chain rule",
        "Power rule; Multiplication",
        "The derivative of u^n is n times u^(n-1) times u', where u is the inner expression.",
        cal.chain_rule,
        1.1,
        None,
        "calculus",
    ),
    _kind(
        "Derivatives of sine and cosine",
        "Chain rule; Negative numbers",
        "sin(bx) becomes b times cos(bx), cos(bx) becomes -b times sin(bx).",
        cal.sine_derivatives,
        1.1,
        None,
        "calculus",
    ),
    _kind(
        "Derivatives of exponentials",
        "Chain rule",
        "e^(bx) keeps its form and is multiplied by b.",
        cal.exponential_derivatives,
        1.0,
        None,
        "calculus",
    ),
    _kind(
        "Second derivatives",
        "Derivatives of polynomials",
        "Differentiate, then differentiate the result again.",
        cur.second_derivatives,
        1.1,
        cur.second_from,
        "calculus",
    ),
    _kind(
        "Slopes",
        "Derivatives of polynomials; Evaluating expressions",
        "The slope of a curve at a point is the value of the derivative there.",
        cur.slopes,
        1.2,
        cur.slopes_from,
        "calculus",
    ),
    _kind(
        "Tangent lines",
        "Slopes; Evaluating expressions; Subtraction",
        "The tangent line y=mx+b has the slope of the curve and goes through its point.",
        cur.tangent_lines,
        1.6,
        cur.tangent_from,
        "calculus",
    ),
    _kind(
        "Critical points",
        "Derivatives of polynomials; Linear equations",
        "Set the derivative equal to 0 and solve for x.",
        cur.critical_points,
        1.2,
        cur.critical_from,
        "calculus",
    ),
    _kind(
        "Antiderivatives",
        "Power rule; Division",
        "The antiderivative of ax^n: raise the exponent by 1, divide a by the new exponent, add C.",
        itg.antiderivatives,
        1.0,
        itg.antiderivatives_from,
        "calculus",
    ),
    _kind(
        "Integrals of polynomials",
        "Antiderivatives",
        "Integrate term by term and add C at the end.",
        itg.integrals,
        1.1,
        itg.integrals_from,
        "calculus",
    ),
    _kind(
        "Integrals of sine and cosine",
        "Derivatives of sine and cosine; Division",
        "cos(bx) becomes sin(bx) over b, sin(bx) becomes -cos(bx) over b; add C.",
        itg.sine_integrals,
        1.1,
        None,
        "calculus",
    ),
    _kind(
        "Definite integrals",
        "Integrals of polynomials; Evaluating expressions; Subtraction",
        "Take the antiderivative at the upper bound minus its value at the lower bound.",
        itg.definite_integrals,
        1.6,
        itg.definite_from,
        "calculus",
    ),
]

KINDS: dict[str, Kind] = {kind.name: kind for kind in _ARITHMETIC + _CALCULUS}
NAMES = list(KINDS)
BASE = [kind.name for kind in _ARITHMETIC]
CALCULUS = [kind.name for kind in _CALCULUS]


@cache
def ancestors(name: str) -> tuple[str, ...]:
    """Every skill that the named one builds on, directly or not, in the registry's order."""
    found: set[str] = set()
    for needed in KINDS[name].prerequisites:
        found |= {needed, *ancestors(needed)}
    return tuple(n for n in NAMES if n in found)


def make(
    rng: Random, name: str, level: str, lead: int | None = None, blocked: Callable[[Item], bool] | None = None
) -> Item | None:
    """An exercise of the named skill that is not blocked.

    Without a lead there always is one. With a lead None says that the skill cannot start from it.
    """
    maker = KINDS[name].maker
    for _ in range(200 if lead is None else 6):
        item = maker(rng, level, lead)
        if item is not None and not (blocked and blocked(item)):
            return item
    if lead is None:
        raise RuntimeError(f"no exercise of {name} could be made")
    return None


def always(rng: Random, name: str, level: str, blocked: Callable[[Item], bool] | None = None) -> Item:
    """An exercise of the named skill that starts from nothing given: there always is one."""
    item = make(rng, name, level, None, blocked)
    assert item is not None
    return item
