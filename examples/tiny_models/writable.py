"""Which exercises a very small teacher can make up: those whose numbers fit by the multiplication table.

Whoever writes "Integrate 27x^9." before solving it must know that 27 divides by 10, which a model of a few million
parameters cannot work out in one go. It can remember which numbers of the table fit. Solving is not limited so.
"""

from __future__ import annotations

import re

from .kinds import Item

#: Skills whose exercises have whole answers only when their numbers fit together.
FITTED = (
    "Division",
    "Linear equations",
    "Factoring",
    "Limits by factoring",
    "Critical points",
    "Antiderivatives",
    "Integrals of polynomials",
    "Integrals of sine and cosine",
    "Definite integrals",
)
TABLE = 10  # largest quotient
PLAIN_DIVISORS = ("2", "4", "5")
ROOT = {"Factoring": 9, "Limits by factoring": 6}  # largest number in a bracket

_QUOTIENT = re.compile(r"-?\d+/-?\d+=(-?\d+)")
_LONG_DIVISION = re.compile(r"0\*\d+=(\d+), (?:[^,]+, )*?\d+-\1=")
_BRACKET = re.compile(r"\(x([-+]\d+)\)")
_EQUATION = re.compile(r"(\d*)x([-+]\d+)=(?:(\d*)x)?")


def is_writable(item: Item, long_divisions: bool = False) -> bool:
    """Whether the numbers of an exercise, or of every part of it, can be chosen from memory.

    With long divisions: also those by 2, 4 and 5, which the last digits tell to come out even.
    """
    if item.parts:
        chained = item.key.endswith(" chain")
        return all(map(is_writable, item.parts)) and not (chained and set(item.skills[1:]) & set(FITTED))
    skill = item.skills[0]
    if long_divisions and skill == "Division" and item.key.split("/")[1] in PLAIN_DIVISORS:
        return True
    if skill == "Limits" and ")/(" in item.problem:
        return False
    if skill in FITTED and not _by_table(item.solution):
        return False
    if skill == "Division":
        return " so " in item.solution
    if any(abs(int(root)) > ROOT.get(skill, 99) for root in _BRACKET.findall(item.solution)):
        return False
    return skill != "Linear equations" or _shares_divisor(item.problem)


def _by_table(solution: str) -> bool:
    quotients = _QUOTIENT.findall(solution)
    return not _LONG_DIVISION.search(solution) and all(abs(int(q)) <= TABLE for q in quotients)


def _shares_divisor(problem: str) -> bool:
    """In ax+b=c and ax+b=cx+d: whether b already divides by what x is divided by in the end."""
    found = _EQUATION.search(problem)
    if found is None:  # a(x+b)=c
        return True
    a, b, c = int(found[1] or 1), int(found[2]), int(found[3] or 1) if found[3] is not None else 0
    return a != c and b % (a - c) == 0
