"""Exercises the skill brings: checked like the teacher's, on disk once, the rest with the reason."""

from __future__ import annotations

from typing import Any

from dsa_lite.records import Exercise
from dsa_lite.stages.own_exercises import take_over
from dsa_lite.testing import ScriptedTeacher


def own(id: str, problem: str, answer: str, solution: str = "") -> Exercise:
    return Exercise(id=id, problem=problem, solution=solution, answer=answer, skills=("addition",), origin="imported")


GIVEN = (
    own("own-b", "What is 20 + 3?", "23", "20 + 3 = 23"),
    own("own-a", "What is 20 + 5?", "25", "20 + 5 = 26"),
    own("own-c", "What is 3 + 4?", "7"),  # a held-out item
    own("own-d", "what is  20+3", "23"),
    own("own-e", "What is love?", "baby don't hurt me"),
)


def test_good_ones_are_taken_and_the_others_refused_with_the_reason(desk: Any) -> None:
    desk.pack = desk.pack.model_copy(update={"exercises": GIVEN})
    for _ in range(2):  # the second time nothing is added
        with desk.context(ScriptedTeacher({})) as context:
            kept = take_over(context)
            assert [(e.id, e.steps_right) for e in kept] == [("own-b", True), ("own-a", False)]
            assert context.folder.exercises().read() == kept
            refused = {r.id: (r.reason, r.detail) for r in context.folder.rejected().read()}
            assert len(context.folder.rejected().read()) == 3
    assert refused["own-c"] == ("held out", "the same problem as eval-0")
    assert refused["own-d"] == ("duplicate", "the same problem as own-b")
    assert refused["own-e"][0] == "answer cannot be checked"
    assert "2 of 5 imported exercises are used" in desk.warnings()


def test_an_interrupted_take_over_goes_on(desk: Any) -> None:
    desk.pack = desk.pack.model_copy(update={"exercises": GIVEN})
    with desk.context(ScriptedTeacher({}), "whole") as context:
        take_over(context)
        whole = context.folder.exercises().read()
    with desk.context(ScriptedTeacher({}), "stopped") as context:
        context.folder.exercises().append(whole[0])
        take_over(context)
        assert context.folder.exercises().read() == whole


def test_a_skill_without_any_leaves_no_trace(desk: Any) -> None:
    with desk.context(ScriptedTeacher({})) as context:
        assert take_over(context) == []
        assert not context.folder.exercises().read()
    assert not desk.events
