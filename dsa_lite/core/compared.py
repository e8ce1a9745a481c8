"""Runs side by side: who answered what right, on the same questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dsa_lite.core.statistics import mcnemar_exact

#: Question id -> (question, answered right).
Answers = Mapping[str, tuple[str, bool]]


@dataclass(frozen=True)
class Paired:
    """One run against another on the questions that both answered.

    gained: right only in the second; lost: right only in the first; p: exact McNemar, two-sided. `difference`: of the
    accuracies on these questions, second minus first, in [-1, 1]; 0 for n = 0.
    """

    n: int
    gained: int
    lost: int
    p: float

    @property
    def difference(self) -> float:
        return (self.gained - self.lost) / self.n if self.n else 0.0


def paired(first: Answers, second: Answers) -> Paired:
    """Compare on the questions whose id and text both have; a question that changed counts for neither."""
    shared = sorted(id for id in first if id in second and first[id][0] == second[id][0])
    before, after = [first[id][1] for id in shared], [second[id][1] for id in shared]
    gained = sum(b and not a for a, b in zip(before, after, strict=True))
    lost = sum(a and not b for a, b in zip(before, after, strict=True))
    return Paired(len(shared), gained, lost, mcnemar_exact(before, after))


def differing(settings: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, object]]:
    """The settings in which runs differ. `settings`: run -> flat settings; returns setting -> run -> value.

    A run that does not have a setting has None there.
    """
    names = sorted({name for values in settings.values() for name in values})
    table = {name: {run: values.get(name) for run, values in settings.items()} for name in names}
    return {name: row for name, row in table.items() if any(v != next(iter(row.values())) for v in row.values())}
