"""A frozen model, taken apart as the student needs it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor


class SharedOut(Protocol):
    """A base of which this process holds a part; see `sharding`."""

    def in_step(self, work: Callable[[], Any]) -> Any: ...

    def one_pass(self, *, gradient: bool) -> AbstractContextManager[None]: ...


@dataclass
class Base:
    """A frozen causal language model, taken apart: `inner` gives hidden states, `logits` the rest."""

    model: Any
    folder: Path
    device: torch.device
    dtype: torch.dtype
    products: torch.dtype  # of the linear layers' weights and matrix products, where it differs from the rest
    context_tokens: int
    shards: SharedOut | None = None  # None: this process holds all of it

    @property
    def inner(self) -> Any:
        """The network below the output layer."""
        return self.model.base_model

    def one_pass(self, *, gradient: bool) -> AbstractContextManager[None]:
        """What a forward pass of `inner`, and with `gradient` its backward pass, must be surrounded by."""
        return nullcontext() if self.shards is None else self.shards.one_pass(gradient=gradient)

    def logits(self, hidden: Tensor) -> Tensor:
        """Float32 logits (N, V) of hidden states (N, H)."""
        config = self.model.config.get_text_config()
        logits: Tensor = self.model.get_output_embeddings()(hidden).float()
        factor = (getattr(config, "logit_scale", None) or 1.0) / (getattr(config, "logits_scaling", None) or 1.0)
        if factor != 1.0:
            logits = logits * factor
        cap = getattr(config, "final_logit_softcapping", None)
        return torch.tanh(logits / cap) * cap if cap else logits
