"""Textbooks as procedures: several written, their cases solved again, the best kept; exercises follow it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import pytest

from dsa_lite.errors import TeacherError
from dsa_lite.events import Note, StageProgress
from dsa_lite.records import Rejected, Textbook
from dsa_lite.stages import exercises, graph, textbooks
from dsa_lite.teacher import Request
from dsa_lite.testing import ScriptedTeacher

TEXT: dict[str, Any] = {"graph": {"expand": False}, "exercises": {"single_per_skill": 3, "composed_per_skill": 0}}


def case(a: int, b: int, right: bool = True) -> str:
    """A sum by one way; wrong ones are wrong in what is asked, not in their arithmetic."""
    return (
        f"Problem: What is {a} plus {b}?\nSolution:\n{a} + {b + (not right)} = {a + b + (not right)}\nAnswer: "
        + str(a + b + (not right))
    )


def procedure(*cases: str) -> str:
    return "\n".join(["Procedure:", "1. Add the two numbers.", *cases])


class Writer:
    """Writes what `book` and `exercise` say of a request, sums by default; solves every sum rightly."""

    def __init__(
        self, book: Callable[[Request], Any] | None = None, exercise: Callable[[Request], Any] | None = None,
        topic: Callable[[Request], str] | None = None,
    ) -> None:  # fmt: skip
        self.book, self.exercise = book or self.sums, exercise or self.sum
        self.topic = topic or (lambda request: "I cannot say")

    def __call__(self, request: Request) -> Any:
        task = request.messages[-1].content.splitlines()[0]
        if task.startswith("problem: "):
            return "Answer: " + self.topic(request)
        if task == "task: textbook":
            return self.book(request)
        if task == "task: solve":
            a, b = map(int, re.findall(r"\d+", request.messages[-1].content))
            return f"Solution:\n{a} + {b} = {a + b}\nAnswer: The sum is {a + b}."
        return self.exercise(request)

    @staticmethod
    def sums(request: Request) -> str:
        chance = random.Random(request.seed)
        return procedure(*(case(chance.randrange(10, 500), chance.randrange(10, 500)) for _ in range(2)))

    @staticmethod
    def sum(request: Request) -> str:
        chance = random.Random(request.seed)
        return case(chance.randrange(10, 5000), chance.randrange(10, 5000))


def write(desk: Any, writer: Writer, **settings: Any) -> tuple[list[Textbook], list[Rejected], ScriptedTeacher]:
    teacher = ScriptedTeacher(writer)
    given = {**TEXT, **settings, "teacher": {"form": "text", "attempts": 2, **settings.get("teacher", {})}}
    with desk.context(teacher, **given) as context:
        graph.run(context)
        textbooks.run(context)
        return textbooks.load(context), sorted(context.folder.rejected().read(), key=lambda r: r.id), teacher


def test_of_the_confirmed_candidates_the_steadiest_is_kept_and_the_others_are_not_asked_for_again(desk: Any) -> None:
    def book(request: Request) -> str:
        steady = request.id.endswith("001")
        second = case(30, 12) if steady else "Problem: What is 4 plus 5?\nSolution:\n4 + 5 + 0 = 9\nAnswer: 9"
        return procedure(case(20, 11), second)

    kept, rejected, teacher = write(desk, Writer(book))
    assert [b.id for b in kept] == [f"text-{s}-001" for s in ("addition", "multiplication", "squares", "subtraction")]
    assert {r.reason for r in rejected} == {"another was better"}
    assert sum(r.messages[-1].content.startswith("task: textbook") for r in teacher.requests) == 4 * 3
    assert kept[0].steps == ("Add the two numbers.",)
    assert kept[0].text == (
        "Addition.\n1. Add the two numbers.\nProblem: What is 20 plus 11?\nSolution:\n20 + 11 = 31\nAnswer: 31\n"
        "Problem: What is 30 plus 12?\nSolution:\n30 + 12 = 42\nAnswer: 42"
    )


def test_a_procedure_whose_case_is_answered_otherwise_is_refused_and_asked_for_again(desk: Any) -> None:
    def book(request: Request) -> str:
        wrong = request.id.startswith("text-addition") and "." not in request.id
        return procedure(case(20, 11, right=not wrong), case(30, 12))

    kept, rejected, teacher = write(desk, Writer(book), textbooks={"candidates": 1, "min_chars": 20})
    assert kept[0].id == "text-addition-000.1"
    assert [(r.id, r.reason) for r in rejected] == [("text-addition-000", "worked case not confirmed")]
    (again,) = [r for r in teacher.requests if r.id == "text-addition-000.1"]
    assert again.messages[-1].content.endswith("refused before: new solutions end otherwise")


def test_a_case_on_which_new_solutions_do_not_agree_is_not_confirmed(desk: Any) -> None:
    class Unsure(Writer):
        def __call__(self, request: Request) -> Any:
            if "task: solve" in request.messages[-1].content and request.id.startswith("text-addition-000-case-2"):
                return f"Answer: {request.seed}"
            return super().__call__(request)

    _, rejected, _ = write(desk, Unsure(), textbooks={"candidates": 1, "min_chars": 20})
    assert [(r.id, r.detail) for r in rejected] == [("text-addition-000", "new solutions do not agree")]


def test_what_is_whole_of_a_passage_that_ran_over_is_kept(desk: Any) -> None:
    def book(request: Request) -> Any:
        return desk.reply(request, procedure(case(20, 11)) + "\nProblem: What is 3 pl", "length")

    kept, rejected, _ = write(desk, Writer(book), textbooks={"candidates": 1, "min_chars": 20})
    assert [len(b.cases) for b in kept] == [1] * 4
    assert not rejected


def test_prose_that_ran_over_is_cut_at_its_last_paragraph(desk: Any) -> None:
    whole = "This is a paragraph that says something about it."

    def script(request: Request) -> Any:
        return desk.reply(request, f"{whole} {request.id}\n\nAnd this one brea", "length")

    with desk.context(ScriptedTeacher(script), graph={"expand": False}) as context:
        graph.run(context)
        textbooks.run(context)
        assert textbooks.load(context)[0].text == f"{whole} text-addition-000"


def test_a_skill_without_a_confirmed_procedure_is_named_and_its_exercises_are_written_all_the_same(desk: Any) -> None:
    def book(request: Request) -> str:
        return procedure(case(20, 11, right=not request.id.startswith("text-squares")), case(30, 12))

    teacher = ScriptedTeacher(Writer(book))
    with desk.context(teacher, **TEXT, teacher={"form": "text", "attempts": 2}) as context:
        graph.run(context)
        textbooks.run(context)
        exercises.run(context)
        assert any("no procedure was confirmed for 1 skills: Squares" in w for w in desk.warnings())
        assert sum(e.skill == "squares" for e in exercises.load(context)) == 3


def test_exercises_follow_the_procedure_name_the_skill_and_are_solved_again(desk: Any) -> None:
    def exercise(request: Request) -> str:
        if request.id == "addition-s-000":
            return "Problem: What is 7 plus 8?\nSolution:\n8 + 7 + 0 = 15\nAnswer: 15"
        if request.id == "addition-s-001":
            return "Problem: What is 50 plus 60?\nSolution:\n50 + 50 = 100\nAnswer: 100"
        return Writer.sum(request).replace("Answer: ", "Answer: The sum is ")

    teacher = ScriptedTeacher(Writer(exercise=exercise))
    settings = {**TEXT, "exercises": {**TEXT["exercises"], "verify": "vote:1"}}
    with desk.context(teacher, **settings, teacher={"form": "text", "attempts": 2}) as context:
        graph.run(context)
        textbooks.run(context)
        exercises.run(context)
        kept = exercises.load(context)
        refused = {r.id: r for r in context.folder.rejected().read() if r.stage == "exercises"}
    assert len(kept) == 12
    assert {id: r.reason for id, r in refused.items()} == {
        "addition-s-000": "another way",
        "addition-s-001": "outvoted",
    }
    assert refused["addition-s-000"].detail == "#+#+#=# instead of #+#=#"
    assert all(re.fullmatch(r"\w+:\n\d+ \+ \d+ = \d+", e.solution) and e.answer.isdigit() for e in kept)
    told = {r.id: r.messages[-1].content.splitlines()[-1] for r in teacher.requests}
    assert told["addition-s-000.1"] == "refused before: the steps were not those of the skill"
    assert told["addition-s-001.1"] == "refused before: the answer was wrong"


def test_the_first_that_is_kept_is_shown(desk: Any) -> None:
    write(desk, Writer())
    shown = [e.text for e in desk.events if isinstance(e, Note) and "Add the two numbers" in e.text]
    assert len(shown) == 1


def test_what_a_teacher_announces_is_told_beside_what_is_done(desk: Any) -> None:
    class Announcing(ScriptedTeacher):
        def announce(self, heard: Callable[[int], None]) -> None:
            self.heard = heard

        def write(self, requests: Any) -> Any:
            self.heard(17)
            yield from super().write(requests)

    teacher = Announcing(Writer())
    with desk.context(teacher, **TEXT, teacher={"form": "text"}) as context:
        context.teacher.announce(context._heard)  # as when it is opened by the context
        graph.run(context)
        textbooks.run(context)
    told = [e for e in desk.events if isinstance(e, StageProgress) and e.stage == "textbooks"]
    assert (told[0].done, told[0].tokens) == (0, 0)
    assert (told[1].done, told[1].tokens) == (0, 17)


def test_a_teacher_that_cannot_write_a_procedure_is_recognised_by_its_first_replies(desk: Any) -> None:
    teacher = ScriptedTeacher(Writer(lambda request: "Percentages are fun! Let us learn about them together."))
    with desk.context(teacher, **TEXT, teacher={"form": "text", "min_replies": 10}) as context:
        graph.run(context)
        with pytest.raises(TeacherError, match="writes nothing usable in stage textbooks") as stopped:
            textbooks.run(context)
    assert "'Percentages are fun!" in stopped.value.message
    assert len(teacher.requests) == 10


def test_spare_procedures_do_not_count_as_unusable(desk: Any) -> None:
    spoilt = Writer(lambda r: "?" if r.id.startswith("text-squares") else Writer.sums(r))
    settings = {"teacher": {"min_replies": 10, "min_yield": 0.5}, "textbooks": {"candidates": 6, "min_chars": 20}}
    kept, rejected, _ = write(desk, spoilt, **settings)
    assert len(kept) == 3
    assert sum(r.reason == "another was better" for r in rejected) == 15


def test_units_in_the_worked_cases_do_not_forbid_the_constants_of_exercises(desk: Any) -> None:
    def book(request: Request) -> str:
        case = "Problem: Add 7 m and 4 m, twice.\nSolution:\n7 + 4 = 11 m\n11 * 2 = 22 m\nAnswer: 22"
        return procedure(case)

    def exercise(request: Request) -> str:
        a, b = random.Random(request.seed).choices(range(10, 500), k=2)
        steps = f"{a} + {b} = {a + b}\n{a + b} * 2 = {2 * (a + b)}"
        return f"Problem: Add {a} and {b}, twice.\nSolution:\n{steps}\nAnswer: {2 * (a + b)}"

    class Twice(Writer):
        def __call__(self, request: Request) -> Any:
            if "task: solve" in request.messages[-1].content:
                a, b = map(int, re.findall(r"\d+", request.messages[-1].content))
                return f"Answer: {2 * (a + b)}"
            return super().__call__(request)

    teacher = ScriptedTeacher(Twice(book, exercise))
    with desk.context(teacher, **TEXT, teacher={"form": "text"}) as context:
        graph.run(context)
        textbooks.run(context)
        exercises.run(context)
        assert len(exercises.load(context)) == 12


def test_what_the_teacher_sorts_under_another_skill_is_off_topic(desk: Any) -> None:
    """Worked cases and exercises alike; what it cannot sort stays."""

    def topic(request: Request) -> str:
        return "Squares" if request.id.startswith(("text-addition-000-case", "addition-s-000/", "squares")) else "?"

    teacher = ScriptedTeacher(Writer(topic=topic))
    settings = {**TEXT, "textbooks": {"candidates": 1, "min_chars": 20}}
    with desk.context(teacher, **settings, teacher={"form": "text", "attempts": 2}) as context:
        graph.run(context)
        textbooks.run(context)
        exercises.run(context)
        refused = {r.id: r.reason for r in context.folder.rejected().read()}
    assert refused == {"text-addition-000": "off topic", "addition-s-000": "off topic"}
    (asked,) = [r for r in teacher.requests if r.id == "addition-s-000/topic"]
    assert "- Squares\n- Perimeter of a rectangle: Find" in asked.messages[0].content


def test_a_problem_that_does_not_say_its_numbers_is_refused(desk: Any) -> None:
    def exercise(request: Request) -> str:
        return (
            Writer.sum(request)
            if request.id != "addition-s-000"
            else "Problem: How many are left?\nSolution:\n3 + 4 = 7\nAnswer: 7"
        )

    teacher = ScriptedTeacher(Writer(exercise=exercise))
    with desk.context(teacher, **TEXT, teacher={"form": "text", "attempts": 2}) as context:
        graph.run(context)
        textbooks.run(context)
        exercises.run(context)
        (refused,) = [r for r in context.folder.rejected().read() if r.stage == "exercises"]
    assert (refused.reason, refused.detail) == ("number from nowhere", "the problem does not say 3, 4")
