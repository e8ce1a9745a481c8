"""The report's exercises: columns of texts and losses, what each round decided, a curve per skill.

Four significant digits of a loss, None where there is no number.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from dsa_lite.records import REGIONS, Action, Decision, Exercise, Observed, Origin, Vote

ACTIONS: tuple[str, ...] = get_args(Action)
ORIGINS: tuple[str, ...] = get_args(Origin)


def rounded(value: float | None, digits: int = 4) -> float | int | None:
    """That many significant digits, whole numbers without a point; None for what is no finite number."""
    if value is None or not math.isfinite(value):
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short == int(short) else short


def losses_by_epoch(observed: Iterable[Observed]) -> dict[str, dict[int, float]]:
    """Example -> epoch -> loss, nats per target token."""
    losses: dict[str, dict[int, float]] = defaultdict(dict)
    for o in observed:
        losses[o.example][o.epoch] = o.loss
    return losses


def solved_again(votes: Iterable[Vote]) -> dict[str, list[str]]:
    """The answers of the teacher's new solutions of an exercise, by its id, those that gave one, in order."""
    found: dict[str, list[str]] = {}
    for vote in sorted(votes, key=lambda v: v.id):
        if vote.answer is not None:
            found.setdefault(vote.exercise, []).append(vote.answer)
    return found


def example_columns(
    exercises: Sequence[Exercise],
    skills: Mapping[str, int],
    losses: Mapping[str, Mapping[int, float]],
    again: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """Columns, one entry per exercise in use. `losses`: [first epoch seen, loss, loss, …], None where not seen;
    `sources` and `again` (the teacher's new answers): by row, of those that have any."""
    number = {e.id: i for i, e in enumerate(exercises)}
    return {
        "id": [e.id for e in exercises],
        "problem": [e.problem for e in exercises],
        "solution": [e.solution for e in exercises],
        "answer": [e.answer for e in exercises],
        "skills": [[skills[s] for s in e.skills] for e in exercises],
        "origin": [ORIGINS.index(e.origin) for e in exercises],
        "round": [e.round for e in exercises],
        "right": [e.steps_right if e.steps_right is None else int(e.steps_right) for e in exercises],
        "parents": [[number[p] for p in e.parents if p in number] for e in exercises],
        "losses": [_row(losses.get(e.id, {})) for e in exercises],
        "sources": {str(number[e.id]): list(e.sources) for e in exercises if e.sources},
        "again": {str(number[e.id]): list(again[e.id]) for e in exercises if e.id in again},
    }


def _row(losses: Mapping[int, float]) -> list[float | int | None]:
    if not losses:
        return []
    first, last = min(losses), max(losses)
    return [first, *(rounded(losses.get(epoch)) for epoch in range(first, last + 1))]


def round_columns(
    by_round: Mapping[int, Sequence[Decision]],
    facts_of: Mapping[int, Mapping[str, Any]],
    exercises: Sequence[Exercise],
    last: int | None,
) -> list[dict[str, Any]]:
    """What each round decided: counts, and columns of decisions; `example` numbers the rows of `examples`.

    `last`: the round after which nothing was trained, and so nothing removed; None: that is still to come.
    """
    number = {e.id: i for i, e in enumerate(exercises)}
    written = Counter(e.round for e in exercises)
    found = []
    for round in sorted(by_round):
        decisions = by_round[round]
        shown = sorted((d for d in decisions if d.example in number), key=lambda d: number[d.example])
        regions, actions = Counter(d.region for d in decisions), Counter(d.action for d in decisions)
        losses = [d.loss for d in decisions if math.isfinite(d.loss)]
        facts = facts_of.get(round, {})
        found.append({
            "round": round, "examples": len(decisions), "new": written[round],
            "removed": 0 if round == last else actions["remove"], "down": actions["down-weight"],
            "loss": rounded(math.fsum(losses) / len(losses)) if losses else None,
            "baseline": rounded(facts.get("baseline")), "warnings": [str(w) for w in facts.get("warnings") or ()],
            "regions": [regions[region] for region in REGIONS],
            "example": [number[d.example] for d in shown],
            "region": [REGIONS.index(d.region) for d in shown],
            "action": [ACTIONS.index(d.action) for d in shown],
            "weight": [rounded(d.weight) for d in shown],
            "mean": [rounded(d.loss) for d in shown],
            "deviation": [rounded(d.deviation) for d in shown],
        })  # fmt: skip
    return found


def skill_curves(
    exercises: Sequence[Exercise], skills: Mapping[str, int], losses: Mapping[str, Mapping[int, float]]
) -> dict[str, Any]:
    """Mean loss per skill and epoch, over the exercises that teach the skill and were seen in the epoch."""
    sums: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for e in exercises:
        for epoch, loss in losses.get(e.id, {}).items():
            if math.isfinite(loss):
                sums[e.skill][epoch].append(loss)
    epochs = 1 + max((max(by_epoch) for by_epoch in sums.values() if by_epoch), default=-1)
    rows = [
        [skills[id], *(rounded(_mean(sums[id].get(epoch, []))) for epoch in range(epochs))]
        for id in skills
        if id in sums
    ]
    return {"epochs": epochs, "rows": rows}


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
