"""llama.cpp's own words: kept from the terminal, and kept for those who want them."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def log_kept() -> Iterator[list[bytes]]:
    """What llama.cpp logs meanwhile."""
    import llama_cpp as C
    from llama_cpp._logger import llama_log_callback

    words: list[bytes] = []

    @C.llama_log_callback  # type: ignore[untyped-decorator]
    def keep(level: int, text: bytes, data: Any) -> None:
        words.append(text)

    C.llama_log_set(keep, ctypes.c_void_p(0))
    try:
        yield words
    finally:
        C.llama_log_set(llama_log_callback, ctypes.c_void_p(0))
