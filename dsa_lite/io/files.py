"""Writing files so that a crash or a full disk leaves either the old content or the new."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dsa_lite.errors import ConfigError, DsaError

#: Names of devices on Windows, whatever stands after the first dot.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(?=\.|$)", re.IGNORECASE)
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


def cannot_write(path: Path, error: OSError) -> DsaError:
    """The error to raise for an OSError met while writing `path`."""
    if error.errno in _FULL:
        return DsaError(
            f"no space left on the disk that holds {path}",
            hint="free some space and run the same command again: everything accepted so far is kept",
        )
    reason = error.strerror or str(error)
    return DsaError(f"cannot write {path}: {reason}", hint="check the folder's permissions, or choose another --out")


def path_name(text: str, limit: int = 100, *, ascii_only: bool = False) -> str:
    """The one place where a name out of a skill, a model or data becomes the name of a file or a folder.

    Letters, digits, "." and "_" stay, what stands between them becomes "-"; at most `limit` bytes of UTF-8, never a
    path, hidden, an option or a device.
    """
    text = unicodedata.normalize("NFKD" if ascii_only else "NFC", text)
    kept = "".join(c if _stays(c, ascii_only) else "" if unicodedata.combining(c) and ascii_only else " " for c in text)
    name = "-".join(kept.replace("-", " ").split()).lstrip(".-_")
    name = name.encode()[: limit - 1].decode(errors="ignore").rstrip(".-")  # one byte is left for a device's "_"
    return _DEVICES.sub(r"\1_", name) or "unnamed"


def _stays(c: str, ascii_only: bool) -> bool:
    if ascii_only and not c.isascii():
        return False
    return c.isalnum() or c in "._" or unicodedata.category(c).startswith("M")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns an OSError inside into a DsaError that names `path`."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error


def write_atomic(path: Path, data: str | bytes) -> None:
    """Write beside the target, sync, then replace it."""
    raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
    temporary = path.with_name(f".{path.name}.tmp")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` last; a no-op where folders cannot be synced."""
    try:
        fd = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(fd)
    except OSError:
        pass
    finally:
        os.close(fd)


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there; a link goes, what it points to stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_atomic(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path, hint: str) -> dict[str, Any] | None:
    """The object in a JSON file; None when there is no such file. ConfigError with `hint` where it holds none."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ConfigError(f"{path} is no JSON: {error}", hint=hint) from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds no JSON object", hint=hint)
    return content
