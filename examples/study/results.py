"""What the run folders of a study hold, over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import arms
from .figures import Estimate, estimate
from .study import seeds, summary

SPLITS = ("eval", "transfer", "general")
Results = Mapping[str, Mapping[int, dict[str, Any]]]  # arm -> seed -> summary


def read(out: Path) -> Results:
    """The finished arms, those without any seed left out."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for arm in arms.ARMS:
        for seed in seeds(out):
            if (one := summary(out, seed, arm)) is not None:
                found.setdefault(arm, {})[seed] = one
    return found


def accuracy(split: str, when: str = "after") -> Callable[[dict[str, Any]], float]:
    return lambda one: float(one[when][split]["accuracy"])


def over_seeds(results: Results, arm: str, value: Callable[[dict[str, Any]], float]) -> Estimate:
    return estimate([value(one) for one in results.get(arm, {}).values()])


def paired(results: Results, arm: str, against: str, value: Callable[[dict[str, Any]], float]) -> Estimate:
    """The difference on the seeds that both have finished."""
    one, two = results.get(arm, {}), results.get(against, {})
    return estimate([value(one[s]) - value(two[s]) for s in one if s in two])


def percent(e: Estimate, *, signed: bool = False) -> str:
    """As per cent (differences: points of a hundred)."""
    if not e.n:
        return "–"
    sign = "+" if signed else ""
    interval = f" [{100 * e.low:{sign}.1f}, {100 * e.high:{sign}.1f}]" if math.isfinite(e.low) else ""
    return f"{100 * e.mean:{sign}.1f}{interval}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)] + [""]
