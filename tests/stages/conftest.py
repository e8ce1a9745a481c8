"""A skill of four topics, a teacher that answers by the request's seed, and a desk that runs stages in a folder."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dsa_lite.config import Config
from dsa_lite.events import Emit, Event, Note
from dsa_lite.io.documents import read_documents
from dsa_lite.io.models.choosing import ModelChoice
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.io.skills import load_skill
from dsa_lite.records import Exercise, Rejected, SkillPack
from dsa_lite.stages import context as context_module
from dsa_lite.stages import exercises, graph, pipeline
from dsa_lite.stages.context import Context, Job
from dsa_lite.teacher import Reply, Request
from dsa_lite.testing import ScriptedTeacher

SKILL = """
name = "sums"
title = "Sums"
[held_out]
eval = "eval.jsonl"
transfer = "transfer.jsonl"
general = "general.jsonl"
"""
Script = Callable[[Request], str | Reply]
TOPICS = {"Addition": [], "Subtraction": [], "Multiplication": ["Addition"], "Squares": ["Multiplication"]}
HELD_OUT = {
    "eval": [("Addition", "What is 3 + 4?", "7"), ("Subtraction", "What is 9 - 4?", "5"), ("Squares", "5^2?", "25")],
    "transfer": [("Squares", "What is 5^2 + 1?", "26")],
    "general": [("letters", "Which letter comes after a?", "b"), ("letters", "Which letter comes before d?", "c")],
}
#: Settings that make every part of a run small; the learning rate is high enough to move a random model.
SMALL: dict[str, Any] = {
    "teacher": {"attempts": 3, "form": "json"},
    "student": {"lora_rank": 4, "lora_dropout": 0.1, "threads": 1, "device": "cpu", "checkpoint_seconds": 1e-6},
    "graph": {"max_depth": 2},
    "textbooks": {"min_chars": 20},
    "exercises": {"single_per_skill": 3, "composed_per_skill": 2, "max_composed_skills": 2, "verify": "program"},
    "pretrain": {"learning_rate": 1e-2, "batch_size": 1, "row_tokens": 200, "epochs": 2},
    "tune": {"rounds": 3, "epochs": 1, "learning_rate": 1e-2, "batch_size": 4},
    "dynamics": {"probes": 6, "probe_epochs": 1, "max_new_fraction": 0.5, "variants_per_hard": 1},
    "evaluate": {"max_tokens": 4, "batch_size": 2},
}
#: Lines in order of arrival: compared sorted.
ARRIVAL = (
    "prerequisites",
    "textbooks",
    "exercises",
    "rehearsal",
    "own_answers",
    "own_words",
    "rejected",
    "votes",
    "topics",
    "textbook_votes",
)
OUTCOME = ("rounds", "training_dynamics", "evaluation")


def reply(request: Request, text: str, finish: Any = "stop", error: str = "") -> Reply:
    return Reply(id=request.id, text=text, finish=finish, tokens_in=9, tokens_out=len(text), seconds=0, error=error)


def answer(request: Request) -> str | Reply:
    """A right solution or exercise, a passage or prerequisites, decided by the request's seed. Every sixth exercise
    is unusable."""
    lines = [line.partition(": ") for line in request.messages[-1].content.splitlines()]
    asked = {name: text for name, _, text in lines}
    chance = random.Random(request.seed)
    if asked["task"] == "prerequisites":
        return json.dumps({"prerequisites": ["Counting"] if asked["skill"] == "Addition" else []})
    if asked["task"] == "textbook":
        return f"{asked['skills']} is part {chance.randrange(1000)} of this course."
    if asked["task"] == "solve":
        a, b = (int(n) for n in re.findall(r"\d+", asked["problem"]))
        return json.dumps({"solution": f"{a} + {b} = {a + b}.", "answer": str(a + b)})
    a, b = chance.randrange(10, 500), chance.randrange(10, 500)
    solution = " ".join(f"{name}: {a} + {b} = {a + b}." for name in asked["skills"].split("; "))
    if request.seed % 12 == 0:
        return reply(request, '{"problem": "What', "length")
    return exercise_json(f"What is {a} + {b}?", "I do not know." if request.seed % 12 == 1 else solution, str(a + b))


def exercise_json(problem: str, solution: str, answer: str) -> str:
    return json.dumps({"problem": problem, "solution": solution, "answer": answer})


class Unruly(ScriptedTeacher):
    """Answers in another order than it was asked (`order`: a seed), and stops the run after `after` replies."""

    def __init__(self, script: Script, after: int | None = None, order: int | None = None) -> None:
        super().__init__(script)
        self.left, self.order = after, order

    def write(self, requests: Iterable[Request]) -> Iterator[Reply]:
        replies = super().write(requests)
        if self.order is not None:
            replies = iter(random.Random(self.order).sample(found := list(replies), len(found)))
        for each in replies:
            if self.left == 0:
                raise KeyboardInterrupt
            self.left = None if self.left is None else self.left - 1
            yield each


class Desk:
    """Runs stages in folders below `folder`, with whichever teacher is handed over."""

    SMALL, exercise_json, reply, answer = SMALL, staticmethod(exercise_json), staticmethod(reply), staticmethod(answer)
    Unruly = Unruly

    def __init__(self, folder: Path, pack: SkillPack, student: str = "") -> None:
        self.folder, self.pack, self.student = folder, pack, student
        self.events: list[Event] = []

    def job(self, out: str = "run", /, **settings: Any) -> Job:
        """`settings`: sections of the config, merged into SMALL."""
        merged = {**SMALL, **{k: SMALL.get(k, {}) | v if isinstance(v, dict) else v for k, v in settings.items()}}
        models = [ModelChoice("teacher", "scripted", "scripted", "a script", False)]
        models.append(ModelChoice("student", "torch", self.student, "tiny", False))
        config = Config.model_validate(merged)
        documents = read_documents(config.docs) if config.docs.folder else None
        return Job(self.pack, models[0], models[1], config, self.folder / out, documents=documents)

    @contextmanager
    def context(self, teacher: ScriptedTeacher, out: str = "run", /, **settings: Any) -> Iterator[Context]:
        job = self.job(out, **settings)
        with RunDir.open(job.out, {"skill": "sums"}, {}) as run:
            yield Context(job, run, self.events.append, _teacher=teacher)

    def write_exercises(
        self, teacher: ScriptedTeacher, out: str = "run", /, **settings: Any
    ) -> tuple[list[Exercise], list[Rejected]]:
        """The exercises stage on the syllabus alone: what is in use, and what was rejected, both sorted by id."""
        with self.context(teacher, out, **{"graph": {"expand": False}, **settings}) as context:
            graph.run(context)
            exercises.run(context)
            rejected = sorted(context.folder.rejected().read(), key=lambda r: r.id)
            return exercises.load(context), rejected

    def run(
        self, teacher: ScriptedTeacher | None = None, out: str = "run", /, *, emit: Emit | None = None,
        fresh: bool = False, **settings: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """The whole pipeline; the summary."""
        self.events.clear()
        self.teacher = teacher or ScriptedTeacher(answer)

        def listen(event: Event) -> None:
            self.events.append(event)
            if emit is not None:
                emit(event)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(context_module, "open_teacher", lambda kind, source, options: self.teacher)
            return pipeline.run(self.job(out, **settings), listen, fresh=fresh)

    def result(self, out: str = "run", /) -> dict[str, Any]:
        """All that a run leaves behind and that must not depend on how often it was stopped."""
        folder = self.folder / out
        logs = {n: folder / f"{n}.jsonl" for n in ARRIVAL}
        found: dict[str, Any] = {n: sorted(p.read_text().splitlines()) for n, p in logs.items() if p.exists()}
        paths = [p for part in OUTCOME for p in (folder / part).rglob("*.json*")]
        for path in [folder / "graph.json", folder / "adapter" / "adapter_model.safetensors", *paths]:
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
        summary = json.loads(found.pop("evaluation/summary.json"))
        return {**found, "summary": {k: v for k, v in summary.items() if k not in ("seconds", "adapter", "out")}}

    def warnings(self) -> list[str]:
        return [e.text for e in self.events if isinstance(e, Note) and e.level == "warning"]


@dataclass(frozen=True)
class Undisturbed:
    """The folder and the result of a run in which nothing happened."""

    folder: Path
    result: dict[str, Any]

    def differs_from(self, result: dict[str, Any]) -> list[str]:
        """The parts that are not the same."""
        return [name for name in sorted({*result, *self.result}) if result.get(name) != self.result.get(name)]


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory) -> SkillPack:
    """The skill as a folder on disk, read as a user's would be."""
    folder = tmp_path_factory.mktemp("skill")
    topics = [f"[[topic]]\nname = {json.dumps(n)}\nprerequisites = {json.dumps(p)}\n" for n, p in TOPICS.items()]
    (folder / "skill.toml").write_text(SKILL + "\n".join(topics), encoding="utf-8")
    for split, items in HELD_OUT.items():
        rows = [
            {"id": f"{split}-{i}", "problem": problem, "answer": answer, "topic": topic}
            for i, (topic, problem, answer) in enumerate(items)
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{split}.jsonl").write_text(text, encoding="utf-8")
    return load_skill(str(folder))


@pytest.fixture
def desk(tmp_path: Path, pack: SkillPack) -> Desk:
    return Desk(tmp_path, pack)


@pytest.fixture(scope="session")
def training_desks(
    tmp_path_factory: pytest.TempPathFactory, pack: SkillPack, tiny_model_folder: Path
) -> Callable[[], Desk]:
    """Makes desks with a student: random weights through the real torch backend."""
    return lambda: Desk(tmp_path_factory.mktemp("desk"), pack, str(tiny_model_folder))


@pytest.fixture(scope="session")
def undisturbed(training_desks: Callable[[], Desk]) -> Undisturbed:
    desk = training_desks()
    desk.run()
    return Undisturbed(desk.folder / "run", desk.result())


@pytest.fixture
def training_desk(training_desks: Callable[[], Desk]) -> Desk:
    return training_desks()
