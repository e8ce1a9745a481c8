"""The latest state of a training stage on disk: whole, checked by hash, never replaced before its successor is."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dsa_lite.io.files import sync_folder, writing
from dsa_lite.io.jsonl import Warn

_META = "meta.json"


def save(folder: Path, stage: str, write: Callable[[Path], None], meta: Mapping[str, Any]) -> Path:
    """Write into a temporary folder, sync, rename; older ones go only after that."""
    older = _existing(folder, stage)
    number = older[-1][0] + 1 if older else 1
    final = folder / f"{stage}-{number:06d}"
    temporary = folder / f".{stage}.tmp"
    with writing(final):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            write(temporary)
            described = {"files": {name: _sha256(temporary / name) for name in _files(temporary)}, "meta": dict(meta)}
            (temporary / _META).write_text(json.dumps(described, indent=1), encoding="utf-8")
            for name in [*described["files"], _META]:
                _sync_file(temporary / name)
            sync_folder(temporary)
            temporary.replace(final)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_folder(folder)
    for _, path in older:
        shutil.rmtree(path, ignore_errors=True)
    return final


def load(folder: Path, stage: str, warn: Warn) -> tuple[Path, dict[str, Any]] | None:
    """The latest whole checkpoint and its meta; damaged ones are reported and passed over."""
    for _, path in reversed(_existing(folder, stage)):
        problem, meta = _examined(path)
        if not problem:
            return path, meta
        warn(f"{path}: {problem}; this checkpoint is not used")
    return None


def drop(folder: Path, stage: str) -> None:
    for _, path in _existing(folder, stage):
        shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(folder / f".{stage}.tmp", ignore_errors=True)


def _existing(folder: Path, stage: str) -> list[tuple[int, Path]]:
    if not folder.is_dir():
        return []
    pattern = re.compile(re.escape(stage) + r"-(\d{6,})")
    found = [(int(m[1]), path) for path in folder.iterdir() if (m := pattern.fullmatch(path.name))]
    return sorted(found)


def _examined(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        described = json.loads((path / _META).read_text(encoding="utf-8"))
        for name, expected in described["files"].items():
            if _sha256(path / name) != expected:
                return f"{name} is not what was written", {}
        return "", dict(described["meta"])
    except FileNotFoundError as error:
        return f"{Path(str(error.filename)).name} is missing", {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"unreadable ({error})", {}


def _files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_file(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
