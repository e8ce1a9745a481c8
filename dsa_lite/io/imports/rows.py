"""The rows of a data file, each with the place an error names."""

from __future__ import annotations

import csv
import importlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsa_lite.core.escapes import BrokenText, all_restored
from dsa_lite.errors import MissingExtra
from dsa_lite.io.files import decoded
from dsa_lite.io.jsonl import short

KINDS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")


@dataclass(frozen=True)
class Row:
    """One row. `where`: `file:line` of its first line, or the file and the row's number where there are no lines."""

    where: str
    values: dict[str, Any]


def read_rows(path: Path, problems: list[str]) -> list[Row]:
    """Every row that can be read; what cannot is added to `problems`. Raises MissingExtra for Parquet without pyarrow.

    Cells of CSV files are texts, empty ones are left out; so are null values everywhere.
    """
    kind = path.suffix.lower()
    if kind not in KINDS:
        problems.append(f"{path}: the kind {kind or 'without a suffix'} is not known (allowed: {', '.join(KINDS)})")
        return []
    if kind == ".parquet":
        return list(_parquet(path, problems))
    try:
        text = decoded(path.read_bytes())
    except ValueError as error:
        problems.append(f"{path}: {error}")
        return []
    if kind in (".csv", ".tsv"):
        return list(_csv(path, text, problems))
    return list(_json(path, text, problems) if kind == ".json" else _jsonl(path, text, problems))


def _row(where: str, values: Any, problems: list[str]) -> Iterator[Row]:
    if not isinstance(values, dict):
        problems.append(f"{where}: got {short(values)}, allowed: an object with named fields")
        return
    found = {}
    for name, value in values.items():
        if value is not None:
            try:
                found[name] = all_restored(value)
            except BrokenText as fault:
                problems.append(f"{where}: {name}: {fault}")
    if len(found) == sum(value is not None for value in values.values()):
        yield Row(where, found)


def _jsonl(path: Path, text: str, problems: list[str]) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                values = json.loads(line)
            except (ValueError, RecursionError) as error:
                problems.append(f"{path}:{number}: no JSON: {getattr(error, 'msg', error)}")
                continue
            yield from _row(f"{path}:{number}", values, problems)


def _json(path: Path, text: str, problems: list[str]) -> Iterator[Row]:
    """A list of objects, or an object around one; one object per line is often called .json, too."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        if re.match(r"\s*\{.*\}[ \t\r]*\n\s*\{", text):
            yield from _jsonl(path, text, problems)
            return
        line = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        problems.append(f"{path}{line}: no JSON: {getattr(error, 'msg', error)} (one object per line is a .jsonl file)")
        return
    if isinstance(content, dict):  # {"version": "1", "data": […]}
        lists = [value for value in content.values() if isinstance(value, list)]
        content = lists[0] if len(lists) == 1 else content
    if not isinstance(content, list):
        problems.append(f"{path}: got {short(content)}, allowed: a list of objects")
        return
    for number, values in enumerate(content, start=1):
        yield from _row(f"{path}: item {number}", values, problems)


def _csv(path: Path, text: str, problems: list[str]) -> Iterator[Row]:
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    delimiter, skipped = _delimiter(path, text)
    # Lines as a file has them: str.splitlines would also cut a cell at U+2028 and its like.
    reader = csv.reader(io.StringIO(text[skipped:], newline=""), delimiter=delimiter, strict=True,
                        skipinitialspace=True)  # fmt: skip
    before = text[:skipped].count("\n")  # lines
    line = 1 + before
    names: list[str] = []
    try:
        for cells in reader:
            where, line = f"{path}:{line}", reader.line_num + 1 + before
            while cells and len(cells) > len(names) and not cells[-1].strip():
                cells.pop()  # empty columns, as spreadsheets add them
            if not any(cell.strip() for cell in cells):
                continue
            if not names:
                names = [name.strip() for name in cells]
                twice = sorted({name for name in names if name and names.count(name) > 1})
                problems += [f"{where}: the column {name!r} is there more than once" for name in twice]
            elif len(cells) > len(names):
                problems.append(f"{where}: {len(cells)} cells, but the header names {len(names)}; quote the commas")
            else:
                yield _named(where, names, cells, problems)
    except csv.Error as error:
        problems.append(f"{path}:{line}: {error}; the rest of the file was not read")


def _named(where: str, names: list[str], cells: list[str], problems: list[str]) -> Row:
    filled = [(name, cell) for name, cell in zip(names, cells, strict=False) if cell.strip()]
    problems += [f"{where}: {short(cell)} stands in a column without a name" for name, cell in filled if not name]
    return Row(where, dict(filled))


def _delimiter(path: Path, text: str) -> tuple[str, int]:
    """What separates the cells, and how many characters come before the header: blank lines and Excel's `sep=;`."""
    said = re.match(r"\s*\"?sep=(.)\"?[;,\t]*\r?(?:\n|$)", text, re.IGNORECASE)
    if said:
        return said[1], said.end()
    if path.suffix.lower() == ".tsv":
        return "\t", 0
    first = re.sub(r'"[^"]*"', "", text.lstrip("\r\n").split("\n", 1)[0])
    return max(",;\t|", key=first.count), 0


def _parquet(path: Path, problems: list[str]) -> Iterator[Row]:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
        arrow = importlib.import_module("pyarrow")
    except ImportError as error:
        hint = "pip install 'dsa-lite[dataset]'"
        raise MissingExtra(f"{path}: Parquet files need the package pyarrow", hint=hint) from error
    try:
        rows = parquet.read_table(path).to_pylist()
    except (arrow.ArrowException, OSError) as error:
        problems.append(f"{path}: no Parquet file: {str(error).splitlines()[0]}")
        return
    for number, values in enumerate(rows, start=1):
        yield from _row(f"{path}: row {number}", values, problems)
