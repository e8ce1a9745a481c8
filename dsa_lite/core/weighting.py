"""Decisions to weights: chances of taking part in an epoch, or factors of the loss (`dynamics.easy_by`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dsa_lite.records import Decision


def weights(decisions: Sequence[Decision]) -> dict[str, float]:
    """Weight by example id; the latest decision wins, a removed example weighs 0.

    An example that is not there has no decision and weighs 1.0: `weights(...).get(id, 1.0)`.
    """
    return {d.example: 0.0 if d.action == "remove" else d.weight for d in decisions}


def removed(decisions: Iterable[Decision]) -> set[str]:
    """Examples that are out for good: the latest decision about them is to remove them.

    An easy example down-weighted to 0 is not among them: nothing is wrong with it.
    """
    return {id for id, action in {d.example: d.action for d in decisions}.items() if action == "remove"}
