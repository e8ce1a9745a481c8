"""Generation, greedy or drawn: one prefill, then one token per row and step; rows that ended leave the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm.models.cache import BatchKVCache, BatchRotatingKVCache, KVCache, RotatingKVCache, make_prompt_cache

from dsa_lite.passes import Replies, left_padded, write_all
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
    if base.pads is None:
        base.pads = _pads(base)

    def write(group: Sequence[Sequence[int]], replies: Replies) -> None:
        _Group(base, group, next(iter(ends), 0)).write(replies)

    return write_all(write, prompts, max_tokens, ends, budget, sampling, mixed=base.pads)


class _Group:
    """Rows that are continued together, padded on the left."""

    def __init__(self, base: Base, prompts: Sequence[Sequence[int]], pad: int) -> None:
        self._base, self._ids = base, mx.array(left_padded(prompts, pad))
        padding = [self._ids.shape[1] - len(p) for p in prompts]
        batched = _cache(base, padding) if base.pads else None
        self._cache: list[Any] = make_prompt_cache(base.model) if batched is None else batched

    def write(self, replies: Replies) -> None:
        """Fill the replies."""
        token = self._choose(self._forward(self._ids), replies)
        while replies.take(token.tolist()):  # type: ignore[arg-type]
            if self._base.pads and (kept := replies.leave()) is not None:
                token = self._keep(kept, token)
            token = self._choose(self._forward(token[:, None]), replies)

    def _forward(self, ids: mx.array) -> mx.array:
        """Logits of each row's next token (b, V)."""
        hidden = self._base.inner(ids, cache=self._cache)
        return self._base.logits(hidden[:, -1])

    def _choose(self, logits: mx.array, replies: Replies) -> mx.array:
        """The next token of each row (b,)."""
        if not replies.drawn:
            return logits.argmax(-1)
        return mx.array(replies.draw(np.array(logits.astype(mx.float32))))

    def _keep(self, places: list[int], token: mx.array) -> mx.array:
        kept = mx.array(places)
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
