"""What students of every engine do the same around their arithmetic: rows grouped into passes, passes made to fit into
memory, replies gathered, results refused. Plain numbers and numpy: floor 1, for backends."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dsa_lite.errors import TrainingError
from dsa_lite.student import Batch, Observation, Sampling

Result = TypeVar("Result")


@dataclass
class Fit:
    """How large a pass is. What did not fit is not tried again, so the right size is looked for once.

    tokens: padded tokens at a time; checkpointing: whether inner results are computed again for the gradient instead
    of kept; may_checkpoint: whether that may be switched on. `ran_out` tells an engine's memory errors from others,
    `release` gives the memory of a failed pass back.
    """

    tokens: int
    ran_out: Callable[[Exception], bool]
    release: Callable[[], None]
    device: str
    checkpointing: bool = False
    may_checkpoint: bool = False

    def run(self, attempt: Callable[[int], Result], longest: int, whole: int, *, train: bool = False) -> Result:
        """`attempt(tokens)`; when memory runs out again with half the tokens at a time, down to one row, then (with
        `train`) with checkpointing.

        longest: tokens of the longest row; whole: of all rows, padded. An attempt must not leave anything of a failed
        one before it in its result. Raises TrainingError when not even the least fits.
        """
        while True:
            try:
                return attempt(self.tokens)
            except Exception as error:
                if not self.ran_out(error):
                    raise
            self.release()  # not inside the handler: the error holds on to what the pass had computed
            if min(self.tokens, whole) > longest:
                self.tokens = max(longest, min(self.tokens, whole) // 2)
            elif train and self.may_checkpoint and not self.checkpointing:
                self.checkpointing = True
            else:
                raise TrainingError(
                    f"out of memory on {self.device}: {longest} tokens at a time do not fit", hint=self._hint(train)
                )

    def _hint(self, train: bool) -> str:
        ways = ["close other programs", "choose a smaller student or student.quantize = 4bit"]
        if train and not self.checkpointing:
            ways.insert(1, "set student.gradient_checkpointing = auto")
        return ", ".join([*ways, "or lower student.max_tokens and pretrain.row_tokens"])


def even_parts(sizes: Sequence[int], budget: int) -> Iterator[slice]:
    """Slices of rows sorted longest first, at most `budget` padded tokens each, of about the same number of rows rather
    than with a small rest; a row longer than the budget stands alone."""
    start = 0
    while start < len(sizes):
        count = max(1, budget // max(1, sizes[start]))
        parts = -(-(len(sizes) - start) // count)
        end = start + -(-(len(sizes) - start) // parts)
        yield slice(start, end)
        start = end


def reply_groups(sizes: Sequence[int], max_tokens: int, budget: int, *, mixed: bool = True) -> Iterator[list[int]]:
    """Prompts (their numbers) to continue together, longest first, at most `budget` tokens of prompts and replies.

    mixed=False: only prompts of the same length together.
    """
    order = sorted(range(len(sizes)), key=lambda i: (-sizes[i], i))
    while order:
        count = max(1, budget // (sizes[order[0]] + max_tokens))
        if not mixed:
            count = min(count, sum(sizes[i] == sizes[order[0]] for i in order))
        yield order[:count]
        order = order[count:]


def left_padded(prompts: Sequence[Sequence[int]], pad: int) -> NDArray[np.int64]:
    """(b, t): prompts that end together, `pad` before the shorter ones."""
    ids = np.full((len(prompts), max(map(len, prompts))), pad, dtype=np.int64)
    for row, prompt in zip(ids, prompts, strict=True):
        row[len(row) - len(prompt) :] = prompt
    return ids


class Replies:
    """Replies of a group of prompts, written one token per row and step. `rows`: which prompts are still in the batch.

    `sampling` has one seed per prompt; None: the most likely token.
    """

    def __init__(self, prompts: int, max_tokens: int, ends: frozenset[int], sampling: Sampling | None) -> None:
        self.texts: list[list[int]] = [[] for _ in range(prompts)]
        self.rows = list(range(prompts))
        self._alive = [True] * prompts
        self._ends, self._max_tokens, self._step = ends, max_tokens, 0
        self._sampling, self._chances = sampling, sampling.chances(max_tokens) if sampling else None

    @property
    def drawn(self) -> bool:
        """Whether tokens are drawn, with `draw`."""
        return self._sampling is not None

    def draw(self, logits: NDArray[np.float32]) -> list[int]:
        """The next token of each row of logits (b, V)."""
        assert self._sampling is not None
        assert self._chances is not None
        return self._sampling.draw(logits, self._chances[self.rows, self._step])

    def take(self, tokens: Sequence[int]) -> bool:
        """Add each row's next token, the end token not included; whether any row goes on."""
        self._step += 1
        for place, (row, token) in enumerate(zip(self.rows, tokens, strict=True)):
            self._alive[place] = self._alive[place] and token not in self._ends
            if self._alive[place]:
                self.texts[row].append(token)
        return self._step < self._max_tokens and any(self._alive)

    def leave(self) -> list[int] | None:
        """Places of the rows that stay once half of them have ended; None while the batch stays as it is."""
        kept = [place for place, alive in enumerate(self._alive) if alive]
        if 2 * len(kept) > len(self.rows):
            return None
        self.rows, self._alive = [self.rows[place] for place in kept], [True] * len(kept)
        return kept


def write_all(
    write: Callable[[Sequence[Sequence[int]], Replies], None],
    prompts: Sequence[Sequence[int]],
    max_tokens: int,
    ends: frozenset[int],
    budget: int,
    sampling: Sampling | None = None,
    *,
    mixed: bool = True,
) -> list[list[int]]:
    """Continuations in the prompts' order, end tokens not included; `write` fills in those of one group.

    At most `budget` tokens (prompts and replies, padded) are held at a time. Prompts must not be empty.
    """
    written: list[list[int]] = [[] for _ in prompts]
    if max_tokens > 0:
        for group in reply_groups([len(p) for p in prompts], max_tokens, budget, mixed=mixed):
            own = sampling and replace(sampling, seeds=[sampling.seeds[i] for i in group])
            replies = Replies(len(group), max_tokens, ends, own)
            write([prompts[i] for i in group], replies)
            for number, reply in zip(group, replies.texts, strict=True):
                written[number] = reply
    return written


def refuse_non_finite(batch: Batch, observations: Sequence[Observation], norm: float, lr: float) -> None:
    """Raises TrainingError for a step that would break the adapter. `norm`: of its gradient."""
    if not math.isfinite(lr):
        raise TrainingError(f"the learning rate is {lr}")
    bad = [o.example_id for o in observations if not math.isfinite(o.nll)]
    if bad:
        raise TrainingError(f"the loss is not finite for {some(bad)}", hint="lower the learning rate")
    if not math.isfinite(norm):
        names = [o.example_id for o, w in zip(observations, batch.weights, strict=True) if w != 0]
        raise TrainingError(f"the gradient is not finite; examples: {some(names)}", hint="lower the learning rate")


def some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more
