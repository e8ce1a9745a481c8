"""Answers as people and models write them, right and wrong: no false accept, every false refusal is written down."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from dsa_lite.io.answers.checker import AnswerChecker
from dsa_lite.records import Checker

Pair = tuple[Checker, str, str, str]


def _pairs() -> Iterator[Pair]:
    """(checker, gold, answer, mark) of every line of pairs.txt."""
    checker: Checker = "math"
    gold = ""
    for line in (Path(__file__).parent / "pairs.txt").read_text(encoding="utf-8").splitlines():
        for name in get_args(Checker):
            checker = name if line.startswith(f"# {name}: ") else checker
        if line.startswith("gold "):
            gold = line.removeprefix("gold ")
        elif found := re.fullmatch(r"([-+~]) ?(.*)", line):
            yield checker, gold, found[2], found[1]


PAIRS = list(_pairs())


@pytest.fixture(scope="module")
def checkers() -> Iterator[dict[Checker, AnswerChecker]]:
    opened: dict[Checker, AnswerChecker] = {
        name: AnswerChecker(name, seconds_per_item=30) for name in get_args(Checker)
    }
    yield opened
    for checker in opened.values():
        checker.close()


def test_there_are_enough_of_both() -> None:
    assert sum(mark == "-" for *_, mark in PAIRS) >= 150
    assert sum(mark == "+" for *_, mark in PAIRS) >= 150
    assert sum(mark == "~" for *_, mark in PAIRS) <= 5


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0]}: {pair[1]} {pair[3]} {pair[2]}")
def test_verdict(checkers: dict[Checker, AnswerChecker], pair: Pair) -> None:
    checker, gold, answer, mark = pair
    assert checkers[checker].same([(gold, answer)]) == [mark == "+"]
    if checker == "math":
        assert checkers[checker].same([(answer, gold)]) == [mark == "+"], "the other way round"


def test_right_answers_are_readable(checkers: dict[Checker, AnswerChecker]) -> None:
    right = {(checker, answer) for checker, _, answer, mark in PAIRS if mark == "+"}
    unread = [(c, a) for c, a in sorted(right) if checkers[c].readable([a]) != [True]]
    assert unread == [("math", "No solution.")]
