"""What the base can do already: what is left out of it, and what is trained on in its own words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dsa_lite.core.encoding import encode_prompt
from dsa_lite.core.own_words import FIRST, taken_over
from dsa_lite.records import Exercise, Graded
from dsa_lite.stages import graph, own_words, tune
from dsa_lite.stages.context import Context
from dsa_lite.testing import ScriptedTeacher

pytest.importorskip("dsa_lite_torch")

SETTINGS: dict[str, Any] = {"graph": {"expand": False}, "rehearsal": {"max_tokens": 200}}


def sums(skill: str, count: int, wrong: int, start: int) -> list[Exercise]:
    """Of `count` exercises the first `wrong` have a wrong answer. The teacher's way of writing is nobody else's."""
    return [
        Exercise(
            id=f"{skill}-{n:02d}", problem=f"What is {start + n} + 4?", solution="It is plain to see.",
            answer=str(start + n + 4 + (n < wrong)), skills=(skill,), origin="single",
        )
        for n in range(count)
    ]  # fmt: skip


@contextmanager
def asked(desk: Any, out: str, wrong: int = 6, **settings: Any) -> Iterator[Context]:
    """A run with 30 exercises of a skill that the base knows, `wrong` of them with a wrong answer, and with 30 of one
    in which it disagrees with the teacher."""
    desk.student = str(Path(__file__).parents[2] / "dsa_lite" / "bundled" / "student")
    with desk.context(ScriptedTeacher(desk.answer), out, **{**SETTINGS, **settings}) as context:
        graph.run(context)
        for exercise in [*sums("addition", 30, wrong, 20), *sums("squares", 30, 30, 50)]:
            context.folder.exercises().append(exercise)
        own_words.write(context, "rehearsal")
        yield context


def test_what_is_open_ended_is_not_solved(desk: Any) -> None:
    desk.student = str(Path(__file__).parents[2] / "dsa_lite" / "bundled" / "student")
    with desk.context(ScriptedTeacher(desk.answer), "run", **SETTINGS) as context:
        graph.run(context)
        letter = Exercise(id="own-1", problem="Write a letter.", solution="Dear Ada", answer="", skills=("addition",),
                          origin="imported")  # fmt: skip
        for exercise in [*sums("addition", 4, 0, 20), letter]:
            context.folder.exercises().append(exercise)
        own_words.write(context, "rehearsal")
        assert {g.id for g in context.folder.own_answers().read()} == {f"addition-{n:02d}" for n in range(4)}
        assert "own-1" in trained(context)


def trained(context: Context) -> dict[str, Exercise]:
    return {e.id: e for e in tune.training_set(context, 1)[0]}


def test_what_the_base_can_do_of_a_skill_is_trained_in_its_own_words(desk: Any) -> None:
    with asked(desk, "run", wrong=12) as context:
        solved, student = {own.id: own for own in context.folder.own_words().read()}, context.student
        answered = context.folder.own_answers().read()
        assert sum(g.topic == "addition" for g in answered) == 30
        assert sum(g.topic == "squares" for g in answered) == FIRST  # after these it is clear
        assert 14 <= len(solved) <= 18
        assert not {f"addition-{n:02d}" for n in range(12)} & set(solved)  # the base's answer is another one
        used = trained(context)
        assert len(used) == 60
        for exercise in used.values():
            if exercise.id not in solved:
                assert exercise.solution == "It is plain to see."
        one = used[min(solved)]
        (reply,) = student.generate([encode_prompt(student.tokenizer, one.problem)], 200, adapter=False)
        assert f"{one.solution}\nAnswer: {one.answer}" == student.tokenizer.decode(reply).strip()


def test_what_it_knows_is_left_out_but_not_what_joins_skills_or_was_brought(desk: Any) -> None:
    with asked(desk, "run", wrong=0) as context:
        assert {id.split("-")[0] for id in trained(context)} == {"squares"}
        joined = [("j", "composed", ("squares", "addition")), ("i", "imported", ("addition",))]
        for id, origin, skills in joined:
            more = sums("addition", 1, 0, 33)[0].model_copy(update={"id": id, "origin": origin, "skills": skills})
            context.folder.exercises().append(more)
        words, left_out = own_words.write(context, "rehearsal")
        assert (words, left_out) == (2, 30)
        assert {"i", "j"} < trained(context).keys()
        assert own_words.knew(context) == {"addition"}


def test_a_student_that_knows_everything_is_trained_on_everything(desk: Any) -> None:
    desk.student = str(Path(__file__).parents[2] / "dsa_lite" / "bundled" / "student")
    with desk.context(ScriptedTeacher(desk.answer), "run", **SETTINGS) as context:
        graph.run(context)
        for exercise in sums("addition", 30, 0, 20):
            context.folder.exercises().append(exercise)
        assert own_words.write(context, "rehearsal") == (30, 0)
        assert len(trained(context)) == 30


def test_none_are_asked_when_none_are_wanted(desk: Any) -> None:
    with asked(desk, "run", rehearsal={"own_words": 0.0}) as context:
        assert context.folder.own_answers().read() == context.folder.own_words().read() == []
        assert {e.solution for e in tune.training_set(context, 1)[0]} == {"It is plain to see."}


@pytest.mark.parametrize("lines", [0, 5, 30])
def test_an_interrupted_stage_ends_with_the_same_words(desk: Any, lines: int) -> None:
    with asked(desk, "run") as context:
        whole = context.folder.own_words().read()
        context.folder.own_answers().truncate(lines)
        context.folder.write_own_words([])
        own_words.write(context, "rehearsal")
        assert context.folder.own_words().read() == whole != []


def test_what_does_not_fit_is_not_asked_and_what_is_cut_off_is_no_answer(desk: Any) -> None:
    long = {"student": {"max_tokens": 8}}
    with asked(desk, "run", **long) as context:
        assert context.folder.own_answers().read() == []
    with asked(desk, "other", rehearsal={"max_tokens": 3}) as context:
        assert not any(g.correct for g in context.folder.own_answers().read())


def graded(reply: str, *, correct: bool = True) -> Graded:
    return Graded(id="e", topic="a", reply=reply, answer="4", correct=correct)


@pytest.mark.parametrize(
    ("reply", "taken"),
    [
        (graded("2+2=4.\nAnswer: 4"), ("2+2=4.", True)),
        (graded("That is clear.\nAnswer: 4"), ("That is clear.", None)),
        (graded("2+3=4.\nAnswer: 4"), None),  # a wrong step
        (graded("Answer: 4\nAnswer: 4"), None),
        (graded("2+2=4.\nAnswer: 4", correct=False), None),
        (Graded(id="e", topic="a", reply="2+2=", answer=None, correct=False), None),
    ],
)
def test_whose_words_are_taken_over(reply: Graded, taken: tuple[str, bool | None] | None) -> None:
    own = taken_over(reply, check_steps=True)
    assert (own and (own.solution, own.steps_right)) == taken
    assert (taken_over(reply, check_steps=False) is None) == ("Answer: 4\nA" in reply.reply or not reply.correct)
