"""The user's documents: a folder of text, Markdown, HTML and PDF files, read as passages with their sources."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dsa_lite.config import DocsSettings
from dsa_lite.core.passages import Block, cut
from dsa_lite.errors import MissingExtra, UsageError
from dsa_lite.io.document_text import KINDS, Unreadable, reader_of
from dsa_lite.io.run_folder.rundir import digest
from dsa_lite.records import Passage

_SHOWN = 20  # files left out that are named
_MB = 10**6
_OTHER = "is of a kind that is not read"


@dataclass(frozen=True)
class Documents:
    """What a folder of documents holds. `left_out`: (file, reason) of those that could not be used."""

    passages: tuple[Passage, ...]
    files: int
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def fingerprint(self) -> str:
        """Of every passage and its source: another one where a document changed in a way that can matter."""
        return digest(self.passages)

    def notes(self) -> list[str]:
        """What one should know before the documents are used."""
        read = f"documents: {self.files} read, {len(self.passages):,} passages, {len(self.left_out)} left out"
        return [read, *(f"left out: {line.strip()}" for line in _listed(self.left_out))]


def read_documents(settings: DocsSettings) -> Documents:
    """The documents below `settings.folder`. A file that cannot be used is left out with the reason.

    Raises UsageError where there is no such folder or nothing usable in it, MissingExtra for HTML or PDF files without
    what reads them.
    """
    folder = Path(settings.folder).expanduser()
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "does not exist"
        raise UsageError(f"documents: {folder} {what}", hint="--docs takes a folder of text, Markdown, HTML or PDF")
    passages: dict[str, Passage] = {}  # by text: what stands in two files is one passage
    left_out: list[tuple[str, str]] = []
    files = 0
    for path in _found(folder):
        name = _name(path.relative_to(folder))
        try:
            found = cut(name, _blocks(path, folder, settings), min(settings.passage_chars, settings.chars_per_request))
        except Unreadable as error:
            left_out.append((name, str(error)))
            continue
        if found:
            files += 1
        else:
            left_out.append((name, "is empty"))
        for passage in found:
            passages.setdefault(hashlib.sha256(passage.text.encode("utf-8", "replace")).hexdigest(), passage)
    left_out = _gathered(left_out)
    if not passages:
        listed = "\n".join(["", *_listed(left_out)]) if left_out else ""
        raise UsageError(f"documents: {folder} holds nothing that can be read{listed}",
                         hint=f"kinds that are read: {' '.join(KINDS)}")  # fmt: skip
    return Documents(tuple(passages.values()), files, tuple(left_out))


def _found(folder: Path) -> Iterator[Path]:
    """All files below a folder by name, without hidden ones; links to folders are not followed."""
    for base, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(base) / name for name in sorted(files) if not name.startswith("."))
        yield from (Path(base) / name for name in folders if (Path(base) / name).is_symlink())


def _name(path: Path) -> str:
    """A file's name inside the folder, in one printable line."""
    return "".join(c if c.isprintable() else "?" for c in path.as_posix())


def _blocks(path: Path, folder: Path, settings: DocsSettings) -> list[Block]:
    """Raises Unreadable with the reason, or MissingExtra."""
    reader = reader_of(path)
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise Unreadable("is a link that leads out of the folder")
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise Unreadable("is a link to a folder" if path.is_dir() else "is no ordinary file")
        if reader is None:
            raise Unreadable(_OTHER)
        if facts.st_size > settings.max_file_mb * _MB:
            size, most = facts.st_size / _MB, settings.max_file_mb
            raise Unreadable(f"has {size:,.3f} MB, more than docs.max_file_mb = {most:g}")
        return reader(path)
    except (Unreadable, MissingExtra):
        raise
    except OSError as error:
        raise Unreadable(f"cannot be opened: {error.strerror or error}") from error
    except Exception as error:  # a broken or hostile file may bring anything out of the library that reads it
        raise Unreadable(f"is broken ({type(error).__name__}: {str(error)[:80]})") from error


def _gathered(left_out: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Files of other kinds as one line per kind, after the rest."""
    kinds = Counter(Path(name).suffix.casefold() for name, reason in left_out if reason == _OTHER)
    rest = [(name, reason) for name, reason in left_out if reason != _OTHER]
    return rest + [(f"{count} x {suffix or 'no ending'}", _OTHER) for suffix, count in sorted(kinds.items())]


def _listed(left_out: Sequence[tuple[str, str]]) -> list[str]:
    lines = [f"  {name}: {reason}" for name, reason in left_out[:_SHOWN]]
    return lines + [f"  and {len(left_out) - _SHOWN} more"] * (len(left_out) > _SHOWN)
