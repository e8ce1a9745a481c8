"""The comparison of an answer with the true one: equal in value, and written as finished as the truth."""

from __future__ import annotations

import re

from .expressions import BadExpression, equal, parse, show


def _shape(text: str) -> tuple[int, int, bool, bool]:
    """How an expression is written: terms, brackets, unfinished products, unfinished powers."""
    bare = re.sub(r"(?:sin|cos|ln|e\^)\([^()]*\)", "s", text)
    flat = re.sub(r"\([^()]*\)", "b", bare)
    terms = len(re.findall(r"(?<=[^*/^+-])[+-]", flat))
    return terms, bare.count("("), bool(re.search(r"\d\*-?\d|[x)]\*[x(]", bare)), bool(re.search(r"\b\d+\^", bare))


def _factors(text: str) -> list[str]:
    """The bracketed factors of an expression, each in one fixed form."""
    return sorted(show(parse(inner)) for inner in re.findall(r"(?<![a-z^])\(([^()]*)\)", text))


def _same_one(answer: str, truth: str) -> bool:
    answer, truth = (re.sub(r"^[a-zA-Z]=", "", re.sub(r"\s", "", t).rstrip(".")) for t in (answer, truth))
    if answer == truth:
        return True
    try:
        if not equal(parse(answer), parse(truth)) or _shape(answer) != _shape(truth):
            return False
        return "/" in truth or _factors(answer) == _factors(truth)
    except (BadExpression, RecursionError):
        return False


def same(answer: str, truth: str) -> bool:
    """Whether an answer is the true one, written as finished as the truth; the order of terms is free."""
    one, two = answer.split(";"), truth.split(";")
    return len(one) == len(two) and all(_same_one(a, b) for a, b in zip(one, two, strict=True))
