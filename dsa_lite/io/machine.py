"""What the machine has: cores, memory, disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_MEMORY = Path("/proc/meminfo")


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> dict[str, int | None]:
    """`total` and `available` bytes; None where the system does not say."""
    if _MEMORY.exists():
        lines = dict(line.split(":", 1) for line in _MEMORY.read_text().splitlines() if ":" in line)
        total, available = (int(lines[key].split()[0]) * 1024 for key in ("MemTotal", "MemAvailable"))
        return {"total": total, "available": available}
    try:
        return {"total": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "available": None}
    except (AttributeError, ValueError, OSError):
        return {"total": None, "available": None}


def free_memory() -> int | None:
    """Bytes that are free now; half of all where the system tells only the total; None where it tells nothing."""
    found = memory()
    total, available = found["total"], found["available"]
    return available if available is not None else None if total is None else total // 2


def free_disk(folder: Path) -> int:
    """Bytes free on the disk that holds `folder`, which need not exist yet."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
