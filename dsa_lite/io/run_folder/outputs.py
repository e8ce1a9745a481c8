"""What a finished stage has left on disk: counted and hashed at its end, compared before anyone relies on it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from dsa_lite.errors import DsaError

#: Where whoever opens a page anew may write it anew: only its being there counts.
_PAGE = ".html"


class Output(BaseModel):
    """One file. `lines`: of a file of JSON lines. Later stages may append to it, its beginning stays."""

    model_config = ConfigDict(extra="forbid")

    size: int = Field(ge=0, description="bytes")
    lines: int | None = Field(default=None, ge=0)
    sha256: str


def measured(folder: Path, patterns: tuple[str, ...]) -> dict[str, Output]:
    """The files in `folder` that fit, by their path in it. Raises DsaError for one that cannot be read."""
    found: dict[str, Output] = {}
    for path in sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}):
        if path.name.startswith("."):
            continue
        name = path.relative_to(folder).as_posix()
        try:
            lines = path.read_bytes().count(b"\n") if path.suffix == ".jsonl" else None
            found[name] = Output(size=path.stat().st_size, lines=lines, sha256=_sha256(path))
        except OSError as error:
            raise DsaError(
                f"cannot read {path}: {error.strerror or error}", hint="check the disk it lies on"
            ) from error
    return found


def faults(folder: Path, expected: Mapping[str, Output]) -> dict[str, str]:
    """What is wrong with each file that is not as it was written."""
    return {name: what for name, output in expected.items() if (what := fault(folder / name, output))}


def fault(path: Path, expected: Output) -> str:
    """In words that follow the file's name; "" for none."""
    try:
        if path.suffix == _PAGE:
            return "" if path.is_file() else "is missing"
        if path.suffix == ".jsonl":
            return _fault_of_lines(path.read_bytes(), expected)
        same = path.stat().st_size == expected.size and _sha256(path) == expected.sha256
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    return "" if same else "is not what was written"


def _fault_of_lines(data: bytes, expected: Output) -> str:
    if hashlib.sha256(data[: expected.size]).hexdigest() == expected.sha256:
        return ""
    lines = data.count(b"\n")
    if lines < (expected.lines or 0):
        return f"holds {lines:,} of {expected.lines:,} lines"
    return "is not what was written"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
