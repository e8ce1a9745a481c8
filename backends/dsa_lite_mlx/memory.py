"""Less memory for more time: blocks that compute their inner results again for the gradient, and memory errors."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx

_RAN_OUT = ("out of memory", "outofmemory", "insufficient memory", "unable to allocate", "attempting to allocate",
            "failed to allocate", "resource limit", "bad_alloc")  # fmt: skip


class Checkpoints:
    """Gradient checkpointing of a model's blocks. `on`: whether it is done; the results are the same."""

    def __init__(self) -> None:
        self.on = False

    def add(self, block: Any, places: Sequence[int], owner: Any) -> None:
        """Let `block` be checkpointed; `places`: where the values of its layers stand in `owner.values`.

        Gradients reach only what is handed over as an argument: the values and the block's first input.
        """
        plain: Callable[..., Any] = type(block).__call__

        def call(self_: Any, x: mx.array, *args: Any, **kwargs: Any) -> Any:
            if not self.on:
                return plain(self_, x, *args, **kwargs)

            def inner(own: list[mx.array], x: mx.array) -> Any:
                before = owner.values
                owner.values = _with(before, places, own)
                try:
                    return plain(self_, x, *args, **kwargs)
                finally:
                    owner.values = before

            return mx.checkpoint(inner)([owner.values[place] for place in places], x)

        block.__class__ = type(type(block).__name__, (type(block),), {"__call__": call})


def _with(values: Sequence[mx.array], places: Sequence[int], own: Sequence[mx.array]) -> list[mx.array]:
    changed = list(values)
    for place, value in zip(places, own, strict=True):
        changed[place] = value
    return changed


def ran_out(error: Exception) -> bool:
    """Whether this is one of MLX's ways to say that memory ran out."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _RAN_OUT)


def release() -> None:
    """Give the memory of a failed pass back."""
    gc.collect()
    mx.clear_cache()
