"""The last stage: what came of it. The summary, the page, the data map's rows, and Dataset Cartography's own files."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dsa_lite.core.in_use import in_use
from dsa_lite.core.report_examples import solved_again
from dsa_lite.core.statistics import mcnemar_exact, wilson
from dsa_lite.io.html import report_page
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.records import (
    REGIONS,
    Action,
    Decision,
    Decomposition,
    Exercise,
    Graded,
    Region,
    Rejected,
    Textbook,
    Vote,
)
from dsa_lite.stages import evaluate, setting_aside, textbooks
from dsa_lite.stages import exercises as exercise_stage
from dsa_lite.stages import graph as graph_stage
from dsa_lite.stages.context import Context

STAGE = "report"


@dataclass(frozen=True)
class RegionRow:
    """One row of the data map. Losses in nats per target token; NaN where the region is empty."""

    region: Region
    count: int
    loss: float
    deviation: float
    weight: float
    action: Action | None
    share_wrong: float | None  # among the examples whose arithmetic could be checked; None: none could


def inputs(context: Context) -> dict[str, object]:
    return {"report": 3}


def run(context: Context) -> str:
    """Write training_dynamics/, evaluation/summary.json and report.html. Returns a one-line summary."""
    _write_dynamics(context)
    context.folder.write_summary(summarise(context))
    for split in evaluate.SPLITS:
        context.folder.write_held_out(split, evaluate.items_of(context, split))
    context.folder.write_report(report_page(context.folder))
    return "report.html, evaluation/summary.json, training_dynamics/"


def last_decisions(run: RunDir) -> list[Decision]:
    """What was last decided about each example, sorted by id."""
    latest: dict[str, Decision] = {}
    for round in run.rounds():
        latest |= {d.example: d for d in run.decisions(round).read()}
    return [latest[id] for id in sorted(latest)]


def region_rows(run: RunDir, decisions: Sequence[Decision] | None = None) -> list[RegionRow]:
    """The data map as a table, one row per region."""
    decisions = last_decisions(run) if decisions is None else decisions
    checked = {e.id: e.steps_right for e in run.lessons()}
    return [_row(region, [d for d in decisions if d.region == region], checked) for region in REGIONS]


def _row(region: Region, members: Sequence[Decision], checked: dict[str, bool | None]) -> RegionRow:
    known = [checked[d.example] for d in members if checked.get(d.example) is not None]
    return RegionRow(
        region=region,
        count=len(members),
        loss=_mean([d.loss for d in members]),
        deviation=_mean([d.deviation for d in members]),
        weight=_mean([d.weight for d in members]),
        action=members[0].action if members else None,
        share_wrong=sum(not right for right in known) / len(known) if known else None,
    )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def by_region(run: RunDir) -> dict[str, list[tuple[Exercise, Decision]]]:
    """The examples of every region that has any, those first that show best what it is: lowest loss for easy ones,
    highest for the others."""
    exercises = {e.id: e for e in run.lessons()}
    found: dict[str, list[tuple[Exercise, Decision]]] = {region: [] for region in REGIONS}
    for d in last_decisions(run):
        if d.example in exercises:
            found[d.region].append((exercises[d.example], d))
    for region, pairs in found.items():
        sign = 1 if region == "easy" else -1
        pairs.sort(key=lambda pair: (sign * pair[1].score, pair[1].example))
    return {region: pairs for region, pairs in found.items() if pairs}


def map_rows(run: RunDir, pairs: Iterable[tuple[Exercise, Decision]] | None = None) -> list[dict[str, Any]]:
    """The data map as data: what was last decided about each exercise, and the exercise; sorted by id unless given."""
    if pairs is None:
        exercises = {e.id: e for e in run.lessons()}
        pairs = [(exercises[d.example], d) for d in last_decisions(run) if d.example in exercises]
    again = solved_again(run.votes().read())
    return [
        {**d.model_dump(), "problem": e.problem, "solution": e.solution, "answer": e.answer, "origin": e.origin,
         "steps_right": e.steps_right, "sources": list(e.sources), "solved_again": again.get(e.id, [])}
        for e, d in pairs
    ]  # fmt: skip


def summarise(context: Context) -> dict[str, Any]:
    """Everything evaluation/summary.json holds. Only `seconds` differs between two runs of the same seed."""
    job, folder = context.job, context.folder
    numbers = folder.rounds()
    rounds = [_round(folder, r, last=r == numbers[-1]) for r in numbers]
    scores = {w: {s: _score(evaluate.graded(context, w, s)) for s in evaluate.SPLITS} for w in evaluate.WHEN}
    p_values = {s: _mcnemar(context, s) for s in evaluate.SPLITS}
    counts = Counter(d.region for d in last_decisions(folder))
    rejected = folder.rejected().read()
    last = context.config.tune.rounds
    made = setting_aside.facts(context)
    return {
        "skill": job.skill.name, "title": job.skill.title, "seed": job.config.seed,
        "teacher": job.teacher.label, "student": job.student.label, "backend": job.student.kind,
        "device": context.student.device, "seconds": round(folder.seconds(), 1),
        "teacher_tokens": _teacher_tokens(folder), "trained_tokens": _trained_tokens(folder),
        "skills": len(graph_stage.load(context).skills), "textbooks": len(textbooks.load(context)),
        "exercises": len(exercise_stage.lessons(context, up_to_round=last)),
        "before": scores["before"], "after": scores["after"],
        "mcnemar_p": p_values["eval"], "mcnemar": p_values, "topics": _topics(context),
        "regions": {region: counts[region] for region in REGIONS if region != "unclassified" or counts[region]},
        "rejected": dict(sorted(Counter(r.reason for r in rejected).items())), "rounds": rounds,
        "held_out": made, "notes": [setting_aside.in_words(made)] if made and made["kept"] else [],
        "adapter": str(folder.adapter), "out": str(folder.path),
    }  # fmt: skip


def _score(results: Sequence[Graded]) -> dict[str, float | int | None]:
    correct = sum(g.correct for g in results)
    if not results:
        return {"accuracy": None, "n": 0, "low": None, "high": None}
    low, high = wilson(correct, len(results))
    return {"accuracy": correct / len(results), "n": len(results), "low": low, "high": high}


def _mcnemar(context: Context, split: Any) -> float | None:
    before, after = (evaluate.graded(context, when, split) for when in evaluate.WHEN)
    if not before:
        return None
    return mcnemar_exact([g.correct for g in before], [g.correct for g in after])


def _topics(context: Context) -> list[dict[str, Any]]:
    rows = []
    for split in evaluate.SPLITS:
        before, after = (evaluate.graded(context, when, split) for when in evaluate.WHEN)
        for topic in dict.fromkeys(g.topic for g in before):
            b, a = ([g for g in side if g.topic == topic] for side in (before, after))
            rows.append({"topic": topic, "set": split, "n": len(b), "before": _score(b), "after": _score(a)})
    return rows


def _round(folder: RunDir, number: int, last: bool) -> dict[str, Any]:
    """What the summary says of a round. What the last one finds wrong stays: nothing is trained after it."""
    decisions = folder.decisions(number).read()
    counts = Counter(d.region for d in decisions)
    return {
        "round": number,
        "examples": len(decisions),
        "new": sum(e.round == number for e in _live(folder)),
        "removed": 0 if last else sum(d.action == "remove" for d in decisions),
        "loss": _mean([d.loss for d in decisions]) if decisions else None,
        "regions": {region: counts[region] for region in REGIONS},
        **folder.read_round(number),
    }


def _live(folder: RunDir) -> list[Exercise]:
    return in_use(folder.exercises().read(), folder.rejected().read())


def _teacher_tokens(folder: RunDir) -> int:
    written: list[Decomposition | Textbook | Exercise | Rejected | Vote] = [
        *folder.decompositions().read(), *folder.textbooks().read(), *folder.exercises().read(),
        *folder.rejected().read(), *folder.votes().read(), *folder.topics().read(), *folder.textbook_votes().read(),
    ]  # fmt: skip
    return sum(r.tokens_out for r in written)


def _trained_tokens(folder: RunDir) -> int:
    return sum(folder.trained_tokens(stage) for stage in ("pretrain", "tune"))


def _write_dynamics(context: Context) -> None:
    """Dataset Cartography's layout; a generated text has no classes, so `logits` are of the pair (right, wrong): the
    log-probability of the mean target token and of its complement, and gold is 0."""
    folder = context.folder
    by_epoch: dict[int, list[dict[str, Any]]] = {}
    for number in folder.rounds():
        for o in folder.observations(number).read():
            wrong = math.log(max(-math.expm1(-o.loss), 1e-300))
            row = {"guid": o.example, f"logits_epoch_{o.epoch}": [-o.loss, wrong], "gold": 0}
            by_epoch.setdefault(o.epoch, []).append(row)
    for epoch, rows in by_epoch.items():
        folder.write_training_dynamics(epoch, sorted(rows, key=lambda r: str(r["guid"])))
