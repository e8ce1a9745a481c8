"""A run: the stages in order, each skipped when it is done with the same inputs, redone when they changed."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

from dsa_lite.config import Config
from dsa_lite.events import STAGES, Emit, Note, StageFinished, StageStarted
from dsa_lite.io.config_files import load_config
from dsa_lite.io.found_models import Places
from dsa_lite.io.models import choose_student, choose_teacher
from dsa_lite.io.rundir import RunDir
from dsa_lite.io.skills import load_skill
from dsa_lite.stages import evaluate, exercises, graph, pretrain, rehearsal, report, textbooks, tune
from dsa_lite.stages.context import Context, Job

_STAGES: dict[str, ModuleType] = dict(
    zip(STAGES, (graph, textbooks, exercises, rehearsal, pretrain, tune, evaluate, report), strict=True)
)
_WRITING = {"graph", "textbooks", "exercises"}


def prepare(
    skill: str, *, teacher: str | None = None, student: str | None = None, backend: str = "auto",
    out: Path | None = None, places: Places | None = None, layers: Sequence[tuple[str, Mapping[str, Any]]] = (),
) -> Job:  # fmt: skip
    """Resolve what was asked for. `layers`: settings with a label each, later ones win over the models' own files.

    Raises UsageError, ConfigError or ModelError.
    """
    pack = load_skill(skill)
    teacher_choice = choose_teacher(teacher, places)
    student_choice = choose_student(student, backend, places)
    own = [(f"{m.role}'s own file", m.settings) for m in (teacher_choice, student_choice) if m.settings]
    config = load_config([*own, *layers])
    return Job(pack, teacher_choice, student_choice, config, out or _next_folder(pack.name), pack.notes)


def _next_folder(skill: str) -> Path:
    """runs/<skill>-<date>-<n>, the first n that is free."""
    base = Path("runs")
    number = 1
    while (base / f"{skill}-{date.today():%Y%m%d}-{number}").exists():
        number += 1
    return base / f"{skill}-{date.today():%Y%m%d}-{number}"


def run(job: Job, emit: Emit, *, fresh: bool = False) -> dict[str, Any]:
    """Do what is not done yet; the summary. Raises a DsaError; everything accepted so far stays on disk."""
    with RunDir.open(
        job.out,
        _identity(job),
        job.config.model_dump(),
        fresh=fresh,
        warn=lambda text: emit(Note("run", text, "warning")),
    ) as folder:
        context = Context(job, folder, emit)
        try:
            if folder.stage("rehearsal") is None:
                _preflight(context)
            chain = str(job.config.seed)
            for name, module in _STAGES.items():
                chain = _input_hash(context, module, chain)
                _run_stage(context, name, module, chain)
            summary = folder.read_summary()
            assert summary is not None
            return summary
        finally:
            context.close()


def _preflight(context: Context) -> None:
    """Open both models before hours go into writing: what is missing or broken is said at once."""
    context.note("run", f"teacher {context.teacher.name}; student on {context.student.device}")
    context.rest_student()


def _run_stage(context: Context, name: str, module: ModuleType, input_hash: str) -> None:
    state = context.folder.begin(name, input_hash)
    if state == "reused":
        entry = context.folder.stage(name)
        context.emit(StageFinished(name, "reused", entry.seconds if entry else 0.0))
        return
    if state == "changed":
        context.note("run", f"{name}: inputs changed; it and all later stages are done again")
    if name not in _WRITING and name != "tune":
        context.rest_teacher()
    context.emit(StageStarted(name, 0, "", "goes on where it stopped" if state == "resumed" else ""))
    start = time.monotonic()
    try:
        summary = module.run(context)
    finally:
        context.folder.add_seconds(name, time.monotonic() - start)
    context.folder.finish(name)
    entry = context.folder.stage(name)
    context.emit(StageFinished(name, "done", entry.seconds if entry else 0.0, summary))


def _identity(job: Job) -> dict[str, str]:
    return {
        "skill": job.skill.name,
        "teacher": job.teacher.source,
        "student": job.student.source,
        "backend": job.student.kind,
        "seed": str(job.config.seed),
    }


def _input_hash(context: Context, module: ModuleType, before: str) -> str:
    """Of everything the stage's outcome depends on: its own inputs and those of the stages before it."""
    text = json.dumps([before, module.inputs(context)], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def plan(job: Job) -> list[dict[str, str]]:
    """What `run` would do, stage by stage, without opening a model."""
    config: Config = job.config
    topics = len(job.skill.topics)
    held_out = sum(len(items) for items in job.skill.held_out.values())
    e, t = config.exercises, config.tune
    work = {
        "graph": f"{topics} topics" + (", prerequisites asked for each" if config.graph.expand else ""),
        "textbooks": f"{config.textbooks.per_skill} passages per skill, {topics} skills or more",
        "exercises": (f"{len(job.skill.exercises)} imported, " if job.skill.exercises else "")
        + f"{e.single_per_skill} single and up to {e.composed_per_skill} composed exercises per skill",
        "rehearsal": f"the student's own chats, {config.rehearsal.share:.0%} of the number of exercises",
        "pretrain": f"{config.pretrain.epochs} epochs over the textbooks, {config.pretrain.order}",
        "tune": f"{t.rounds} rounds of {t.epochs} epochs",
        "evaluate": f"{held_out} held-out items, before and after",
        "report": "summary and data map",
    }
    status = _status(job)
    return [{"stage": s, "status": status.get(s, "to do"), "work": work[s]} for s in STAGES]


def _status(job: Job) -> dict[str, str]:
    if not (job.out / "run.toml").exists():
        return {}
    folder = RunDir.read(job.out)
    entries = {s: folder.stage(s) for s in STAGES}
    return {s: "done" if e.status == "done" else "unfinished" for s, e in entries.items() if e is not None}
