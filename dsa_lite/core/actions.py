"""Regions to actions: what leaves, what weighs less, and what is asked of the teacher (DSA, arXiv 2412.19361).

The actions are DSA's; counts, shares and the choice of pairs are ours.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from dsa_lite.config import DynamicsSettings
from dsa_lite.core.graph import SkillGraph
from dsa_lite.core.pairing import joint_skills, pair
from dsa_lite.records import Action, Decision, Exercise, Region

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Order:
    """One new exercise to be written: made from `parents`, using `skills` (prerequisite first)."""

    kind: Literal["variant", "composition"]
    parents: tuple[str, ...]
    skills: tuple[str, ...]


def decide(
    ids: Sequence[str], skills: Sequence[str], regions: NDArray[np.str_], mean: Floats, deviation: Floats,
    score: Floats, settings: DynamicsSettings,
) -> list[Decision]:  # fmt: skip
    """One decision per example, in the order of `ids`; all arguments but the last have N entries.

    mean, deviation: nats over the window, for display; score: the mean as the rule compared it. An example that was
    not seen in the window (NaN in one of the three) gets no decision: there is nothing to write down about it.
    """
    known = np.isfinite(mean) & np.isfinite(deviation) & np.isfinite(score)
    decisions = []
    for i in np.flatnonzero(known).tolist():
        region = cast(Region, str(regions[i]))
        action, weight = _action(region, settings)
        decisions.append(
            Decision(
                example=ids[i], skill=skills[i], region=region, action=action, weight=weight,
                loss=float(mean[i]), deviation=float(deviation[i]), score=float(score[i]),
            )
        )  # fmt: skip
    return decisions


def loss_weights(regions: NDArray[np.str_], settings: DynamicsSettings) -> Floats:
    """Loss weight (N,) of each region (N,): the same as `decide` gives, without the records."""
    values = np.ones(len(regions))
    for region in ("error", "easy"):
        values[regions == region] = _action(region, settings)[1]
    return values


def _action(region: Region, settings: DynamicsSettings) -> tuple[Action, float]:
    if region == "error" and settings.filter_errors:
        return "remove", 0.0
    if region == "easy" and settings.down_weight_easy:
        return "down-weight", settings.easy_weight
    return "keep", 1.0


def new_items(
    decisions: Sequence[Decision], exercises: Mapping[str, Exercise], graph: SkillGraph, settings: DynamicsSettings,
    rng: np.random.Generator, *, max_skills: int = 3, known: Collection[str] = (), limit: float = math.inf,
) -> list[Order]:  # fmt: skip
    """What the teacher is asked to write after a round: variants first, then compositions.

    Every hard example gets `variants_per_hard` variants, the hardest first, and the second of one only after the first
    of all. Easy ones are paired (see `pairing.pair`), and each pair gets `compositions_per_pair`. Together they are at
    most `limit`, and max_new_fraction of the examples decided on; where both want more, each gets half of that. Nothing
    is made from exercises of the skills `known` to the base before: the teacher's words for these teach nothing new.
    Nor from open-ended ones, whose like could not be checked.
    """
    most = math.floor(min(settings.max_new_fraction * len(decisions) + 1e-9, limit))
    decisions = [d for d in decisions if d.skill not in known]
    decisions = [d for d in decisions if d.region in ("hard", "easy") and exercises[d.example].graded]
    hard = sorted((d for d in decisions if d.region == "hard"), key=lambda d: (-d.score, d.example))
    variants = [
        Order("variant", (d.example,), exercises[d.example].skills)
        for _ in range(settings.variants_per_hard) for d in hard
    ]  # fmt: skip
    easy = sorted(d.example for d in decisions if d.region == "easy")
    pairs = pair([exercises[id] for id in easy], graph, most, rng, max_skills) if settings.compositions_per_pair else []
    compositions = [
        Order("composition", (a.id, b.id), joint_skills(a, b, graph))
        for _ in range(settings.compositions_per_pair) for a, b in pairs
    ]  # fmt: skip
    share = max(most - len(variants), min(len(compositions), most // 2))
    compositions = compositions[:share]
    return variants[: most - len(compositions)] + compositions
