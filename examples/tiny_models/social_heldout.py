"""The held-out questions of social studies: the facts are the trained ones, no wording of `eval` is.

`transfer` joins topics that the teacher is never asked to join. `general` is the calculus skill's own set: what the
student knew before. Run as a program it writes the three files beside the skill, the same ones every time.
"""

from __future__ import annotations

import json
import sys
from functools import lru_cache
from pathlib import Path
from random import Random

if not __package__:
    # Started as a file: the imports below need the package's name and the repository on the path.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    __package__ = "examples.tiny_models"

from . import heldout
from .heldout import normal
from .social_composing import chain, unasked_ways
from .social_kinds import CENTURIES, NAMES, ORDER, make
from .social_wordings import TOPICS
from .steps import Item

SEED = 20_261_120
FOLDER = Path(__file__).resolve().parents[2] / "dsa_lite" / "skills" / "social-studies"
PER_TOPIC, TRANSFER = 18, 120
#: Forms of a topic's questions in their order: 0 ask, 1 back (with choices where it must be), 2 claim, 3 choice.
_FORMS_BOTH = (0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 2, 3)
_FORMS_ONE = (0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3)


def _eval_items(rng: Random, name: str) -> list[Item]:
    """Distinct questions of one topic."""
    forms = _FORMS_BOTH if TOPICS[name].both_ways or name in (ORDER, CENTURIES) else _FORMS_ONE
    items: list[Item] = []
    seen: set[str] = set()
    while len(items) < PER_TOPIC:
        item = make(rng, name, "easy", held=True, form=forms[len(items)])
        if normal(item.problem) not in seen:
            seen.add(normal(item.problem))
            items.append(item)
    return items


def _transfer_items(rng: Random) -> list[Item]:
    """Distinct chains, every way through the topics as often as another, pairs as often as threes."""
    ways = unasked_ways()
    kinds = [[w for w in ways if len(w) == size] for size in (2, 3)]
    items: list[Item] = []
    seen: set[tuple[str, ...]] = set()
    while len(items) < TRANSFER:
        item = chain(rng, rng.choice(kinds[len(items) % 2]))
        told = tuple(part.solution for part in item.parts) if item else ()
        if item is not None and told not in seen:
            seen.add(told)
            items.append(item)
    return items


@lru_cache(maxsize=1)
def held_out() -> dict[str, list[Item]]:
    """The held-out items of `eval` and `transfer`."""
    rng = Random(SEED)
    return {"eval": [i for name in NAMES for i in _eval_items(rng, name)], "transfer": _transfer_items(rng)}


@lru_cache(maxsize=1)
def problems() -> frozenset[str]:
    """The held-out problems' texts without case and blanks."""
    return frozenset(normal(item.problem) for items in held_out().values() for item in items)


def lines(name: str) -> list[str]:
    """The lines of one held-out file."""
    return heldout.lines("general") if name == "general" else heldout.as_lines(name, held_out()[name])


def main() -> None:
    """Write the three files."""
    for name in ("eval", "transfer", "general"):
        (FOLDER / f"{name}.jsonl").write_text("\n".join(lines(name)) + "\n", encoding="utf-8")


def chance() -> float:
    """The share of `eval` that guessing among what fits gets right: letters a quarter, true or false a half, two
    events a half, and one of the topic's different answers otherwise."""
    shares = []
    for item in held_out()["eval"]:
        topic = TOPICS[item.skills[0]]
        if item.answer in ("A", "B", "C", "D"):
            shares.append(1 / 4)
        elif item.answer in ("true", "false") or topic.name == ORDER:
            shares.append(1 / 2)
        elif topic.name == CENTURIES:
            shares.append(1 / 10)
        else:
            backward = any(item.answer in x for x, _ in topic.facts)
            shares.append(1 / len({fact[0 if backward else 1] for fact in topic.facts}))
    return sum(shares) / len(shares)


if __name__ == "__main__":
    print(json.dumps({"chance": round(chance(), 3)}))
    main()
