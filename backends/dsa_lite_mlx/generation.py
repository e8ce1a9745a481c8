"""Generation, greedy or drawn: one prefill, then one token per row and step; rows that ended leave the batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm.models.cache import BatchKVCache, BatchRotatingKVCache, KVCache, RotatingKVCache, make_prompt_cache

from dsa_lite.student import Sampling
from dsa_lite_mlx.loading import Base

_TOLERANCE = 2e-2  # of the largest hidden unit, in bfloat16's favour


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
    if base.pads is None:
        base.pads = _pads(base)
    if max_tokens > 0:
        for group in _groups([len(p) for p in prompts], max_tokens, budget, mixed=base.pads):
            own = sampling and replace(sampling, seeds=[sampling.seeds[i] for i in group])
            written = _Group(base, [prompts[i] for i in group], max_tokens, ends, own).write()
            for number, reply in zip(group, written, strict=True):
                replies[number] = reply
    return replies


def _groups(sizes: Sequence[int], max_tokens: int, budget: int, *, mixed: bool) -> Iterator[list[int]]:
    """Prompts of similar length together, longest first; of the same length unless `mixed`."""
    order = sorted(range(len(sizes)), key=lambda i: (-sizes[i], i))
    while order:
        count = max(1, budget // (sizes[order[0]] + max_tokens))
        if not mixed:
            count = min(count, sum(sizes[i] == sizes[order[0]] for i in order))
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
        padding = [width - len(p) for p in prompts]
        pad = next(iter(ends), 0)
        self._ids = mx.array([[pad] * count + [int(i) for i in p] for count, p in zip(padding, prompts, strict=True)])
        batched = _cache(base, padding) if base.pads else None
        self._cache: list[Any] = make_prompt_cache(base.model) if batched is None else batched
        self._replies: list[list[int]] = [[] for _ in prompts]

    def write(self) -> list[list[int]]:
        """The replies, in the order of the prompts."""
        alive, rows = [True] * len(self._replies), list(range(len(self._replies)))
        token = self._choose(self._forward(self._ids), rows, 0)
        for step in range(1, self._max_tokens + 1):
            numbers: Any = token.tolist()
            for place, (row, number) in enumerate(zip(rows, numbers, strict=True)):
                if alive[place] and number in self._ends:
                    alive[place] = False
                if alive[place]:
                    self._replies[row].append(number)
            if step == self._max_tokens or not any(alive):
                break
            if self._base.pads and 2 * sum(alive) <= len(alive):
                rows, token = [row for row, live in zip(rows, alive, strict=True) if live], self._keep(alive, token)
                alive = [True] * len(rows)
            token = self._choose(self._forward(token[:, None]), rows, step)
        return self._replies

    def _forward(self, ids: mx.array) -> mx.array:
        """Logits of each row's next token (b, V)."""
        hidden = self._base.inner(ids, cache=self._cache)
        return self._base.logits(hidden[:, -1])

    def _choose(self, logits: mx.array, rows: list[int], step: int) -> mx.array:
        """The next token of each row (b,)."""
        if self._sampling is None or self._chances is None:
            return logits.argmax(-1)
        drawn = self._sampling.draw(np.array(logits.astype(mx.float32)), self._chances[rows, step])
        return mx.array(drawn)

    def _keep(self, alive: list[bool], token: mx.array) -> mx.array:
        kept = mx.array([place for place, live in enumerate(alive) if live])
        for layer in self._cache:
            layer.filter(kept)
        return token[kept]


def _cache(base: Base, padding: list[int]) -> list[Any] | None:
    """The batched form of the architecture's own cache; None where a layer's kind has none we know."""
    layers = list[Any]()
    for layer in make_prompt_cache(base.model):
        if type(layer) is KVCache:
            layers.append(BatchKVCache(padding))
        elif type(layer) is RotatingKVCache and not layer.keep:
            layers.append(BatchRotatingKVCache(layer.max_size, padding))
        else:
            return None
    return layers


def _pads(base: Base) -> bool:
    """Whether the architecture computes rows padded on the left as it does alone: mlx-lm's code does not for all."""
    cache = _cache(base, [0, 2])
    if cache is None:
        return False
    ids = [1, 2, 3, 4, 5]
    try:
        padded = base.inner(mx.array([ids, [0, 0, *ids[2:]]]), cache=cache)[1, -1]
        difference = mx.abs(padded - base.inner(mx.array([ids[2:]]))[0, -1]).max()
        return float(difference) <= _TOLERANCE * float(mx.abs(padded).max())
    except (ValueError, TypeError, AttributeError, IndexError):
        return False
