"""TOML: reading with errors that say where, and writing the plain tables of a run file."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dsa_lite.errors import ConfigError, UsageError

BACKSLASHES = r"a path with backslashes needs single quotes, as in 'C:\models\big.gguf', or / in their place"
_LOST = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]|^[A-Za-z]:[\t\n]|^[^\t\n]*\S[\t\n]\S[^\t\n]*\.\w{1,8}$")


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file; ConfigError names the line of a syntax error."""
    if path.exists() and not path.is_file():  # a pipe would be waited for, for ever
        raise UsageError(f"{path} is no file", hint="give the path of a file of settings")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no UTF-8 text (byte {error.start})", hint="save it as UTF-8") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}", hint="check the path") from error
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        where = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = where[1] if where else str(text.count("\n") + 1)
        message = str(error).replace(where[0], "").strip() if where else str(error)
        backslash = "\\" in (text.split("\n")[int(line) - 1 :] or [""])[0]
        hint = BACKSLASHES if backslash else 'text needs quotes, as in name = "text"'
        raise ConfigError(f"{path}:{line}: {message}", hint=hint) from error


def lost_backslash(text: str) -> bool:
    r"""Whether a path in double quotes became another text: "C:\temp" and "data\new.csv" are valid TOML with a tab
    and a line end in it."""
    return _LOST.search(text) is not None


def to_toml(tables: Mapping[str, Any]) -> str:
    """Scalars, lists and nested tables as TOML. None is left out: TOML has no word for it."""
    lines: list[str] = []
    _write_table(tables, (), lines)
    return "\n".join(lines).strip("\n") + "\n"


def _write_table(table: Mapping[str, Any], path: tuple[str, ...], lines: list[str]) -> None:
    scalars = {k: v for k, v in table.items() if v is not None and not isinstance(v, Mapping)}
    if path and (scalars or not table):
        lines += ["", "[" + ".".join(map(_key, path)) + "]"]
    lines += [f"{_key(k)} = {_value(v)}" for k, v in scalars.items()]
    for key, value in table.items():
        if isinstance(value, Mapping):
            _write_table(value, (*path, key), lines)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _value(key)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(v) for v in value if v is not None) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None) + "}"
    text = str(value).encode("utf-8", "replace").decode()
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
