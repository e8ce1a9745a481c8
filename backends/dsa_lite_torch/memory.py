"""Less memory for more time: blocks that compute their inner results again for the gradient, and memory errors."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from dsa_lite_torch.base import Base

_RAN_OUT = ("out of memory", "can't allocate memory", "alloc_failed", "bad_alloc", "bad allocation")


class Checkpoints:
    """Gradient checkpointing of a base's blocks. `on`: whether it is done; the results are the same.

    generator: where dropout comes from now, if there is any; a block computed again drops the same units.
    """

    def __init__(self, base: Base, generator: Callable[[], torch.Generator | None]) -> None:
        blocks = blocks_of(base)
        for block in blocks:
            block.forward = partial(self._run, block.forward)
        self.possible, self.on, self._generator = bool(blocks), False, generator

    def _run(self, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if not (self.on and torch.is_grad_enabled()):
            return forward(*args, **kwargs)
        return checkpoint(
            forward, *args, use_reentrant=False, preserve_rng_state=False, context_fn=self._contexts, **kwargs
        )

    def _contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        """For the first time and for the second."""
        generator = self._generator()
        return nullcontext(), nullcontext() if generator is None else _replayed(generator, generator.get_state())


def blocks_of(base: Base) -> list[Any]:
    """The layers that a base's network is a row of, in their order; none where transformers does not mark them."""
    return [module for module in base.inner.modules() if isinstance(module, GradientCheckpointingLayer)]


@contextmanager
def _replayed(generator: torch.Generator, state: torch.Tensor) -> Iterator[None]:
    now = generator.get_state()
    generator.set_state(state)
    try:
        yield
    finally:
        generator.set_state(now)


def ran_out(error: Exception) -> bool:
    """Whether this is one of torch's many ways to say that memory ran out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _RAN_OUT)


def release() -> None:
    """Give the memory of a failed pass back."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
