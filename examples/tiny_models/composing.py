"""Exercises that join two or three skills, in three forms.

A number goes on as k, a polynomial goes on as f; where neither fits, the parts stand side by side.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from .kinds import KINDS, Item, make
from .steps import Poly

Blocked = Callable[[Item], bool]
_NUMBER = re.compile(r"-?\d+")
_TERM = re.compile(r"([+-]?)(\d*)(x?)(?:\^(\d+))?")
_SENTENCE = re.compile(r"(?<=[.?]) ")
_LOWER = {"easy": "easy", "medium": "easy", "hard": "medium"}
_ORDINALS = ("First", "Second", "Third")


def read_poly(text: str) -> Poly | None:
    """The polynomial that an answer is, or None when it is something else (or a mere number)."""
    if "x" not in text or not re.fullmatch(r"[-+x^\d]+", text):
        return None
    poly: Poly = {}
    for sign, digits, x, power in _TERM.findall(text):
        if digits or x:
            poly[int(power or 1) if x else 0] = int(sign + (digits or "1"))
    return poly


def _with_number(item: Item, number: str) -> str | None:
    """The problem's text with k in the place of the number that it begins with."""
    found = _NUMBER.search(item.problem)
    if not found or found.group() != number:
        return None
    after = item.problem[found.end() : found.end() + 1]
    # k^2 would read as the square of a negative number without its bracket.
    if number.startswith("-") and after == "^":
        return None
    # k*sin(x), since ksin(x) would read as one word.
    letter = "k*" if after.isalpha() and after not in "xy" else "k"
    return item.problem[: found.start()] + letter + item.problem[found.end() :]


def _pass_on(
    rng: Random, first: Item, name: str, level: str, blocked: Blocked | None, seed: int | None
) -> tuple[str, Item, str] | None:
    """The second item made from the first one's answer: (letter, item, its text), or None."""
    answer, own = first.answer, Random(seed) if seed is not None else rng
    poly = read_poly(answer)
    if _NUMBER.fullmatch(answer):
        if answer in ("0", "-1") or (answer == "1" and KINDS[name].group != "base"):
            return None
        item = make(own, name, level, int(answer), blocked)
        text = item and _with_number(item, answer)
        return ("k", item, text) if item and text else None
    from_poly = KINDS[name].from_poly
    if poly is None or from_poly is None:
        return None
    for _ in range(6):
        item = from_poly(own, level, poly)
        if item is not None and item.problem.count(answer) == 1 and not (blocked and blocked(item)):
            return "f", item, _with_poly(item.problem, answer)
    return None


def _with_poly(problem: str, text: str) -> str:
    """The problem's text with f in the place of the polynomial."""
    at = problem.index(text)
    before, after = problem[:at], problem[at + len(text) :]
    return f"{before}f{after}"


def _key(items: tuple[Item, ...], form: str) -> str:
    return " & ".join(item.key for item in items) + " " + form


def side_by_side(items: tuple[Item, ...]) -> Item:
    """The parts one after the other, with one answer each."""
    problem = " ".join(f"{_ORDINALS[i]}: {item.problem}" for i, item in enumerate(items))
    return Item(
        tuple(skill for item in items for skill in item.skills),
        problem,
        " ".join(i.solution for i in items),
        "; ".join(i.answer for i in items),
        _key(items, "parts"),
        items,
    )


def join(
    rng: Random, first: Item, name: str, level: str, blocked: Blocked | None = None, seed: int | None = None
) -> Item | None:
    """Join an item with the named skill through its answer; None where the answer cannot go on.

    With a seed the second exercise repeats the numbers that this seed gave it on its own.
    """
    passed = _pass_on(rng, first, name, level, blocked, seed)
    if passed is None:
        return None
    letter, second, text = passed
    # In a chain only the last sentence still asks something; the ones before it are kept.
    *kept, asked = _SENTENCE.split(first.problem)
    problem = " ".join([*kept, f"Let {letter} be the answer to: {asked}", text])
    solution = f"{first.solution} {letter}={first.answer}. {second.solution}"
    items = (*(first.parts or (first,)), second)
    return Item((*first.skills, *second.skills), problem, solution, second.answer, _key(items, "chain"), items)


def compose(
    rng: Random,
    names: tuple[str, ...],
    level: str,
    blocked: Blocked | None = None,
    first: Item | None = None,
    seed: int | None = None,
) -> Item:
    """An exercise of two or three skills in the order of use, joined where that is possible.

    The parts are one level easier than the whole.
    """
    level = _LOWER[level]
    for _ in range(4):
        item: Item | None = first or make(rng, names[0], level, None, blocked)
        for name in names[1:]:
            item = item and join(rng, item, name, level, blocked, seed)
        if item is not None and not (blocked and blocked(item)):
            return item
    while True:
        items = [first or make(rng, names[0], level, None, blocked)]
        items += [make(rng if seed is None else Random(seed), name, level, None, blocked) for name in names[1:]]
        item = side_by_side(tuple(i for i in items if i is not None))
        seed = None
        if not (blocked and blocked(item)):
            return item
