"""What the machine has: cores, memory, disk."""

from __future__ import annotations

import os
import shutil
import sys
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


def peak_memory() -> dict[str, int]:
    """The most main memory in bytes that this process has held (`own`), and any child that has ended (`child`)."""
    try:
        import resource
    except ImportError:  # not a POSIX system
        return {"own": 0, "child": 0}
    unit = 1 if sys.platform == "darwin" else 1024
    who = {"own": resource.RUSAGE_SELF, "child": resource.RUSAGE_CHILDREN}
    return {name: resource.getrusage(which).ru_maxrss * unit for name, which in who.items()}


def crowded() -> bool:
    """Whether much more wants to run right now than there are cores for; False where the system does not say."""
    return hasattr(os, "getloadavg") and os.getloadavg()[0] > 1.5 * cores()


def free_disk(folder: Path) -> int:
    """Bytes free on the disk that holds `folder`, which need not exist yet."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
