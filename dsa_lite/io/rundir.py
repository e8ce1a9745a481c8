"""A run's folder. The only module that knows the file names in it."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from dsa_lite import __version__
from dsa_lite.errors import ConfigError, RunFolderError, UsageError
from dsa_lite.io import checkpoints
from dsa_lite.io.files import read_json, remove, write_atomic, write_json, writing
from dsa_lite.io.jsonl import Events, Log, Warn, silent
from dsa_lite.io.lock import Lock
from dsa_lite.io.manifest import Began, Ledger, StageEntry, differences
from dsa_lite.io.toml import read_toml, to_toml
from dsa_lite.records import (
    Decision,
    Decomposition,
    Exercise,
    Graded,
    HeldOutItem,
    Observed,
    Record,
    Rehearsed,
    Rejected,
    Split,
    Textbook,
    Vote,
)

R = TypeVar("R", bound=Record)
RUN, LOCK, MANIFEST, EVENTS, REPORT = "run.toml", "run.lock", "manifest.json", "events.jsonl", "report.html"
GRAPH, PREREQUISITES = "graph.json", "prerequisites.jsonl"
TEXTBOOKS, EXERCISES, REJECTED = "textbooks.jsonl", "exercises.jsonl", "rejected.jsonl"
REHEARSAL, VOTES = "rehearsal.jsonl", "votes.jsonl"
ROUNDS, DYNAMICS, CHECKPOINTS = "rounds", "training_dynamics", "checkpoints"
ADAPTER, EVALUATION, EXPORT = "adapter", "evaluation", "export"

#: What each stage leaves behind besides its checkpoints and its lines in shared files; exports hold tune's student.
OUTPUTS: Mapping[str, tuple[str, ...]] = {
    "graph": (PREREQUISITES, GRAPH),
    "textbooks": (TEXTBOOKS,),
    "exercises": (EXERCISES, VOTES),
    "rehearsal": (REHEARSAL,),
    "pretrain": (),
    "tune": (ROUNDS, DYNAMICS, ADAPTER, EXPORT),
    "evaluate": (EVALUATION,),
    "report": (REPORT,),
}
_KNOWN = frozenset((RUN, MANIFEST, EVENTS, REJECTED, CHECKPOINTS)).union(*OUTPUTS.values())


class RunDir:
    """Opened with `open` (creates or goes on; one process at a time) or `read` (looks only)."""

    def __init__(self, path: Path, lock: Lock | None, warn: Warn) -> None:
        self.path = path
        self.warn = warn
        self._lock = lock
        self._logs: dict[str, Log[Any]] = {}
        self._ledger = Ledger(path / MANIFEST)
        self.events_log = Events(path / EVENTS, warn)

    @classmethod
    def open(
        cls,
        folder: Path,
        identity: Mapping[str, str],
        resolved: Mapping[str, Any],
        *,
        fresh: bool = False,
        warn: Warn = silent,
    ) -> RunDir:
        """Create the folder or go on with it. A run of another identity raises RunFolderError, unless `fresh`."""
        _refuse_foreign(folder)
        lock = Lock(folder / LOCK, folder)
        try:
            if fresh:
                _empty(folder)
            elif (folder / RUN).exists():
                _compare(folder, identity)
            run = cls(folder, lock, warn)
            versions = {"dsa-lite": __version__, "python": platform.python_version(), "system": platform.platform()}
            write_atomic(folder / RUN, to_toml({"identity": identity, "versions": versions, "config": resolved}))
        except BaseException:
            lock.release()
            raise
        return run

    @classmethod
    def read(cls, folder: Path, warn: Warn = silent) -> RunDir:
        """Look at a run without locking it; another process may be writing."""
        if not (folder / RUN).is_file():
            missing = "does not exist" if not folder.exists() else f"is no run folder: it has no {RUN}"
            raise UsageError(f"{folder} {missing}", hint="name the folder that `dsa-lite run` wrote, e.g. runs/<name>")
        return cls(folder, None, warn)

    def close(self) -> None:
        """Everything to disk, and the folder free for another process."""
        try:
            for log in self._logs.values():
                log.close()
            self.events_log.close()
        finally:
            if self._lock is not None:
                self._lock.release()
                self._lock = None

    def __enter__(self) -> RunDir:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def settings(self) -> dict[str, Any]:
        """The content of run.toml: tables identity, versions, config."""
        return read_toml(self.path / RUN)

    def _log(self, name: str, model: type[R]) -> Log[R]:
        if name not in self._logs:
            self._logs[name] = Log(self.path / name, model, self.warn)
        return self._logs[name]

    def decompositions(self) -> Log[Decomposition]:
        return self._log(PREREQUISITES, Decomposition)

    def textbooks(self) -> Log[Textbook]:
        return self._log(TEXTBOOKS, Textbook)

    def exercises(self) -> Log[Exercise]:
        return self._log(EXERCISES, Exercise)

    def votes(self) -> Log[Vote]:
        return self._log(VOTES, Vote)

    def rehearsed(self) -> Log[Rehearsed]:
        return self._log(REHEARSAL, Rehearsed)

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
        return read_json(self.path / ROUNDS / f"{round:02d}" / "round.json") or {}

    def graded(self, when: Literal["before", "after"], split: Split) -> Log[Graded]:
        return self._log(f"{EVALUATION}/{when}-{split}.jsonl", Graded)

    def held_out(self, split: Split) -> Log[HeldOutItem]:
        """The questions behind `graded`, kept so that a run can be read without its skill."""
        return self._log(f"{EVALUATION}/items-{split}.jsonl", HeldOutItem)

    def write_held_out(self, split: Split, items: Iterable[HeldOutItem]) -> None:
        text = "".join(item.model_dump_json() + "\n" for item in items)
        write_atomic(self.path / EVALUATION / f"items-{split}.jsonl", text)

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

    def write_graph(self, graph: Mapping[str, Any]) -> None:
        write_json(self.path / GRAPH, graph)

    def read_graph(self) -> dict[str, Any]:
        if (graph := read_json(self.path / GRAPH)) is None:
            raise UsageError(f"{self.path} has no {GRAPH} yet", hint="go on with the run first")
        return graph

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        write_json(self.path / EVALUATION / "summary.json", summary)

    def read_summary(self) -> dict[str, Any] | None:
        return read_json(self.path / EVALUATION / "summary.json")

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

    def stage(self, name: str) -> StageEntry | None:
        return self._ledger.stage(name)

    def begin(self, stage: str, input_hash: str) -> Began:
        """Start or go on with a stage. Other inputs than last time remove what it and the later stages wrote."""
        return self._ledger.begin(stage, input_hash, self._clear)

    def add_seconds(self, stage: str, seconds: float) -> None:
        """Count working time; a resumed stage adds to what its earlier attempts took."""
        self._ledger.add_seconds(stage, seconds)

    def finish(self, stage: str) -> None:
        self.sync()
        self._ledger.finish(stage)

    def seconds(self) -> float:
        """Working time of all stages and attempts, s."""
        return self._ledger.seconds()

    def _clear(self, stages: Sequence[str]) -> None:
        """Remove what these stages wrote; files they share with others keep the others' lines."""
        for log in self._logs.values():
            log.close()
        self._logs.clear()
        with writing(self.path):
            for stage in stages:
                for name in OUTPUTS[stage]:
                    remove(self.path / name)
                checkpoints.drop(self.path / CHECKPOINTS, stage)
        self.rejected().keep(lambda line: _field(line, "stage") not in stages)
        if "tune" in stages:
            self.exercises().keep(lambda line: _field(line, "round") in (0, None))
            self.votes().keep(lambda line: _field(line, "round") in (0, None))

    def save_checkpoint(self, stage: str, write: Callable[[Path], None], meta: Mapping[str, Any]) -> None:
        """`write` fills an empty folder; it takes the place of the stage's last checkpoint once it is whole on disk."""
        self.sync()
        checkpoints.save(self.path / CHECKPOINTS, stage, write, meta)

    def load_checkpoint(self, stage: str) -> tuple[Path, dict[str, Any]] | None:
        return checkpoints.load(self.path / CHECKPOINTS, stage, self.warn)

    def drop_checkpoints(self, stage: str) -> None:
        checkpoints.drop(self.path / CHECKPOINTS, stage)


def digest(records: Iterable[Record]) -> str:
    """SHA-256 over the records, whatever their order."""
    total = hashlib.sha256()
    for line in sorted(record.model_dump_json() for record in records):
        total.update(line.encode("utf-8", "replace") + b"\n")
    return total.hexdigest()


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file", hint="choose another --out")
    if folder.is_dir() and not (folder / RUN).exists():
        names = sorted(p.name for p in folder.iterdir() if p.name not in (LOCK, f".{RUN}.tmp"))
        if names:
            shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
            raise UsageError(
                f"{folder} is not empty and no run folder (it holds {shown})", hint="choose another folder for --out"
            )


def _compare(folder: Path, identity: Mapping[str, str]) -> None:
    was = read_toml(folder / RUN).get("identity")
    if not isinstance(was, dict):
        raise ConfigError(f"{folder / RUN} has no table [identity]", hint="start over with --fresh")
    if listed := differences(was, identity):
        message = "\n".join([f"{folder} holds another run", *(f"  - {line}" for line in listed)])
        raise RunFolderError(message, hint="start over there with --fresh, or choose another --out")


def _empty(folder: Path) -> None:
    with writing(folder):
        for name in sorted(_KNOWN - {RUN}):
            remove(folder / name)
        remove(folder / RUN)  # last: without it the rest would be a foreign folder


def delete(folder: Path) -> list[str]:
    """Delete a run; the folder goes too, unless others put something there: their names. RunFolderError: in use."""
    with writing(folder):
        lock = Lock(folder / LOCK, folder)
        try:
            _empty(folder)
        finally:
            lock.release()
        remove(folder / LOCK)
        left = sorted(p.name for p in folder.iterdir())
        if not left:
            folder.rmdir()
        return left


def _field(line: bytes, name: str) -> Any:
    try:
        return json.loads(line).get(name)
    except (ValueError, AttributeError):
        return None
