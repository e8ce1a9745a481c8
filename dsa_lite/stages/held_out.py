"""Keeps held-out items out of everything that trains: exact and near-duplicate matches are refused and listed."""

from __future__ import annotations

import re

from dsa_lite.core.overlap import OverlapIndex
from dsa_lite.stages.context import Context


class HeldOutGuard:
    """Knows every held-out problem of the job's skill."""

    def __init__(self, context: Context) -> None:
        self._index = OverlapIndex(context.config.exercises.near_duplicate)
        self._squeezed: dict[str, str] = {}
        for items in context.job.skill.held_out.values():
            for item in items:
                self._index.add(item.id, item.problem)
                self._squeezed[item.id] = _squeeze(item.problem).rstrip(".?!")

    def same(self, problem: str) -> str | None:
        """Id of the held-out item that is the same problem, or nearly."""
        return self._index.find(problem)

    def inside(self, text: str) -> str | None:
        """Id of a held-out problem that stands word for word in a longer text."""
        squeezed = _squeeze(text)
        for id, problem in self._squeezed.items():
            start = squeezed.find(problem)
            while start >= 0:
                rest = squeezed[start + len(problem) :]
                # `3x^2` stands inside `3x^2+1`, yet is another problem.
                if not re.match(r"[\w^*/+(=-]", rest):
                    return id
                start = squeezed.find(problem, start + 1)
        return None


def _squeeze(text: str) -> str:
    return "".join(text.casefold().split())
