"""On which line of a TOML file something stands: tomllib does not say."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Key = tuple[str | int, ...]


class Places:
    """Where the tables, keys and array elements of a TOML file stand. ("topic", 0, "name"): name of the first topic."""

    def __init__(self, path: Path, text: str) -> None:
        """`text`: valid TOML, the content of `path`."""
        self._path = path
        self._lines: dict[Key, int] = {}
        self._last: dict[Key, int] = {}  # array of tables -> number of its latest element
        self._read(text)

    def where(self, *key: str | int) -> str:
        """`file:line` of the key, of the nearest thing around it that is there, or the file alone."""
        while key and key not in self._lines:
            key = key[:-1]
        return f"{self._path}:{self._lines[key]}" if key else str(self._path)

    def _read(self, text: str) -> None:
        """Statement by statement: lines are joined until they are TOML by themselves."""
        table: Key = ()
        statement, start = "", 1
        for number, line in enumerate(text.split("\n"), start=1):
            start = start if statement else number
            statement += line + "\n"
            try:
                content = tomllib.loads(statement)
            except tomllib.TOMLDecodeError:
                continue  # a text or an array over several lines
            if statement.lstrip().startswith("["):
                table = self._header(content, start)
            else:
                self._note(table, content, start)
            statement = ""

    def _header(self, content: Mapping[str, Any], line: int) -> Key:
        """The table that a line `[a.b]` or `[[a.b]]` opens."""
        key: Key = ()
        while content:
            name, inner = next(iter(content.items()))
            key = (*key, name)
            if isinstance(inner, list):
                self._last[key] = self._last.get(key, -1) + 1
                inner = inner[0]
            if key in self._last:
                self._lines.setdefault(key, line)
                key = (*key, self._last[key])
            self._lines.setdefault(key, line)
            content = inner
        return key

    def _note(self, key: Key, content: Any, line: int) -> None:
        inside = content.items() if isinstance(content, Mapping) else enumerate(content)
        for name, value in inside:
            self._lines.setdefault((*key, name), line)
            if isinstance(value, Mapping | list):
                self._note((*key, name), value, line)
