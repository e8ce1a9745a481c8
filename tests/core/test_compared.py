"""Runs side by side: hand-worked cases."""

from __future__ import annotations

import pytest

from dsa_lite.core.compared import differing, paired


def test_only_questions_with_the_same_text_are_paired() -> None:
    first = {"a": ("1+1?", True), "b": ("2+2?", False), "c": ("3+3?", True), "d": ("old?", True)}
    second = {"a": ("1+1?", False), "b": ("2+2?", True), "c": ("3+3?", True), "d": ("new?", False), "e": ("5?", True)}
    found = paired(first, second)
    assert (found.n, found.gained, found.lost, found.difference) == (3, 1, 1, 0.0)
    assert found.p == 1.0


def test_five_gains_and_no_loss() -> None:
    first = {str(i): ("q", False) for i in range(8)}
    second = {str(i): ("q", i < 5) for i in range(8)}
    found = paired(first, second)
    assert (found.n, found.gained, found.lost) == (8, 5, 0)
    assert found.difference == pytest.approx(5 / 8)
    assert found.p == pytest.approx(2 / 2**5)


def test_nothing_shared_is_no_difference() -> None:
    assert (paired({}, {}).n, paired({}, {}).difference, paired({}, {}).p) == (0, 0.0, 1.0)


def test_settings_that_differ_and_those_a_run_does_not_have() -> None:
    runs = {"one": {"seed": 0, "tune.rounds": 3}, "two": {"seed": 1, "tune.rounds": 3, "new": True}}
    assert differing(runs) == {"new": {"one": None, "two": True}, "seed": {"one": 0, "two": 1}}
