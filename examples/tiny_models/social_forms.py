"""Exercises that come with the skill: claims, and questions with choices, which its small teacher cannot make up."""

from __future__ import annotations

import json
from functools import lru_cache
from random import Random

from .heldout import normal
from .social_heldout import FOLDER, problems
from .social_kinds import CENTURIES, NAMES, ORDER, make, order
from .steps import Item

SEED = 20_261_122
CLAIMS, CHOICES = 10, 14  # per topic
CLAIM, CHOICE = 2, 3  # forms


@lru_cache(maxsize=1)
def exercises() -> tuple[Item, ...]:
    """In the wordings of the training, so that no held-out question is among them."""
    rng, found = Random(SEED), dict[str, Item]()
    for name in NAMES:
        forms = [CLAIM] * CLAIMS + [CHOICE] * CHOICES * (name != ORDER) if name != CENTURIES else []
        for form in forms:
            item = _one(rng, name, form)
            while item.problem in found or normal(item.problem) in problems():
                item = _one(rng, name, form)
            found[item.problem] = item
    return tuple(found.values())


def _one(rng: Random, name: str, form: int) -> Item:
    item = order(rng, "hard").item if name == ORDER else make(rng, name, "hard", form=form)
    while name == ORDER and item.answer not in ("true", "false"):
        item = order(rng, "hard").item
    return item


def lines() -> list[str]:
    """The lines of the skill's file."""
    return [
        json.dumps({"problem": i.problem, "solution": i.solution, "answer": i.answer, "topic": i.skills[0]})
        for i in exercises()
    ]


def main() -> None:
    """Write the file."""
    (FOLDER / "exercises.jsonl").write_text("\n".join(lines()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
