"""The life of a run's folder: opened, locked, gone on with, cleared, deleted; the ledger of its stages."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dsa_lite import __version__
from dsa_lite.errors import ConfigError, RunFolderError, UsageError
from dsa_lite.io.files import remove, write_atomic, writing
from dsa_lite.io.jsonl import Warn, silent
from dsa_lite.io.run_folder import checkpoints
from dsa_lite.io.run_folder.contents import (
    ADAPTER,
    CHECKPOINTS,
    EVENTS,
    EXPORT,
    LOCK,
    MANIFEST,
    OUTPUTS,
    RECORDED,
    REJECTED,
    RUN,
    STATIC,
    TEACHER,
    Contents,
    command_of,
)
from dsa_lite.io.run_folder.lock import Lock
from dsa_lite.io.run_folder.manifest import Began, Ledger, StageEntry, differences
from dsa_lite.io.run_folder.outputs import fault, faults, measured
from dsa_lite.io.toml import read_toml, to_toml
from dsa_lite.records import Record

#: Exports of a student that is trained anew: moved there, numbered, never deleted with what was trained.
EARLIER_EXPORT = "earlier-export-"
_KNOWN = frozenset((RUN, MANIFEST, EVENTS, REJECTED, CHECKPOINTS, TEACHER, STATIC)).union(*OUTPUTS.values())


class RunDir(Contents):
    """Opened with `open` (creates or goes on; one process at a time) or `read` (looks only)."""

    def __init__(self, path: Path, lock: Lock | None, warn: Warn) -> None:
        super().__init__(path, warn)
        self._lock = lock
        self._ledger = Ledger(path / MANIFEST, self.goes_on(), warn if lock else None)

    @classmethod
    def open(
        cls,
        folder: Path,
        identity: Mapping[str, str],
        resolved: Mapping[str, Any],
        *,
        within: Mapping[str, Any] | None = None,
        command: str = "",
        fresh: bool = False,
        warn: Warn = silent,
    ) -> RunDir:
        """Create the folder or go on with it. A run of another identity raises RunFolderError, unless `fresh`.

        `within`: a time budget and the settings of `resolved` that were chosen for it. `command`: the line that goes on
        with the run, given where this process is.
        """
        _refuse_foreign(folder)
        lock = Lock(folder / LOCK, folder)
        try:
            if fresh:
                _keep_export(folder, warn)
                _empty(folder)
            elif (folder / RUN).exists():
                require_same(folder, identity)
            run = cls(folder, lock, warn)
            versions = {"dsa-lite": __version__, "python": platform.python_version(), "system": platform.platform()}
            tables = {"identity": identity, "versions": versions, "config": resolved}
            typed = {"line": command, "folder": str(Path.cwd())} if command else command_of(folder)
            extra = {name: table for name, table in (("within", within), ("command", typed)) if table}
            write_atomic(folder / RUN, to_toml(tables | extra))
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
            super().close()
        finally:
            if self._lock is not None:
                self._lock.release()
                self._lock = None

    def __enter__(self) -> RunDir:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def stage(self, name: str) -> StageEntry | None:
        return self._ledger.stage(name)

    def begin(self, stage: str, input_hash: str) -> Began:
        """Start or go on with a stage. Other inputs than last time remove what it and the later stages wrote."""
        return self._ledger.begin(stage, input_hash, self._clear)

    def add_seconds(self, stage: str, seconds: float) -> None:
        """Count working time; a resumed stage adds to what its earlier attempts took."""
        self._ledger.add_seconds(stage, seconds)

    def finish(self, stage: str) -> None:
        """The stage is done: what it left behind is counted and hashed."""
        self.sync()
        self._ledger.finish(stage, measured(self.path, RECORDED[stage]), self._checkpoint_tokens(stage))

    def faults(self, stage: str) -> dict[str, str]:
        """What a finished stage wrote and is not there any more, or not as it was: path in the folder -> what is wrong.

        Runs of versions that counted nothing are only asked for the adapter.
        """
        entry = self.stage(stage)
        if entry is None or entry.status != "done":
            return {}
        found = faults(self.path, entry.outputs)
        missing = stage == "tune" and not self.adapter.is_dir()
        return {ADAPTER: "is missing"} if missing else found

    def reopen(self, stage: str) -> None:
        """Go on with a finished stage, whose outputs are not whole any more."""
        for log in self._logs.values():
            log.close()
        self._logs.clear()
        self._ledger.reopen(stage)

    def forget(self, stage: str) -> None:
        """Have the next `begin` remove what the stage and all later ones left, and start them anew."""
        self._ledger.forget(stage)

    def _about_to_read(self, name: str) -> None:
        """Those who only look are told when a file holds less than was written; a run mends it."""
        expected = self._ledger.expected().get(name) if self._lock is None else None
        if expected is not None and (what := fault(self.path / name, expected)):
            self.warn(f"{self.path / name} {what}: what is shown comes from that; {self.goes_on()}")

    def trained_tokens(self, stage: str) -> int:
        """Target tokens that a training stage was trained on so far."""
        entry = self.stage(stage)
        return (entry.tokens if entry else 0) or self._checkpoint_tokens(stage)

    def _checkpoint_tokens(self, stage: str) -> int:
        found = self.load_checkpoint(stage) if stage in ("pretrain", "tune") else None
        return int(found[1].get("tokens", 0)) if found else 0

    def seconds(self) -> float:
        """Working time of all stages and attempts, s."""
        return self._ledger.seconds()

    def take_over(self, other: RunDir, stages: Sequence[str]) -> None:
        """Another run's finished writing stages as one's own, without the time they took and without what later
        rounds added."""
        for stage in stages:
            entry = other.stage(stage)
            if entry is None or entry.status != "done":
                raise RunFolderError(f"{other.path} has not finished its stage {stage}", hint="go on with that run")
            if self.begin(stage, entry.input_hash) == "reused":
                continue
            with writing(self.path):
                for name in OUTPUTS[stage]:
                    if (source := other.path / name).exists():
                        write_atomic(self.path / name, source.read_text(encoding="utf-8"))
            self._take_rejected(other, stage)
            if stage == "exercises":
                self._only_first_round()
            self.finish(stage)

    def _take_rejected(self, other: RunDir, stage: str) -> None:
        self.rejected().keep(lambda line: _field(line, "stage") != stage)
        for line in other.rejected().read():
            if line.stage == stage:
                self.rejected().append(line)

    def _only_first_round(self) -> None:
        for log in (self.exercises(), self.votes(), self.topics()):
            log.keep(lambda line: _field(line, "round") in (0, None))

    def _clear(self, stages: Sequence[str]) -> None:
        """Remove what these stages wrote; files they share with others keep the others' lines."""
        for log in self._logs.values():
            log.close()
        self._logs.clear()
        if "tune" in stages:
            _keep_export(self.path, self.warn)
        with writing(self.path):
            for stage in stages:
                for name in OUTPUTS[stage]:
                    remove(self.path / name)
                checkpoints.drop(self.path / CHECKPOINTS, stage)
        self.rejected().keep(lambda line: _field(line, "stage") not in stages)
        if "tune" in stages:
            self._only_first_round()
        self._ledger.remeasure(lambda names: measured(self.path, tuple(names)))

    def save_checkpoint(self, stage: str, write: Callable[[Path], None], meta: Mapping[str, Any]) -> None:
        """`write` fills an empty folder; it takes the place of the stage's last checkpoint once it is whole on disk."""
        self.sync()
        checkpoints.save(self.path / CHECKPOINTS, stage, write, meta)

    def save_adapter(self, write: Callable[[Path], None]) -> None:
        """`write` fills the adapter's folder."""
        with writing(self.adapter):
            write(self.adapter)

    def load_checkpoint(self, stage: str) -> tuple[Path, dict[str, Any]] | None:
        return checkpoints.load(self.path / CHECKPOINTS, stage, self.warn)

    def drop_checkpoints(self, stage: str) -> None:
        checkpoints.drop(self.path / CHECKPOINTS, stage)


def digest(records: Iterable[Record]) -> str:
    """SHA-256 over the records, whatever their order; fields at their default do not count."""
    total = hashlib.sha256()
    for line in sorted(record.model_dump_json(exclude_defaults=True) for record in records):
        total.update(line.encode("utf-8", "replace") + b"\n")
    return total.hexdigest()


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file", hint="choose another --out")
    if folder.is_dir() and not (folder / RUN).exists():
        own = (LOCK, f".{RUN}.tmp")
        names = sorted(p.name for p in folder.iterdir() if not p.name.startswith((*own, EARLIER_EXPORT)))
        if names:
            shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
            raise UsageError(
                f"{folder} is not empty and no run folder (it holds {shown})", hint="choose another folder for --out"
            )


def require_same(folder: Path, identity: Mapping[str, str]) -> None:
    """Raises RunFolderError naming what sets the run there apart from the one asked for."""
    was = read_toml(folder / RUN).get("identity")
    if not isinstance(was, dict):
        raise ConfigError(f"{folder / RUN} has no table [identity]", hint="put it back, or choose another --out")
    if listed := differences(was, identity):
        message = "\n".join([f"{folder} holds another run", *(f"  - {line}" for line in listed)])
        raise RunFolderError(message, hint="choose another --out; with --fresh that run would be deleted")


def _empty(folder: Path) -> None:
    with writing(folder):
        for name in sorted(_KNOWN - {RUN}):
            remove(folder / name)
        remove(folder / RUN)  # last: without it the rest would be a foreign folder


def _keep_export(folder: Path, warn: Warn) -> None:
    """Move the exports of a student that is about to go out of the way, and say where to."""
    if not (folder / EXPORT).is_dir():
        return
    number = 1
    while (kept := folder / f"{EARLIER_EXPORT}{number}").exists():
        number += 1
    with writing(kept):
        (folder / EXPORT).rename(kept)
    warn(f"the exports of the student trained before were moved to {kept}")


def delete(folder: Path) -> list[str]:
    """Delete a run; the folder goes too, unless others put something there: their names. RunFolderError: in use."""
    with writing(folder):
        lock = Lock(folder / LOCK, folder)
        try:
            for kept in (folder / EXPORT, *folder.glob(f"{EARLIER_EXPORT}[0-9]*")):
                remove(kept)
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
