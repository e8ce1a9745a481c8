"""Easy exercises take part in an epoch by chance: as often as their weight says, at full loss."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from dsa_lite.core.encoding import Encoded
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.stages import tune
from dsa_lite.stages.learning import Position
from dsa_lite.testing import ScriptedTeacher

EMPTY = Encoded("", np.zeros(4, dtype=np.int32), np.ones(4, dtype=np.bool_))


def lesson(skill: str | None, weight: float) -> tune._Lesson:
    return tune._Lesson(EMPTY, skill, weight)


def test_an_easy_one_is_drawn_as_often_as_its_weight_says(desk: Any) -> None:
    lessons = [lesson("a", 1.0), *[lesson("b", 0.3)] * 2000, lesson(None, 0.5)]
    with desk.context(ScriptedTeacher(desk.answer)) as context:
        drawn = {epoch: tune._drawn(context, Position(epoch=epoch), lessons) for epoch in (0, 1)}
        again = tune._drawn(context, Position(epoch=1, step=7), lessons)
    for found in drawn.values():
        assert (found[0], found[-1]) == (lesson("a", 1.0), lesson(None, 0.5))  # what is rehearsed keeps its weight
        assert {each.weight for each in found[1:-1]} == {1.0}
        assert len(found) - 2 == pytest.approx(600, abs=4 * (2000 * 0.3 * 0.7) ** 0.5)
    assert again == drawn[1]  # an epoch that goes on is the one that was begun
    assert len(drawn[0]) != len(drawn[1])


def test_where_the_loss_counts_less_all_take_part(desk: Any) -> None:
    lessons = [lesson("b", 0.3)] * 10
    with desk.context(ScriptedTeacher(desk.answer), dynamics={"easy_by": "loss"}) as context:
        assert tune._drawn(context, Position(), lessons) == lessons


def test_an_epoch_is_never_without_exercises(desk: Any) -> None:
    lessons = [lesson("b", 1e-9), lesson(None, 1.0)]
    with desk.context(ScriptedTeacher(desk.answer)) as context:
        assert tune._drawn(context, Position(), lessons) == lessons


@pytest.mark.parametrize("easy_by", ["drawing", "loss"])
def test_a_round_with_easy_ones(training_desk: Any, easy_by: str) -> None:
    """In the next round's three epochs the easy ones are seen where they are drawn, and the others three times."""
    dynamics = {"easy_by": easy_by, "easy_weight": 0.4, "variants_per_hard": 0, "compositions_per_pair": 0}
    training_desk.run(dynamics=dynamics, tune={"rounds": 2, "epochs": 3})
    run = RunDir.read(training_desk.folder / "run")
    weights = {d.example: d.weight for d in run.decisions(1).read()}
    seen = Counter(o.example for o in run.observations(2).read())
    easy = [seen[example] for example, weight in weights.items() if weight == 0.4]
    assert easy
    assert {seen[example] for example, weight in weights.items() if weight == 1.0} == {3}
    assert set(easy) == {3} if easy_by == "loss" else 0 < sum(easy) < 3 * len(easy)
