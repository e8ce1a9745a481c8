"""Checking the whole-number arithmetic written out in a solution."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from dsa_lite.core.grading import FUNCTIONS

_EQUALS = re.compile(r"(?<![<>!=:~])=(?![=<>])")
_LEFT = re.compile(r"[0-9+\-*/^() ]*\Z")
_RIGHT = re.compile(r"[0-9+\-*/^() ]*")
_TOKEN = re.compile(r"\d+|[+\-*/^()]")
_SIGNS = (
    (r"\cdot", "*"),
    (r"\times", "*"),
    (r"\div", "/"),
    ("**", "^"),
    *((bracket, " ") for bracket in ("\\(", "\\)", "\\[", "\\]", "$")),
    *zip("−–·×⋅÷", "--***/", strict=True),
)
_NOT_BEFORE = frozenset((*FUNCTIONS, "mod", "of", "root", "by", "than", "minus", "plus", "times", "over"))
_NOT_AFTER = frozenset(("r", "rem", "remainder", "mod", "percent", "times", "plus", "minus", "over", *FUNCTIONS))
_LONGEST = 200  # characters of one side
_BITS = 256  # of any value on the way


class Steps(NamedTuple):
    """How many steps of a solution are right, and how many wrong."""

    right: int
    wrong: int

    @property
    def all_right(self) -> bool | None:
        """None: there was nothing to check."""
        return self.wrong == 0 if self.right or self.wrong else None


def arithmetic_steps(solution: str) -> Steps:
    """The right and the wrong among the equalities of plain whole-number expressions, `a=b=c` counting as two.

    Only what stands alone is judged: no letters, decimals, remainders or unclear ends on either side.
    """
    right = wrong = 0
    for written, sign in _SIGNS:
        solution = solution.replace(written, sign)
    for line in solution.splitlines():
        sides = _EQUALS.split(line)
        if len(sides) < 2:
            continue
        values = [_side(side, i == 0, i == len(sides) - 1) for i, side in enumerate(sides)]
        # a side in the middle may end one chain and begin the next: "4+3=7, 2*5=10"
        for (_, first), (second, _) in pairwise(values):
            if first is None or second is None or not (first[1] or second[1]):
                continue
            right += first[0] == second[0]
            wrong += first[0] != second[0]
    return Steps(right, wrong)


_Value = tuple[Fraction, bool]  # and whether something is calculated in it


def _side(text: str, first: bool, last: bool) -> tuple[_Value | None, _Value | None]:
    """What the text says as the right side of the sign before it, and as the left side of the sign after it."""
    if len(text) <= _LONGEST and not first and not last:
        whole = _value(text.strip())
        if whole is not None:
            return whole, whole
    return None if first else _as_right(text[:_LONGEST]), None if last else _as_left(text[-_LONGEST:])


def _as_left(text: str) -> _Value | None:
    found = _LEFT.search(text)
    if found is None:
        return None
    run, before = found[0], text[: found.start()]
    expression = _balanced(run).strip()
    value = _value(expression)
    if value is None or expression[0] in "+*/^":
        return None
    if before and run[0] != " " and (before[-1].isalnum() or before[-1] in ".\\_'|}]%!<>"):
        return None
    word = re.search(r"([^\W\d_]+)[ ]*\Z", before) if run[:1] in " (-" or not before else None
    if word is not None:
        if len(word[1]) == 1 or word[1].lower() in _NOT_BEFORE:
            return None
        if not value[1]:
            return None  # "half of 8 = 4": a bare number after words may be part of them
    return value


def _as_right(text: str) -> _Value | None:
    found = _RIGHT.match(text)
    run = found[0] if found else ""
    after = text[len(run) :]
    value = _value(_balanced(run).strip())
    if value is None:
        return None
    if after:
        if after[0] in "\\_'|{[%!<>°" or (after[0].isalnum() and not run.endswith(" ")):
            return None
        if after[0] in ".," and after[1:2].isdigit():
            return None
        word = re.match(r"[^\W\d_]+", after)
        if word is not None and (len(word[0]) == 1 or word[0].lower() in _NOT_AFTER):
            return None
    return value


def _balanced(run: str) -> str:
    """Without the brackets that were opened before it or are closed after it."""
    run = run.strip()
    while run.count("(") > run.count(")") and run.startswith("("):
        run = run[1:].strip()
    while run.count(")") > run.count("(") and run.endswith(")"):
        run = run[:-1].strip()
    return run


def _value(text: str) -> _Value | None:
    if not text or not _RIGHT.fullmatch(text):
        return None
    tokens = _TOKEN.findall(text)
    if re.search(r"\d\s+\d", text):
        return None  # a mixed number, or two numbers
    try:
        reader = _Reader(tokens)
        value = reader.sum(0)
    except _Unclear:
        return None
    if reader.place != len(tokens):
        return None
    return value, len([t for t in tokens if t.isdigit()]) > 1


class _Unclear(Exception):
    pass


class _Reader:
    """Sums, products, powers and brackets over whole numbers; a number before a bracket multiplies it."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.place = 0

    def next(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self) -> str:
        token = self.next()
        self.place += 1
        return token

    def sum(self, depth: int) -> Fraction:
        value = self.product(depth)
        while self.next() in ("+", "-"):
            value = value + self.product(depth) if self.take() == "+" else value - self.product(depth)
        return _small(value)

    def product(self, depth: int) -> Fraction:
        value = self.signed(depth)
        while self.next() in ("*", "/", "("):
            if self.next() == "(" or self.take() == "*":
                value *= self.signed(depth)
            else:
                below = self.signed(depth)
                if below == 0:
                    raise _Unclear
                value /= below
            _small(value)
        return value

    def signed(self, depth: int) -> Fraction:
        if depth > 40:
            raise _Unclear
        if self.next() in ("+", "-"):
            sign = self.take()
            value = self.signed(depth + 1)
            return -value if sign == "-" else value
        value = self.atom(depth)
        if self.next() != "^":
            return value
        self.take()
        exponent = self.signed(depth + 1)
        if exponent.denominator != 1 or abs(exponent) > 64 or (value == 0 and exponent < 0):
            raise _Unclear
        return _small(value ** int(exponent))

    def atom(self, depth: int) -> Fraction:
        token = self.take()
        if token.isdigit() and len(token) <= 18:
            return Fraction(int(token))
        if token != "(":
            raise _Unclear
        value = self.sum(depth + 1)
        if self.take() != ")":
            raise _Unclear
        return value


def _small(value: Fraction) -> Fraction:
    if value.numerator.bit_length() > _BITS or value.denominator.bit_length() > _BITS:
        raise _Unclear
    return value
