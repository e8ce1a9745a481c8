"""What the machine has, where the system says it and where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsa_lite.io import machine


def test_memory_as_linux_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  2000 kB\nMemFree: 5 kB\nMemAvailable: 500 kB\n")
    monkeypatch.setattr(machine, "_MEMORY", tmp_path / "meminfo")
    assert machine.memory() == {"total": 2000 * 1024, "available": 500 * 1024}
    assert machine.free_memory() == 500 * 1024


def test_memory_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_MEMORY", tmp_path / "none")
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 10}
    monkeypatch.setattr(machine.os, "sysconf", sizes.__getitem__)
    assert machine.memory() == {"total": 40960, "available": None}
    assert machine.free_memory() == 20480
    monkeypatch.delattr(machine.os, "sysconf")
    assert machine.memory() == {"total": None, "available": None}
    assert machine.free_memory() is None


def test_cores_and_disk(tmp_path: Path) -> None:
    assert machine.cores() >= 1
    assert machine.free_disk(tmp_path / "not" / "yet" / "there") > 0
