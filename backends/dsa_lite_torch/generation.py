"""Generation, greedy or drawn: one prefill, then one token per row and step; rows that ended leave the batch."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

from dsa_lite.passes import Replies, left_padded, write_all
from dsa_lite.student import Sampling
from dsa_lite_torch.base import Base


def generate(
    base: Base,
    prompts: Sequence[Sequence[int]],
    max_tokens: int,
    ends: frozenset[int],
    budget: int,
    sampling: Sampling | None = None,
) -> list[list[int]]:
    """Continuations in the prompts' order, end tokens not included.

    At most `budget` tokens (prompts and replies, padded) are held at a time. Prompts must not be empty.
    """

    def write(group: Sequence[Sequence[int]], replies: Replies) -> None:
        _Group(base, group, max_tokens, next(iter(ends), 0)).write(replies)

    return write_all(write, prompts, max_tokens, ends, budget, sampling)


class _Group:
    """Rows that are continued together, padded on the left."""

    def __init__(self, base: Base, prompts: Sequence[Sequence[int]], max_tokens: int, pad: int) -> None:
        self._base = base
        self._ids = torch.from_numpy(left_padded(prompts, pad)).to(base.device)
        width = self._ids.shape[1]
        self._sizes = torch.tensor([len(p) for p in prompts], device=base.device)
        self._seen = torch.ones((len(prompts), width + max_tokens), dtype=torch.bool, device=base.device)
        self._seen[:, :width] = torch.arange(width, device=base.device)[None] >= width - self._sizes[:, None]
        self._padded = any(len(p) < width for p in prompts)
        self._cache = _cache(base, width + max_tokens)
        self._cache_name = "cache" if "cache" in signature(base.inner.forward).parameters else "past_key_values"

    def write(self, replies: Replies) -> None:
        """Fill the replies."""
        # what FSDP puts together in inference mode could not be used in training
        with torch.inference_mode() if self._base.shards is None else torch.no_grad():
            self._write(replies)

    def _write(self, replies: Replies) -> None:
        width = self._ids.shape[1]
        positions = (self._seen[:, :width].cumsum(1) - 1).clamp(min=0)
        token, step = self._choose(self._forward(self._ids, positions, width), replies), 0
        while replies.take(token.tolist()):
            step += 1
            if (kept := replies.leave()) is not None:
                token = self._keep(kept, token)
            logits = self._forward(token[:, None], self._sizes[:, None] + step - 1, width + step)
            token = self._choose(logits, replies)

    def _forward(self, ids: Tensor, positions: Tensor, length: int) -> Tensor:
        """Logits of each row's next token (b, V)."""
        with self._base.one_pass(gradient=False):
            out = self._base.inner(
                input_ids=ids,
                attention_mask=self._seen[:, :length] if self._padded else None,
                position_ids=positions,
                use_cache=True,
                **{self._cache_name: self._cache},
            )
        return self._base.logits(out.last_hidden_state[:, -1])

    def _choose(self, logits: Tensor, replies: Replies) -> Tensor:
        """The next token of each row (b,)."""
        if not replies.drawn:
            return logits.argmax(-1)
        return torch.tensor(replies.draw(logits.float().cpu().numpy()), device=logits.device)

    def _keep(self, places: list[int], token: Tensor) -> Tensor:
        kept = torch.tensor(places, device=self._base.device)
        self._cache.batch_select_indices(kept)
        self._seen, self._sizes = self._seen[kept], self._sizes[kept]
        return token[kept]


class _ReservedLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """Keys and values of one layer in memory reserved once, instead of copied anew for every token."""

    def __init__(self, capacity: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._capacity, self._length = capacity, 0

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._memory = [s.new_empty(*s.shape[:2], self._capacity, s.shape[3]) for s in (key_states, value_states)]
        end = self._length + key_states.shape[2]
        for memory, states in zip(self._memory, (key_states, value_states), strict=True):
            memory[:, :, self._length : end] = states
        self._length = end
        self.keys, self.values = (memory[:, :, :end] for memory in self._memory)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        self._memory = [memory.index_select(0, indices) for memory in self._memory]
        self.keys, self.values = (memory[:, :, : self._length] for memory in self._memory)


def _cache(base: Base, capacity: int) -> DynamicCache:
    """The architecture's own kind of cache, with reserved memory for its plain attention layers."""
    cache = DynamicCache(config=base.model.config)
    cache.layers = [_ReservedLayer(capacity) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache
