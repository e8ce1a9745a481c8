"""Append-only logs: torn tails, bad lines, full disks."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsa_lite.errors import ConfigError, DsaError
from dsa_lite.io.jsonl import Events, Log
from dsa_lite.records import Textbook


def book(n: int, text: str = "t") -> Textbook:
    return Textbook(id=f"t{n}", skill="s", text=text)


def log(folder: Path, warnings: list[str] | None = None) -> Log[Textbook]:
    return Log(folder / "sub" / "t.jsonl", Textbook, (warnings if warnings is not None else []).append)


def test_append_and_read(tmp_path: Path) -> None:
    one = log(tmp_path)
    assert one.read() == []
    assert one.count() == 0
    for n in range(3):
        one.append(book(n, "two\nlines ü"))
        assert log(tmp_path).count() == n + 1  # on disk at once
    one.sync()
    one.close()
    assert log(tmp_path).read() == [book(n, "two\nlines ü") for n in range(3)]


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(1, 60))
def test_torn_tail_at_any_byte(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("torn")
    first = log(folder)
    for n in range(3):
        first.append(book(n))
    first.close()
    size = first.path.stat().st_size
    os.truncate(first.path, max(0, size - cut))
    warnings: list[str] = []
    second = log(folder, warnings)
    kept = second.read()
    assert kept == [book(n) for n in range(len(kept))]
    second.append(book(9))
    assert second.read() == [*kept, book(9)]
    assert second.count() == len(kept) + 1
    assert len(warnings) <= 1
    second.close()


def test_whole_last_line_without_line_end_is_kept(tmp_path: Path) -> None:
    first = log(tmp_path)
    first.path.parent.mkdir()
    first.path.write_text(book(0).model_dump_json())
    assert first.read() == [book(0)]
    first.append(book(1))
    assert first.read() == [book(0), book(1)]
    first.close()


def test_bad_line_in_the_middle_names_file_line_and_field(tmp_path: Path) -> None:
    one = log(tmp_path)
    one.path.parent.mkdir()
    one.path.write_text(
        book(0).model_dump_json() + '\n{"id": 5, "skill": "s"}\nnot json\n' + book(1).model_dump_json() + "\n"
    )
    with pytest.raises(ConfigError) as caught:
        one.read()
    text = str(caught.value)
    assert f"{one.path}:2: id:" in text
    assert "got 5" in text
    assert f"{one.path}:2: text: Field required" in text
    assert f"{one.path}:3:" in text


def test_truncate(tmp_path: Path) -> None:
    one = log(tmp_path)
    for n in range(5):
        one.append(book(n))
    one.truncate(2)
    assert one.read() == [book(0), book(1)]
    one.append(book(7))
    assert one.count() == 3
    one.close()


def test_full_disk_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = log(tmp_path)
    one.append(book(0))
    write = os.write
    calls = []

    def full(fd: int, data: bytes) -> int:
        calls.append(fd)
        if len(calls) == 1:
            return write(fd, data[:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(DsaError, match="no space left") as caught:
        one.append(book(1))
    monkeypatch.undo()
    assert "free some space" in caught.value.hint
    assert one.read() == [book(0)]
    one.append(book(2))
    assert one.read() == [book(0), book(2)]
    one.close()


def test_events(tmp_path: Path) -> None:
    events = Events(tmp_path / "events.jsonl")
    events.append({"kind": "note", "text": "ü", "path": tmp_path})
    events.close()
    assert events.read() == [{"kind": "note", "text": "ü", "path": str(tmp_path)}]
