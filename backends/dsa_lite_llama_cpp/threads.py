"""How many threads compute: as many as the machine lets run at a time. Child only."""

from __future__ import annotations

#: s of computing that are judged together.
_WINDOW = 0.2
#: s until more threads are tried again, and at most after they were found too many again and again.
_PATIENCE, _MOST_PATIENCE = 5.0, 60.0
#: Where this much of a thread is missing it counts as running: nothing gets all of a processor.
_MISSING = 0.4


class Threads:
    """Starts with all, and goes down to as many as were seen to run.

    Between two operations the threads wait for each other, spinning. Where another program has the processor of one,
    all others burn theirs until it is back, and a step takes twenty times as long. The processor time of a step tells
    how many of them ran.
    """

    def __init__(self, most: int) -> None:
        self.now = self.most = most
        self._worked = self._passed = self._rested = 0.0
        self._patience = _PATIENCE

    def computed(self, worked: float, passed: float) -> bool:
        """A step took `worked` s of processor time in `passed` s. Whether `now` is another number from here on."""
        self._worked += worked
        self._passed += passed
        self._rested += passed
        if self._passed < _WINDOW:
            return False
        ran, before = int(self._worked / self._passed + _MISSING), self.now
        self._worked = self._passed = 0.0
        if ran < self.now:
            self.now = max(1, ran)
            self._patience = min(2 * self._patience, _MOST_PATIENCE) if self._rested < 2 * _WINDOW else _PATIENCE
            self._rested = 0.0
        elif self.now < self.most and self._rested >= self._patience:
            self.now, self._rested = self.most, 0.0
        return self.now != before
