"""How many sequences of how many tokens: from the memory that is free and the model's sizes. Child only."""

from __future__ import annotations

from typing import Any

from dsa_lite_llama_cpp.context import Context
from dsa_lite_llama_cpp.memory import cache_budget
from dsa_lite_llama_cpp.model import Model
from dsa_lite_llama_cpp.threads import Threads

#: How many sequences there are at most where the user does not say; how many of them write is `Flight`'s to find.
_SLOTS = 32
#: llama.cpp's limit on sequences, less the spares.
_MOST_SLOTS = 248
_SPARES = 2
_ROUND = 256
_GIB = 1 << 30


class Sizing:
    """Decides what fits. What was free when the model had been loaded counts, not what our own cache left of it."""

    def __init__(self, model: Model, options: dict[str, Any]) -> None:
        self._model = model
        self._fixed = min(options["context_tokens"], model.trained_context)
        self._budget = cache_budget(model.weights_bytes, gpu_share=model.gpu_share)
        self._fits = self._budget // max(1, model.kv_bytes_per_token)
        self.chosen = bool(options["in_flight"])
        self.slots = min(options["in_flight"] or options["slots"] or _SLOTS, _MOST_SLOTS)

    @property
    def longest(self) -> int:
        """Tokens that one sequence may have."""
        return min(self._fixed or self._model.trained_context, self._fits)

    def refusal(self, prompt: int, more: int) -> str:
        """Why a request of so many tokens cannot be served; "" if it can."""
        need, limit = prompt + more, self._fixed or self._model.trained_context
        what = f"prompt of {prompt} tokens + {more} to write"
        if need > limit:
            return f"{what} exceed the model's context of {limit}"
        if need > self._fits:
            asked = need * self._model.kv_bytes_per_token / _GIB
            return f"{what} need {asked:.1f} GiB of memory beside the model, {self._budget / _GIB:.1f} GiB may be used"
        return ""

    def context(self, need: int, last: int, threads: Threads) -> Context:
        """One whose sequences hold `need` tokens, and half as many again as the `last` one's (0: the first).

        Raises RuntimeError when not even a single sequence gets memory.
        """
        wanted = self._fixed or max(need, last * 3 // 2)
        tokens = -(-max(need, min(wanted, self.longest)) // _ROUND) * _ROUND
        per_sequence = tokens * self._model.kv_bytes_per_token
        slots = self.slots
        while not self.chosen and slots > 1 and (slots + _SPARES) * per_sequence > self._budget:
            slots //= 2
        # A request that fits only alone goes without sequences that keep prefixes.
        spares = _SPARES if slots > 1 or (1 + _SPARES) * per_sequence <= self._budget else 0
        while True:
            try:
                return Context(self._model, slots=slots, spares=spares, tokens=tokens, threads=threads)
            except RuntimeError:
                if slots == 1 and spares == 0:
                    raise
                slots, spares = (slots // 2, spares) if slots > 1 else (1, 0)
