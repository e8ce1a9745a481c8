"""How much memory is free, and how many cores there are. Child only."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_GROUP = Path("/sys/fs/cgroup")
_GPU = 1


def cache_budget(weights: int, *, gpu_share: float) -> int:
    """Bytes that key-value caches may take: half of what is free once the weights are in memory.

    The other half is the student's and the system's. `weights`: bytes of the model, which the system counts as free
    while they are mapped from their file. `gpu_share` of the weights and of the cache is on GPUs, where the weights
    already count as taken; the rest is in main memory. What fills first is the limit.
    """
    limits = []
    if gpu_share < 1:
        free = free_bytes()
        # Weights larger than the memory are read again and again: slow, but it works.
        limits.append(max(free - weights * (1 - gpu_share), free / 4) / (1 - gpu_share))
    if gpu_share > 0:
        limits.append(free_on_gpus() / gpu_share)
    return int(min(limits) / 2)


def free_bytes() -> int:
    """Bytes this process can still take; half of all memory where the system does not say."""
    return min(_free_on_machine(), _free_in_group(_GROUP))


def _free_on_machine() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return 4 << 30


def _free_in_group(group: Path) -> int:
    """What a container's limit (cgroup v2) leaves; its file cache can be dropped and counts as free."""
    try:
        most = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        cached = [x for x in (group / "memory.stat").read_text().splitlines() if x.startswith("inactive_file ")]
        return max(0, most - used + int(cached[0].split()[1] if cached else 0))
    except (OSError, ValueError):  # none, or "max"
        return 1 << 62


def free_on_gpus() -> int:
    """Bytes free on all GPUs with memory of their own; 0 where there is none or this build of llama.cpp uses none."""
    from llama_cpp._ggml import libggml

    try:
        # The device functions are in libggml and in the library it is linked to.
        count, get = libggml.ggml_backend_dev_count, libggml.ggml_backend_dev_get
        kind, memory = libggml.ggml_backend_dev_type, libggml.ggml_backend_dev_memory
    except AttributeError:
        return 0
    count.restype, get.argtypes, get.restype = ctypes.c_size_t, [ctypes.c_size_t], ctypes.c_void_p
    kind.argtypes, kind.restype = [ctypes.c_void_p], ctypes.c_int
    size = ctypes.POINTER(ctypes.c_size_t)
    memory.argtypes, memory.restype = [ctypes.c_void_p, size, size], None
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    found = 0
    for device in map(get, range(count())):
        if kind(device) == _GPU:
            memory(device, ctypes.byref(free), ctypes.byref(total))
            found += free.value
    return found


def cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
