"""Verification by vote: exercises whose answer new solutions do not confirm are refused, and others asked for; what
looks wrong later is solved again."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from dsa_lite.errors import TeacherError
from dsa_lite.io.answers.checker import AnswerChecker
from dsa_lite.records import Exercise
from dsa_lite.stages import exercises, graph
from dsa_lite.stages.voting import verdicts
from dsa_lite.teacher import Request
from dsa_lite.testing import ScriptedTeacher

FEW = {"single_per_skill": 2, "composed_per_skill": 0, "verify": "vote:3"}


class Fallible:
    """Writes sums of which every third is wrong, and solves them rightly except for a share of its solutions."""

    def __init__(self, desk: Any, wrong_solutions: float = 0.0, broken: bool = False) -> None:
        self.desk, self.wrong_solutions, self.broken = desk, wrong_solutions, broken
        self.asked: list[str] = []

    def __call__(self, request: Request) -> str:
        self.asked.append(request.id)
        text = request.messages[-1].content
        chance = random.Random(request.seed)
        if text.startswith("task: solve"):
            if self.broken:
                return "{"
            a, b = text.split("What is ")[1].rstrip("?").split(" plus ")
            shift = 1 if chance.random() < self.wrong_solutions else 0
            return json.dumps({"solution": "I add.", "answer": str(int(a) + int(b) + shift)})
        names = text.split("skills: ")[1].split("\n")[0].split("; ")
        a, b = chance.choices(range(10, 5000), k=2)
        answer = str(a + b + (7 if request.seed % 3 == 0 else 0))
        return str(self.desk.exercise_json(f"What is {a} plus {b}?", f"{' '.join(names)}: done.", answer))


def right(exercise: Any) -> bool:
    a, b = exercise.problem.removeprefix("What is ").rstrip("?").split(" plus ")
    return int(exercise.answer) == int(a) + int(b)


def test_wrong_exercises_are_outvoted_and_written_again(desk: Any) -> None:
    kept, rejected = desk.write_exercises(ScriptedTeacher(Fallible(desk)), exercises=FEW, teacher={"attempts": 9})
    assert len(kept) == 8
    assert all(map(right, kept))
    outvoted = [r for r in rejected if r.reason == "outvoted"]
    assert outvoted
    assert {r.detail for r in outvoted} == {"0 of 3 new solutions agree"}


def test_most_votes_decide(desk: Any) -> None:
    teacher = Fallible(desk, wrong_solutions=0.2)
    kept, _ = desk.write_exercises(ScriptedTeacher(teacher), exercises=FEW, teacher={"attempts": 9})
    assert all(map(right, kept))
    with desk.context(ScriptedTeacher(teacher), exercises=FEW) as context:
        votes = [v for v in context.folder.votes().read() if v.answer is not None]
    wrong = {v.exercise for e in kept for v in votes if v.exercise == e.id and v.answer != e.answer}
    assert wrong, "no kept exercise had a dissenting vote: the test says nothing"


def test_a_teacher_that_cannot_solve_confirms_nothing(desk: Any) -> None:
    with pytest.raises(Exception, match="outvoted"):
        desk.write_exercises(
            ScriptedTeacher(Fallible(desk, broken=True)), exercises=FEW, teacher={"attempts": 9, "min_replies": 8}
        )


def test_votes_survive_an_interruption_and_are_not_asked_for_twice(desk: Any) -> None:
    whole, _ = desk.write_exercises(ScriptedTeacher(Fallible(desk)), "whole", exercises=FEW)
    first, second = Fallible(desk), Fallible(desk)
    with pytest.raises(KeyboardInterrupt):
        desk.write_exercises(desk.Unruly(first, after=13), "cut", exercises=FEW)
    with desk.context(ScriptedTeacher(second), "cut", exercises=FEW, graph={"expand": False}) as context:
        before = {v.id for v in context.folder.votes().read()}
        assert before
        graph.run(context)
        exercises.run(context)
        again = exercises.load(context)
    assert again == whole
    assert not before & set(second.asked)


def test_without_a_vote_nothing_is_solved_again(desk: Any) -> None:
    teacher = Fallible(desk)
    desk.write_exercises(ScriptedTeacher(teacher), exercises={**FEW, "verify": "program"})
    assert not any("/" in id for id in teacher.asked)


SUMS = {
    "right": ("3 plus 4", "7"),
    "wrong": ("3 plus 5", "9"),
    "scattered": ("1 plus 1", "2"),
    "mute": ("1 plus 2", "4"),
}


SUM = Exercise(id="e", problem="What is 3 plus 4?", solution="s", answer="7", skills=("addition",), origin="single")


def look_at(desk: Any, model: Any, *, ask: bool = True, items: tuple[Exercise, ...] = (SUM,), **settings: Any) -> Any:
    """What the teacher says of some sums in round 2."""
    with desk.context(model, graph={"expand": False}, **settings) as context:
        graph.run(context)
        with AnswerChecker("math") as checker:
            return verdicts(context, "tune", 2, items, checker, 3, ask=ask)


def saying(answer: str, asked: list[str]) -> ScriptedTeacher:
    def solve(request: Request) -> str:
        asked.append(request.id)
        return json.dumps({"solution": "I add.", "answer": answer})

    return ScriptedTeacher(solve)


def test_a_reply_that_failed_is_no_vote_and_is_asked_for_again(desk: Any) -> None:
    asked: list[str] = []
    down = ScriptedTeacher(lambda r: desk.reply(r, "", "error", "HTTP 503: overloaded"))
    assert look_at(desk, down) == {}
    assert "new solutions failed, the last one with: HTTP 503: overloaded" in desk.warnings()[-1]
    assert look_at(desk, saying("7", asked)) == {"e": True}
    assert asked == ["e/1"]
    many = tuple(SUM.model_copy(update={"id": f"m{i}"}) for i in range(3))
    with pytest.raises(TeacherError, match="3 of 3 new solutions failed"):
        look_at(desk, down, items=many, teacher={"min_replies": 3})


def test_the_solutions_that_let_an_exercise_in_do_not_confirm_it_again(desk: Any) -> None:
    asked: list[str] = []
    assert look_at(desk, saying("8", asked), exercises={"verify": "vote:3"}) == {"e": False}
    assert asked == ["e/4", "e/5", "e/6"]


def test_unasked_the_teacher_says_what_it_said_before(desk: Any) -> None:
    asked: list[str] = []
    assert look_at(desk, saying("8", asked), ask=False) == {}
    assert look_at(desk, saying("8", asked)) == look_at(desk, saying("7", asked), ask=False) == {"e": False}
    assert asked == ["e/1", "e/2", "e/3"]


def verdicts_on_sums(desk: Any, votes: int) -> tuple[dict[str, bool], list[str]]:
    """What a teacher says of `SUMS` that solves rightly, except for one sum and one it says nothing of; and the ids."""
    asked: list[str] = []

    def solve(request: Request) -> str:
        asked.append(request.id)
        name, _, number = request.id.partition("/")
        if name == "mute":
            return "{"
        a, b = request.messages[-1].content.split("What is ")[1].rstrip("?").split(" plus ")
        answer = int(number) * 100 if name == "scattered" else int(a) + int(b)
        return json.dumps({"solution": "I add.", "answer": str(answer)})

    exercises = [
        Exercise(id=id, problem=f"What is {sum}?", solution="s", answer=answer, skills=("addition",), origin="single")
        for id, (sum, answer) in SUMS.items()
    ]
    with desk.context(ScriptedTeacher(solve), graph={"expand": False}) as context:
        graph.run(context)
        with AnswerChecker("math") as checker:
            return verdicts(context, "tune", 1, exercises, checker, votes), asked


def test_solved_again_an_exercise_is_confirmed_refuted_or_neither(desk: Any) -> None:
    found, asked = verdicts_on_sums(desk, 3)
    assert found == {"right": True, "wrong": False}
    assert sorted(asked) == ["mute/1", "mute/2", "mute/3", "right/1", "scattered/1", "scattered/2", "scattered/3",
                             "wrong/1", "wrong/2", "wrong/3"]  # fmt: skip


def test_what_was_solved_again_is_not_asked_for_twice(desk: Any) -> None:
    first, _ = verdicts_on_sums(desk, 3)
    second, asked = verdicts_on_sums(desk, 3)
    assert (second, asked) == (first, [])
