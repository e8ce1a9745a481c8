"""Checking the arithmetic written out in a solution: decimals, percentages, money, fractions, units, rounding."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from dsa_lite.core.arithmetic import Calculation, Token, tokens_of, values_of
from dsa_lite.core.grading import FUNCTIONS
from dsa_lite.core.step_text import step_lines
from dsa_lite.core.units import UNITS, convertible, singular

_EQUALS = re.compile(r"((?<![<>!=:~])=(?![=<>])|≈)")
_ROUNDED = re.compile(r"\b(?:round\w*|approx\w*|nearest|about|roughly|around|almost)\b", re.IGNORECASE)
_NO_UNIT = frozenset(
    (
        *FUNCTIONS, "mod", "of", "off", "root", "by", "than", "minus", "plus", "times", "over", "r", "rem",
        "remainder", "percent", "more", "less", "dozen", "dozens", "hundred", "hundreds", "thousand", "thousands",
        "million", "millions", "billion", "half", "halves", "third", "thirds", "quarter", "quarters", "fourths",
        "fifths", "sixths", "eighths", "tenths", "tenth", "hundredths", "squared", "cubed", "factorial", "choose",
        "divided", "multiplied", "pair", "pairs", "couple", "because", "since", "but", "that", "therefore", "hence",
        "thus", "also", "now", "is", "are", "and", "or", "to", "at", "for", "from", "with", "if", "when", "where",
        "then", "so", "as", "which", "equals", "gives", "what", "we", "degrees",
    )
)  # fmt: skip
_NOT_BEFORE = frozenset(
    (
        *FUNCTIONS, "mod", "of", "off", "root", "by", "than", "minus", "plus", "times", "over", "at", "for", "per",
        "from", "to", "with", "each", "every", "half", "twice", "double", "triple", "thrice", "third", "quarter",
        "square", "cube", "sum", "product", "difference", "quotient", "ratio", "average", "mean", "negative", "less",
        "more", "step", "day", "question", "problem", "example", "case", "part", "option", "exercise", "week",
        "chapter", "divided", "multiplied", "factorial", "dozen", "hundred", "thousand", "million", "percent", "dx",
        "dt", "dy",
    )
)  # fmt: skip
_NOT_AFTER = frozenset(
    (
        *FUNCTIONS, "r", "rem", "remainder", "mod", "percent", "times", "plus", "minus", "over", "of", "off", "more",
        "less", "dozen", "hundred", "thousand", "million", "billion", "half", "halves", "third", "thirds", "quarter",
        "quarters", "fourths", "fifths", "sixths", "eighths", "tenths", "hundredths", "squared", "cubed",
        "factorial", "choose", "divided", "multiplied", "pair", "pairs", "by",
    )
)  # fmt: skip
_CUT = re.compile(r"\.(?:\d{3,}|33|66|67|16|17|83|14|43|29|57|71|86|11|22|44|55|56|77|78|88|89)\b")
_BOUNDARIES = frozenset(',:;.?"“”—→⇒•>([')
_LONGEST = 200  # characters of one side
_UNIT_WORDS = 4  # words after a number that say what is counted


class Steps(NamedTuple):
    """How many steps of a solution are right, and how many wrong."""

    right: int
    wrong: int

    @property
    def all_right(self) -> bool | None:
        """None: there was nothing to check."""
        return self.wrong == 0 if self.right or self.wrong else None


def arithmetic_steps(solution: str) -> Steps:
    """The right and the wrong among the equalities of calculations with plain numbers, `a=b=c` counting as two.

    Only what stands alone is judged: no letters, remainders or unclear ends on either side. A result may be rounded as
    it is written; what depends on an earlier rounding or on a conversion of units is not judged where it differs.
    """
    right = wrong = 0
    for readings in step_lines(solution):
        counts = min((_line(text) for text in readings), key=lambda found: found.wrong)
        right, wrong = right + counts.right, wrong + counts.wrong
    return Steps(right, wrong)


def _line(line: str) -> Steps:
    parts = _EQUALS.split(line)
    if len(parts) < 3:
        return Steps(0, 0)
    sides, signs = parts[::2], parts[1::2]
    rounded = _ROUNDED.search(line) is not None
    read = [_side(side, i == 0, i == len(sides) - 1) for i, side in enumerate(sides)]
    # a side in the middle may end one chain and begin the next: "4+3=7, 2*5=10"
    verdicts = [
        _same(first, second, rounded or sign == "≈")
        for ((_, first), (second, _)), sign in zip(pairwise(read), signs, strict=True)
        if first is not None and second is not None and not (first.single and second.single)
    ]
    return Steps(verdicts.count(True), verdicts.count(False))


# -- what a side says --------------------------------------------------------------------------------------------


def _side(text: str, first: bool, last: bool) -> tuple[Calculation | None, Calculation | None]:
    """What the text says as the right side of the sign before it, and as the left side of the sign after it."""
    tokens = tokens_of(text[:_LONGEST])
    right = None if first else _as_right(tokens, text)
    if last or not tokens:
        return right, None
    if right is not None and right.tokens == tuple(tokens):
        return right, right
    return right, _as_left(tokens if len(text) <= _LONGEST else tokens_of(text[-_LONGEST:]), text[-_LONGEST:])


def _as_left(tokens: Sequence[Token], text: str) -> Calculation | None:
    start = _beginning(tokens)
    if start is None or start == len(tokens):
        return None
    found, end = _calculation(tokens, start)
    if found is None or end != len(tokens) or tokens[start].text in tuple("+*/^"):
        return None
    before = tokens[start - 1] if start else None
    if before is None:
        return found
    if before.kind == "word":
        word = before.text.lower()
        if len(word) == 1 or word in _NOT_BEFORE or before.end == tokens[start].start:
            return None
        return None if found.single else found  # "half of 8 = 4": a bare number after words may be part of them
    glued = before.end == tokens[start].start
    if before.text not in _BOUNDARIES or (glued and before.text in ".:>["):
        return None
    if (
        before.text == ","
        and (glued or len(tokens[start].text) == 3)
        and text[before.start - 1 : before.start].isdigit()
    ):
        return None  # "14, 400 / 80": perhaps one number
    return None if glued and before.text == "(" and start > 1 and tokens[start - 2].end == before.start else found


def _beginning(tokens: Sequence[Token]) -> int | None:
    """Where the calculation that ends with the last token begins; None where it contains something unknown."""
    i, depth = len(tokens), 0
    while i:
        token, after = tokens[i - 1], tokens[i] if i < len(tokens) else None
        if token.kind == "sign" and token.text in "()":
            depth += 1 if token.text == ")" else -1
            if depth < 0:
                return i
        elif token.kind == "word" and not (token.text.lower() in ("of", "off") and _joins(tokens, i - 1)):
            if after is not None and (after.kind == "number" or after.text == "("):
                return i if depth == 0 else None
            start = _words_before(tokens, i)
            if start is None:
                return None
            i = start
            continue
        elif token.kind == "other":
            return i if depth == 0 else None
        i -= 1
    return 0 if depth == 0 else None


def _words_before(tokens: Sequence[Token], end: int) -> int | None:
    """Where the words begin that end there and say what the number before them counts."""
    start = end
    while (
        start and end - start <= _UNIT_WORDS + 1 and (tokens[start - 1].kind == "word" or tokens[start - 1].text == "/")
    ):
        start -= 1
    return start if start and _words(tokens, start) == end else None


def _words(tokens: Sequence[Token], start: int) -> int:
    """Where the words end that begin there and say what the number before them counts; `start` where there are none."""
    before = tokens[start - 1] if start else None
    if before is None or not (before.kind == "number" or before.text == ")"):
        return start
    end = start
    while end < len(tokens) and end - start < _UNIT_WORDS and _counts(tokens, end, start):
        end += 1
    follows = tokens[end] if end < len(tokens) else None
    if follows is None or follows.kind == "other" or (follows.kind == "sign" and follows.text != "("):
        return end
    return start


def _counted(words: Sequence[str]) -> str:
    """What some words say is counted: the unit among them, else the noun before "of" or the last one."""
    known = next((word for word in words if word in UNITS), None)
    return singular(known or words[words.index("of") - 1 if "of" in words else -1])


def _counts(tokens: Sequence[Token], i: int, start: int) -> bool:
    """Whether a token can be one of the words, from `start` on, that say what a number counts."""
    token, following = tokens[i], tokens[i + 1] if i + 1 < len(tokens) else None
    if token.kind != "word":
        return token.text == "/" and following is not None and following.kind == "word"
    if i > start and tokens[i - 1].text == "/":
        return True
    word = token.text.lower()
    if len(word) > 1 and word in UNITS:
        return True
    if word == "of":
        return i > start and following is not None and following.kind == "word"
    return len(word) > 1 and word not in _NO_UNIT and token.start != tokens[i - 1].end


def _joins(tokens: Sequence[Token], i: int) -> bool:
    """Whether "of" or "off" joins a share and a number: "20% of 80", "3/4 of 20", "20% off 80"."""
    if not 0 < i < len(tokens) - 1 or not (tokens[i + 1].kind == "number" or tokens[i + 1].text == "("):
        return False
    share = tokens[i - 1]
    if share.kind != "number":
        return False
    return share.percent or (tokens[i].text.lower() == "of" and i > 2 and tokens[i - 2].text == "/")


def _as_right(tokens: Sequence[Token], text: str) -> Calculation | None:
    found, end = _calculation(tokens, 0)
    if found is None or end == len(tokens):
        return found
    after, glued = tokens[end], tokens[end].start == tokens[end - 1].end
    if after.kind == "word":
        word = after.text.lower()
        if len(word) == 1 or word in _NOT_AFTER or glued:
            return None
        return found._replace(units=found.units | {singular(word)}) if word in UNITS else found
    if after.text[0] in "\\_'|{[%!<>°^" or after.kind == "number":
        return None
    if glued and after.text[0] in ".,:" and text[after.end : after.end + 1].isdigit():
        return None
    return found


def _calculation(tokens: Sequence[Token], start: int) -> tuple[Calculation | None, int]:
    """The longest calculation that begins there, and where it ends."""
    run: list[Token] = []
    units: set[str] = set()
    i = start
    depth = 0
    while i < len(tokens):
        token = tokens[i]
        if token.kind == "number":
            if run and (run[-1].kind == "number" or run[-1].text == ")"):
                return None, i
            if token.money:
                units.add("dollar")
        elif token.kind == "word" and token.text.lower() in ("of", "off") and _joins(tokens, i):
            token = token._replace(kind="sign", text=token.text.lower())
        elif token.kind == "word" or (token.text == "/" and i + 1 < len(tokens) and tokens[i + 1].kind == "word"):
            end = _words(tokens, i)
            if end == i:
                break
            units.add(_counted([t.text.lower() for t in tokens[i:end] if t.kind == "word"]))
            i = end
            continue
        elif token.kind == "other" or (token.text == ")" and not depth) or _remark(tokens, i):
            break
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        run.append(token)
        i += 1
    values = values_of(run)
    if not values:
        return None, i
    numbers = [t for t in run if t.kind == "number"]
    return Calculation(tuple(run), numbers[0] if len(numbers) == 1 else None, values, frozenset(units)), i


def _remark(tokens: Sequence[Token], i: int) -> bool:
    """Whether a bracket there opens words, not a factor."""
    return tokens[i].text == "(" and i + 1 < len(tokens) and tokens[i + 1].kind == "word"


# -- whether two sides are equal ---------------------------------------------------------------------------------


def _same(left: Calculation, right: Calculation, rounded: bool) -> bool | None:
    """None where a difference says nothing: units converted, an earlier rounding, a running total."""
    pairs = [(a, b) for a in left.values.values() for b in right.values.values()]
    if any(a == b for a, b in pairs):
        return True
    for whole, shown in ((left, right), (right, left)):
        if (verdict := _as_rounded(whole, shown, rounded)) is not None:
            return verdict or None
    if _unclear(left, right) or any(abs(a - b) <= _slack(left, right, max(abs(a), abs(b))) for a, b in pairs):
        return None
    return False


def _as_rounded(whole: Calculation, shown: Calculation, rounded: bool) -> bool | None:
    """True: the one number shown is the value, rounded or cut as it is written. False: perhaps. None: it is not."""
    number = shown.single
    if number is None:
        return None
    written = -number.value if min(shown.values.values()) < 0 else number.value
    unit = Fraction(1, 10**number.decimals)
    if rounded and not number.decimals and number.value:  # 1,234 is about 1,200
        unit = Fraction(10 ** (len(number.text) - len(number.text.rstrip("0,% "))))
    for value in whole.values.values():
        for scale in (1, 100) if number.percent else (1,):
            off = abs(value * scale - written)
            endless = not _ends(value)
            if number.decimals or rounded:
                if off * 2 <= unit or (off < unit and (rounded or number.decimals > 1 or endless)):
                    return True
            elif off < 1 and endless:
                return False
    return None


def _ends(value: Fraction) -> bool:
    """Whether the decimals of a fraction come to an end."""
    below = value.denominator
    for prime in (2, 5):
        while below % prime == 0:
            below //= prime
    return below == 1


def _slack(left: Calculation, right: Calculation, size: Fraction) -> Fraction:
    """By how much the sides may differ since numbers in them look rounded: 33.33, 0.6667, 1.0833."""
    share = parts = Fraction(0)
    for side in (left, right):
        for number in () if side.single else side.numbers:
            if number.value and _CUT.search(number.text):
                parts += Fraction(1, 10**number.decimals)
                share += Fraction(1, 10**number.decimals) / number.value if side.multiplies() else 0
    return max(parts, share * size)


def _unclear(left: Calculation, right: Calculation) -> bool:
    units = left.units | {unit for unit in right.units if unit in left.units or unit in UNITS}
    if convertible(units) or ((left.adds() or right.adds()) and len(units) > 1):
        return True
    first = right.numbers[0].value
    if right.tokens[0].kind == "number" and not right.single and first in left.values.values():
        return True  # a running total: "10/50 = 0.2 * 100 = 20%"
    return left.single is not None and left.single.percent  # "100% = 60": what the whole is
