"""Generation, greedy or drawn: one prefill, then one token per row and step; rows that ended leave the batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

from dsa_lite.student import Sampling
from dsa_lite_torch.loading import Base


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
    replies: list[list[int]] = [[] for _ in prompts]
    if max_tokens > 0:
        for group in _groups([len(p) for p in prompts], max_tokens, budget):
            own = sampling and replace(sampling, seeds=[sampling.seeds[i] for i in group])
            written = _Group(base, [prompts[i] for i in group], max_tokens, ends, own).write()
            for number, reply in zip(group, written, strict=True):
                replies[number] = reply
    return replies


def _groups(sizes: Sequence[int], max_tokens: int, budget: int) -> Iterator[list[int]]:
    """Prompts of similar length together, longest first."""
    order = sorted(range(len(sizes)), key=lambda i: (-sizes[i], i))
    while order:
        count = max(1, budget // (sizes[order[0]] + max_tokens))
        yield order[:count]
        order = order[count:]


class _Group:
    """Rows that are continued together, padded on the left."""

    def __init__(
        self,
        base: Base,
        prompts: list[Sequence[int]],
        max_tokens: int,
        ends: frozenset[int],
        sampling: Sampling | None,
    ) -> None:
        self._base, self._ends, self._max_tokens = base, ends, max_tokens
        self._sampling, self._chances = sampling, sampling.chances(max_tokens) if sampling else None
        width = max(len(p) for p in prompts)
        self._pad = next(iter(ends), 0)
        ids = torch.tensor([[self._pad] * (width - len(p)) + list(p) for p in prompts])
        self._sizes = torch.tensor([len(p) for p in prompts], device=base.device)
        real = torch.arange(width)[None] >= width - self._sizes.cpu()[:, None]
        self._ids = ids.to(base.device)
        self._seen = torch.ones((len(prompts), width + max_tokens), dtype=torch.bool, device=base.device)
        self._seen[:, :width] = real.to(base.device)
        self._padded = not bool(real.all())
        self._cache = _cache(base, width + max_tokens)
        self._replies: list[list[int]] = [[] for _ in prompts]

    @torch.inference_mode()
    def write(self) -> list[list[int]]:
        """The replies, in the order of the prompts."""
        width = self._ids.shape[1]
        positions = (self._seen[:, :width].cumsum(1) - 1).clamp(min=0)
        alive, rows = [True] * len(self._replies), list(range(len(self._replies)))
        token = self._choose(self._forward(self._ids, positions, width), rows, 0)
        for step in range(1, self._max_tokens + 1):
            for place, (row, number) in enumerate(zip(rows, token.tolist(), strict=True)):
                if alive[place] and number in self._ends:
                    alive[place] = False
                if alive[place]:
                    self._replies[row].append(number)
            if step == self._max_tokens or not any(alive):
                break
            if 2 * sum(alive) <= len(alive):
                rows, token = [row for row, live in zip(rows, alive, strict=True) if live], self._keep(alive, token)
                alive = [True] * len(rows)
            logits = self._forward(token[:, None], self._sizes[:, None] + step - 1, width + step)
            token = self._choose(logits, rows, step)
        return self._replies

    def _forward(self, ids: Tensor, positions: Tensor, length: int) -> Tensor:
        """Logits of each row's next token (b, V)."""
        out = self._base.inner(
            input_ids=ids,
            attention_mask=self._seen[:, :length] if self._padded else None,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
        )
        return self._base.logits(out.last_hidden_state[:, -1])

    def _choose(self, logits: Tensor, rows: list[int], step: int) -> Tensor:
        """The next token of each row (b,)."""
        if self._sampling is None or self._chances is None:
            return logits.argmax(-1)
        drawn = self._sampling.draw(logits.float().cpu().numpy(), self._chances[rows, step])
        return torch.tensor(drawn, device=logits.device)

    def _keep(self, alive: list[bool], token: Tensor) -> Tensor:
        kept = torch.tensor([place for place, live in enumerate(alive) if live], device=self._base.device)
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
