"""The held-out items of a run, and what keeps them out of everything that trains: exact and near-duplicate matches are
refused and listed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import get_args

from dsa_lite.core.overlap import OverlapIndex
from dsa_lite.records import HeldOutItem, Split
from dsa_lite.stages.context import Context


def held_out(context: Context, split: Split) -> tuple[HeldOutItem, ...]:
    """The items of a set: the skill's; of `eval` those the run set aside itself, where the skill brings none."""
    own = context.job.skill.held_out.get(split, ())
    return own if own or split != "eval" else tuple(context.folder.set_aside().read())


class HeldOutGuard:
    """Knows every held-out problem of the run, or `items` alone where given.

    `instruction`: what all problems that will be asked about begin with. Where a held-out one does too, the two are
    compared without it: it says nothing about whether they are the same.
    """

    def __init__(self, context: Context, instruction: str = "", *, items: Iterable[HeldOutItem] | None = None) -> None:
        self._instruction = instruction
        self._index = OverlapIndex(context.config.exercises.near_duplicate)
        self._squeezed: dict[str, str] = {}
        known = [i for split in get_args(Split) for i in held_out(context, split)] if items is None else items
        for item in known:
            self._index.add(item.id, item.problem.removeprefix(instruction))
            self._squeezed[item.id] = _squeeze(item.problem).rstrip(".?!")

    def clash(self, problem: str, solution: str) -> str:
        """Why an exercise must not be trained on: it is a held-out problem or contains one; "" where it may be."""
        if same := self.same(problem):
            return f"the same problem as {same}"
        inner = self.inside(problem) or self.inside(solution)
        return f"contains the problem {inner}" if inner else ""

    def same(self, problem: str) -> str | None:
        """Id of the held-out item that is the same problem, or nearly."""
        return self._index.find(problem.removeprefix(self._instruction))

    def inside(self, text: str) -> str | None:
        """Id of a held-out problem that stands word for word in a longer text."""
        return next(self.all_inside(text), None)

    def all_inside(self, text: str) -> Iterator[str]:
        """Ids of all held-out problems that stand word for word in a text."""
        squeezed = _squeeze(text)
        for id, problem in self._squeezed.items():
            start = squeezed.find(problem) if problem else -1
            while start >= 0:
                # `3x^2` stands inside `3x^2+1` and `13x^2`, yet is another problem.
                longer = problem[0].isdigit() and re.match(r"[\d.^*/+(=-]", squeezed[max(0, start - 1) : start])
                if not longer and not re.match(r"[\w^*/+(=-]", squeezed[start + len(problem) :]):
                    yield id
                    break
                start = squeezed.find(problem, start + 1)


def _squeeze(text: str) -> str:
    return "".join(text.casefold().split())
