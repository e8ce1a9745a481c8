"""Exercises the skill brings: checked like the teacher's, on disk once, the rest with the reason."""

from __future__ import annotations

from typing import Any

from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.records import Exercise, HeldOutItem
from dsa_lite.stages.own_exercises import take_over
from dsa_lite.testing import ScriptedTeacher


def own(id: str, problem: str, answer: str, solution: str = "") -> Exercise:
    return Exercise(id=id, problem=problem, solution=solution, answer=answer, skills=("addition",), origin="imported")


GIVEN = (
    own("own-b", "What is 20 + 3?", "23", "20 + 3 = 23"),
    own("own-a", "What is 20 + 5?", "25", "20 + 5 = 26"),
    own("own-c", "What is 3 + 4?", "7"),  # a held-out item
    own("own-d", "what is  20 +  3", "23"),
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


def test_open_ended_ones_need_no_answer_that_can_be_checked(desk: Any) -> None:
    desk.pack = desk.pack.model_copy(update={"exercises": (own("own-o", "Write a letter.", "", "Dear Ada,\nbye."),)})
    with desk.context(ScriptedTeacher({})) as context:
        assert [e.id for e in take_over(context)] == ["own-o"]


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


def test_what_contains_a_held_out_problem_is_refused(desk: Any) -> None:
    given = (
        own("own-a", "First: What is 3 + 4? Second: What is 20 + 5?", "25"),
        own("own-b", "What is 20 + 6?", "26", "Before that: what is 3+4? It is 7. Now 20 + 6 = 26"),
        own("own-c", "Work out 15^2.", "225", "15^2 = 225"),  # 5^2 is held out, 15^2 is another problem
    )
    desk.pack = desk.pack.model_copy(update={"exercises": given})
    with desk.context(ScriptedTeacher({})) as context:
        assert [e.id for e in take_over(context)] == ["own-c"]
        refused = {r.id: (r.reason, r.detail) for r in context.folder.rejected().read()}
    assert refused == dict.fromkeys(("own-a", "own-b"), ("held out", "contains the problem eval-0"))


def test_questions_with_one_long_instruction_are_not_one_question(desk: Any) -> None:
    instruction = (
        "You are given one word of a language that few people speak today. Say slowly, and after thinking about it as "
        "long as you like, how many letters it has, and write nothing but that number on the last line. The word is"
    )
    words = ("muka", "tela", "sorano", "LUMI!")
    given = tuple(own(f"own-{word}", f"{instruction} {word}.", str(len(word))) for word in words)
    held_out = (HeldOutItem(id="held", problem=f"{instruction} lumi", answer="4", topic="Addition"),)
    desk.pack = desk.pack.model_copy(update={"exercises": given, "held_out": {"eval": held_out}})
    with desk.context(ScriptedTeacher({})) as context:
        assert [e.id for e in take_over(context)] == ["own-muka", "own-tela", "own-sorano"]
        assert [(r.id, r.reason) for r in context.folder.rejected().read()] == [("own-LUMI!", "held out")]


def test_a_whole_run_trains_and_watches_what_is_open_ended(training_desk: Any) -> None:
    letters = [own(f"own-{n}", f"Write letter {n} to a friend.", "", f"Dear friend {n},\nbye.") for n in range(6)]
    training_desk.pack = training_desk.pack.model_copy(update={"exercises": tuple(letters)})
    training_desk.run()
    run = RunDir.read(training_desk.folder / "run")
    ids = {e.id for e in letters}
    assert ids <= {o.example for o in run.observations(1).read()}
    assert ids <= {d.example for d in run.decisions(1).read()}
    assert not ids & {v.exercise for v in run.votes().read()}
    assert not ids & {g.id for g in run.own_answers().read()}
    assert not ids & {parent for e in run.exercises().read() for parent in e.parents}
    assert 'Dear friend 1,\\nbye."' in "".join(row.model_dump_json() for row in run.lessons() if row.id == "own-1")
