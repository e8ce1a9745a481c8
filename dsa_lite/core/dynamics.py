"""What losses over epochs say about examples: arrays of N examples and E epochs, NaN where an example was not seen.

Mean and standard deviation follow DSA (arXiv 2412.19361), the scores within groups are ours, `cartography` follows
Dataset Cartography (arXiv 2009.10795). Losses are mean nats per target token.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsa_lite.errors import TrainingError
from dsa_lite.records import Observed

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

MIN_GROUP = 8  # seen examples below which a group has no centre and scale of its own
SCALE_SHARE = 0.1  # least scale of a group, as a share of the groups' median
SCALE_FLOOR = 1e-6  # least scale of all, nats
FULL_SORT = 20_000  # examples below which sorting them all is quicker than looking for the quartiles


def table(observed: Iterable[Observed]) -> tuple[tuple[str, ...], Floats]:
    """Example ids, sorted, and their losses (N, E), E the last epoch + 1; NaN where not seen.

    Records may come in any order and start or stop in any epoch. The same loss twice is one; two different losses of
    one example in one epoch raise TrainingError.
    """
    ids, rows, columns, records = _index(observed)
    losses = np.full((len(ids), int(columns.max(initial=-1)) + 1), np.nan)
    values = np.fromiter((o.loss for o in records), np.float64, len(records))
    number = np.isfinite(values)
    losses[rows[number], columns[number]] = values[number]
    wrong = np.flatnonzero(number & (losses[rows, columns] != values))
    if len(wrong):
        first = records[wrong[0]]
        other = losses[rows[wrong[0]], first.epoch]
        raise TrainingError(
            f"example {first.example!r} has two losses in epoch {first.epoch}: {first.loss} and {other}",
            hint="the records of two runs were mixed; start the round again",
        )
    return ids, losses


def all_correct(observed: Iterable[Observed]) -> tuple[tuple[str, ...], Flags]:
    """Example ids, sorted, and (N, E) whether every target token was predicted right; False where not seen."""
    ids, rows, columns, records = _index(observed)
    flags = np.zeros((len(ids), int(columns.max(initial=-1)) + 1), dtype=np.bool_)
    flags[rows, columns] = np.fromiter((o.correct == o.tokens for o in records), np.bool_, len(records))
    return ids, flags


def _index(observed: Iterable[Observed]) -> tuple[tuple[str, ...], Ints, Ints, list[Observed]]:
    """Sorted ids, and row, column and record of each observation."""
    records = list(observed)
    ids = tuple(sorted({o.example for o in records}))
    number = {id: i for i, id in enumerate(ids)}
    rows = np.fromiter((number[o.example] for o in records), np.int64, len(records))
    columns = np.fromiter((o.epoch for o in records), np.int64, len(records))
    return ids, rows, columns, records


def carried(values: NDArray[Any], seen: Flags) -> NDArray[Any]:
    """Values (N, E) of any type, where they were not seen (N, E) those of the last epoch that did; before the first as
    they are."""
    last = np.maximum.accumulate(np.where(seen, np.arange(seen.shape[1]), -1), axis=1)
    return np.where(last < 0, values, np.take_along_axis(values, np.maximum(last, 0), axis=1))


@dataclass(frozen=True, eq=False)
class Dynamics:
    """mean (N,) and population standard deviation (N,) over the epochs seen, NaN where none was; seen (N,) int."""

    mean: Floats
    deviation: Floats
    seen: Ints


def summarise(losses: Floats, *, window: int, burn_in: int) -> Dynamics:
    """Mean and deviation of losses (N, E), nats or scores, over the last `window` epochs after the first `burn_in`.

    The first epochs carry almost no signal about errors (ours, measured on a small model). If burn_in leaves no
    epoch, the last one is used. NaN: not seen.
    """
    mean, deviation, seen = _moments(losses[:, _first(losses, window, burn_in) :])
    return Dynamics(mean, deviation, seen)


def _first(losses: Floats, window: int, burn_in: int) -> int:
    epochs = int(losses.shape[1])
    return max(0, min(burn_in, epochs - 1), epochs - window)


def always_right(losses: Floats, correct: Flags, *, window: int, burn_in: int) -> Flags:
    """(N,): whether an example was predicted right whenever it was seen in the epochs `summarise` looks at.

    correct (N, E): as from `all_correct`, of the same observations. False where it was not seen there.
    """
    first = _first(losses, window, burn_in)
    seen = np.isfinite(losses[:, first:])
    right: Flags = np.any(seen, axis=1) & np.all(correct[:, first:] | ~seen, axis=1)
    return right


def _moments(values: Floats) -> tuple[Floats, Floats, Ints]:
    """Mean (N,), population standard deviation (N,) and count (N,) of the numbers in each row of (N, E)."""
    by_epoch = np.ascontiguousarray(values.T)  # sums over the first axis are many times faster
    present = np.isfinite(by_epoch)
    seen = present.sum(axis=0, dtype=np.int64)
    count = np.maximum(seen, 1)
    mean = np.where(present, by_epoch, 0.0).sum(axis=0) / count
    centred = np.where(present, by_epoch - mean, 0.0)
    deviation = np.sqrt((centred * centred).sum(axis=0) / count)
    return np.where(seen > 0, mean, np.nan), np.where(seen > 0, deviation, np.nan), seen


def within_groups(losses: Floats, groups: NDArray[np.integer]) -> tuple[Floats, Floats, Floats]:
    """Robust z-scores of losses (N, E) inside groups (N,) of number 0..G-1, separately in each epoch; ours.

    Returns scores (N, E) = (loss - centre) / scale, centre (G, E) = median and scale (G, E) = interquartile range
    (linear quantiles) of the group in the epoch, in the unit of the losses. A group with fewer than 8 seen examples
    takes the whole set's; a scale is at least a tenth of the groups' median scale. Scores are NaN where not seen;
    centre and scale are NaN in an epoch in which nothing was seen.
    """
    groups = np.asarray(groups, dtype=np.int64)
    if len(groups) and int(groups.min()) < 0:
        raise ValueError("groups are numbered from 0")
    sizes = np.bincount(groups) if len(groups) else np.zeros(0, dtype=np.int64)
    small = groups.astype(np.uint16) if len(sizes) <= 2**16 else groups  # short integers are sorted by radix
    grouped = np.take(losses, np.argsort(small, kind="stable"), axis=0)
    centre, scale = np.full((2, len(sizes), losses.shape[1]), np.nan)
    seen = np.zeros(centre.shape, dtype=np.int64)
    ends = np.cumsum(sizes)
    for g in np.flatnonzero(sizes):
        centre[g], scale[g], seen[g] = _spread(grouped[ends[g] - sizes[g] : ends[g]])
    few = seen < MIN_GROUP
    if few.any():
        whole_centre, whole_scale, _ = _spread(losses)
        centre[few], scale[few] = (np.broadcast_to(w, few.shape)[few] for w in (whole_centre, whole_scale))
    floor = np.full(scale.shape[1], SCALE_FLOOR)
    for epoch in np.flatnonzero((seen > 0).any(axis=0)):
        floor[epoch] = max(SCALE_FLOOR, SCALE_SHARE * float(np.median(scale[seen[:, epoch] > 0, epoch])))
    scale = np.maximum(scale, floor)
    scores = losses - np.take(centre, groups, axis=0)
    scores /= np.take(scale, groups, axis=0)
    return scores, centre, scale


def _spread(values: Floats) -> tuple[Floats, Floats, Ints]:
    """Median (E,), interquartile range (E,) and count (E,) of the numbers in each column of (N, E)."""
    by_epoch = np.array(values.T, order="C")
    seen = by_epoch.shape[1] - np.isnan(by_epoch).sum(axis=1, dtype=np.int64)
    if not by_epoch.shape[1]:
        return np.full(len(seen), np.nan), np.full(len(seen), np.nan), seen
    place = np.array([[0.25], [0.5], [0.75]]) * np.maximum(seen - 1, 0)
    low = place.astype(np.int64)
    high = np.minimum(low + 1, np.maximum(seen - 1, 0))
    if by_epoch.shape[1] < FULL_SORT:
        by_epoch.sort(axis=1)  # NaN goes to the end
    else:
        for epoch, row in enumerate(by_epoch):
            row.partition(np.unique([low[:, epoch], high[:, epoch]]))
    columns = np.arange(len(seen))
    below, above = by_epoch[columns, low], by_epoch[columns, high]
    quarter, median, upper = below + (above - below) * (place - low)
    return median, upper - quarter, seen


@dataclass(frozen=True, eq=False)
class Cartography:
    """The measures of Dataset Cartography per example, all (N,).

    confidence and variability: mean and population standard deviation of the probability (NaN: never seen);
    correctness: epochs in which it was right; forgetfulness: changes from right to wrong between epochs seen;
    learned: whether it was ever right. Where not, forgetfulness is 0 and says nothing.
    """

    confidence: Floats
    variability: Floats
    correctness: Ints
    forgetfulness: Ints
    learned: Flags


def cartography(probability: Floats, correct: Flags) -> Cartography:
    """Measures from the target's probability (N, E), NaN where not seen, and whether it was right (N, E).

    For texts the probability is the geometric mean per target token, exp(-mean loss), and right means that every
    target token was (ours: the paper has one label per example).
    """
    confidence, variability, _ = _moments(probability)
    right = correct & np.isfinite(probability)
    last = np.zeros(len(right), dtype=np.bool_)
    forgotten = np.zeros(len(right), dtype=np.int64)
    for epoch in range(right.shape[1]):
        seen = np.isfinite(probability[:, epoch])
        forgotten += last & seen & ~right[:, epoch]
        last = np.where(seen, right[:, epoch], last)
    correctness = right.sum(axis=1, dtype=np.int64)
    return Cartography(confidence, variability, correctness, forgotten, correctness > 0)
