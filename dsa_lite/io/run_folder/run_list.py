"""Runs on the disk: which there are, where they stand, how big they are, and how to be rid of one."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsa_lite.errors import DsaError, RunFolderError, UsageError
from dsa_lite.events import STAGES
from dsa_lite.io.run_folder import rundir
from dsa_lite.io.run_folder.contents import LOCK, MANIFEST, RUN
from dsa_lite.io.run_folder.lock import in_use
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.io.toml import read_toml

_IDENTITY = {"skill", "teacher", "student"}


@dataclass(frozen=True)
class RunFacts:
    """`changed`: when its state was last written, s since 1970. `before`, `after`: accuracy on the held-out questions
    about what was taught, 0-1, None while unknown. `size` on disk in bytes."""

    path: Path
    skill: str
    teacher: str
    student: str
    status: str
    changed: float
    size: int
    before: float | None = None
    after: float | None = None


def find_runs(folder: Path) -> list[Path]:
    """The run folders directly in `folder`, by name."""
    return sorted(path for path in folder.glob("*") if is_run(path)) if folder.is_dir() else []


def is_run(path: Path) -> bool:
    """Whether `dsa-lite run` wrote the folder: its run.toml says what was run, and with which dsa-lite."""
    try:
        content = read_toml(path / RUN)
    except DsaError:
        return False
    identity, versions = content.get("identity"), content.get("versions")
    return isinstance(identity, dict) and identity.keys() >= _IDENTITY and isinstance(versions, dict)


def locate(name: str, folder: Path) -> Path:
    """A run by its path, or by its name in `folder`. UsageError with close matches."""
    candidates = (Path(name).expanduser(), folder / name)
    for path in candidates:
        if is_run(path):
            return path
    for path in candidates:
        if path.exists():
            raise UsageError(f"{path} is no run folder", hint="a run folder holds a run.toml that dsa-lite run wrote")
    meant = f"did you mean {' or '.join(close)}? " if (close := close_runs(name, folder)) else ""
    raise UsageError(
        f"{name} does not exist, neither as a run folder nor as a run in {folder}",
        hint=f"{meant}all runs: dsa-lite runs list",
    )


def close_runs(name: str, folder: Path) -> list[str]:
    """Names of up to three runs in `folder` that `name`, or the last part of that path, may have meant."""
    return difflib.get_close_matches(Path(name).name, [run.name for run in find_runs(folder)], n=3, cutoff=0.6)


def facts(path: Path) -> RunFacts:
    """Never fails over what stands in the folder: a run that cannot be read says so as its status."""
    identity = read_toml(path / RUN)["identity"]
    names = {key: _short(str(identity[key])) for key in ("teacher", "student")}
    before = after = None
    try:
        run = RunDir.read(path)
        status = _status(run)
        summary = run.read_summary() or {}
        names |= {key: str(summary[key]) for key in names if summary.get(key)}
        before, after = (_accuracy(summary, when) for when in ("before", "after"))
    except (DsaError, OSError) as error:
        status = f"unreadable: {str(error).splitlines()[0]}"
    state = path / MANIFEST
    changed = (state if state.exists() else path / RUN).stat().st_mtime
    skill = str(identity["skill"])
    return RunFacts(path, skill, names["teacher"], names["student"], status, changed, _size(path), before, after)


def delete(path: Path) -> list[str]:
    """Delete a run; names of what stays because dsa-lite did not write it. RunFolderError: in use."""
    if not is_run(path) or path.is_symlink():
        raise UsageError(f"{path} is no run folder", hint="only folders that dsa-lite run wrote are deleted")
    try:
        return rundir.delete(path)
    except RunFolderError as error:
        raise RunFolderError(error.message, hint="wait until it ends, or stop it first") from error


def _short(source: str) -> str:
    """A path's last name; a hub id or a URL as it is."""
    return Path(source).name if Path(source).is_absolute() else source


def _status(run: RunDir) -> str:
    entries = {stage: run.stage(stage) for stage in STAGES}
    last = entries[STAGES[-1]]
    if last is not None and last.status == "done":
        return "finished"
    began = [stage for stage, entry in entries.items() if entry is not None]
    at = began[-1] if began else STAGES[0]
    return f"running: {at}" if in_use(run.path / LOCK) else f"stopped in {at}"


def _accuracy(summary: dict[str, Any], when: str) -> float | None:
    figures = summary.get(when)
    figure = figures.get("eval") if isinstance(figures, dict) else None
    accuracy = figure.get("accuracy") if isinstance(figure, dict) else None
    return float(accuracy) if isinstance(accuracy, int | float) else None


def _size(folder: Path) -> int:
    total = 0
    for top, _, files in os.walk(folder):
        for name in files:
            path = Path(top) / name
            total += path.lstat().st_size if path.exists() else 0
    return total
