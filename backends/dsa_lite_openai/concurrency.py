"""How many requests are in flight: found by trying, and lowered when the server is overloaded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_START = 4
_CEILING = 256
#: Of the throughput that so many more in flight could bring, what they must bring; else they only queue in the server.
_WORTH = 0.3
#: With fewer in flight, what must be left of the throughput for the lower number to be kept.
_AS_GOOD = 0.97
#: Windows spent at the best number found before another is tried.
_REST = 3
_SHORTEST_WINDOW = 12


class Limit:
    """Doubled at the start, then raised in steps while throughput rises; halved on overload. Time is an argument.

    Throughput is measured over a window of at least as many replies as are allowed in flight, after half as many that
    were still asked under the old limit, and only while the limit is really used. Once more no longer pays, more and
    fewer are tried in turn, with a rest in between, so that neither noise nor a changed server leads astray.
    """

    def __init__(self, fixed: int = 0) -> None:
        """`fixed` > 0: always that many."""
        self.value = fixed or _START
        self._fixed = bool(fixed)
        self._best, self._best_value = 0.0, self.value
        self._rest: list[float] = []  # throughput in the windows of the present rest
        self._resting = False
        self._try_fewer = True
        self._starting = True
        self._was_overloaded = False
        self._changed = float("-inf")
        self._restart_window()

    def answered(self, work: float, now: float, *, used: bool) -> None:
        """A reply of so much work (tokens) came; `used`: as many as allowed were in flight."""
        if self._fixed:
            return
        if not used:
            self._restart_window()
            return
        self._replies += 1
        if self._replies == self._settling:
            self._since, self._work = now, 0.0
        elif self._replies > self._settling:
            self._work += work
        if self._replies >= self._settling + max(self.value, _SHORTEST_WINDOW) and now > self._since:
            self._judge(self._work / (now - self._since), now)

    def overloaded(self, sent: float, now: float) -> None:
        """A request sent at time `sent` met an overloaded server. One burst of failures halves the limit once."""
        if self._fixed or sent < self._changed:
            return
        self._was_overloaded = True
        self._best, self._best_value, self._resting = 0.0, max(1, self.value // 2), False
        self._change(self._best_value, now)

    def _judge(self, rate: float, now: float) -> None:
        """What a window's throughput means for the limit."""
        if self._resting:
            self._rest.append(rate)
            self._restart_window()
            if len(self._rest) == _REST:
                self._best, self._resting = sum(self._rest) / _REST, False
                self._change(self._fewer() if self._try_fewer else self._more(), now)
        elif self.value < self._best_value:
            kept = self.value if rate >= self._best * _AS_GOOD else self._best_value
            self._settle(kept, now, try_fewer=kept == self.value and kept > 1)
        elif rate > self._best * (1 + _WORTH * (self.value / self._best_value - 1)):
            self._best, self._best_value = rate, self.value
            self._change(self._more(), now)
        else:
            self._settle(self._best_value, now, try_fewer=self._best_value > 1)

    def _more(self) -> int:
        if self._was_overloaded:
            return min(_CEILING, self.value + 1)
        return min(_CEILING, self.value + (self.value if self._starting else max(_START, self.value // 4)))

    def _fewer(self) -> int:
        return max(1, self.value - max(1, self.value // 4))

    def _settle(self, value: int, now: float, *, try_fewer: bool) -> None:
        self._best_value, self._try_fewer, self._starting = value, try_fewer, False
        self._rest, self._resting = [], True
        self._change(value, now)

    def _change(self, value: int, now: float) -> None:
        self.value = value
        self._changed = now
        self._restart_window()

    def _restart_window(self) -> None:
        self._replies, self._settling = 0, max(1, self.value // 2)
        self._since, self._work = 0.0, 0.0


class Gate:
    """Lets as many attempts through as the limit allows, none while the server asked for a pause."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._active = 0
        self._free = asyncio.Condition()
        self._closed_until = 0.0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[float]:
        """One attempt's turn; gives the time at which it began."""
        async with self._free:
            await self._free.wait_for(lambda: self._active < self.limit.value)
            self._active += 1
        try:
            while (wait := self._closed_until - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            yield time.monotonic()
        finally:
            self._active -= 1
            async with self._free:
                self._free.notify_all()

    @property
    def used(self) -> bool:
        """Whether as many attempts run as may; to be asked inside a turn."""
        return self._active >= self.limit.value

    def pause(self, seconds: float) -> None:
        """Send nothing for so long."""
        self._closed_until = max(self._closed_until, time.monotonic() + seconds)
