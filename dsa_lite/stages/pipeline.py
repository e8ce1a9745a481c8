"""A run: the stages in order, each skipped when it is done with the same inputs, redone when they changed."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from dsa_lite.config import Config
from dsa_lite.core.fitting import with_budget
from dsa_lite.core.stage_inputs import what_counts
from dsa_lite.events import STAGES, Emit, Note, StageFinished, StageStarted
from dsa_lite.io.documents import Documents, read_documents
from dsa_lite.io.files import path_name
from dsa_lite.io.models.choosing import ModelChoice, choose_student, choose_teacher
from dsa_lite.io.models.found import Places
from dsa_lite.io.run_folder.contents import ADAPTER, RUN
from dsa_lite.io.run_folder.manifest import Began
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.io.settings.files import load_config
from dsa_lite.io.skills import load_skill
from dsa_lite.io.toml import read_toml
from dsa_lite.records import SkillPack
from dsa_lite.stages import evaluate, exercises, graph, pretrain, rehearsal, report, setting_aside, textbooks, tune
from dsa_lite.stages.context import Context, Job

_STAGES: dict[str, ModuleType] = dict(
    zip(STAGES, (graph, textbooks, exercises, rehearsal, pretrain, tune, evaluate, report), strict=True)
)
Standing = Literal["done", "unfinished", "changed"]
_WRITING = {"graph", "textbooks", "exercises"}


def prepare(
    skill: str, *, teacher: str | None = None, student: str | None = None, backend: str = "auto",
    out: Path | None = None, places: Places | None = None, layers: Sequence[tuple[str, Mapping[str, Any]]] = (),
    within: Mapping[str, Any] | None = None,
) -> Job:  # fmt: skip
    """Resolve what was asked for. `layers`: settings with a label each, later ones win over the models' own files.

    `within`: a time budget and the settings chosen for it; None: what the run folder has written down of one.

    Raises UsageError, ConfigError, ModelError, or MissingExtra for documents without what reads them.
    """
    pack = load_skill(skill)
    teacher_choice = choose_teacher(teacher or pack.teacher or None, places)
    student_choice = choose_student(student, backend, places)
    own = [(f"{m.role}'s own file", m.settings) for m in (teacher_choice, student_choice) if m.settings]
    within = _budget_of(out) if within is None else within
    config = load_config([*own, *with_budget(layers, within)])
    documents = read_documents(config.docs) if config.docs.folder else None
    about_models = [choice.note for choice in (teacher_choice, student_choice) if choice.note]
    notes = (*pack.notes, *about_models, *_notes(pack, config, teacher_choice, documents))
    out = out or next_folder(pack.name)
    return Job(pack, teacher_choice, student_choice, config, out, notes, documents, within, source=skill)


def _notes(pack: SkillPack, config: Config, teacher: ModelChoice, documents: Documents | None) -> Iterator[str]:
    """What one should know before the run starts."""
    if documents is not None:
        yield from documents.notes()
        if teacher.bundled:
            yield "the bundled teacher was never shown documents and cannot write from them: use a real one (--teacher)"
    if not pack.held_out.get("eval") and config.exercises.hold_out > 0:
        yield (
            f"the skill brings no test questions: {config.exercises.hold_out:.0%} of the teacher's exercises are set "
            f"aside as such, each only where most of {config.exercises.hold_out_votes} new solutions agree "
            f"({setting_aside.LABEL}); questions of your own say more"
        )


def _budget_of(out: Path | None) -> Mapping[str, Any]:
    """The time budget that the run in a folder was fitted to; empty where there is none."""
    found = read_toml(out / RUN).get("within") if out is not None and (out / RUN).exists() else None
    return found if isinstance(found, dict) else {}


def next_folder(skill: str) -> Path:
    """runs/<skill>-<date>-<n>, the first n that is free."""
    stem, number = f"{path_name(skill)}-{date.today():%Y%m%d}", 1
    while (folder := Path("runs") / f"{stem}-{number}").exists():
        number += 1
    return folder


def run(job: Job, emit: Emit, *, fresh: bool = False) -> dict[str, Any]:
    """Do what is not done yet; the summary. Raises a DsaError; everything accepted so far stays on disk."""
    with RunDir.open(
        job.out,
        identity(job),
        job.config.model_dump(),
        within=job.within,
        command=job.command,
        fresh=fresh,
        warn=lambda text: emit(Note("run", text, "warning")),
    ) as folder:
        context = Context(job, folder, emit)
        try:
            if folder.stage("rehearsal") is None:
                _preflight(context)
            chain = str(job.config.seed)
            worked = False
            for name, module in _STAGES.items():
                chain = _input_hash(context, module, chain)
                worked |= _run_stage(context, name, module, chain, again=worked and name == report.STAGE)
            summary = folder.read_summary()
            assert summary is not None
            return summary
        finally:
            context.close()


def _preflight(context: Context) -> None:
    """Open both models before hours go into writing: what is missing or broken is said at once."""
    context.note("run", f"teacher {context.teacher.name}; student on {context.student.device}")
    context.rest_student()


def _run_stage(context: Context, name: str, module: ModuleType, input_hash: str, *, again: bool = False) -> bool:
    """Whether there was something to do. `again`: also where everything is there."""
    state = context.folder.begin(name, input_hash)
    if state == "reused" and not (_damaged(context, name) or again):
        entry = context.folder.stage(name)
        context.emit(StageFinished(name, "reused", entry.seconds if entry else 0.0))
        return False
    if state == "reused":
        state = _begin_again(context, name, input_hash)
    if name == tune.STAGE:
        _bring_pretraining_back(context)
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
    return True


def _damaged(context: Context, name: str) -> bool:
    """Whether a finished stage has to be gone on with: what it left is not whole. What is wrong is said in any case."""
    found = context.folder.faults(name)
    if not found:
        return False
    listed = "; ".join(f"{path} {what}" for path, what in sorted(found.items())[:5])
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    lost = name == tune.STAGE and not any(path.split("/")[0] == ADAPTER for path in found)
    goes_on = (
        "this cannot be made again without training anew, so the student is kept as it is; map and report show what "
        "is there. Put the file back where you have a copy"
        if lost
        else "the stage is gone on with"
    )
    context.note("run", f"{name}: {listed}{more}: {goes_on}", warning=True)
    return not lost


def _begin_again(context: Context, name: str, input_hash: str) -> Began:
    """Open a finished stage once more, with what it left; a tuning whose last state is lost, too, from its start."""
    if name == tune.STAGE and context.folder.load_checkpoint(name) is None:
        context.note("run", f"{name}: its checkpoint is lost, too: the student is trained again", warning=True)
        context.folder.forget(name)
        return context.folder.begin(name, input_hash)
    context.folder.reopen(name)
    return context.folder.begin(name, input_hash)


def _bring_pretraining_back(context: Context) -> None:
    """Tuning starts from where pretraining ended; where that state is lost, it is reached again."""
    folder, budget = context.folder, context.config.tune.budget_tokens
    entry = folder.stage(pretrain.STAGE)
    if entry is None or folder.load_checkpoint(pretrain.STAGE) is not None:
        return
    if folder.load_checkpoint(tune.STAGE) is not None and not budget:
        return
    context.note("run", "pretrain: its checkpoint is lost: the stage is done again", warning=True)
    folder.reopen(pretrain.STAGE)
    _run_stage(context, pretrain.STAGE, pretrain, entry.input_hash)


def identity(job: Job) -> dict[str, str]:
    """What a run folder must agree on to be gone on with."""
    return {
        "skill": job.skill.name,
        "teacher": job.teacher.source,
        "student": job.student.source,
        "backend": job.student.kind,
        "seed": str(job.config.seed),
    }


def _input_hash(context: Context, module: ModuleType, before: str) -> str:
    """Of everything the stage's outcome depends on: its own inputs and those of the stages before it."""
    text = json.dumps([before, what_counts(module.inputs(context))], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def work(job: Job) -> dict[str, str]:
    """What each stage of `run` does, in words."""
    config: Config = job.config
    topics = len(job.skill.topics)
    held_out = sum(len(items) for items in job.skill.held_out.values())
    e, t = config.exercises, config.tune
    return {
        "graph": f"{topics} topics" + (", prerequisites asked for each" if config.graph.expand else ""),
        "textbooks": f"{config.textbooks.per_skill} passages per skill, {topics} skills or more",
        "exercises": (f"{len(job.skill.exercises)} imported, " if job.skill.exercises else "")
        + f"{e.single_per_skill} single and up to {e.composed_per_skill} composed exercises per skill",
        "rehearsal": f"the student's own chats, {config.rehearsal.share:.0%} of the number of exercises"
        + (", and what it can do of the exercises" if config.rehearsal.own_words else ""),
        "pretrain": f"{config.pretrain.epochs} epochs over the textbooks, {config.pretrain.order}",
        "tune": f"{t.rounds} rounds of {t.epochs} epochs",
        "evaluate": f"{held_out} held-out items, before and after",
        "report": "summary and data map",
    }


def standing(context: Context) -> dict[str, Standing]:
    """Where each stage that was begun in the run folder stands, with the settings and models asked for now.

    A stage after a changed one is "changed", too: it would be done again.
    """
    found: dict[str, Standing] = {}
    chain = str(context.config.seed)
    for name, module in _STAGES.items():
        entry = context.folder.stage(name)
        if entry is None or "changed" in found.values():
            found |= {name: "changed"} if entry is not None else {}
            continue
        if any(state != "done" for state in found.values()):
            break
        chain = _input_hash(context, module, chain)
        found[name] = "changed" if entry.input_hash != chain else "done" if entry.status == "done" else "unfinished"
    return found
