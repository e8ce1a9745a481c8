"""Writing files so that a crash or a full disk leaves either the old content or the new; reading those of users."""

from __future__ import annotations

import codecs
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

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
#: Names of devices on Windows, whatever stands after the first dot.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(?=\.|$)", re.IGNORECASE)
#: What stops a writer, in words, and what to do about it.
_KEPT = "and run the same command again: everything accepted so far is kept"
_REASONS: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("no space left on the disk that holds {}", f"free some space {_KEPT}"),
    getattr(errno, "EDQUOT", -1): ("your share of the disk that holds {} is used up", f"free some of it {_KEPT}"),
    errno.EROFS: ("{} lies on a disk that can only be read", "choose another --out, or mount it for writing"),
    errno.EMFILE: ("too many files are open (wanted: {})", f"allow more (ulimit -n 4096) {_KEPT}"),
    errno.ENFILE: ("too many files are open on this machine (wanted: {})", f"close other programs {_KEPT}"),
    errno.ENAMETOOLONG: ("a name is too long for the file system: {}", "choose a shorter --out"),
    errno.EFBIG: ("a file is too large for its disk, or for ulimit -f: {}", f"allow larger ones {_KEPT}"),
}
#: How libraries written in Rust (safetensors, tokenizers) tell an error of the system.
_TOLD = re.compile(r"\(os error (\d+)\)")
_WINDOWS = {39: errno.ENOSPC, 112: errno.ENOSPC, 4: errno.EMFILE, 19: errno.EROFS, 206: errno.ENAMETOOLONG}


def system_error(error: BaseException) -> OSError | None:
    """The error of the system that `error` is, or that a library told in its own words; None for any other."""
    if isinstance(error, OSError):
        return error
    found = _TOLD.search(str(error))
    if found is None:
        return None
    number = int(found[1])
    number = _WINDOWS.get(number, number) if os.name == "nt" else number
    return OSError(number, os.strerror(number))


def cannot_write(path: Path | str, error: OSError) -> DsaError:
    """The error to raise for an OSError met while writing `path`: the one place that knows what each means."""
    if error.errno in _REASONS:
        message, hint = _REASONS[error.errno]
        shown = str(path) if len(str(path)) < 200 else f"{str(path)[:199]}…"
        return DsaError(message.format(shown), hint=hint)
    reason = error.strerror or str(error)
    return DsaError(f"cannot write {path}: {reason}", hint="check the folder's permissions, or choose another --out")


def stops_writers(error: OSError) -> bool:
    """Whether `error` is one that concerns disk and limits rather than one file."""
    return error.errno in _REASONS


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
    """Turns an error of the system inside, a library's own included, into a DsaError that names `path`."""
    try:
        yield
    except DsaError:
        raise
    except Exception as error:
        found = system_error(error)
        if found is None:
            raise
        raise cannot_write(path, found) from error


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


def read_json(path: Path, hint: str = "restore it, or remove it") -> dict[str, Any] | None:
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
