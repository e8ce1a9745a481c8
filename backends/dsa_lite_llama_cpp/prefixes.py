"""Starts that prompts have in common, computed once. Child only."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from dsa_lite_llama_cpp.context import Context

_WORTH_SHARING = 32


class Prefixes:
    """Keeps the last few starts in the context's spare sequences."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._kept: OrderedDict[tuple[int, ...], int] = OrderedDict()

    def prefill(self, slot: int, tokens: tuple[int, ...], split: int) -> int:
        """Compute a prompt in sequence `slot`; its first `split` tokens are copied where they are known.

        Returns the row whose logits come after the prompt. With or without a spare sequence the prompt is cut at
        `split`: where it is cut changes the last bits.
        """
        context, start = self._context, tokens[:split]
        if split and context.spares:
            context.copy(self._sequence(start), slot)
        else:
            context.clear(slot)
            context.prefill(slot, start, 0)
        return context.prefill(slot, tokens[split:], split)

    def _sequence(self, tokens: tuple[int, ...]) -> int:
        """The spare sequence that holds exactly `tokens`."""
        if tokens not in self._kept:
            full = len(self._kept) == self._context.spares
            spare = self._kept.popitem(last=False)[1] if full else self._context.slots + len(self._kept)
            self._context.clear(spare)
            self._context.prefill(spare, tokens, 0)
            self._kept[tokens] = spare
        self._kept.move_to_end(tokens)
        return self._kept[tokens]


def split(start: Sequence[int], tokens: Sequence[int]) -> int:
    """How many first tokens of a prompt are worth keeping for other prompts that begin with `start`; 0: none.

    Follows from the request alone. At least one token is left, whose logits are needed.
    """
    same = next((i for i, (a, b) in enumerate(zip(start, tokens, strict=False)) if a != b), len(start))
    count = min(same, len(start), len(tokens) - 1)
    return count if count >= _WORTH_SHARING else 0
