"""How many threads compute: what is seen of a busy machine, and that replies do not depend on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("llama_cpp")

import dsa_lite
from dsa_lite_llama_cpp.engine import Engine
from dsa_lite_llama_cpp.model import Model
from dsa_lite_llama_cpp.threads import Threads

BUNDLED = next((Path(dsa_lite.__file__).parent / "bundled" / "teacher").glob("*.gguf"))
OPTIONS = {"context_tokens": 0, "in_flight": 0, "gpu_layers": 0, "slots": 0}


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


def replies(change: bool) -> dict[int, str]:
    """What the bundled teacher writes with two threads, or with one and two in turn."""
    said: list[dict[str, Any]] = []
    engine = Engine(Model(str(BUNDLED), 0), OPTIONS, 2, said.append)
    numbers = engine._threads
    seen = set()

    def alternating(worked: float, passed: float) -> bool:
        seen.add(numbers.now)
        numbers.now = 3 - numbers.now if change else 2
        return True

    numbers.computed = alternating  # type: ignore[method-assign]
    for ticket in range(6):
        prompt = "<|user|>task: exercise\nsubject: Calculus\nskills: Chain rule\ndifficulty: hard<|assistant|>"
        settings = {"schema": None, "temperature": 0.8, "top_p": 1.0, "seed": ticket, "max_tokens": 60}
        engine.ask({"ticket": ticket, "prompt": prompt * (1 + 4 * ticket), "shared": "", **settings})
    while not engine.idle:
        engine.turn()
    assert seen == ({1, 2} if change else {2})
    return {m["ticket"]: m["text"] for m in said if m["kind"] == "reply"}


def test_replies_are_the_same_whatever_the_number() -> None:
    steady = replies(change=False)
    assert len(steady) == 6
    assert all(steady.values())
    assert replies(change=True) == steady
