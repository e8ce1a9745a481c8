"""What a run is, and which of its stages are done, with which inputs, and how long they took."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dsa_lite.errors import ConfigError
from dsa_lite.events import STAGES
from dsa_lite.io.files import write_atomic
from dsa_lite.io.jsonl import Warn, line_problems
from dsa_lite.io.run_folder.outputs import Output

IDENTITY = ("skill", "teacher", "student", "backend", "seed")
Began = Literal["new", "resumed", "reused", "changed"]


class StageEntry(BaseModel):
    """State of one stage. `input_hash` "" means: its outputs are being removed."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["running", "done"]
    input_hash: str
    seconds: float = Field(default=0.0, ge=0, description="working time over all attempts, s")
    tokens: int = Field(default=0, ge=0, description="target tokens trained on")
    outputs: dict[str, Output] = Field(default_factory=dict, description="what the stage left behind, by its path")


class Manifest(BaseModel):
    """The content of manifest.json, saved whole at every change."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    stages: dict[str, StageEntry] = Field(default_factory=dict)

    @classmethod
    def load(cls, path: Path, goes_on: str, warn: Warn | None) -> Manifest:
        """`warn`: of whoever goes on with the run. Where the file is no JSON every stage is looked at again then, and
        what it left is kept."""
        if not path.exists():
            return cls()
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            torn = any(fault["type"] == "json_invalid" for fault in error.errors(include_url=False))
            problems = tuple(line_problems(path, 1, error))
            if torn and warn is not None:
                warn(f"{path} is broken: every stage is looked at again, what it left is kept")
                return cls()
            version = f"use the version of dsa-lite that [versions] in {path.parent / 'run.toml'} names"
            hint = f"every stage is looked at again, and what it left is kept: {goes_on}" if torn else version
            raise ConfigError(f"{path} does not fit", problems=problems, hint=hint) from error

    def save(self, path: Path) -> None:
        write_atomic(path, json.dumps(self.model_dump(), indent=2) + "\n")


class Ledger:
    """The manifest of one run, saved at every change."""

    def __init__(self, path: Path, goes_on: str = "", warn: Warn | None = None) -> None:
        self._path = path
        self._manifest = Manifest.load(path, goes_on, warn)

    def stage(self, name: str) -> StageEntry | None:
        entry = self._manifest.stages.get(name)
        return entry if entry is not None and entry.input_hash else None

    def begin(self, stage: str, input_hash: str, clear: Callable[[Sequence[str]], None]) -> Began:
        """Mark a stage as running. With other inputs than before, `clear` removes its outputs and all later stages'."""
        entry = self._manifest.stages.get(stage)
        if entry is not None and entry.input_hash == input_hash:
            return "reused" if entry.status == "done" else "resumed"
        if entry is not None:
            # mark, remove, forget: a crash at any point leaves a mark that makes the next `begin` clear again
            cleared = STAGES[STAGES.index(stage) :]
            self._manifest.stages.update({s: StageEntry(status="running", input_hash="") for s in cleared})
            self._manifest.save(self._path)
            clear(cleared)
            for name in cleared:
                del self._manifest.stages[name]
        self._put(stage, StageEntry(status="running", input_hash=input_hash))
        return "new" if entry is None else "changed"

    def add_seconds(self, stage: str, seconds: float) -> None:
        entry = self._manifest.stages[stage]
        self._put(stage, entry.model_copy(update={"seconds": entry.seconds + seconds}))

    def finish(self, stage: str, outputs: Mapping[str, Output], tokens: int = 0) -> None:
        done = {"status": "done", "outputs": dict(outputs), "tokens": tokens}
        for (
            name,
            entry,
        ) in self._manifest.stages.items():  # a file shared with stages that are done may have been mended
            whole = {path: outputs[path] for path, was in entry.outputs.items() if _whole(was, outputs.get(path))}
            self._manifest.stages[name] = entry.model_copy(update={"outputs": entry.outputs | whole})
        self._put(stage, self._manifest.stages[stage].model_copy(update=done))

    def reopen(self, stage: str) -> None:
        """A finished stage is to be gone on with."""
        update = {"status": "running", "outputs": {}}
        self._put(stage, self._manifest.stages[stage].model_copy(update=update))

    def forget(self, stage: str) -> None:
        """As if the stage had been done with other inputs: the next `begin` clears it and all later ones."""
        self._put(stage, self._manifest.stages[stage].model_copy(update={"input_hash": ""}))

    def remeasure(self, measure: Callable[[Sequence[str]], Mapping[str, Output]]) -> None:
        """Bring what is written about shared files up to date after lines of other stages were taken out."""
        for name, entry in list(self._manifest.stages.items()):
            if entry.outputs:
                now = {**entry.outputs, **measure([n for n in entry.outputs if n.endswith(".jsonl") and "/" not in n])}
                self._manifest.stages[name] = entry.model_copy(update={"outputs": now})
        self._manifest.save(self._path)

    def expected(self) -> dict[str, Output]:
        """Every file as the last stage left it that is done."""
        stages = [self.stage(name) for name in STAGES]
        return {name: output for entry in stages if entry for name, output in entry.outputs.items()}

    def seconds(self) -> float:
        return sum(entry.seconds for entry in self._manifest.stages.values())

    def _put(self, stage: str, entry: StageEntry) -> None:
        self._manifest.stages[stage] = entry
        self._manifest.save(self._path)


def _whole(was: Output, now: Output | None) -> bool:
    """Whether a file of lines has as many as a stage left there, or more."""
    return now is not None and was.lines is not None and (now.lines or 0) >= was.lines


def differences(was: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """What sets two identities apart, one line each."""
    names = [*IDENTITY, *sorted({*asked, *was} - set(IDENTITY))]
    return [
        f"{name}: was {was.get(name, 'not set')}, asked for {asked.get(name, 'not set')}"
        for name in names
        if str(was.get(name, "")) != str(asked.get(name, ""))
    ]
