"""Calculations as they are written in solutions: their tokens, and their value in exact fractions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Literal, NamedTuple

#: What "%" may mean: a hundredth; a mark without a meaning ("0.25 * 100 = 25%"); a share of what stands before it in a
#: sum ("80 - 20% = 64").
Percent = Literal["hundredth", "mark", "share"]

_READINGS: tuple[Percent, ...] = ("hundredth", "mark", "share")
Number = int | Fraction  # exact either way; whole numbers are quicker as they are

_BITS = 256  # of any value on the way
_SMALL = 1 << 60
_DEPTH = 40
_TOKEN = re.compile(
    r"(?P<money>[$€£]\s?)?(?:(?P<whole>\d{1,3}) (?P<above>\d{1,2})/(?P<below>\d{1,3})(?![\d.,]*\d)|"
    r"(?P<number>\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(?P<percent>\s?%)?)"
    r"|(?P<sign>[-+*/^()])|(?P<word>[^\W\d_]+(?:['’][^\W\d_]+)?)|(?P<other>\S)",
    re.ASCII,
)  # fmt: skip


class Token(NamedTuple):
    """kind: "number" (then `value`), "sign" (with "of" and "off" among them), "word" or "other"; place in the text."""

    kind: str
    text: str
    start: int
    end: int
    value: Number = 0
    decimals: int = 0
    percent: bool = False
    money: bool = False


def tokens_of(text: str) -> list[Token]:
    """The tokens of a text; blanks are between them."""
    found = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "other"
        if kind in ("sign", "word", "other"):
            found.append(Token(kind, match[0], *match.span()))
        else:
            found.append(_number(match, match.span()))
    return found


def _number(match: re.Match[str], place: tuple[int, int]) -> Token:
    money = match["money"] is not None
    if match["below"] is not None:
        whole, above, below = (int(match[name]) for name in ("whole", "above", "below"))
        if not 0 < above < below:
            return Token("other", match[0], *place)  # two numbers beside each other
        return Token("number", match[0], *place, Fraction(whole) + Fraction(above, below), 0, False, money)
    digits = match["number"].replace(",", "")
    if len(digits) < 10 and digits.isdigit() and (digits[0] != "0" or digits == "0"):
        return Token("number", match[0], *place, int(digits), 0, match["percent"] is not None, money)
    if len(digits) > 18 or (len(digits) > 1 and digits.isdigit() and digits[0] == "0"):  # 0730 is a time or a code
        return Token("other", match[0], *place)
    before, _, part = digits.partition(".")
    value = Fraction(int(before + part), 10 ** len(part)) if part else int(digits)
    return Token("number", match[0], *place, value, len(part), match["percent"] is not None, money)


class Calculation(NamedTuple):
    """Numbers and signs in their order, and the words that say what is counted.

    single: the number where there is only one. values: as in `values_of`.
    """

    tokens: tuple[Token, ...]
    single: Token | None
    values: Mapping[Percent, Fraction]
    units: frozenset[str] = frozenset()

    @property
    def numbers(self) -> list[Token]:
        return [t for t in self.tokens if t.kind == "number"]

    def adds(self) -> bool:
        return any(t.kind == "sign" and t.text in "+-" for t in self.tokens[1:])

    def multiplies(self) -> bool:
        return any(t.kind == "sign" and t.text not in "+-" for t in self.tokens)


def values_of(tokens: Sequence[Token]) -> dict[Percent, Fraction]:
    """The value under each reading of the percent sign that has one; empty where the tokens are no calculation."""
    if len(tokens) == 1 and tokens[0].kind == "number" and not tokens[0].percent:
        return {"hundredth": Fraction(tokens[0].value)}
    found: dict[Percent, Fraction] = {}
    for reading in _READINGS if any(t.percent for t in tokens) else _READINGS[:1]:
        try:
            found[reading] = Fraction(_Reader(tokens, reading).whole())
        except _Unclear:
            continue
    return found


class _Unclear(Exception):
    pass


class _Reader:
    """Sums, products, powers and brackets over numbers; a number before a bracket multiplies it."""

    def __init__(self, tokens: Sequence[Token], percent: Percent) -> None:
        self.tokens = tokens
        self.percent = percent
        self.place = 0
        self.signs = [*(token.text if token.kind == "sign" else "number" for token in tokens), ""]

    def whole(self) -> Number:
        value = self.sum(0)
        if self.place != len(self.tokens):
            raise _Unclear
        return value

    def next(self) -> str:
        return self.signs[self.place]

    def take(self) -> Token:
        if self.place >= len(self.tokens):
            raise _Unclear
        self.place += 1
        return self.tokens[self.place - 1]

    def sum(self, depth: int) -> Number:
        value = self.product(depth)
        while self.next() in ("+", "-"):
            sign = 1 if self.take().text == "+" else -1
            start = self.place
            part = self.product(depth)
            alone = self.place == start + 1 and self.tokens[start].percent
            if self.percent == "share" and alone:
                part *= value
            if self.percent == "mark" and alone and not self.tokens[start - 2].percent and value != 100:
                raise _Unclear  # only "100 - 20%" means percent on both sides
            value = _small(value + sign * part)
        return value

    def product(self, depth: int) -> Number:
        value = self.signed(depth)
        while self.next() in ("*", "/", "(", "of", "off"):
            if self.next() == "(" or (sign := self.take().text) in ("*", "of"):
                value *= self.signed(depth)
            elif sign == "off":
                value = (1 - value) * self.signed(depth)
            else:
                below = self.signed(depth)
                if below == 0:
                    raise _Unclear
                value = Fraction(value) / below
            _small(value)
        return value

    def signed(self, depth: int) -> Number:
        if depth > _DEPTH:
            raise _Unclear
        if self.next() in ("+", "-"):
            sign = self.take().text
            value = self.signed(depth + 1)
            return -value if sign == "-" else value
        value = self.atom(depth)
        if self.next() != "^":
            return value
        self.take()
        exponent = self.signed(depth + 1)
        if exponent.denominator != 1 or not -64 <= exponent <= 64 or (value == 0 and exponent < 0):
            raise _Unclear
        return _small((value if exponent >= 0 else Fraction(value)) ** int(exponent))

    def atom(self, depth: int) -> Number:
        token = self.take()
        if token.kind == "number":
            hundredth = token.percent and (self.percent != "mark" or self.next() in ("of", "off"))
            return Fraction(token.value, 100) if hundredth else token.value
        if token.text != "(":
            raise _Unclear
        value = self.sum(depth + 1)
        if self.take().text != ")":
            raise _Unclear
        return value


def _small(value: Number) -> Number:
    if -_SMALL < value.numerator < _SMALL and value.denominator < _SMALL:
        return value
    if value.numerator.bit_length() > _BITS or value.denominator.bit_length() > _BITS:
        raise _Unclear
    return value
