"""Probes are wrong by construction."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsa_lite.core.probes import make_probes
from dsa_lite.records import Exercise


def exercise(id: str, answer: str, skill: str = "a", solution: str = "", problem: str = "") -> Exercise:
    return Exercise(id=id, problem=problem or f"problem {id}", solution=solution or f"so 15 it is {answer}",
                    answer=answer, skills=(skill,), origin="single")  # fmt: skip


def test_both_kinds_spread_over_the_skills() -> None:
    exercises = [exercise(f"{s}{i}", str(10 + i), s) for s in "abcd" for i in range(10)]
    probes = make_probes(exercises, 32, np.random.default_rng(0))
    assert [p.id for p in probes] == [f"probe-{i:04d}" for i in range(1, 33)]
    assert Counter(p.skill for p in probes) == dict.fromkeys("abcd", 8)
    assert Counter((p.skill, len(p.parents)) for p in probes) == {(s, n): 4 for s in "abcd" for n in (1, 2)}
    by_id = {e.id: e for e in exercises}
    for probe in probes:
        source = by_id[probe.parents[0]]
        assert probe.problem == source.problem
        assert probe.answer != source.answer
        if len(probe.parents) == 2:
            other = by_id[probe.parents[1]]
            assert (probe.solution, probe.answer, probe.skill) == (other.solution, other.answer, other.skill)
    assert probes == make_probes(exercises[::-1], 32, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("answer", "solution", "unchanged"),
    [
        ("5", "3 + 2 = 5. Check: 15 = 15", "Check: 15 = 15"),
        ("x^2 + 4", "we get x^2 + 4", "we get x^"),
        ("2.50", "costs 2.50 each", "costs "),
        ("1", "one", "one"),
    ],
)
def test_one_number_is_changed_by_hand(answer: str, solution: str, unchanged: str) -> None:
    for seed in range(10):
        (probe,) = make_probes([exercise("e", answer, solution=solution)], 9, np.random.default_rng(seed))
        assert probe.answer != answer
        assert len(probe.answer) >= len(answer) - 1
        assert probe.answer in probe.solution or solution == "one"
        assert unchanged in probe.solution or answer.startswith("x")


def test_an_open_ended_reply_is_swapped_for_another() -> None:
    exercises = [exercise("e", "", solution="Dear Ada"), exercise("f", "", solution="Dear Ben", problem="To Ben")]
    exercises.append(exercise("g", "", solution="dear  ada", problem="To Ada"))
    probes = make_probes(exercises, 9, np.random.default_rng(0))
    own = {e.problem: e.solution for e in exercises}
    assert {p.problem for p in probes} == set(own)
    for probe in probes:
        assert (probe.solution.casefold().split(), probe.answer) != (own[probe.problem].casefold().split(), "")
    assert make_probes([exercises[0], exercises[2]], 9, np.random.default_rng(0)) == []


def test_what_cannot_be_wrong_gives_no_probe() -> None:
    rng = np.random.default_rng(0)
    assert make_probes([exercise("e", "Paris")], 4, rng) == []
    assert make_probes([exercise("e", "B"), exercise("f", "b")], 4, rng) == []
    assert make_probes([], 4, rng) == []
    assert make_probes([exercise("e", "x + 1", "a"), exercise("f", "1+x")], 0, rng) == []
    same = [exercise("e", "1/2", solution="p"), exercise("f", "0.5", solution="q")]
    assert all(len(p.parents) == 1 for p in make_probes(same, 9, rng))
    strange = [exercise("e", "1e999999999"), exercise("f", "9" * 5000)]
    assert len(make_probes(strange, 9, rng)) == 4


ANSWERS = st.sampled_from(["1", "2", "1/2", "0.5", "-3", "x", "2x"])
ROWS = st.lists(st.tuples(st.sampled_from("pqrs"), ANSWERS, st.sampled_from("abc")), max_size=20)


@given(ROWS, st.integers(0, 50), st.integers(0, 9))
def test_no_probe_is_right(rows, n: int, seed: int) -> None:  # type: ignore[no-untyped-def]
    exercises = [exercise(f"e{i:02d}", answer, skill, problem=p) for i, (p, answer, skill) in enumerate(rows)]
    probes = make_probes(exercises, n, np.random.default_rng(seed))
    assert len(probes) <= min(n, 2 * len(exercises))
    right = {(e.problem, value(e.answer)) for e in exercises}
    assert not any((p.problem, value(p.answer)) in right for p in probes)
    assert len({(p.problem, p.solution, p.answer) for p in probes}) == len(probes)


def value(answer: str) -> Fraction | str:
    return answer if "x" in answer else Fraction(answer)
