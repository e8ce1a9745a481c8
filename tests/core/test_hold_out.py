"""Setting questions aside: by their text alone, near the share asked for, all or nothing when they are few."""

from __future__ import annotations

import pytest

from dsa_lite.core.hold_out import hold_out

PROBLEMS = [f"What is {i} + {i * i}?" for i in range(2000)]
FIXED = [0, 6, 20, 21, 35, 47]  # of the first 60


def test_about_the_share_and_the_same_ones_in_any_company() -> None:
    aside = hold_out(PROBLEMS, 0.1)
    assert 150 < sum(aside) < 250
    by_text = dict(zip(PROBLEMS, aside, strict=True))
    for others in (PROBLEMS[::-1], PROBLEMS[500:], [*PROBLEMS, "new"]):
        assert all(by_text.get(p, a) == a for p, a in zip(others, hold_out(others, 0.1), strict=True))
    more = hold_out(PROBLEMS, 0.3)
    assert all(b for a, b in zip(aside, more, strict=True) if a)  # a larger share keeps the smaller one


def test_the_choice_is_fixed_for_good() -> None:
    # a changed hash would move questions from held-out to training between two versions
    assert [i for i, out in enumerate(hold_out(PROBLEMS[:60], 0.1, least=1)) if out] == FIXED


def test_copies_stand_on_the_same_side() -> None:
    aside = hold_out(PROBLEMS + [f"  {p.upper()}\n" for p in PROBLEMS], 0.2)
    assert aside[:2000] == aside[2000:]


def test_few_are_none() -> None:
    assert not any(hold_out(PROBLEMS[:100], 0.1))
    assert sum(hold_out(PROBLEMS[:100], 0.1, least=1)) > 0
    assert hold_out([], 0.1) == []
    assert not any(hold_out(PROBLEMS, 0.0, least=0))
    with pytest.raises(ValueError, match="share"):
        hold_out(PROBLEMS, 1.0)
