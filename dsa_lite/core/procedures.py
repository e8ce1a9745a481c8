"""A skill's procedure as its worked cases show it: the shape of a solution, and numbers for a new problem.

A case in plain arithmetic ("Find 15% of 80": 15 / 100 = 0.15, 0.15 * 80 = 12) says how every number of its solution
comes about: it stands in the problem, is the result of an earlier step, or is a constant. So other numbers can be put
in and calculated through, and those be chosen that keep every step short. That a small student learns most from one
short way, told the same each time, is our measurement; no paper says it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dsa_lite.records import WorkedCase

_NUMBER = re.compile(r"(?<![\w.,])\d+(?:,\d{3})*(?:\.\d+)?(?![\w])")
_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "$": "", "€": "", "£": ""})
_TOKEN = re.compile(r"\d[\d,]*(?:\.\d+)?|[+\-*/()]")
_EXPRESSION = re.compile(r"[\d.,+\-*/() ]+")
_RESULT = re.compile(r"\d[\d,]*(?:\.\d+)? ?%?")
_PERCENT_OF = re.compile(r"(\d+(?:\.\d+)?) ?% of ")
_LONGEST = 12  # characters of a number that is calculated with
_MOST = 4  # numbers of a problem for which new ones are drawn
_TRIES, _CHOICES = 60, 3
_DECIMALS = 2  # most digits after the point of any result


def naming(names: Sequence[str], solution: str) -> str:
    """A solution that names every skill it is written for: what it lacks is put before it."""
    lacking = [name for name in names if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", solution, re.IGNORECASE)]
    return f"{'; '.join(lacking)}:\n{solution}" if lacking else solution


def shape(solution: str) -> str:
    """What is calculated with what, in order: every number "#", words left out; empty where nothing is calculated."""
    text = _NUMBER.sub("#", solution.translate(_SIGNS))
    steps = (re.sub(r"[^#+\-*/^=]", "", part) for part in text.splitlines())
    return ", ".join(step for step in steps if "=" in step and "#" in step)


def numbers(problem: str) -> tuple[str, ...]:
    """The numbers of a problem in order, a percentage with its sign."""
    return tuple(m[0] + ("%" if problem[m.end() :].lstrip().startswith("%") else "") for m in _NUMBER.finditer(problem))


def constants(case: WorkedCase) -> frozenset[str] | None:
    """The numbers of a solution's steps that are neither in its problem nor results of earlier steps; None where a
    program cannot follow the steps."""
    plan = _Plan.of(case)
    if plan is None:
        return None
    return frozenset(t for step in plan.steps for t in step if isinstance(t, str) and t[0].isdigit())


def steadiness(cases: Sequence[WorkedCase]) -> int:
    """How well worked cases show one way, 0 to 3: a point where all take the same steps, one where a program can follow
    them all, one where it does so with the same constants."""
    found = [constants(case) for case in cases]
    followed = None not in found
    return (len({shape(case.solution) for case in cases}) == 1) + followed + (followed and len(set(found)) == 1)


def draw(case: WorkedCase, rng: np.random.Generator) -> tuple[str, ...]:
    """Numbers for a new problem like the case's, of the same size and roundness; empty where it has none, or too many.

    Where a program can follow the case's steps, the numbers give results above zero with at most two decimals, and of
    three such choices the one with the shortest results is taken: a small teacher slips less, a small student learns
    more. Where no choice does, the first is taken as it is.
    """
    found = numbers(case.problem)
    if not found or len(found) > _MOST or max(map(len, found)) > _LONGEST:
        return ()
    plan = _Plan.of(case)
    drawn = [tuple(_like(number, rng) for number in found) for _ in range(_TRIES if plan else 1)]
    if plan is None:
        return drawn[0]
    fitting = [d for d in drawn if _order(d) == _order(found) and plan.digits(d) is not None][:_CHOICES]
    return min(fitting, key=lambda d: plan.digits(d) or 0, default=drawn[0])


def _order(given: Sequence[str]) -> list[int]:
    """Which number is the smallest, the next, and so on: a part stays smaller than its whole."""
    return sorted(range(len(given)), key=lambda i: (_value(given[i]), i))


def _like(number: str, rng: np.random.Generator) -> str:
    value = _value(number)
    if number.endswith("%"):
        return f"{5 * int(rng.integers(1, max(2, min(19, int(value * 3) // 5)) + 1))}%"
    if value.denominator > 1:
        tenths = int(rng.integers(max(1, int(value * 5)), int(value * 20) + 2))
        return f"{tenths / 10:.1f}".removesuffix(".0")
    step = 10 ** (len(str(int(value))) - 2) if value >= 100 else 5 if value >= 10 and value % 5 == 0 else 1
    low, high = max(1, int(value / 3) // step), max(2, int(value * 4) // step)
    return str(step * int(rng.integers(low, high + 1)))


@dataclass(frozen=True)
class _Plan:
    """`steps`: the left sides as tokens: signs, constants, and places among the problem's numbers and the results."""

    steps: tuple[tuple[str | int, ...], ...]

    @classmethod
    def of(cls, case: WorkedCase) -> _Plan | None:
        """None where a step is more than numbers, signs and brackets, or does not follow from the problem's numbers."""
        written = [*numbers(case.problem), *_TOKEN.findall(case.solution)]
        if max(map(len, written), default=0) > _LONGEST:
            return None
        known = _amounts(numbers(case.problem))
        steps = []
        for step in case.solution.translate(_SIGNS).splitlines():
            sides = [_PERCENT_OF.sub(r"\1/100*", side).strip(" .") for side in step.split("=")]
            sides = sides[1:] if not any(c.isdigit() for c in sides[0]) else sides  # "Total = 30 + 2 = 32"
            if len(sides) < 2 or not _EXPRESSION.fullmatch(sides[0]) or not _RESULT.fullmatch(sides[-1]):
                return None
            tokens = tuple(_placed(t, known) for t in _TOKEN.findall(sides[0]))
            value = _calculated(tokens, known)
            if value is None or value != _value(sides[-1]):
                return None
            steps.append(tokens)
            known.append(value)
        return cls(tuple(steps)) if steps else None

    def digits(self, drawn: Sequence[str]) -> int | None:
        """Digits of all results together; None where one is not above zero or has too many after the point."""
        known, total = _amounts(drawn), 0
        for tokens in self.steps:
            value = _calculated(tokens, known)
            if value is None or value <= 0 or (value * 10**_DECIMALS).denominator > 1:
                return None
            known.append(value)
            total += len(str(value.numerator if value.denominator == 1 else float(value)))
        return total


def _amounts(given: Sequence[str]) -> list[Fraction]:
    """The values of a problem's numbers, then of its percentages as shares of one."""
    return [*map(_value, given), *(_value(n) / 100 for n in given if n.endswith("%"))]


def _value(number: str) -> Fraction:
    return Fraction(number.replace(",", "").replace("%", "").strip())


def _placed(token: str, known: Sequence[Fraction]) -> str | int:
    """A number by its place among those known, the newest first; signs and constants as they are."""
    if not token[0].isdigit():
        return token
    places = [i for i, value in enumerate(known) if value == _value(token)]
    return places[-1] if places else token


def _calculated(tokens: Sequence[str | int], known: Sequence[Fraction]) -> Fraction | None:
    """The value of an expression, products before sums; None where it is none."""
    place = 0

    def sum_() -> Fraction:
        nonlocal place
        value = product()
        while place < len(tokens) and tokens[place] in ("+", "-"):
            place += 1
            value += product() if tokens[place - 1] == "+" else -product()
        return value

    def product() -> Fraction:
        nonlocal place
        value = atom()
        while place < len(tokens) and tokens[place] in ("*", "/"):
            place += 1
            value = value * atom() if tokens[place - 1] == "*" else value / atom()
        return value

    def atom() -> Fraction:
        nonlocal place
        token = tokens[place]
        place += 1
        if token == "(":
            value = sum_()
            if tokens[place] != ")":
                raise ValueError
            place += 1
            return value
        return known[token] if isinstance(token, int) else _value(token)

    try:
        value = sum_()
    except (IndexError, ValueError, ZeroDivisionError, RecursionError):
        return None
    return value if place == len(tokens) else None
