"""The study's statistics: intervals over seeds, and how well a ranking finds what is wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom; beyond that the last is used, a little too wide.
T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """A mean over n seeds with its 95 % t-interval; NaN ends for n < 2, NaN throughout for n = 0."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def positive(self) -> bool:
        """Whether the whole interval lies above zero."""
        return self.low > 0


def estimate(values: Sequence[float]) -> Estimate:
    """The mean and its interval: mean ± t s / sqrt(n), s the sample standard deviation (n - 1)."""
    n = len(values)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    mean = math.fsum(values) / n
    if n == 1:
        return Estimate(mean, math.nan, math.nan, 1)
    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1))
    half = T_975[min(n - 1, len(T_975)) - 1] * spread / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n)


def auc(scores: NDArray[np.float64], wrong: NDArray[np.bool_]) -> float:
    """Chance that a wrong example has a higher score than a right one, ties counted half. NaN without both kinds."""
    positive, negative = int(wrong.sum()), int((~wrong).sum())
    if not positive or not negative:
        return math.nan
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # from 1, ties share their mean rank
    return float((ranks[wrong].sum() - positive * (positive + 1) / 2) / (positive * negative))


def average_precision(scores: NDArray[np.float64], wrong: NDArray[np.bool_]) -> float:
    """Mean precision at the places of the wrong ones, highest score first, equal scores in the order given."""
    hits = wrong[np.argsort(-scores, kind="stable")]
    if not hits.any():
        return math.nan
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].mean())


def precision_recall(chosen: NDArray[np.bool_], wrong: NDArray[np.bool_]) -> tuple[float, float]:
    """Share of the chosen that is wrong, and share of the wrong that is chosen; NaN where there are none."""
    hits = int((chosen & wrong).sum())
    return (
        hits / int(chosen.sum()) if chosen.any() else math.nan,
        hits / int(wrong.sum()) if wrong.any() else math.nan,
    )


def highest(scores: NDArray[np.float64], number: int) -> NDArray[np.bool_]:
    """The `number` examples of highest score; equal ones in the order given."""
    chosen = np.zeros(len(scores), dtype=np.bool_)
    chosen[np.argsort(-scores, kind="stable")[:number]] = True
    return chosen
