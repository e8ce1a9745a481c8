"""Order of skills and of examples, and the learning rate."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsa_lite.core.curriculum import order_examples, rank_skills
from dsa_lite.core.graph import GraphBuilder
from dsa_lite.core.schedule import learning_rate
from dsa_lite.records import Topic

TOPICS = [Topic(name="c", prerequisites=("a", "b")), Topic(name="b", prerequisites=("a",)), Topic(name="a")]
GRAPH = GraphBuilder([*TOPICS, Topic(name="d")], 0).build()[0]


def test_orders_of_skills() -> None:
    rng = np.random.default_rng(0)
    assert rank_skills(GRAPH, "lower_to_higher", rng) == {"a": 0, "d": 1, "b": 2, "c": 3}
    assert rank_skills(GRAPH, "higher_to_lower", rng) == {"c": 0, "b": 1, "d": 2, "a": 3}
    shuffled = rank_skills(GRAPH, "random", np.random.default_rng(1))
    assert shuffled == rank_skills(GRAPH, "random", np.random.default_rng(1))
    assert sorted(shuffled.values()) == [0, 1, 2, 3]
    seen = {tuple(rank_skills(GRAPH, "random", np.random.default_rng(s)).items()) for s in range(40)}
    assert len(seen) > 5


def test_batches_by_hand() -> None:
    rng = np.random.default_rng(0)
    assert order_examples([2, 0, 1], [5, 5, 5], batch_size=1, window=1, rng=rng) == [[1], [2], [0]]
    grouped = order_examples([0] * 4, [9, 1, 8, 2], batch_size=2, window=4, rng=rng)
    assert sorted(map(sorted, grouped)) == [[0, 2], [1, 3]]
    assert order_examples([], [], batch_size=2, window=4, rng=rng) == []
    with pytest.raises(ValueError, match="1 ranks for 2"):
        order_examples([0], [1, 2], batch_size=1, window=1, rng=rng)


def test_batches_of_one_skill_do_not_always_start_short() -> None:
    firsts = {
        order_examples([0] * 8, range(8), batch_size=2, window=8, rng=np.random.default_rng(seed))[0][0]
        for seed in range(20)
    }
    assert len(firsts) > 2


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 50)), max_size=60),
    st.integers(1, 7), st.integers(1, 30), st.integers(0, 5),
)  # fmt: skip
def test_every_example_once_and_nothing_leaves_its_window(examples, batch_size, window, seed) -> None:  # type: ignore[no-untyped-def]
    ranks, lengths = [r for r, _ in examples], [n for _, n in examples]
    batches = order_examples(ranks, lengths, batch_size=batch_size, window=window, rng=np.random.default_rng(seed))
    flat = [i for batch in batches for i in batch]
    assert sorted(flat) == list(range(len(examples)))
    assert sum(len(b) < batch_size for b in batches) <= 1
    size = batch_size * max(1, window // batch_size)
    ordered = sorted(ranks)
    for start in range(0, len(flat), size):
        assert sorted(ranks[i] for i in flat[start : start + size]) == ordered[start : start + size]
    if window < 2 * batch_size:
        assert [ranks[i] for i in flat] == ordered


def test_learning_rate_by_hand() -> None:
    assert learning_rate(0.0, 1.0, 0.1) == 0.0
    assert learning_rate(0.05, 1.0, 0.1) == pytest.approx(0.5)
    assert learning_rate(0.1, 2.0, 0.1) == pytest.approx(2.0)
    assert learning_rate(0.55, 1.0, 0.1) == pytest.approx(0.55)
    assert learning_rate(1.0, 1.0, 0.1) == pytest.approx(0.1)
    assert learning_rate(0.0, 1.0, 0.0) == pytest.approx(1.0)
    assert learning_rate(7.0, 1.0, 0.1) == pytest.approx(0.1)
    assert [learning_rate(p, 2.0, 0.1, 1.0) for p in (0.05, 0.5, 1.0)] == pytest.approx([1.0, 2.0, 2.0])
    assert learning_rate(0.55, 1.0, 0.1, 0.5) == pytest.approx(0.75)


@given(st.floats(0, 1), st.floats(0, 0.9))
def test_learning_rate_stays_in_bounds_and_falls_after_the_warm_up(progress: float, warmup: float) -> None:
    here, later = learning_rate(progress, 1.0, warmup), learning_rate(min(1.0, progress + 0.01), 1.0, warmup)
    assert 0 <= here <= 1 + 1e-12
    assert math.isfinite(here)
    if progress >= warmup:
        assert later <= here + 1e-12
