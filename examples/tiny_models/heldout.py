"""The held-out exercises of the calculus skill: made from a fixed seed, kept out of every document.

Run as a program it writes the three files beside the skill, the same ones every time.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import islice
from pathlib import Path
from random import Random

if not __package__:
    # Started as a file: the imports below need the package's name and the repository on the path.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    __package__ = "examples.tiny_models"

from .composing import compose
from .english import SKILL as READING
from .english import reading
from .kinds import BASE, CALCULUS, LEVELS, NAMES, Item, always, ancestors

SEED = 20_240_607
FOLDER = Path(__file__).resolve().parents[2] / "dsa_lite" / "skills" / "calculus"
PER_TOPIC, PER_BASE_KIND, TRANSFER = 24, 18, 128
GENERAL = BASE


def normal(problem: str) -> str:
    """A problem's text without case and blanks."""
    return re.sub(r"\s+", "", problem).lower()


def _distinct(make_one: Callable[[int], Item], count: int, seen: set[str]) -> list[Item]:
    items: list[Item] = []
    while len(items) < count:
        item = make_one(len(items))
        names = {item.key, *(part.key for part in item.parts)}
        if not names & seen:
            seen |= names
            items.append(item)
    return items


def _transfer_names(rng: Random, index: int) -> tuple[str, ...]:
    """A chain of three with a calculus skill in it, or two skills of which neither needs the other."""
    while True:
        last = CALCULUS[index // 2 % len(CALCULUS)]
        if index % 2:
            names = (rng.choice(NAMES), rng.choice(BASE + CALCULUS[:4]), last)
            if len(set(names)) == 3:
                return names
        else:
            other = rng.choice(NAMES)
            if other != last and other not in ancestors(last) and last not in ancestors(other):
                return other, last


def transfer_item(rng: Random, index: int) -> Item:
    level = LEVELS[1 + index % 2]
    for _ in range(30):
        item = compose(rng, _transfer_names(rng, index), level)
        # Joined problems are the better test; side by side is the last resort.
        if item.problem.startswith("Let") and len(item.solution) < 420:
            return item
    return item


@lru_cache(maxsize=1)
def held_out() -> dict[str, list[Item]]:
    """The held-out items of the three files by the files' names."""
    rng = Random(SEED)
    seen: set[str] = set()

    def single(name: str, levels: tuple[str, ...]) -> Callable[[int], Item]:
        return lambda index: always(rng, name, levels[index % len(levels)])

    files: dict[str, list[Item]] = {"eval": [], "transfer": [], "general": []}
    for name in CALCULUS:
        files["eval"] += _distinct(single(name, LEVELS), PER_TOPIC, seen)
    for name in GENERAL:
        files["general"] += _distinct(single(name, LEVELS[1:]), PER_BASE_KIND, seen)
    files["general"] += _distinct(lambda i: reading(rng), PER_BASE_KIND, seen)
    keys = {item.key for items in files.values() for item in items}

    def chained(index: int) -> Item:
        # A part may be an everyday exercise, but not one that stands in another file.
        while True:
            item = transfer_item(rng, index)
            if not any(part.key in keys for part in item.parts) and item.key not in seen:
                seen.add(item.key)
                return item

    files["transfer"] = [chained(i) for i in range(TRANSFER)]
    return files


@lru_cache(maxsize=1)
def _blocked() -> tuple[frozenset[str], frozenset[str]]:
    items = [item for items in held_out().values() for item in items]
    return frozenset(item.key for item in items), frozenset(normal(item.problem) for item in items)


def is_held_out(item: Item) -> bool:
    """Whether an item, or a part of it, is held out."""
    keys, problems = _blocked()
    if item.key in keys or (item.skills[0] != READING and normal(item.problem) in problems):
        return True
    return any(part.key in keys for part in item.parts)


def scan(documents: Iterable[str | list[tuple[str, float]]], n: int, problems: frozenset[str] | None = None) -> int:
    """How many of the first n documents hold the text of a held-out problem: one of those given, or of calculus."""
    problems = _blocked()[1] if problems is None else problems
    found = 0
    for document in islice(documents, n):
        text = document if isinstance(document, str) else "".join(part for part, _ in document)
        # In JSON a line break is written as two characters.
        text = normal(text.replace("\\n", "\n"))
        found += any(problem in text for problem in problems)
    return found


def lines(name: str) -> list[str]:
    """The lines of one held-out file."""
    return as_lines(name, held_out()[name])


def as_lines(name: str, items: list[Item]) -> list[str]:
    """Items as the lines of a held-out file of that name."""
    return [
        json.dumps(
            {
                "id": f"{name}-{i:04d}",
                "problem": item.problem,
                "answer": item.answer,
                "topic": item.skills[-1],
                "skills": list(item.skills),
            },
            ensure_ascii=False,
        )
        for i, item in enumerate(items, 1)
    ]


def main() -> None:
    """Write the three files."""
    for name in held_out():
        (FOLDER / f"{name}.jsonl").write_text("\n".join(lines(name)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
