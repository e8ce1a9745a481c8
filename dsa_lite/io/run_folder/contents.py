"""What lies in a run's folder: each file under its name, appended to, written or read. See `rundir` for its life."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from dsa_lite.core.own_words import in_own_words
from dsa_lite.errors import ConfigError, DsaError, UsageError
from dsa_lite.io.files import read_json, write_atomic, write_json
from dsa_lite.io.jsonl import Events, Log, Warn
from dsa_lite.io.toml import read_toml
from dsa_lite.records import (
    Decision,
    Decomposition,
    Exercise,
    Graded,
    HeldOutItem,
    Observed,
    OwnWords,
    Record,
    Rehearsed,
    Rejected,
    Split,
    Textbook,
    Vote,
)

R = TypeVar("R", bound=Record)
RUN, LOCK, MANIFEST, EVENTS, REPORT = "run.toml", "run.lock", "manifest.json", "events.jsonl", "report.html"
GRAPH, PREREQUISITES, TEACHER = "graph.json", "prerequisites.jsonl", "teacher.json"
TEXTBOOKS, EXERCISES, REJECTED = "textbooks.jsonl", "exercises.jsonl", "rejected.jsonl"
VOTES, TOPICS, SET_ASIDE = "votes.jsonl", "topics.jsonl", "held_out.jsonl"
TEXTBOOK_VOTES = "textbook_votes.jsonl"
REHEARSAL, OWN_ANSWERS, OWN_WORDS = "rehearsal.jsonl", "own_answers.jsonl", "own_words.jsonl"
ROUNDS, DYNAMICS, CHECKPOINTS = "rounds", "training_dynamics", "checkpoints"
ADAPTER, EVALUATION, EXPORT, STATIC = "adapter", "evaluation", "export", "static"

#: What each stage leaves behind besides its checkpoints and its lines in shared files.
OUTPUTS: Mapping[str, tuple[str, ...]] = {
    "graph": (PREREQUISITES, GRAPH),
    "textbooks": (TEXTBOOKS, TEXTBOOK_VOTES),
    "exercises": (EXERCISES, VOTES, TOPICS, SET_ASIDE),
    "rehearsal": (REHEARSAL, OWN_ANSWERS, OWN_WORDS),
    "pretrain": (),
    "tune": (ROUNDS, DYNAMICS, ADAPTER),
    "evaluate": (EVALUATION,),
    "report": (REPORT,),
}

#: What is counted and hashed when a stage is done, as patterns. Later stages append to the files shared between them.
RECORDED: Mapping[str, tuple[str, ...]] = {
    "graph": (PREREQUISITES, GRAPH, REJECTED),
    "textbooks": (TEXTBOOKS, TEXTBOOK_VOTES, REJECTED),
    "exercises": (EXERCISES, VOTES, TOPICS, SET_ASIDE, REJECTED),
    "rehearsal": (REHEARSAL, OWN_ANSWERS, OWN_WORDS, REJECTED),
    "pretrain": (),
    "tune": (f"{ROUNDS}/**/*", f"{ADAPTER}/**/*", EXERCISES, VOTES, TOPICS, REJECTED),
    "evaluate": (f"{EVALUATION}/before-*.jsonl", f"{EVALUATION}/after-*.jsonl"),
    "report": (REPORT, f"{DYNAMICS}/*", f"{EVALUATION}/summary.json", f"{EVALUATION}/items-*.jsonl"),
}


class Contents:
    """Of one run's folder; what is missing reads as empty."""

    def __init__(self, path: Path, warn: Warn) -> None:
        self.path = path
        self.warn = warn
        self._logs: dict[str, Log[Any]] = {}
        self._teacher_layout = self._tolerated(TEACHER)
        self.events_log = Events(path / EVENTS, warn)

    def close(self) -> None:
        """Everything to disk."""
        for log in self._logs.values():
            log.close()
        self.events_log.close()

    def settings(self) -> dict[str, Any]:
        """The content of run.toml: tables identity, versions, config."""
        return read_toml(self.path / RUN)

    def goes_on(self) -> str:
        """What to type to go on with the run, as the rest of a sentence: the line itself, where it is known."""
        typed = command_of(self.path)
        line, at = str(typed.get("line", "")), str(typed.get("folder", ""))
        if not line:
            return f"go on with the same dsa-lite run command and --out {shlex.quote(str(self.path))}"
        return f"go on with: {line}" if at == str(Path.cwd()) else f"go on with: cd {shlex.quote(at)} && {line}"

    def _rebuilt(self) -> str:
        """The hint for a broken file that follows from others."""
        return f"it is written anew from what the run holds: {self.goes_on()}"

    def _log(self, name: str, model: type[R]) -> Log[R]:
        if name not in self._logs:
            self._about_to_read(name)
            self._logs[name] = Log(self.path / name, model, self.warn)
        return self._logs[name]

    def _about_to_read(self, name: str) -> None:
        """For those who compare what is there with what was written."""

    def _tolerated(self, name: str) -> dict[str, Any]:
        """A file that nothing depends on: said and passed over where it is broken."""
        try:
            return read_json(self.path / name, "") or {}
        except ConfigError as error:
            self.warn(f"{error.message}; the run goes on without it")
            return {}

    def decompositions(self) -> Log[Decomposition]:
        return self._log(PREREQUISITES, Decomposition)

    def textbooks(self) -> Log[Textbook]:
        return self._log(TEXTBOOKS, Textbook)

    def exercises(self) -> Log[Exercise]:
        return self._log(EXERCISES, Exercise)

    def votes(self) -> Log[Vote]:
        """New solutions of exercises."""
        return self._log(VOTES, Vote)

    def topics(self) -> Log[Vote]:
        """Under which skill the teacher sorts each exercise; `answer` is the skill's name."""
        return self._log(TOPICS, Vote)

    def textbook_votes(self) -> Log[Vote]:
        """New solutions of worked cases, and the skills they are sorted under."""
        return self._log(TEXTBOOK_VOTES, Vote)

    def rehearsed(self) -> Log[Rehearsed]:
        return self._log(REHEARSAL, Rehearsed)

    def own_answers(self) -> Log[Graded]:
        """The base's answers to exercises."""
        return self._log(OWN_ANSWERS, Graded)

    def own_words(self) -> Log[OwnWords]:
        """The base's solutions that are trained on, and what is left out."""
        return self._log(OWN_WORDS, OwnWords)

    def write_own_words(self, found: Iterable[OwnWords]) -> None:
        write_atomic(self.path / OWN_WORDS, "".join(own.model_dump_json() + "\n" for own in found))

    def lessons(self) -> list[Exercise]:
        """All exercises that are trained on, as they are trained on."""
        return in_own_words(self.exercises().read(), self.own_words().read())

    def rejected(self) -> Log[Rejected]:
        return self._log(REJECTED, Rejected)

    def observations(self, round: int) -> Log[Observed]:
        return self._log(f"{ROUNDS}/{round:02d}/observations.jsonl", Observed)

    def decisions(self, round: int) -> Log[Decision]:
        return self._log(f"{ROUNDS}/{round:02d}/decisions.jsonl", Decision)

    def rounds(self) -> list[int]:
        """Numbers of the rounds that have decided something, in order."""
        return sorted(int(p.parent.name) for p in (self.path / ROUNDS).glob("[0-9]*/decisions.jsonl"))

    def write_round(self, round: int, facts: Mapping[str, Any]) -> None:
        """What a round found besides its decisions."""
        write_json(self.path / ROUNDS / f"{round:02d}" / "round.json", facts)

    def read_round(self, round: int) -> dict[str, Any]:
        return self._tolerated(f"{ROUNDS}/{round:02d}/round.json")

    def graded(self, when: Literal["before", "after"], split: Split) -> Log[Graded]:
        return self._log(f"{EVALUATION}/{when}-{split}.jsonl", Graded)

    def held_out(self, split: Split) -> Log[HeldOutItem]:
        """The questions behind `graded`, kept so that a run can be read without its skill."""
        return self._log(f"{EVALUATION}/items-{split}.jsonl", HeldOutItem)

    def write_held_out(self, split: Split, items: Iterable[HeldOutItem]) -> None:
        text = "".join(item.model_dump_json() + "\n" for item in items)
        write_atomic(self.path / EVALUATION / f"items-{split}.jsonl", text)

    def set_aside(self) -> Log[HeldOutItem]:
        """Test questions the run made itself, where its skill brings none."""
        return self._log(SET_ASIDE, HeldOutItem)

    def write_set_aside(self, items: Iterable[HeldOutItem]) -> None:
        write_atomic(self.path / SET_ASIDE, "".join(item.model_dump_json() + "\n" for item in items))

    def sync(self) -> None:
        """Wait until every line appended so far is on the disk itself."""
        for log in self._logs.values():
            log.sync()

    @property
    def adapter(self) -> Path:
        return self.path / ADAPTER

    @property
    def exports(self) -> Path:
        """Where `dsa-lite export` writes unless it is told another place."""
        return self.path / EXPORT

    @property
    def static(self) -> Path:
        """The run folder of its static arm."""
        return self.path / STATIC

    def teacher_slots(self) -> int:
        """For how many sequences the run's teacher had room; 0 where it has not said."""
        slots = self._teacher_layout.get("slots")
        return slots if isinstance(slots, int) and slots > 0 else 0

    def keep_teacher_layout(self, layout: Mapping[str, int | str]) -> None:
        """How the teacher runs; written when that changes."""
        if layout and dict(layout) != self._teacher_layout:
            self._teacher_layout = dict(layout)
            write_json(self.path / TEACHER, self._teacher_layout)

    def write_graph(self, graph: Mapping[str, Any]) -> None:
        write_json(self.path / GRAPH, graph)

    def read_graph(self) -> dict[str, Any]:
        if (graph := read_json(self.path / GRAPH, self._rebuilt())) is None:
            raise UsageError(f"{self.path} has no {GRAPH} yet", hint=self.goes_on())
        return graph

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        write_json(self.path / EVALUATION / "summary.json", summary)

    def read_summary(self) -> dict[str, Any] | None:
        return read_json(self.path / EVALUATION / "summary.json", self._rebuilt())

    @property
    def report(self) -> Path:
        return self.path / REPORT

    def write_report(self, html: str) -> Path:
        write_atomic(self.report, html)
        return self.report

    def write_training_dynamics(self, epoch: int, rows: Iterable[Mapping[str, Any]]) -> None:
        """One epoch in Dataset Cartography's layout: guid, logits_epoch_<n>, gold."""
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_atomic(self.path / DYNAMICS / f"dynamics_epoch_{epoch}.jsonl", text)


def command_of(folder: Path) -> dict[str, Any]:
    """The table [command] of a run file; empty where there is none."""
    try:
        found = read_toml(folder / RUN).get("command")
    except DsaError:
        return {}
    return found if isinstance(found, dict) else {}
