"""Intervals and tests."""

from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsa_lite.core.statistics import mcnemar_exact, wilson


def test_wilson_by_hand() -> None:
    low, high = wilson(8, 10)
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == 1.0
    assert all(math.isnan(end) for end in wilson(0, 0))
    with pytest.raises(ValueError, match="3 of 2"):
        wilson(3, 2)


@given(st.integers(1, 5000), st.floats(0, 1))
def test_wilson_ends_solve_the_score_equation(n: int, share: float) -> None:
    correct, z = round(share * n), 1.959964
    for end in wilson(correct, n):
        assert 0 <= end <= 1
        assert n * (correct / n - end) ** 2 == pytest.approx(z * z * end * (1 - end), abs=1e-6)


def test_mcnemar_by_hand() -> None:
    before, after = [False] * 8 + [True] * 2, [True] * 8 + [False] * 2
    assert mcnemar_exact(before, after) == pytest.approx(2 * (1 + 10 + 45) / 1024)
    assert mcnemar_exact([True, False], [True, False]) == 1.0
    assert mcnemar_exact([], []) == 1.0
    assert mcnemar_exact([False] * 5000, [True] * 5000) == 0.0
    with pytest.raises(ValueError, match="zip"):
        mcnemar_exact([True], [])


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=10))
def test_mcnemar_against_counting_all_outcomes(items: list[tuple[bool, bool]]) -> None:
    changed = [a for b, a in items if a != b]
    least = min(sum(changed), len(changed) - sum(changed))
    extreme = sum(min(sum(x), len(x) - sum(x)) <= least for x in product([False, True], repeat=len(changed)))
    p = mcnemar_exact([b for b, _ in items], [a for _, a in items])
    assert p == pytest.approx(extreme / 2 ** len(changed))
