"""What a run would do and cost: where its folder stands, counts, tokens, seconds, memory; and a run fitted to a time.

What the run folder tells is taken from there; what it does not, from a calibration of a few seconds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from dsa_lite.config import Config
from dsa_lite.core.estimates import Cost, Counts, Measured, costs, static_cost
from dsa_lite.core.fitting import FREE, Fitted, fit
from dsa_lite.core.graph import GraphBuilder, SkillGraph
from dsa_lite.events import STAGES
from dsa_lite.io.jsonl import silent
from dsa_lite.io.machine import crowded, peak_memory
from dsa_lite.io.run_folder.contents import RUN
from dsa_lite.io.run_folder.rundir import RunDir, require_same
from dsa_lite.records import Decomposition, Exercise, Textbook
from dsa_lite.stages import evaluate, pipeline, rehearsal, setting_aside, static_arm, tune
from dsa_lite.stages import exercises as exercise_stage
from dsa_lite.stages import graph as graph_stage
from dsa_lite.stages import textbooks as textbook_stage
from dsa_lite.stages.context import Context, Job
from dsa_lite.stages.measuring_student import StudentSample, measure_student
from dsa_lite.stages.measuring_teacher import TeacherSample, kinds_of_run, measure_teacher

TEXTS = 96  # exercises and passages of an earlier stage that are trained on for the measurement
LEAST = 0.05  # share of a stage from which its own pace is trusted


@dataclass(frozen=True)
class StagePlan:
    """`status`: to do, unfinished, done, or changed (would be done again). `cost`: of the whole stage; `seconds`: what
    is left, None where nothing was measured; `taken`: s already spent; `basis`: where `seconds` comes from."""

    stage: str
    status: str
    work: str
    cost: Cost
    seconds: float | None
    taken: float
    basis: str


@dataclass
class Survey:
    """What was found and measured; `plan` works out any settings from it. Memory in bytes, 0 where it is not known.

    `static`: with --compare static, whether that arm is still to do or done; else nothing.
    """

    job: Job
    counts: Counts
    measured: Measured
    standing: Mapping[str, str] = field(default_factory=dict)
    taken: dict[str, float] = field(default_factory=dict)
    progress: dict[str, float] = field(default_factory=dict)
    spent: dict[str, Cost] = field(default_factory=dict)
    seconds: float = 0.0
    basis: tuple[str, ...] = ()
    teacher_memory: int = 0
    student_memory: int = 0
    device: str = ""
    crowded: bool = False
    static: str = ""

    def plan(self, config: Config) -> list[StagePlan]:
        """The stages in their order, then the static arm if it is wanted."""
        work, found = pipeline.work(replace(self.job, config=config)), costs(config, self.counts, self.measured)
        stages = [self._stage(stage, work[stage], found[stage]) for stage in STAGES]
        if self.static:
            cost = static_cost(config, {**found, **self.spent}, self.measured)
            left, basis = (0.0, "reused") if self.static == "done" else (cost.seconds, "calibration")
            stages.append(StagePlan(static_arm.NAME, self.static, static_arm.WORK, cost, left, 0.0, basis))
        return stages

    def _stage(self, stage: str, work: str, cost: Cost) -> StagePlan:
        status, taken = self.standing.get(stage, "to do"), self.taken.get(stage, 0.0)
        if status == "done":
            return StagePlan(stage, status, work, self.spent.get(stage, cost), 0.0, taken, "reused")
        if stage == STAGES[-1]:
            return StagePlan(stage, status, work, cost, None, taken, "not measured")
        done = self.progress.get(stage, 0.0) if status == "unfinished" else 0.0
        if done >= LEAST and taken > 0:
            return StagePlan(stage, status, work, cost, taken * (1 - done) / done, taken, "its own pace so far")
        return StagePlan(stage, status, work, cost, cost.seconds * (1 - done), taken, "calibration")

    def left(self, config: Config) -> float:
        """Seconds that a run with these settings still takes."""
        return sum(stage.seconds or 0.0 for stage in self.plan(config))


def survey(job: Job, say: Callable[[str], None], *, fresh: bool = False, compare: bool = False) -> Survey:
    """Look into the run folder and measure what it does not tell. Raises the errors that the run itself would raise.

    `say` is told what is being measured; `compare`: the static arm is wanted, too. Nothing is written.
    """
    if (job.out / RUN).exists() and not fresh:
        require_same(job.out, pipeline.identity(job))
    # A folder that need not exist: nothing here writes.
    context = Context(job, RunDir(job.out if not fresh else job.out / "fresh", None, silent), lambda _: None)
    try:
        standing = {} if fresh else pipeline.standing(context)
        done = {stage for stage, state in standing.items() if state == "done"}
        graph = _graph(context, done)
        taken = {stage: entry.seconds for stage in standing if (entry := context.folder.stage(stage)) is not None}
        found = Survey(job, _counts(context, graph, done), Measured(), standing, taken)
        if compare:
            found.static = "done" if static_arm.finished(context.folder) and not set(STAGES) - done else "to do"
        found.progress = {s: _progress(context, s) for s, state in standing.items() if state == "unfinished"}
        found.spent = {stage: _spent(context, stage, taken[stage]) for stage in done}
        _measure(context, graph, found, done, say)
        return found
    finally:
        context.close()


def fitted(found: Survey, fixed: Collection[str], budget: float) -> tuple[Fitted, set[str]]:
    """The settings for a budget in s, and the names of those that stay: `fixed`, and what stages begun rest on."""
    begun = {stage for stage, state in found.standing.items() if state != "changed"}
    held = {name for name in FREE if name.partition(".")[0] in begun} | set(fixed)
    return fit(found.job.config, held, budget, found.left), held


def _graph(context: Context, done: Collection[str]) -> SkillGraph:
    if "graph" in done:
        return graph_stage.load(context)
    return GraphBuilder(context.job.skill.topics, 0).build()[0]


def _counts(context: Context, graph: SkillGraph, done: Collection[str]) -> Counts:
    return Counts(
        skills=len(graph.skills),
        composable=sum(bool(graph.prerequisites(skill)) for skill in graph.skills),
        imported=len(context.job.skill.exercises),
        held_out=None
        if setting_aside.needed(context) and "exercises" not in done
        else sum(len(evaluate.items_of(context, split)) for split in evaluate.SPLITS),
        passages=len(textbook_stage.load(context)) if "textbooks" in done else None,
        exercises=len((exercise_stage.lessons if "rehearsal" in done else exercise_stage.load)(context))
        if "exercises" in done
        else None,
        chats=len(rehearsal.load(context)) if "rehearsal" in done else None,
    )


def _progress(context: Context, stage: str) -> float:
    """How much of an unfinished stage is there, 0-1."""
    config, folder = context.config, context.folder
    if stage in ("pretrain", "tune"):
        saved = folder.load_checkpoint(stage)
        epochs = config.pretrain.epochs if stage == "pretrain" else config.tune.rounds * config.tune.epochs
        if saved and stage == "tune" and math.isfinite(most := tune.allowance(context)):
            return min(1.0, float(saved[1]["tokens"]) / most)
        return min(1.0, saved[1]["epoch"] / epochs) if saved and epochs else 0.0
    skills = len(_graph(context, {"graph"} if stage != "graph" else set()).skills)
    held_out = 2 * sum(len(evaluate.items_of(context, split)) for split in evaluate.SPLITS)
    have, want = {
        "graph": lambda: (folder.decompositions().count(), skills),
        "textbooks": lambda: (len(textbook_stage.load(context)), skills * config.textbooks.per_skill),
        "exercises": lambda: (
            len(exercise_stage.load(context)),
            len(exercise_stage.plan(context, graph_stage.load(context))) + len(context.job.skill.exercises),
        ),
        "rehearsal": lambda: rehearsal.progress(context),
        "evaluate": lambda: (
            sum(folder.graded(when, split).count() for when in evaluate.WHEN for split in evaluate.SPLITS), held_out,
        ),
    }.get(stage, lambda: (0, 0))()  # fmt: skip
    return min(1.0, have / want) if want else 0.0


def _spent(context: Context, stage: str, seconds: float) -> Cost:
    """What a finished stage really took."""
    folder = context.folder
    rounds = {"textbooks": range(1), "exercises": range(1), "tune": range(1, context.config.tune.rounds + 1)}.get(
        stage, range(0)
    )
    written: list[Textbook | Exercise | Decomposition] = [e for e in folder.exercises().read() if e.round in rounds]
    if stage in ("graph", "textbooks"):
        written = list((folder.decompositions() if stage == "graph" else folder.textbooks()).read())
    lost = [r for r in folder.rejected().read() if r.stage == stage and r.tokens_out]
    logs = (folder.textbook_votes(),) if stage == "textbooks" else (folder.votes(), folder.topics())
    votes = [v for log in logs for v in log.read() if v.round in rounds]
    saved = folder.load_checkpoint(stage) if stage in ("pretrain", "tune") else None
    items = {
        "graph": lambda: len(graph_stage.load(context).skills), "textbooks": lambda: len(textbook_stage.load(context)),
        "exercises": lambda: len(exercise_stage.load(context)), "rehearsal": lambda: len(rehearsal.load(context)),
        "pretrain": lambda: len(textbook_stage.load(context)),
        "tune": lambda: len(exercise_stage.lessons(context, up_to_round=context.config.tune.rounds)),
        "evaluate": lambda: 2 * sum(len(evaluate.items_of(context, split)) for split in evaluate.SPLITS),
    }.get(stage, lambda: 0)()  # fmt: skip
    return Cost(
        items=items, requests=len(written) + len(lost) + len(votes),
        teacher_tokens=sum(item.tokens_out for item in [*written, *lost, *votes]),
        trained_tokens=saved[1]["tokens"] if saved else 0, seconds=seconds,
    )  # fmt: skip


def _measure(
    context: Context, graph: SkillGraph, found: Survey, done: Collection[str], say: Callable[[str], None]
) -> None:
    start, found.crowded = time.perf_counter(), crowded()
    config = context.config
    sample, kinds = TeacherSample(), kinds_of_run(context, done)
    writes = {"graph", "textbooks", "exercises"} - set(done)
    if writes or ("tune" not in done and config.tune.rounds > 1 and "exercise" not in kinds):
        say(f"measuring the teacher {context.teacher.name}")
        sample = measure_teacher(context, graph)
        context.rest_teacher()
        found.teacher_memory = peak_memory()["child"]
        found.basis += (f"{sample.replies} replies of the teacher",)
    student = StudentSample()
    if {"rehearsal", "pretrain", "tune", "evaluate"} - set(done) or found.static == "to do":
        say("measuring the student")
        student = measure_student(context, *_texts(context, sample, done))
        found.student_memory, found.device = peak_memory()["own"], context.student.device
        found.basis += (f"{student.steps} training steps", f"{student.answers} answers of the student")
    found.measured = replace(student.measured, kinds={**sample.kinds, **kinds}, open_teacher=sample.opened)
    found.seconds = time.perf_counter() - start if found.basis else 0.0


def _texts(
    context: Context, sample: TeacherSample, done: Collection[str]
) -> tuple[list[Exercise], list[Exercise], list[str]]:
    """What the student is measured on: the run's own texts where it has them, else what the teacher just wrote.

    A teacher that wrote nothing usable leaves the held-out questions, so that there is a time at least.
    """
    own = exercise_stage.load(context)[:TEXTS] if "exercises" in done else sample.exercises
    own = own or list(context.job.skill.exercises[:TEXTS])
    if not own:
        items = [i for split in evaluate.SPLITS for i in evaluate.items_of(context, split)][:TEXTS]
        own = [
            Exercise(id=i.id, problem=i.problem, solution=i.problem, answer=i.answer, skills=("x",), origin="single")
            for i in items
        ]
    passages = textbook_stage.load(context)[:TEXTS] if "textbooks" in done else sample.textbooks
    return own, sample.remakes, [t.text for t in passages] or [f"{e.problem}\n{e.solution}" for e in own]
