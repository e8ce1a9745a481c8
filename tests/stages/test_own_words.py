"""What the base can do already is trained in its own words: which skills those are, whose words, and nothing else."""

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
def asked(desk: Any, out: str, **settings: Any) -> Iterator[Context]:
    """A run with exercises of a skill that the base knows, and of one in which it disagrees with the teacher."""
    desk.student = str(Path(__file__).parents[2] / "dsa_lite" / "bundled" / "student")
    with desk.context(ScriptedTeacher(desk.answer), out, **{**SETTINGS, **settings}) as context:
        graph.run(context)
        for exercise in [*sums("addition", 20, 2, 20), *sums("squares", 20, 20, 50)]:
            context.folder.exercises().append(exercise)
        own_words.write(context, "rehearsal")
        yield context


def test_a_skill_that_the_base_knows_is_trained_in_its_own_words(desk: Any) -> None:
    with asked(desk, "run") as context:
        solved, student = {own.id: own for own in context.folder.own_words().read()}, context.student
        answered = context.folder.own_answers().read()
        assert sum(g.topic == "addition" for g in answered) == 20
        assert sum(g.topic == "squares" for g in answered) == FIRST  # after these it is clear
        assert 15 <= sum(own.solution is not None for own in solved.values()) <= 18
        assert {id.split("-")[0] for id in solved} == {"addition"}
        trained = {e.id: e for e in tune.training_set(context, 1)[0]}
        for exercise in trained.values():
            if exercise.id not in solved:
                assert exercise.solution == "It is plain to see."
        for wrong in ("addition-00", "addition-01"):  # the base's answer is another one: who knows who is right
            assert (solved[wrong].solution, wrong in trained) == (None, False)
        one = trained[min(id for id, own in solved.items() if own.solution)]
        (reply,) = student.generate([encode_prompt(student.tokenizer, one.problem)], 200, adapter=False)
        assert f"{one.solution}\nAnswer: {one.answer}" == student.tokenizer.decode(reply).strip()


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
        (graded("2+2=4.\nAnswer: 4", correct=False), (None, None)),  # the teacher says another
        (Graded(id="e", topic="a", reply="2+2=", answer=None, correct=False), None),
    ],
)
def test_whose_words_are_taken_over(reply: Graded, taken: tuple[str | None, bool | None] | None) -> None:
    own = taken_over(reply, single=True, check_steps=True)
    assert (own and (own.solution, own.steps_right)) == taken
    unchecked = taken_over(reply, single=False, check_steps=False)
    assert (unchecked is None) == ("Answer: 4\nA" in reply.reply or not reply.correct)
