"""The number in flight finds what the server can do."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest

from dsa_lite_openai.concurrency import Limit

from .conftest import FakeServer, Handler, ask, connect


def simulate(limit: Limit, seconds_for: Callable[[int], float], replies: int, refuse_above: int = 10**9) -> list[int]:
    """Time simulated; a reply takes `seconds_for(active)`, a refusal no time. The limit after each event."""
    now, active, done, limits = 0.0, [(0.0, 0.0)] * 0, 0, [limit.value]
    while done < replies:
        while len(active) < limit.value and len(active) < refuse_above:
            heapq.heappush(active, (now + seconds_for(len(active) + 1), now))
        if limit.value > refuse_above:
            limit.overloaded(now, now)
        used = len(active) >= limit.value
        now, _ = heapq.heappop(active)
        done += 1
        limit.answered(100, now, used=used)
        limits.append(limit.value)
    return limits


@pytest.mark.parametrize("slots", [4, 8, 16, 48])
def test_it_rises_to_what_pays_and_stays_there(slots: int) -> None:
    limits = simulate(Limit(), lambda active: max(1.0, active / slots), 3000)
    late = limits[-1000:]
    assert slots * 0.9 <= sum(late) / len(late) <= slots * 2
    assert max(limits) <= 2.5 * slots + 8


@pytest.mark.parametrize("slots", [1, 4, 16])
def test_noise_does_not_lead_it_astray(slots: int) -> None:
    limits = []
    for seed in range(5):
        rng = random.Random(seed)
        limits += simulate(Limit(), lambda active, rng=rng: max(1.0, active / slots) * rng.uniform(0.5, 1.5), 1500)
    assert max(limits) <= 4 * slots + 28
    assert sum(limits) / len(limits) <= 2 * slots + 6


def test_overload_halves_and_then_it_goes_up_in_small_steps() -> None:
    limits = simulate(Limit(), lambda active: 1.0, 2000, refuse_above=10)
    assert max(limits) == 16  # the doubling of the start
    assert max(limits[limits.index(16) + 20 :]) <= 12
    late = limits[-1000:]
    assert 5 <= sum(late) / len(late) <= 10.5
    assert all(b - a <= 1 for a, b in itertools.pairwise(limits[limits.index(16) :]))


def test_one_burst_of_failures_counts_once() -> None:
    limit = Limit()
    for _ in range(5):
        limit.overloaded(sent=1.0, now=2.0)
    assert limit.value == 2
    limit.overloaded(sent=3.0, now=4.0)
    limit.overloaded(sent=5.0, now=6.0)
    assert limit.value == 1


def test_a_fixed_number_stays() -> None:
    assert set(simulate(Limit(6), lambda active: 1.0, 300)) == {6}
    limit = Limit(6)
    limit.overloaded(1.0, 2.0)
    assert limit.value == 6


def test_few_requests_teach_nothing() -> None:
    limit = Limit()
    for n in range(100):
        limit.answered(100, float(n), used=False)
    assert limit.value == 4


def test_a_real_server_sees_it(server: FakeServer) -> None:
    def script(handler: Handler, body: dict[str, Any], attempt: int) -> None:
        handler.fail(429, "full") if server.active > 3 else handler.write("fine")

    server.script = script
    with connect(server) as teacher:
        assert {r.finish for r in teacher.write(ask(n) for n in range(80))} == {"stop"}
    assert len(server.asked) < 160
