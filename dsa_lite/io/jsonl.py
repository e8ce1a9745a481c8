"""Append-only files of JSON lines: one record per line, on disk the moment it is written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

from pydantic import ValidationError

from dsa_lite.errors import ConfigError
from dsa_lite.io.files import write_atomic, writing
from dsa_lite.records import Record

R = TypeVar("R", bound=Record)
Warn = Callable[[str], None]


def silent(_: str) -> None:
    """Where nobody listens to warnings."""


class Lines:
    """A file of lines, opened at the first append. A torn last line (no line end) is cut off before that."""

    def __init__(self, path: Path, warn: Warn = silent) -> None:
        self.path = path
        self._warn = warn
        self._file: BinaryIO | None = None
        self._told = False

    def append_line(self, line: str) -> None:
        """Hand one line to the operating system. When the disk is full the file is left as it was."""
        raw = line.encode("utf-8", "replace") + b"\n"
        with writing(self.path):
            file = self._opened()
            start = os.fstat(file.fileno()).st_size
            written = 0
            try:
                while written < len(raw):
                    written += os.write(file.fileno(), raw[written:])
            except OSError:
                os.ftruncate(file.fileno(), start)
                raise

    def _opened(self) -> BinaryIO:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists():
                self._mend()
            self._file = self.path.open("ab", buffering=0)
        return self._file

    def _mend(self) -> None:
        """Make the file end with a line end: complete a whole last line, cut a torn one."""
        with self.path.open("r+b") as file:
            data = file.read()
            if not data or data.endswith(b"\n"):
                return
            keep = data.rfind(b"\n") + 1
            if self.complete(data[keep:]):
                file.write(b"\n")
            else:
                self._report_torn(data[keep:])
                file.truncate(keep)

    def complete(self, tail: bytes) -> bool:
        """Whether a last line without line end is whole all the same."""
        try:
            json.loads(tail)
        except (ValueError, RecursionError):
            return False
        return tail.lstrip()[:1] in (b"{", b"[")

    def _report_torn(self, tail: bytes) -> None:
        if not self._told:
            self._told = True
            self._warn(f"{self.path}: the last line was cut off ({len(tail)} bytes) and is left out")

    def raw_lines(self) -> list[bytes]:
        """Every whole line, blank ones too, so that positions are line numbers."""
        if not self.path.exists():
            return []
        lines = self.path.read_bytes().split(b"\n")
        tail = lines.pop()
        if tail and self.complete(tail):
            lines.append(tail)
        elif tail:
            self._report_torn(tail)
        return lines

    def count(self) -> int:
        return sum(1 for line in self.raw_lines() if line.strip())

    def keep(self, wanted: Callable[[bytes], bool]) -> None:
        """Replace the file by its lines that are wanted."""
        if self.path.exists():
            self.close()
            lines = [line for line in self.raw_lines() if line.strip() and wanted(line)]
            write_atomic(self.path, b"".join(line + b"\n" for line in lines))

    def truncate(self, lines: int) -> None:
        """Keep the first `lines` lines."""
        left = iter(range(lines))
        self.keep(lambda _: next(left, None) is not None)

    def sync(self) -> None:
        """Wait until everything appended is on the disk itself."""
        if self._file is not None:
            with writing(self.path):
                os.fsync(self._file.fileno())

    def close(self) -> None:
        if self._file is not None:
            try:
                self.sync()
            finally:
                self._file.close()
                self._file = None


class Log(Lines, Generic[R]):
    """A file of records of one kind."""

    def __init__(self, path: Path, model: type[R], warn: Warn = silent) -> None:
        super().__init__(path, warn)
        self.model = model

    def append(self, record: R) -> None:
        self.append_line(record.model_dump_json())

    def read(self) -> list[R]:
        """All records in order of arrival. A line that does not fit raises ConfigError; all such lines are named."""
        records: list[R] = []
        problems: list[str] = []
        for number, line in enumerate(self.raw_lines(), start=1):
            if not line.strip():
                continue
            try:
                records.append(self.model.model_validate_json(line))
            except ValidationError as error:
                problems += line_problems(self.path, number, error)
        if problems:
            raise ConfigError(
                f"{self.path} has lines that are no {self.model.__name__}",
                problems=shortened(problems),
                hint="put the lines right, or delete them and go on with the same dsa-lite run command: what can be "
                "made again then is",
            )
        return records


class Events(Lines):
    """A file of free-form JSON objects."""

    def append(self, event: Mapping[str, Any]) -> None:
        self.append_line(json.dumps(event, ensure_ascii=False, default=str))

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.raw_lines() if line.strip()]


def line_problems(path: Path, number: int, error: ValidationError) -> list[str]:
    """One sentence per fault of a line: file, line, field, what was got."""
    found = []
    for fault in error.errors(include_url=False):
        field = ".".join(map(str, fault["loc"]))
        got = "" if fault["type"] in ("missing", "json_invalid") else f" (got {short(fault['input'])})"
        found.append(f"{path}:{number}: {field + ': ' if field else ''}{fault['msg']}{got}")
    return found


def short(value: object, limit: int = 60) -> str:
    """A value for a message."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def shortened(problems: list[str], limit: int = 20) -> tuple[str, ...]:
    """The first problems, and how many more there are."""
    if len(problems) <= limit:
        return tuple(problems)
    return (*problems[:limit], f"… and {len(problems) - limit} more")
