"""The names of units and currencies, each with the one spelling it is compared by."""

from __future__ import annotations

import re

CURRENCIES = {
    "$": "dollar", "US$": "dollar", "USD": "dollar", "€": "euro", "EUR": "euro", "£": "pound", "GBP": "pound",
    "¥": "yen", "₹": "rupee",
}  # fmt: skip

_SPELLINGS = {
    "dollar": "dollars usd bucks", "cent": "cents", "euro": "euros", "pound": "pounds lb lbs", "yen": "",
    "rupee": "rupees",
    "%": "percent pct percentage", "mm": "millimeter millimeters millimetre millimetres",
    "cm": "centimeter centimeters centimetre centimetres", "m": "meter meters metre metres",
    "km": "kilometer kilometers kilometre kilometres", "inch": "inches in", "foot": "feet ft", "yard": "yards yd",
    "mile": "miles mi", "mg": "milligram milligrams", "g": "gram grams", "kg": "kilogram kilograms kgs",
    "ounce": "ounces oz", "ton": "tons tonne tonnes", "ml": "milliliter milliliters millilitre millilitres",
    "l": "liter liters litre litres", "gallon": "gallons gal", "cup": "cups", "pint": "pints", "quart": "quarts",
    "second": "seconds sec secs", "minute": "minutes min mins", "h": "hour hours hr hrs", "day": "days",
    "week": "weeks", "month": "months", "year": "years yr yrs", "°": "degree degrees", "penny": "pennies",
    "nickel": "nickels", "dime": "dimes",
}  # fmt: skip

#: Every spelling of a unit of measure -> the unit.
UNITS = {name: unit for unit, names in _SPELLINGS.items() for name in (unit, *names.split())} | {"L": "l", "mL": "ml"}

#: Letters that are units where a blank stands before them.
SINGLE_LETTERS = frozenset("mghlLsNJWV")

_NO_UNIT = frozenset((
    "of", "off", "and", "or", "to", "at", "by", "from", "more", "less", "than", "times", "over", "plus", "minus",
    "am", "pm", "dozen", "hundred", "thousand", "million", "billion", "trillion", "half", "halves", "third",
    "thirds", "quarter", "quarters", "fifth", "fifths", "tenth", "tenths", "hundredths", "squared", "cubed",
    "square", "factorial", "choose", "mod", "remainder", "rem", "the", "a", "an", "is", "are", "not", "if", "then",
    "since", "because", "percentage", "pair", "pairs", "score", "root", "radians", "rad", "o", "oclock", "clock",
    "sin", "cos", "tan", "log", "ln", "exp", "sqrt", "pi",
))  # fmt: skip


def unit_of(text: str) -> str | None:
    """The unit that words after a number name, in one spelling; None where they are something else."""
    text = re.sub(r"\bper cent\b", "percent", text.strip())
    if text in UNITS:
        return UNITS[text]
    power = re.match(r"(?:(square|cubic) )?(.+?)(?:\^?([23²³]))?$", text)
    assert power is not None
    size = {"square": "2", "cubic": "3", "²": "2", "³": "3"}.get(power[1] or power[3] or "", power[3] or "")
    parts = re.split(r"\s*/\s*| per ", power[2])
    words = [word for part in parts for word in part.replace("-", " ").lower().split()]
    if any(word in _NO_UNIT for word in words):
        return None
    spelled = "/".join(UNITS.get(part.strip(), _singular(part.strip().lower())) for part in parts)
    return spelled + size


def _singular(noun: str) -> str:
    return noun[:-1] if noun.endswith("s") and not noun.endswith("ss") and len(noun) > 3 else noun


_KINDS = (
    {"second", "minute", "h", "day", "week", "month", "year"},
    {"mm", "cm", "m", "km", "inch", "foot", "yard", "mile"},
    {"mg", "g", "kg", "ounce", "pound", "ton"},
    {"ml", "l", "gallon", "cup", "pint", "quart"},
    {"dollar", "cent", "euro", "yen", "rupee", "penny", "nickel", "dime"},
)


def singular(noun: str) -> str:
    """One spelling of a noun or unit."""
    return UNITS.get(noun) or _singular(noun)


def convertible(units: frozenset[str]) -> bool:
    """Whether two of the units measure the same kind of thing, so that a number of one may be the other's."""
    return any(len(kind & units) > 1 for kind in _KINDS)
