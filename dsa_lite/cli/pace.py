"""How fast a stage goes and when it will be done."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from dsa_lite.cli.text import duration
from dsa_lite.events import StageProgress, StageStarted

WINDOW_SECONDS = 30.0
#: What a stage counts where it does not say so itself.
UNITS = {
    "graph": "skills",
    "textbooks": "passages",
    "exercises": "exercises",
    "rehearsal": "texts",
    "pretrain": "steps",
    "evaluate": "answers",
}


class Pace:
    """Progress of one stage. Work found on disk by a resumed run does not count as speed."""

    def __init__(self, started: StageStarted, clock: Callable[[], float] = time.monotonic) -> None:
        self.stage, self.label, self._first_label = started.stage, started.label, started.label
        self.unit = started.unit or UNITS.get(started.stage, "")
        self.done, self.total, self.tokens, self.in_flight = 0, started.total, 0, 0
        self._clock = clock
        self._seen: deque[tuple[float, int, int]] = deque()
        self._start = clock()

    def update(self, progress: StageProgress) -> None:
        now = self._clock()
        other_loop = progress.done < self.done or progress.tokens < self.tokens or progress.total != self.total
        if self._seen and other_loop:
            self._seen.clear()
        elif not self._seen and progress.done <= 1:
            self._seen.append((self._start, 0, 0))
        self.done, self.total, self.tokens = progress.done, progress.total, progress.tokens
        self.label, self.in_flight = progress.label or self._first_label, progress.in_flight
        self._seen.append((now, progress.done, progress.tokens))
        if len(self._seen) == 3 and self._seen[0] == (self._start, 0, 0):
            self._seen.popleft()  # loading a model is no measure of what comes after it
        while len(self._seen) > 2 and now - self._seen[1][0] > WINDOW_SECONDS:
            self._seen.popleft()

    @property
    def seconds(self) -> float:
        return self._clock() - self._start

    @property
    def tokens_per_second(self) -> float | None:
        """Over the last half minute; None while nothing is known."""
        return self._rate(2)

    @property
    def seconds_left(self) -> float | None:
        rate = self._rate(1)
        return (self.total - self.done) / rate if rate and self.total else None

    def _rate(self, column: int) -> float | None:
        if len(self._seen) < 2:
            return None
        first, last = self._seen[0], self._seen[-1]
        passed, gained = last[0] - first[0], last[column] - first[column]
        return gained / passed if passed > 0 and gained > 0 else None

    def count_words(self) -> str:
        """E.g. "120/464 exercises"."""
        if not (self.total or self.done):
            return "starting"
        return (
            f"{self.done:,}/{self.total:,} {self.unit}".rstrip()
            if self.total
            else f"{self.done:,} {self.unit}".rstrip()
        )

    def speed_words(self) -> str:
        """E.g. "310 tokens/s, 16 in flight"."""
        rate = self.tokens_per_second
        speed = "" if rate is None else f"{rate:,.0f} tokens/s" if rate >= 9.5 else f"{rate:.1f} tokens/s"
        return ", ".join(filter(None, (speed, f"{self.in_flight} in flight" if self.in_flight else "")))

    def time_words(self) -> str:
        """Time left, or time passed where that is not known."""
        left = self.seconds_left
        return f"{duration(self.seconds)} so far" if left is None else f"{duration(max(left, 1))} left"
