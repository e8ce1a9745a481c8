"""What the value of an answer is: number, unit and name, and the value that a sentence says."""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from dsa_lite.core.grading import has_words, plain_number, without_marks
from dsa_lite.core.units import CURRENCIES, SINGLE_LETTERS, UNITS, unit_of

DECIMALS = 6  # two numbers are the same where they round to the same at so many places, small ones at so many digits
_LONGEST = 300  # characters of an answer that is read
_EXPONENT = 30  # of a power of ten

_APPROXIMATELY = re.compile(r"(?:about|around|approximately|approx\.?|roughly|≈|~|\\approx)\s*", re.IGNORECASE)
_NAME = re.compile(r"([A-Za-z](?:_?\d)?'*(?:\(-?\w{1,3}\))?|d[a-z]/d[a-z])\s*=\s*(?=[^=])")
_MONEY = "|".join(sorted(map(re.escape, CURRENCIES), key=len, reverse=True))
_VALUE = re.compile(
    rf"(?P<sign>[+-]?)\s*(?P<before>{_MONEY})?\s*(?P<inner>-?)(?P<number>[\d.][\d.,/ ]*(?:[eE][+-]?\d{{1,3}})?"
    r"(?:\s*\*\s*10\^[({]?(?P<power>[+-]?\d{1,3})[)}]?)?)"
    r"(?P<after>.*)",
    re.ASCII | re.DOTALL,
)  # fmt: skip
_LATEX = (
    (re.compile(r"\\(?:text|mathrm|textbf|mathbf|operatorname)\s*\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\\[dt]?frac\s*\{\s*(\d{1,40})\s*\}\s*\{\s*(\d{1,40})\s*\}"), r" \1/\2"),
    (re.compile(r"\\[dt]?frac\s*(\d)\s*(\d)"), r" \1/\2"),
    (re.compile(r"\\(?:cdot|times)(?![A-Za-z])|[×·⋅]"), "*"),
    (re.compile(r"(?<=\d)(?:\{,\}|\\,)(?=\d{3})"), ","),
    (re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))"), ","),
    (re.compile(r"\\([%$€£])"), r"\1"),
    (re.compile(r"²"), "^2"),
    (re.compile(r"³"), "^3"),
    (re.compile(r"\\[,;!: ]|\\quad"), " "),
    (re.compile(r"\s*\^?\s*\\circ|\^\{\\circ\}"), "°"),
)
_PLAIN = re.compile(r"-?\d{1,18}", re.ASCII)
_NO_VALUE = re.compile(r"[\w)]\s*(?<![eE])\+|[A-Za-z]\^(?![23{\\])|;")
_FRACTION = "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"
_UNIT = re.compile(r"[^\W\d_]+(?:[ -][^\W\d_]+){0,3}(?:\s*(?:/|per)\s*[^\W\d_]+)?(?:\^[23]|[²³])?")


class Value(NamedTuple):
    """A number; what it counts ("" where that is left out); what it is said to be the value of ("x" in x=5)."""

    number: Fraction
    unit: str = ""
    name: str = ""


@lru_cache(maxsize=8192)
def read_value(answer: str) -> Value | None:
    """The value of an answer that is a single number, however it is written; None for anything else.

    Sign, thousands, decimals, powers of ten, fractions and mixed numbers, currency, percent and unit:
    "$55,000", "50%", "12.50 dollars", "1{,}000", "1.5e3", "3\\frac{1}{2}", "x = 5", "**42**", "about 3.14".
    """
    if _PLAIN.fullmatch(answer):
        return Value(Fraction(answer))
    if len(answer) > _LONGEST or _NO_VALUE.search(answer, 1):
        return None
    text = _spelled(answer)
    name = _NAME.match(text)
    text = _APPROXIMATELY.sub("", text[name.end() :] if name else text, count=1).strip()
    found = _VALUE.fullmatch(text)
    if found is None:
        return None
    unit = _unit(found["before"] or "", found["after"], found["number"])
    digits = found["number"].strip()
    if unit in CURRENCIES.values() and re.fullmatch(r"\d{1,6},\d\d", digits):
        digits = digits.replace(",", ".")
    number = _number(digits, found["power"])
    if number is None or unit is None or (found["sign"] and found["inner"]):
        return None
    return Value(-number if "-" in found["sign"] + found["inner"] else number, unit, name[1] if name else "")


def same_value(one: Value, other: Value) -> bool:
    """The same number of the same thing. Symmetric; transitive among values that say their unit and their name.

    Percent is a unit: 50% is not 0.5. What only one of the two says, unit or name, is no difference.
    """
    if one.unit and other.unit and one.unit != other.unit:
        return False
    names = one.name, other.name
    if all(len(n) == 1 for n in names) and names[0] != names[1]:
        return False
    return one.number == other.number or _rounded(one.number) == _rounded(other.number)


def _rounded(number: Fraction) -> Fraction:
    places, size = DECIMALS, abs(number)
    while size and size * 10 < 1:
        size, places = size * 10, places + 1
    return round(number, places)


def _spelled(text: str) -> str:
    """Without emphasis and LaTeX's marks; fractions and signs in one spelling, the dollar sign kept as money."""
    text = without_marks(text.strip().rstrip("。"))
    if "\\" in text or "{" in text or not text.isascii():
        for pattern, replacement in _LATEX:
            text = pattern.sub(replacement, text)
        text = re.sub(rf"[{_FRACTION}]", lambda m: " " + unicodedata.normalize("NFKC", m[0]), text)
        text = unicodedata.normalize("NFKC", text).translate(_SIGNS)
    return without_marks(text).removesuffix(",").removeprefix("= ").strip()


_SIGNS = str.maketrans({"−": "-", "–": "-", "‑": "-", "⁄": "/", "∕": "/"})


def _number(text: str, power: str | None) -> Fraction | None:
    if power is not None:
        text = text.partition("*")[0].strip()
        mantissa = plain_number(text)
        if mantissa is None or not 1 <= abs(mantissa) < 10:
            return None
        return _times_ten(mantissa, int(power))
    digits, mark, exponent = text.lower().partition("e")
    if mark:
        value = plain_number(digits.strip())
        return None if value is None or "/" in digits else _times_ten(value, int(exponent))
    mixed = re.fullmatch(r"(\d{1,12})\s+(?:and\s+)?(\d{1,6})\s*/\s*(\d{1,6})", text)
    if mixed is not None:
        whole, above, below = map(int, mixed.groups())
        return Fraction(whole) + Fraction(above, below) if 0 < above < below else None
    if re.fullmatch(r"\d{1,3}(?: \d{3})+", text):
        text = text.replace(" ", "")
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d{1,2}", text):
        text = text.replace(".", "").replace(",", ".")
    return plain_number(re.sub(r"\s*/\s*", "/", text))


def _times_ten(value: Fraction, power: int) -> Fraction | None:
    return value * Fraction(10) ** power if abs(power) <= _EXPONENT else None


def _unit(before: str, after: str, number: str) -> str | None:
    """The unit in one spelling; None where what follows the number is none."""
    glued = not after[:1].isspace() and not number[-1:].isspace()
    after = re.sub(r"\s+", " ", after.strip().strip("*").strip())
    if not after:
        return CURRENCIES.get(before, "")
    if after in ("%", "°") or after in CURRENCIES:
        return None if before else CURRENCIES.get(after, after)
    if not _UNIT.fullmatch(after) or (glued and (after not in UNITS or len(after) == 1)):
        return None
    if re.fullmatch(r"[^\W\d_](?:\^?[23])?", after) and after[0] not in SINGLE_LETTERS:
        return None
    unit = unit_of(after)
    if unit is None or (before and unit != CURRENCIES[before]):
        return None
    return unit


# -- sentences ---------------------------------------------------------------------------------------------------

_COPULA = re.compile(
    r"\b(?:is equal to|is|are|was|were|equals|will be|would be|should be|comes to|costs|pays|paid|has|have|had|needs|"
    r"earns|makes|gets|saves|spends|spent|takes|sells|bought|buys)\b|[=:]",
    re.IGNORECASE,
)
_UNSURE = frozenset((
    "not", "no", "never", "n't", "neither", "nor", "or", "and", "if", "unless", "except", "which", "that", "who",
    "than", "more", "less", "fewer", "least", "most", "half", "twice", "double", "between", "either", "maybe",
    "perhaps", "incorrect", "wrong", "off", "of", "from", "to", "at", "times", "dozen", "hundred", "thousand",
    "million", "billion", "percent", "squared", "cubed", "above", "below", "over", "under", "before", "after",
    "remainder",
))  # fmt: skip
_CLAUSE = frozenset((
    "not", "no", "never", "neither", "nor", "or", "if", "unless", "except", "which", "that", "who", "incorrect",
    "wrong", "half", "twice",
))  # fmt: skip
_CLOSING = re.compile(r"\s*(?:left|remaining|in total|in all|altogether|each|now)\b", re.IGNORECASE)
_FORMULA = re.compile(r"[\w\s+*/^()\[\].\\{}|$,-]{1,80}", re.ASCII)


def reduced(answer: str) -> str:
    """The answer without emphasis and, where it is a sentence that says one value, that value alone.

    "The final price is $80." -> "$80", "**42**" -> "42", "There are 12 apples left." -> "12 apples". A sentence of
    which it is not certain what its value is stays as it is.
    """
    text = without_marks(answer.strip().rstrip("。"))
    if len(text) > _LONGEST or not re.search(r"[^\W\d_]{2}(?:\s|\W*[=:])", text) or read_value(text) is not None:
        return text
    text = text.replace("**", "")
    found = list(_COPULA.finditer(text))
    if len(found) != 1:
        return text
    subject, said = text[: found[0].start()], text[found[0].end() :].strip().removesuffix(".").strip()
    words = {w.lower() for w in re.findall(r"[^\W\d_]+(?:'t)?", subject)}
    if not (has_words(subject) or words == {"it"}) or any(w in _CLAUSE or w.endswith("n't") for w in words):
        return text
    value = said if _is_value(said) else ""
    if not value and not re.search(r"\d", subject):
        value = _beginning(said)
    return value or text


def _is_value(text: str) -> bool:
    """Whether all of it is a number with a known unit, or a formula without words."""
    value = read_value(text)
    if value is not None:
        return not value.unit or value.unit in UNITS.values() or value.unit in CURRENCIES.values()
    return bool(_FORMULA.fullmatch(text) and re.search(r"[\d^\\]", text)) and not has_words(text)


def _beginning(text: str) -> str:
    """The number and its one noun at the beginning of what a sentence says of its subject; "" where unclear."""
    words = re.findall(r"[^\W\d_]+(?:'t)?", text)
    found = re.match(rf"(?:{_APPROXIMATELY.pattern})?(\S*\d\S*(?:\s+\d+/\d+)?)((?:\s+[^\W\d_]+){{0,4}})", text)
    if found is None or found.end() != len(text) or any(w.lower() in _UNSURE for w in words):
        return ""
    noun = _CLOSING.sub("", found[2]).strip()
    value = f"{found[1]} {noun}".strip()
    return value if read_value(value) is not None else ""
