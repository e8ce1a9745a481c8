"""The true answer of a problem from its text alone; `same` compares an answer with it.

Nothing here uses the exercise makers, so that it can check what they, or a model, wrote.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from math import gcd

from .comparing import same
from .expressions import (
    ONE,
    BadExpression,
    Expr,
    add,
    coefficients,
    derive_expr,
    mul,
    parse,
    polynomial,
    show,
    show_sum,
)

__all__ = ["same", "solve"]

Coefficients = dict[int, Fraction]
_SENTENCE = re.compile(r"(?<=[.?]) ")
_LET = re.compile(r"Let ([kf]) be the answer to: (.+)", re.S)
_PARTS = re.compile(r"First: (.+?) Second: (.+?)(?: Third: (.+))?", re.S)
_AFTER_K = r"(?=$|[^A-Za-z]|x|y|sin|cos|ln|e\^|u(?![a-z])|v(?![a-z])|t(?![a-z]))"
_CHAIN = re.compile(r"(-?\d*)\(([^()]+)\)\^(\d+)")
_QUOTIENT = re.compile(r"\(([^()]+)\)/\(([^()]+)\)")


def _number(value: Expr) -> Fraction:
    found = polynomial(value)
    if any(n for n in found):
        raise BadExpression("not a number")
    return found.get(0, Fraction(0))


def _at(poly: Coefficients, x: Fraction) -> Fraction:
    return sum((c * x**n for n, c in poly.items()), Fraction(0))


def _poly(text: str) -> Coefficients:
    return polynomial(parse(text))


def _show(poly: Coefficients) -> str:
    return show_sum({((("x", n),) if n else ()): c for n, c in poly.items() if c})


def _derive(poly: Coefficients) -> Coefficients:
    return {n - 1: c * n for n, c in poly.items() if n}


def _compute(text: str) -> str:
    return str(_number(parse(text)))


def _simplify(text: str) -> str:
    return show(parse(text))


def _evaluate(text: str, at: str) -> str:
    return str(_at(_poly(text), Fraction(at)))


def _divide_root(poly: Coefficients, x: Fraction) -> Coefficients:
    """The polynomial without its factor (X-x)."""
    out, carried = {}, Fraction(0)
    for n in range(max(poly), 0, -1):
        carried = carried * x + poly.get(n, Fraction(0))
        out[n - 1] = carried
    return {n: c for n, c in out.items() if c}


def _limit(text: str, at: str) -> str:
    value, x = parse(text), Fraction(at)
    top, bottom = coefficients(value[0]), coefficients(value[1])
    while top and _at(top, x) == 0 == _at(bottom, x):
        top, bottom = _divide_root(top, x), _divide_root(bottom, x)
    if _at(bottom, x) == 0:
        raise BadExpression("no limit")
    return str(_at(top, x) / _at(bottom, x))


def _solve_linear(left: str, right: str) -> str:
    poly = polynomial(add(parse(left), parse(right), -1))
    if max(poly, default=0) != 1:
        raise BadExpression("not linear")
    return str(-poly.get(0, Fraction(0)) / poly[1])


def _bracket(root: Fraction) -> str:
    return "(" + _show({1: Fraction(root.denominator), 0: Fraction(-root.numerator)}) + ")"


def _factor(text: str) -> str:
    poly = {n: int(c) for n, c in _poly(text).items() if c.denominator == 1}
    low, content = min(poly), gcd(*poly.values())
    content = -content if poly[max(poly)] < 0 else content
    left = {n - low: c // content for n, c in poly.items()}
    front = _show({low: Fraction(content)})
    front = {"1": "", "-1": "-"}.get(front, front)
    a, b, c = (left.get(n, 0) for n in (2, 1, 0))
    if max(left) == 2 and (b * b - 4 * a * c) >= 0:
        root = next((r for r in range(10_000) if r * r >= b * b - 4 * a * c), 0)
        if root * root == b * b - 4 * a * c:
            return front + _bracket(Fraction(-b + root, 2 * a)) + _bracket(Fraction(-b - root, 2 * a))
    return front + "(" + _show({n: Fraction(c) for n, c in left.items()}) + ")"


def _differentiate(text: str) -> str:
    chain, quotient = _CHAIN.fullmatch(text), _QUOTIENT.fullmatch(text)
    if chain:
        k, inner, n = chain.groups()
        k = {"": "1", "-": "-1"}.get(k, k)
        front = {m: c * int(k) * int(n) for m, c in _derive(_poly(inner)).items()}
        shown = _show(front)
        outer = f"({inner})" + (f"^{int(n) - 1}" if int(n) > 2 else "")
        return ({"1": "", "-1": "-"}.get(shown, shown) if len(front) == 1 else f"({shown})") + outer
    if quotient:
        u, v = _poly(quotient[1]), _poly(quotient[2])
        one = mul(parse(_show(_derive(u))), parse(_show(v)))
        top = show(add(one, mul(parse(_show(u)), parse(_show(_derive(v)))), -1))
        return f"{top if re.fullmatch(r'-?[0-9]+', top) else f'({top})'}/({quotient[2]})^2"
    product = re.fullmatch(r"\(([^()]+)\)\*(sin\(x\)|cos\(x\)|e\^x)", text)
    if product:
        bracket, wave = product.groups()
        other = {"s": "+({})*cos(x)", "c": "-({})*sin(x)", "e": "+({})*e^x"}[wave[0]].format(bracket)
        return show(mul(parse(_show(_derive(_poly(bracket)))), parse(wave))) + other
    return show(derive_expr(parse(text)))


def _second(text: str) -> str:
    return _show(_derive(_derive(_poly(text))))


def _slope(text: str, at: str) -> str:
    return str(_at(_derive(_poly(text)), Fraction(at)))


def _tangent(text: str, at: str) -> str:
    poly, x = _poly(text), Fraction(at)
    slope = _at(_derive(poly), x)
    return "y=" + _show({1: slope, 0: _at(poly, x) - slope * x})


def _critical(text: str) -> str:
    return _solve_linear(_show(_derive(_poly(text))), "0")


def _integral(text: str) -> Expr:
    """The antiderivative of a sum of powers, sines and cosines."""
    value = parse(text)
    out: Expr = ({}, ONE)
    for key, c in value[0].items():
        wave = re.fullmatch(r"(sin|cos)\((\d*)x\)", key[0][0]) if len(key) == 1 and key[0][1] == 1 else None
        if wave:
            b, name = int(wave[2] or 1), key[0][0]
            other = name.replace("sin", "cos") if wave[1] == "sin" else name.replace("cos", "sin")
            out = add(out, ({((other, 1),): (-c if wave[1] == "sin" else c) / b}, ONE))
            continue
        n = next(iter(coefficients({key: c})))
        out = add(out, ({(("x", n + 1),): c / (n + 1)}, ONE))
    return out


def _integrate(text: str) -> str:
    return show(_integral(text)) + "+C"


def _definite(text: str, low: str, high: str) -> str:
    whole = polynomial(_integral(text))
    return str(_at(whole, Fraction(high)) - _at(whole, Fraction(low)))


_E = r"([^ ?=]+?)"
_INT = r"(-?\d+)"
_PATTERNS: list[tuple[str, Callable[..., str]]] = [
    (rf"(?:Compute {_E}\.|What is {_E}\?)", _compute),
    (rf"Evaluate {_E} at x={_INT}\.", _evaluate),
    (rf"Find the limit of {_E} as x approaches {_INT}\.", _limit),
    (rf"(?:Simplify|Expand|Multiply) {_E}\.", _simplify),
    (rf"Solve {_E}={_E}\.", _solve_linear),
    (rf"Factor {_E}\.", _factor),
    (rf"(?:Differentiate|Find the derivative of) {_E}\.", _differentiate),
    (rf"Find the second derivative of {_E}\.", _second),
    (rf"Find the slope of y={_E} at x={_INT}\.", _slope),
    (rf"Find the tangent line to y={_E} at x={_INT}\.", _tangent),
    (rf"Find the critical point of {_E}\.", _critical),
    (rf"(?:Integrate|Find the integral of) {_E}\.", _integrate),
    (rf"Integrate {_E} from {_INT} to {_INT}\.", _definite),
]
_FORMS = [(re.compile(pattern), function) for pattern, function in _PATTERNS]


def _solve_one(problem: str) -> str:
    for pattern, function in _FORMS:
        found = pattern.fullmatch(problem)
        if found:
            return function(*[group for group in found.groups() if group is not None])
    raise BadExpression(problem)


def _put(text: str, values: dict[str, str]) -> str:
    """The text with the letters k and f replaced by what they stand for."""
    if "k" in values:
        text = re.sub(r"(?<![A-Za-z])k" + _AFTER_K, values["k"], text)
    if "f" in values:
        text = re.sub(r"(?<![A-Za-z])f(?![A-Za-z])", values["f"], text)
    return text


def solve(problem: str) -> str | None:
    """The true answer of a problem, or None when its text is not understood."""
    problem = problem.strip()
    try:
        parts = _PARTS.fullmatch(problem)
        if parts:
            answers = [solve(part) for part in parts.groups() if part]
            return None if None in answers else "; ".join(a for a in answers if a)
        values: dict[str, str] = {}
        *before, last = _SENTENCE.split(problem)
        for sentence in before:
            let = _LET.fullmatch(sentence)
            if not let:
                return None
            values = {**values, let[1]: _solve_one(_put(let[2], values))}
        return _solve_one(_put(last, values))
    except (BadExpression, ValueError, ZeroDivisionError, OverflowError, RecursionError, IndexError):
        return None
