"""Order of learning: skills along the graph, examples along the skills (DSA, arXiv 2412.19361; tie rules are ours)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dsa_lite.config import Order
from dsa_lite.core.graph import SkillGraph


def rank_skills(graph: SkillGraph, order: Order, rng: np.random.Generator) -> dict[str, int]:
    """Position of each skill in the curriculum, from 0; every skill has its own.

    lower_to_higher: topological, ties by (level, position, id); higher_to_lower: the same backwards;
    random: shuffled by `rng`, which the other two do not touch.
    """
    ordered = sorted(graph.skills, key=graph.sort_key)
    if order == "higher_to_lower":
        ordered.reverse()
    elif order == "random":
        ordered = [ordered[i] for i in rng.permutation(len(ordered))]
    return {id: rank for rank, id in enumerate(ordered)}


def order_examples(
    ranks: Sequence[int], lengths: Sequence[int], *, batch_size: int, window: int, rng: np.random.Generator
) -> list[list[int]]:
    """Batches of example indexes in the order of training; every index exactly once, every batch full but one.

    `ranks`: position of the example's skill in the curriculum; `lengths`: tokens. Examples are sorted by rank, random
    inside the same rank. Inside each run of `window` examples (rounded down to whole batches; 1: no grouping) similar
    lengths share a batch, and the batches come in the order of their mean rank, random where that is equal: so
    nothing moves further than one window, and short examples do not always come first.
    """
    if len(ranks) != len(lengths):
        raise ValueError(f"{len(ranks)} ranks for {len(lengths)} lengths")
    rank, length = np.asarray(ranks, dtype=np.int64), np.asarray(lengths, dtype=np.int64)
    shuffled = rng.permutation(len(rank))
    order = shuffled[np.argsort(rank[shuffled], kind="stable")]
    size = batch_size * max(1, window // batch_size)
    batches: list[list[int]] = []
    for start in range(0, len(order), size):
        run = order[start : start + size]
        if size > batch_size:
            run = run[np.argsort(length[run], kind="stable")]
        cut = [run[i : i + batch_size] for i in range(0, len(run), batch_size)]
        ties = rng.permutation(len(cut))
        means = [float(rank[batch].mean()) for batch in cut]
        batches += [cut[i].tolist() for i in sorted(range(len(cut)), key=lambda i: (means[i], ties[i]))]
    return batches
