"""The calculus skill with fresh questions: choices are made on these, and the real ones are read once, at the end."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

from examples.tiny_models.english import reading
from examples.tiny_models.heldout import (
    FOLDER,
    GENERAL,
    PER_BASE_KIND,
    PER_TOPIC,
    TRANSFER,
    as_lines,
    is_held_out,
    transfer_item,
)
from examples.tiny_models.kinds import CALCULUS, LEVELS, always
from examples.tiny_models.steps import Item

SEED = 20_261_121


def items(seed: int = SEED) -> dict[str, list[Item]]:
    """As many questions of each sort as the real sets have, none of them in those."""
    rng = Random(seed)
    seen: set[str] = set()

    def fresh(count: int, make: Callable[[int], Item]) -> list[Item]:
        found: list[Item] = []
        while len(found) < count:
            item = make(len(found))
            if item.key not in seen and not is_held_out(item):
                seen.add(item.key)
                found.append(item)
        return found

    def single(name: str, levels: tuple[str, ...]) -> Callable[[int], Item]:
        return lambda i: always(rng, name, levels[i % len(levels)])

    general = [item for name in GENERAL for item in fresh(PER_BASE_KIND, single(name, LEVELS[1:]))]
    return {
        "eval": [item for name in CALCULUS for item in fresh(PER_TOPIC, single(name, LEVELS))],
        "transfer": fresh(TRANSFER, lambda i: transfer_item(rng, i)),
        "general": general + fresh(PER_BASE_KIND, lambda i: reading(rng)),
    }


def write(folder: Path) -> None:
    """The skill's syllabus and the fresh questions, the same ones every time."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(FOLDER / "skill.toml", folder / "skill.toml")
    for name, made in items().items():
        (folder / f"{name}.jsonl").write_text("\n".join(as_lines(name, made)) + "\n", encoding="utf-8")
