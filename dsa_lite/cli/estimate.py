"""`dsa-lite run --dry-run`: the plan with counts, tokens, times and memory, for people and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from dsa_lite.cli.tables import stages_table
from dsa_lite.cli.text import clean, duration, size

if TYPE_CHECKING:
    from dsa_lite.stages.planning import StagePlan, Survey


def print_estimate(console: Console, found: Survey) -> None:
    """Every stage with its work and time, the sums, and what they are based on."""
    stages = found.plan(found.job.config)
    console.print(stages_table((_row(stage) for stage in stages), ("stage", "status", "work", "tokens", "time")))
    total = _total(stages)
    cost = {stage.stage: stage.cost for stage in stages}
    first = cost["exercises"].items
    counts = (
        f"{found.counts.skills} skills, {cost['textbooks'].items:,} textbook passages, {first:,} exercises and "
        f"{cost['tune'].items - first:,} more in the rounds, {cost['rehearsal'].items:,} rehearsal chats"
        + (f", {total['steps']:,} training steps" if total["steps"] else "")
    )
    lines = [
        f"\nIn all about {counts}; the teacher writes {total['teacher_tokens']:,} tokens, "
        f"{total['trained_tokens']:,} are trained.",
        f"Still to do: about {duration(total['seconds'])}." if total["seconds"] else "Nothing is left to do.",
        *([memory] if (memory := _memory(found)) else []),
        _basis(found),
    ]
    for line in lines:
        console.print(Text(clean(line) if line[0] != "\n" else "\n" + clean(line)))
    if found.crowded and found.basis:
        console.print(Text("Other programs keep this machine busy: without them it will go faster.", style="yellow"))


def estimate_json(found: Survey, reasons: Sequence[str]) -> dict[str, Any]:
    """The same as one object. Times in s, memory in bytes, null where nothing was measured."""
    job = found.job
    stages = found.plan(job.config)
    models: dict[str, Any] = {
        choice.role: {"kind": choice.kind, "source": choice.source, "bundled": choice.bundled}
        for choice in (job.teacher, job.student)
    }
    return {
        "skill": job.skill.name, "out": str(job.out), "config": job.config.model_dump(), **models,
        "stages": [_as_json(stage) for stage in stages],
        "counts": asdict(found.counts), "total": _total(stages),
        "memory": {"teacher": found.teacher_memory or None, "student": found.student_memory or None},
        "calibration": {"seconds": found.seconds, "of": list(found.basis), "busy_machine": found.crowded},
        "within": {**job.within, "reasons": list(reasons)} if job.within else None,
    }  # fmt: skip


def _as_json(stage: StagePlan) -> dict[str, Any]:
    found = asdict(stage)
    cost = found.pop("cost")
    return {**found, **{name: value for name, value in cost.items() if name != "seconds"}}


def _total(stages: Sequence[StagePlan]) -> dict[str, Any]:
    names = ("requests", "steps", "teacher_tokens", "trained_tokens")
    sums: Mapping[str, int] = {name: sum(getattr(stage.cost, name) for stage in stages) for name in names}
    return {"seconds": sum(stage.seconds or 0.0 for stage in stages), **sums}


def _row(stage: StagePlan) -> list[str]:
    cost = stage.cost
    tokens = " + ".join(
        f"{count:,} {word}"
        for count, word in ((cost.teacher_tokens, "written"), (cost.trained_tokens, "trained"))
        if count
    )
    if stage.status == "done":
        time = f"took {duration(stage.taken)}"
    else:
        time = "-" if stage.seconds is None else duration(stage.seconds)
    return [stage.stage, _STATUS.get(stage.status, stage.status), stage.work, tokens, time]


_STATUS = {"done": "reused", "unfinished": "goes on", "changed": "done again"}


def _memory(found: Survey) -> str:
    parts = [
        f"{name} {size(count)}"
        for name, count in (("teacher", found.teacher_memory), ("student", found.student_memory))
        if count
    ]
    gpu = "" if found.device.startswith("cpu") or not found.device else "; what they hold on the GPU is not measured"
    return f"Main memory: {', '.join(parts)}; both at a time while tuning{gpu}." if parts else ""


def _basis(found: Survey) -> str:
    if not found.basis:
        return "Nothing had to be measured."
    own = sorted({s.stage for s in found.plan(found.job.config) if s.basis not in ("calibration", "not measured")})
    run = f"; what the run folder tells comes from there ({', '.join(own)})" if own else ""
    return f"Measured in {duration(found.seconds)} on this machine: {', '.join(found.basis)}{run}."
