"""A short calibration of the teacher: requests of the kinds a run makes, timed and judged, nothing of them kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from dsa_lite.core.estimates import Kind
from dsa_lite.core.graph import SkillGraph
from dsa_lite.core.replies import read_prerequisites, read_solution
from dsa_lite.errors import TeacherError
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.records import Exercise, Passage, Textbook, Vote
from dsa_lite.stages import exercises as exercise_stage
from dsa_lite.stages import setting_aside
from dsa_lite.stages import textbooks as textbook_stage
from dsa_lite.stages.context import Context
from dsa_lite.stages.held_out import HeldOutGuard
from dsa_lite.stages.writing import SPARE, Refusal, Slot
from dsa_lite.teacher import Reply, Request

BATCHES = (6, 24, 96)  # requests at a time
SECONDS = 10.0  # no further batch that would end later, s
GAIN = 0.4  # a request of a larger batch takes this share of the time, when it is guessed whether there is enough left


@dataclass(frozen=True)
class Try:
    """A request of one kind. `read` gives the item, or None where the reply is not usable."""

    kind: str
    request: Request
    read: Callable[[Reply], Exercise | Textbook | str | None]


@dataclass
class TeacherSample:
    """What came of it. `opened`: s until the first word; texts of usable replies by kind."""

    kinds: dict[str, Kind] = field(default_factory=dict)
    opened: float = 0.0
    replies: int = 0
    exercises: list[Exercise] = field(default_factory=list)
    remakes: list[Exercise] = field(default_factory=list)
    textbooks: list[Textbook] = field(default_factory=list)


def measure_teacher(context: Context, graph: SkillGraph) -> TeacherSample:
    """Ask in batches that grow while there is time. Raises TeacherError where no reply comes back at all."""
    sample, tries = TeacherSample(), _Tries(context, graph)
    start = time.perf_counter()
    _warm_up(context, tries)
    sample.opened = time.perf_counter() - start
    seconds: dict[str, list[float]] = {}
    tokens: dict[str, list[int]] = {}
    usable: dict[str, list[bool]] = {}
    size, spent = BATCHES[0], 0.0
    while size:
        asked = list(tries.batch(size, sample.exercises))
        if not asked:
            break  # the run asks the teacher nothing
        replies, wall, busy = _timed(context, [t.request for t in asked])
        share = busy / (sum(r.seconds for r in replies) or float(len(replies)))
        by_id = {t.request.id: t for t in asked}
        batch: dict[str, list[float]] = {}
        for reply in replies:
            kind, item = by_id[reply.id].kind, _judged(by_id[reply.id], reply)
            batch.setdefault(kind, []).append(share * (reply.seconds or 1.0))
            tokens.setdefault(kind, []).append(reply.tokens_out)
            usable.setdefault(kind, []).append(item is not None)
            _keep(sample, kind, item)
        seconds |= batch  # the largest batch of a kind is the most like the run
        sample.replies += len(replies)
        spent += wall
        larger = (n for n in BATCHES if n > size and spent + GAIN * wall * n / size <= SECONDS)
        size = max(larger, default=0)
    for kind in seconds:
        sample.kinds[kind] = Kind(_mean(seconds[kind]), _mean(tokens[kind]), _mean(usable[kind]))
    return sample


class _Tries:
    """Endless requests: of every kind that the settings ask for, the exercises as the stage would plan them."""

    def __init__(self, context: Context, graph: SkillGraph) -> None:
        self._context, self._graph = context, graph
        self._number = 0
        self._books = textbook_stage.plan(context, graph)
        rng = context.rng("calibration")
        drafts = list(exercise_stage.plan(context, graph).values())
        self._drafts = [drafts[i] for i in rng.permutation(len(drafts))]
        self._skills = [graph.skills[i] for i in sorted(graph.skills)]
        self._guard = HeldOutGuard(context)

    def batch(self, size: int, parents: Sequence[Exercise]) -> Iterator[Try]:
        """`size` tries: long ones first, mostly exercises; remakes of `parents` once there are some."""
        config = self._context.config
        books = max(1, size // 12) if self._books.slots else 0
        needs = max(1, size // 24) if config.graph.expand else 0
        left = size - books - needs
        remakes = left // 3 if parents and config.tune.rounds > 1 else 0
        again = config.exercises.votes or (config.dynamics.second_look and config.tune.rounds > 1)
        solves = left // 4 if parents and again else 0
        for make, count in (
            (self._book, books), (self._need, needs), (partial(self._remake, parents), remakes),
            (partial(self._solve, parents), solves), (self._exercise, left - remakes - solves),
        ):  # fmt: skip
            for _ in range(count):
                self._number += 1
                if (made := make(f"calibration-{self._number}")) is not None:
                    yield made

    def _book(self, id: str) -> Try:
        slot = self._books.slots[self._number % len(self._books.slots)]
        return Try("textbook", slot.ask(id, ""), lambda reply: _none(self._books.read(slot, reply)))

    def _need(self, id: str) -> Try:
        settings, skill = self._context.config.graph, self._skills[self._number % len(self._skills)]
        names = [s.name for s in self._skills]
        request = self._context.prompts.prerequisites(
            id, skill, names, limit=settings.max_prerequisites, max_tokens=settings.max_tokens
        )
        return Try("prerequisites", request, lambda r: None if isinstance(read_prerequisites(r.text), str) else r.text)

    def _exercise(self, id: str) -> Try | None:
        if not self._drafts:
            return None
        draft = self._drafts[self._number % len(self._drafts)]
        skills = [self._graph.skills[s] for s in draft.skills]
        tokens = self._context.config.exercises.max_tokens
        request = self._context.prompts.exercise(
            id, skills, draft.difficulty, max_tokens=tokens, passages=self._passages(draft)
        )
        return self._writes("exercise", request, draft)

    def _remake(self, parents: Sequence[Exercise], id: str) -> Try:
        parent = parents[self._number % len(parents)]
        skills = [self._graph.skills[s] for s in parent.skills]
        tokens = self._context.config.exercises.max_tokens
        request = self._context.prompts.remake(id, skills, [parent], max_tokens=tokens, passages=self._passages(parent))
        return self._writes("remake", request, parent)

    def _solve(self, parents: Sequence[Exercise], id: str) -> Try:
        parent = parents[self._number % len(parents)]
        skills = [self._graph.skills[s] for s in parent.skills]
        tokens = self._context.config.exercises.max_tokens
        request = self._context.prompts.solve(
            id, skills, parent.problem, max_tokens=tokens, passages=self._passages(parent)
        )
        return Try("solve", request, lambda r: None if isinstance(read_solution(r.text), str) else r.text)

    def _passages(self, exercise: Exercise) -> Sequence[Passage]:
        return self._context.library.named(exercise.sources)

    def _writes(self, kind: str, request: Request, draft: Exercise) -> Try:
        slot = Slot(request.id, lambda *_: request)
        read = exercise_stage.reader(self._context, {slot.id: draft}, self._graph, self._guard, ())
        return Try(kind, request, lambda reply: _none(read(slot, reply)))


def _none(read: Exercise | Textbook | Refusal) -> Exercise | Textbook | None:
    return None if isinstance(read, Refusal) else read


def _warm_up(context: Context, tries: _Tries) -> None:
    """The model is loaded by its first request, which is for one token."""
    first = next(tries.batch(BATCHES[0], ()), None)
    if first is not None:
        for _ in context.teacher.write([first.request.model_copy(update={"max_tokens": 1, "json_schema": None})]):
            pass


def _timed(context: Context, requests: Sequence[Request]) -> tuple[list[Reply], float, float]:
    """Replies, s in all, and s of full work: at the end fewer and fewer are in flight, which counts half."""
    start = pulled = time.perf_counter()
    taken = at_first = 0

    def feed() -> Iterator[Request]:
        nonlocal pulled, taken
        for request in requests:
            pulled, taken = time.perf_counter(), taken + 1
            yield request

    replies: list[Reply] = []
    for reply in context.teacher.write(feed()):
        at_first = at_first or taken
        replies.append(reply)
    end = time.perf_counter()
    if all(reply.finish == "error" for reply in replies):
        why = next((reply.error for reply in replies), "it gave no reply")
        raise TeacherError(
            f"the teacher {context.teacher.name} answers none of {len(requests)} requests: {why}",
            hint="what works on this machine: dsa-lite doctor",
        )
    full = end - start - (end - pulled) / 2 if 2 * at_first <= len(requests) else end - start
    return replies, end - start, full


def _judged(tried: Try, reply: Reply) -> Exercise | Textbook | str | None:
    return tried.read(reply) if reply.finish == "stop" else None


def _keep(sample: TeacherSample, kind: str, item: Exercise | Textbook | str | None) -> None:
    if isinstance(item, Textbook):
        sample.textbooks.append(item)
    elif isinstance(item, Exercise):
        (sample.remakes if kind == "remake" else sample.exercises).append(item)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def kinds_of_run(context: Context, done: Collection[str]) -> dict[str, Kind]:
    """What the finished writing stages of the run folder cost per reply; new exercises of a round cost the same.

    A vote takes as long as a reply of its stage: their times are not told apart.
    """
    found: dict[str, Kind] = {}
    folder = context.folder
    logs: dict[str, tuple[str, Sequence[Textbook | Exercise]]] = {
        "textbooks": ("textbook", folder.textbooks().read()),
        "exercises": ("exercise", [e for e in folder.exercises().read() if e.round == 0]),
    }
    for stage, (name, items) in logs.items():
        entry = folder.stage(stage)
        if stage not in done or entry is None or not entry.seconds:
            continue
        written = [item for item in items if item.tokens_out]
        aside = (setting_aside.KEPT, setting_aside.UNCONFIRMED, setting_aside.TRAINED_ON, SPARE)  # usable all the same
        lost = [r for r in folder.rejected().read() if r.stage == stage and r.reason not in aside]
        unwritten = [r for r in lost if r.tokens_out]  # what was settled later stands among the written, too
        votes, topics = _asked_again(folder, stage)
        replies = len(written) + len(unwritten)
        if replies:
            tokens = sum(item.tokens_out for item in [*written, *unwritten]) / replies
            seconds = entry.seconds / (replies + len(votes) + len(topics))
            found[name] = Kind(seconds, tokens, max(0.05, 1 - len(lost) / replies))
            if votes:
                found["solve"] = Kind(seconds, sum(v.tokens_out for v in votes) / len(votes), 1.0)
    return found


def _asked_again(folder: RunDir, stage: str) -> tuple[list[Vote], list[Vote]]:
    """The new solutions of a stage before tuning, and the topics."""
    if stage == "textbooks":
        both = list(folder.textbook_votes().read())
        return [v for v in both if not v.id.endswith("/topic")], [v for v in both if v.id.endswith("/topic")]
    return [v for v in folder.votes().read() if v.round == 0], [v for v in folder.topics().read() if v.round == 0]
