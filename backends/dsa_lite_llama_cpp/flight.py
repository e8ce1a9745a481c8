"""How many sequences write at a time. Child only."""

from __future__ import annotations

from collections.abc import Sequence

_FIRST = 4
#: Steps timed at each number.
_STEPS = 8
#: What twice as many must bring, as a factor on tokens per second.
_WORTH = 1.03


class Flight:
    """Starts with 4, doubles while tokens per second rise, then stays. Replies do not depend on it.

    Measured on the real requests, and only in steps in which as many as allowed wrote. Of the steps the fastest
    counts: whatever else runs on the machine can only slow one down.
    """

    def __init__(self, widths: Sequence[int], *, fixed: bool) -> None:
        """`widths`: the numbers to choose from, ascending. `fixed`: always the last of them."""
        self._left = [w for w in widths if w >= _FIRST] if not fixed else []
        self.limit = self._left.pop(0) if self._left else widths[-1]
        self._best_rate, self._best = 0.0, self.limit
        self._fastest, self._steps = float("inf"), 0
        self._settled = not self._left

    def stepped(self, writing: int, seconds: float) -> None:
        """A step in which `writing` sequences wrote a token took so long."""
        if self._settled or writing != self.limit:
            return
        self._fastest = min(self._fastest, seconds)
        self._steps += 1
        if self._steps == _STEPS:
            self._judge(self.limit / max(self._fastest, 1e-9))

    def _judge(self, rate: float) -> None:
        rises = rate > self._best_rate * _WORTH
        if rises:
            self._best_rate, self._best = rate, self.limit
        self._settled = not (rises and self._left)
        self.limit = self._best if self._settled else self._left.pop(0)
        self._fastest, self._steps = float("inf"), 0
