"""Keeps held-out items out of everything that trains: exact and near-duplicate matches are refused and listed."""

from __future__ import annotations

import re

from dsa_lite.core.overlap import OverlapIndex
from dsa_lite.stages.context import Context


class HeldOutGuard:
    """Knows every held-out problem of the job's skill.

    `instruction`: what all problems that will be asked about begin with. Where a held-out one does too, the two are
    compared without it: it says nothing about whether they are the same.
    """

    def __init__(self, context: Context, instruction: str = "") -> None:
        self._instruction = instruction
        self._index = OverlapIndex(context.config.exercises.near_duplicate)
        self._squeezed: dict[str, str] = {}
        for items in context.job.skill.held_out.values():
            for item in items:
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
        squeezed = _squeeze(text)
        for id, problem in self._squeezed.items():
            start = squeezed.find(problem) if problem else -1
            while start >= 0:
                # `3x^2` stands inside `3x^2+1` and `13x^2`, yet is another problem.
                longer = problem[0].isdigit() and re.match(r"[\d.^*/+(=-]", squeezed[max(0, start - 1) : start])
                if not longer and not re.match(r"[\w^*/+(=-]", squeezed[start + len(problem) :]):
                    return id
                start = squeezed.find(problem, start + 1)
        return None


def _squeeze(text: str) -> str:
    return "".join(text.casefold().split())
