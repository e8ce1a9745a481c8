"""How many threads compute: what is seen of a busy machine, and that replies do not depend on it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("llama_cpp")

from dsa_lite_llama_cpp.threads import Threads  # noqa: E402


def steps(threads: Threads, seconds: float, free: float) -> list[int]:
    """The numbers chosen while `free` processors' worth of time can be had, in steps of 10 ms."""
    chosen = []
    for _ in range(round(seconds / 0.01)):
        threads.computed(min(threads.now, free) * 0.01, 0.01)
        chosen.append(threads.now)
    return chosen


def test_as_many_as_run_and_all_again_once_the_machine_is_free() -> None:
    threads = Threads(8)
    assert set(steps(threads, 30, 7.9)) == {8}
    busy = steps(threads, 60, 3.2)
    assert busy[:30][-1] == 3
    assert sum(number == 8 for number in busy[30:]) <= 5 * 20  # tried again, ever more rarely, 0.2 s each time
    assert 8 in busy[30:]
    assert set(steps(threads, 70, 7.9)[-30:]) == {8}


def test_one_thread_is_enough_where_none_gets_a_whole_processor() -> None:
    threads = Threads(2)
    assert steps(threads, 1, 0.3)[-1] == 1


@given(st.integers(1, 64), st.lists(st.tuples(st.floats(0, 64), st.floats(0.001, 3)), max_size=50))
def test_never_none_and_never_more_than_all(most: int, taken: list[tuple[float, float]]) -> None:
    threads = Threads(most)
    for free, passed in taken:
        before = threads.now
        changed = threads.computed(min(threads.now, free) * passed, passed)
        assert 1 <= threads.now <= most
        assert changed == (threads.now != before)
