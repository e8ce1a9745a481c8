"""Looking at a round: when errors are looked for, and what the teacher says of them when it solves them again."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.records import Exercise
from dsa_lite.stages import graph
from dsa_lite.stages.looking import second_look
from dsa_lite.testing import ScriptedTeacher


@pytest.mark.parametrize(("burn_in", "expected"), [(0, [True, True]), (1, [False, True]), (2, [False, False])])
def test_errors_are_looked_for_when_the_first_epochs_are_over(
    training_desk: Any, burn_in: int, expected: list[bool]
) -> None:
    training_desk.run(tune={"rounds": 2, "epochs": 1}, dynamics={"burn_in": burn_in, "variants_per_hard": 0})
    run = RunDir.read(training_desk.folder / "run")
    assert [run.read_round(number)["baseline"] is not None for number in (1, 2)] == expected
    if not expected[0]:
        assert "error" not in {d.region for d in run.decisions(1).read()}


def refuting(desk: Any) -> ScriptedTeacher:
    """The desk's teacher, which writes right sums; but solves them all as 1."""
    wrong = json.dumps({"solution": "I guess.", "answer": "1"})
    return ScriptedTeacher(lambda r: wrong if r.messages[-1].content.startswith("task: solve") else desk.answer(r))


TWO_ROUNDS: dict[str, Any] = {"tune": {"rounds": 2, "epochs": 1}}
HALF = {"max_error_fraction": 1.0, "second_look": 0.5}


def test_what_the_teacher_refutes_is_an_error_and_removed(training_desk: Any) -> None:
    training_desk.run(refuting(training_desk), **TWO_ROUNDS, dynamics=HALF)
    run = RunDir.read(training_desk.folder / "run")
    first = {d.example: d.region for d in run.decisions(1).read()}
    scores = {d.example: d.score for d in run.decisions(1).read()}
    solved = {v.exercise for v in run.votes().read()}
    assert solved
    assert {first[id] for id in solved} == {"error"}
    assert solved <= {id for id, _ in sorted(scores.items(), key=lambda pair: -pair[1])[: (len(scores) + 1) // 2]}
    assert solved.isdisjoint(o.example for o in run.observations(2).read())


def test_in_the_last_round_nothing_is_solved_again(training_desk: Any) -> None:
    training_desk.run(refuting(training_desk), tune={"rounds": 1, "epochs": 1})
    assert RunDir.read(training_desk.folder / "run").votes().count() == 0


def test_without_a_second_look_the_loss_decides(training_desk: Any) -> None:
    training_desk.run(refuting(training_desk), **TWO_ROUNDS, dynamics={"second_look": 0})
    run = RunDir.read(training_desk.folder / "run")
    assert run.votes().count() == 0
    assert "hard" in {d.region for d in run.decisions(1).read()}


def test_the_users_own_answers_are_not_the_teachers_to_refute(desk: Any) -> None:
    examples = [
        Exercise(id=origin, problem="What is 30 + 4?", solution="30 + 4 = 34", answer="34", skills=("addition",),
                 origin=origin)
        for origin in ("imported", "single")
    ]  # fmt: skip
    with desk.context(refuting(desk), graph={"expand": False}, dynamics=HALF | {"second_look": 1.0}) as context:
        graph.run(context)
        regions, _ = second_look(
            context, 1, examples, np.array(["hard", "hard"]), np.ones(2), np.zeros(2, dtype=np.bool_)
        )
    assert regions.tolist() == ["hard", "error"]
