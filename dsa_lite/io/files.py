"""Writing files so that a crash or a full disk leaves either the old content or the new; reading those of users."""

from __future__ import annotations

import codecs
import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dsa_lite.errors import ConfigError, DsaError

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
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


def decoded(raw: bytes) -> str:
    """The text of a user's file: UTF-8, or what its byte order mark says.

    Raises ValueError, which says what to do, for other encodings and for what is no text.
    """
    encoding = next((name for bom, name in _BOMS if raw.startswith(bom)), "utf-8")
    if encoding.startswith("utf-8") and b"\0" in raw:
        raise ValueError("is no text: it holds zero bytes (if it is UTF-16: save it as UTF-8)")
    try:
        return raw.decode(encoding).removeprefix("\ufeff")  # some programs write it twice
    except UnicodeDecodeError as error:
        name = "UTF-8" if encoding.startswith("utf-8") else encoding.upper()
        raise ValueError(f"is not {name} (byte {error.start + 1:,}): save it as UTF-8") from None


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_atomic(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None when there is no such file."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ConfigError(f"{path} is no JSON: {error}", hint="start over with --fresh") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds no JSON object", hint="start over with --fresh")
    return content
