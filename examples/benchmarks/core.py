"""Processor seconds of the two large jobs of the core: `python examples/benchmarks/core.py`.

Dynamics, regions and weights of 1 million examples x 10 epochs in 200 skills, and a graph of 10,000 skills, built and
ordered. Records are made beforehand: this times the arithmetic.
"""

from __future__ import annotations

import time

import numpy as np

from dsa_lite.config import DynamicsSettings
from dsa_lite.core.actions import loss_weights
from dsa_lite.core.curriculum import rank_skills
from dsa_lite.core.dynamics import summarise, within_groups
from dsa_lite.core.graph import GraphBuilder
from dsa_lite.core.regions import Baseline, classify
from dsa_lite.records import Topic


def dynamics(examples: int = 1_000_000, epochs: int = 10, skills: int = 200) -> None:
    rng = np.random.default_rng(0)
    losses = rng.gamma(2.0, 0.3, (examples, epochs))
    losses[rng.random((examples, epochs)) < 0.02] = np.nan
    groups = rng.integers(0, skills, examples)
    settings = DynamicsSettings()
    start = time.process_time()
    scores, _, _ = within_groups(losses, groups)
    scored = time.process_time()
    raw = summarise(losses, window=settings.window_epochs, burn_in=settings.burn_in)
    rule = summarise(scores, window=settings.window_epochs, burn_in=settings.burn_in)
    summed = time.process_time()
    regions, _ = classify(rule.mean, rule.deviation, raw.seen, Baseline(2.0, 1.0), settings)
    weights = loss_weights(regions, settings)
    end = time.process_time()
    print(f"{examples:,} examples x {epochs} epochs, {skills} skills: {end - start:.2f} s "
          f"(scores {scored - start:.2f}, summary {summed - scored:.2f}, regions and weights {end - summed:.2f}; "
          f"mean weight {weights.mean():.2f})")  # fmt: skip


def ordering(skills: int = 10_000) -> None:
    """A syllabus of half the skills, each with 3 earlier prerequisites; the teacher adds one to each of them.

    Every tenth answer also names a topic at random, so that there are cycles to break.
    """
    rng = np.random.default_rng(0)
    half = skills // 2
    topics = [
        Topic(name=f"topic {i}", prerequisites=tuple(f"topic {p}" for p in rng.integers(0, i, 3)) if i else ())
        for i in range(half)
    ]
    start = time.process_time()
    builder = GraphBuilder(topics, skills - half)
    for i in range(half):
        builder.add(f"topic {i}", [f"need {i}"] + ([f"topic {rng.integers(0, half)}"] if i % 10 == 0 else []))
    graph, notes = builder.build()
    built = time.process_time()
    rank_skills(graph, "lower_to_higher", rng)
    end = time.process_time()
    print(f"{len(graph.skills):,} skills, {len(graph.edges):,} edges, {len(notes):,} notes: "
          f"built in {built - start:.2f} s, ranked in {end - built:.3f} s")  # fmt: skip


if __name__ == "__main__":
    dynamics()
    ordering()
