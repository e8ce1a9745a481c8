"""Ask, check, keep or reject, ask again: the exercises stage over a real run folder, with scripted teachers."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dsa_lite.errors import TeacherError
from dsa_lite.events import StageProgress
from dsa_lite.stages import graph, textbooks
from dsa_lite.stages.writing import slot_of
from dsa_lite.teacher import Request
from dsa_lite.testing import ScriptedTeacher

FEW = {"single_per_skill": 1, "composed_per_skill": 0}
SLOT = "addition-s-000"
INSIDE = "What is 9 - 4? Call it k, and add k to 310."  # its beginning is held out


def good(request: Request) -> dict[str, str]:
    """Parts of a usable exercise, another one for every seed."""
    skills = request.messages[-1].content.split("skills: ")[1].split("\n")[0]
    a, b = random.Random(request.seed).choices(range(10, 5000), k=2)
    solution = " ".join(f"{name}: {a} + {b} = {a + b}." for name in skills.split("; "))
    return {"problem": f"What is {a} + {b}?", "solution": solution, "answer": str(a + b)}


FAULTS: dict[str, tuple[str, Callable[[Any, Request], Any]]] = {
    "length": ("unfinished", lambda desk, r: desk.reply(r, desk.exercise_json(**good(r)), "length")),
    "error": ("not written", lambda desk, r: desk.reply(r, "", "error", "no room")),
    "no JSON": ("malformed", lambda desk, r: "Here is an exercise: 3 + 4"),
    "a field too many": ("malformed", lambda desk, r: desk.exercise_json(**good(r))[:-1] + ', "x": 1}'),
    "an empty field": ("malformed", lambda desk, r: desk.exercise_json(**{**good(r), "answer": " "})),
    "a number for a text": ("malformed", lambda desk, r: '{"problem": "p", "solution": "Addition", "answer": 3}'),
    "held out": ("held out", lambda desk, r: desk.exercise_json(**{**good(r), "problem": "what is  3+4"})),
    "transfer": ("held out", lambda desk, r: desk.exercise_json(**{**good(r), "problem": "What is 5^2 + 1 ?"})),
    "held out, inside": ("held out", lambda desk, r: desk.exercise_json(**{**good(r), "problem": INSIDE})),
    "held out, in the solution": (
        "held out",
        lambda desk, r: desk.exercise_json(**{**good(r), "solution": f"Addition. {INSIDE}"}),
    ),
    "wrong step": ("wrong step", lambda desk, r: desk.exercise_json(**{**good(r), "solution": "Addition: 2 + 2 = 5."})),
    "prose": (
        "answer cannot be checked",
        lambda desk, r: desk.exercise_json(**{**good(r), "answer": "it is hard to say, " * 20}),
    ),
}


def test_a_solution_that_does_not_name_its_skill_is_given_the_name(desk: Any) -> None:
    unnamed = ScriptedTeacher(lambda r: desk.exercise_json(**{**good(r), "solution": "It is so."}))
    kept, rejected = desk.write_exercises(unnamed, exercises=FEW)
    assert not rejected
    assert kept[0].solution == "Addition:\nIt is so."


@pytest.mark.parametrize("fault", FAULTS)
def test_an_unusable_reply_is_kept_with_its_reason_and_asked_again_with_a_new_id_and_seed(
    desk: Any, fault: str
) -> None:
    reason, spoil = FAULTS[fault]

    def script(request: Request) -> Any:
        return spoil(desk, request) if request.id in (SLOT, f"{SLOT}.1") else desk.exercise_json(**good(request))

    teacher = ScriptedTeacher(script)
    kept, rejected = desk.write_exercises(teacher, exercises=FEW)
    assert [(r.id, r.reason, r.stage, r.round) for r in rejected] == [
        (SLOT, reason, "exercises", 0),
        (f"{SLOT}.1", reason, "exercises", 0),
    ]
    assert [e.id for e in kept] == [f"{SLOT}.2", "multiplication-s-000", "squares-s-000", "subtraction-s-000"]
    seeds = {r.id: r.seed for r in teacher.requests}
    assert len(teacher.requests) == len(seeds) == len(set(seeds.values())) == 6
    assert not desk.warnings()


def test_the_reason_says_what_is_wrong_and_the_text_is_kept(desk: Any) -> None:
    teacher = ScriptedTeacher(lambda r: desk.reply(r, "x" * 1000, "length") if r.id == SLOT else desk.answer(r))
    _, rejected = desk.write_exercises(teacher, exercises=FEW)
    assert (rejected[0].detail, len(rejected[0].sample)) == ("cut off after 1000 tokens", 400)
    assert (rejected[0].tokens_in, rejected[0].tokens_out) == (9, 1000)


def test_a_slot_is_given_up_after_the_attempts_and_that_is_said(desk: Any) -> None:
    teacher = ScriptedTeacher(lambda r: "?" if r.id.startswith("squares") else desk.exercise_json(**good(r)))
    kept, rejected = desk.write_exercises(teacher, exercises=FEW)
    assert [r.id for r in rejected] == ["squares-s-000", "squares-s-000.1", "squares-s-000.2"]
    assert len(kept) == 3
    assert desk.warnings() == ["1 of 4 exercises were given up after 3 attempts each"]


def test_the_first_slot_keeps_a_problem_that_two_slots_got(desk: Any) -> None:
    def script(request: Request) -> str:
        parts = good(request)
        same = slot_of(request.id) in ("multiplication-s-000", "squares-s-000") and "." not in request.id
        return desk.exercise_json(**(parts | {"problem": "How much is 3 and 8?"} if same else parts))

    kept, rejected = desk.write_exercises(ScriptedTeacher(script), exercises=FEW)
    assert [(r.id, r.reason, r.detail, r.sample) for r in rejected] == [
        ("squares-s-000", "duplicate", "the same problem as multiplication-s-000", "How much is 3 and 8?")
    ]
    assert "squares-s-000.1" in [e.id for e in kept]
    assert rejected[0].tokens_out == 0, "its tokens would be counted twice: they stand in exercises.jsonl"


def repeating(desk: Any) -> Callable[[Request], Any]:
    """A script whose problems often repeat, besides the faults of `answer`."""

    def script(request: Request) -> Any:
        if request.seed % 3 == 0:
            return desk.exercise_json(**(good(request) | {"problem": f"How much is 3 and {request.seed % 2}?"}))
        if request.seed % 5 == 1:
            return desk.reply(request, "half", "length") if request.seed % 2 else "garbage"
        return desk.answer(request)

    return script


SIZE = {"single_per_skill": 3, "composed_per_skill": 1}


@pytest.fixture
def undisturbed(desk: Any) -> tuple[Any, int]:
    """What is kept and rejected when nothing happens, and the number of replies."""
    teacher = ScriptedTeacher(repeating(desk))
    result = desk.write_exercises(teacher, "undisturbed", exercises=SIZE)
    reasons = Counter(r.reason for r in result[1])
    assert reasons["duplicate"] >= 2
    assert len(reasons) >= 3
    assert len(teacher.requests) > 18
    return result, len(teacher.requests)


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_arrival_changes_nothing(desk: Any, undisturbed: tuple[Any, int], seed: int) -> None:
    assert desk.write_exercises(desk.Unruly(repeating(desk), order=seed), exercises=SIZE) == undisturbed[0]


def test_stopping_after_any_reply_changes_nothing_and_asks_nothing_twice(
    desk: Any, undisturbed: tuple[Any, int]
) -> None:
    result, replies = undisturbed
    for after in range(replies):
        first, second = desk.Unruly(repeating(desk), after), ScriptedTeacher(repeating(desk))
        with pytest.raises(KeyboardInterrupt):
            desk.write_exercises(first, f"run{after}", exercises=SIZE)
        assert desk.write_exercises(second, f"run{after}", exercises=SIZE) == result
        # what was in flight when it stopped is the only thing asked again
        assert len(second.requests) == replies - after
        third = ScriptedTeacher({})
        assert desk.write_exercises(third, f"run{after}", exercises=SIZE) == result
        assert not third.requests


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stops=st.lists(st.integers(0, 8), max_size=6), seed=st.integers(0, 99))
def test_stopping_often_in_any_order_of_arrival_changes_nothing(
    desk: Any, undisturbed: tuple[Any, int], stops: list[int], seed: int
) -> None:
    out = f"run-{uuid.uuid4()}"
    for number, after in enumerate(stops):
        teacher = desk.Unruly(repeating(desk), after, order=seed + number)
        try:
            desk.write_exercises(teacher, out, exercises=SIZE)
        except KeyboardInterrupt:
            assert teacher.left == 0
    last = ScriptedTeacher(repeating(desk))
    assert desk.write_exercises(last, out, exercises=SIZE) == undisturbed[0]
    assert desk.write_exercises(ScriptedTeacher({}), out, exercises=SIZE) == undisturbed[0]


def test_a_teacher_that_writes_garbage_is_stopped_with_counts_and_three_samples(desk: Any) -> None:
    def script(request: Request) -> Any:
        return desk.reply(request, "half", "length") if request.seed % 4 == 0 else f"garbage {request.id}"

    teacher = ScriptedTeacher(script, "Babbler")
    with pytest.raises(TeacherError) as caught:
        desk.write_exercises(teacher, teacher={"min_replies": 25}, exercises={"single_per_skill": 50})
    assert len(teacher.requests) == 25
    message = caught.value.message
    cut = sum(r.seed % 4 == 0 for r in teacher.requests)
    assert "Babbler" in message
    assert "25 of 25 replies are unusable" in message
    assert f"{25 - cut}  malformed" in message
    assert f"{cut}  unfinished" in message
    assert [r.id in message for r in teacher.requests] == [False] * 22 + [True] * 3
    assert "--teacher" in caught.value.hint
    assert "rejected.jsonl" in caught.value.hint


def test_a_stopped_teacher_costs_one_reply_more_when_the_run_is_started_again(desk: Any) -> None:
    limits = {"teacher": {"min_replies": 25}, "exercises": {"single_per_skill": 50}}
    for budget in (25, 1):
        teacher = ScriptedTeacher(lambda r: "garbage")
        with pytest.raises(TeacherError):
            desk.write_exercises(teacher, **limits)
        assert len(teacher.requests) == budget


def test_a_poor_teacher_goes_on_while_enough_of_it_is_usable(desk: Any) -> None:
    teacher = ScriptedTeacher(lambda r: desk.exercise_json(**good(r)) if r.seed % 4 == 0 else "garbage")
    kept, rejected = desk.write_exercises(teacher, exercises={"single_per_skill": 30, "composed_per_skill": 0})
    assert len(kept) + len(rejected) == len(teacher.requests) > 200


def test_a_teacher_that_always_writes_the_same_problem_is_stopped(desk: Any) -> None:
    teacher = ScriptedTeacher(
        lambda r: desk.exercise_json("1 + 1?", "Addition, Subtraction, Multiplication, Squares", "2")
    )
    with pytest.raises(TeacherError, match="duplicate"):
        desk.write_exercises(teacher, exercises={"single_per_skill": 12, "composed_per_skill": 0})
    assert len(teacher.requests) == 48


def test_progress_counts_what_is_usable_and_what_is_not(desk: Any) -> None:
    def script(request: Request) -> str:
        return desk.exercise_json(**good(request)) if request.seed % 3 else "garbage"

    kept, rejected = desk.write_exercises(ScriptedTeacher(script), exercises=SIZE)
    seen = [e for e in desk.events if isinstance(e, StageProgress)]
    assert all(e.total == 14 and 0 <= e.done <= e.total for e in seen)
    assert [e.done for e in seen] == sorted(e.done for e in seen)
    assert (seen[-1].done, seen[-1].figures["rejected"]) == (len(kept), len(rejected))
    assert seen[-1].tokens == sum(r.tokens_out for r in [*kept, *rejected]) > 0


def test_passages_that_are_short_repeated_or_quote_a_held_out_item_are_rejected(desk: Any) -> None:
    replies = {"addition": "Too short.", "subtraction": "For example: what is 9-4? It is five, of course.",
               "multiplication": "The same words for both, long enough.",
               "squares": "The same  words for both, long enough."}  # fmt: skip

    def script(request: Request) -> str:
        skill = request.id.split("-")[1]
        return f"A passage about {skill}, and nothing else." if "." in request.id else replies[skill]

    with desk.context(ScriptedTeacher(script), graph={"expand": False}) as context:
        graph.run(context)
        textbooks.run(context)
        reasons = {r.id: r.reason for r in context.folder.rejected().read()}
        ids = [t.id for t in textbooks.load(context)]
    assert reasons == {
        "text-addition-000": "too short", "text-subtraction-000": "held out", "text-squares-000": "duplicate",
    }  # fmt: skip
    assert ids == ["text-addition-000.1", "text-multiplication-000", "text-squares-000.1", "text-subtraction-000.1"]


def test_a_wrong_step_is_kept_where_nothing_is_verified(desk: Any) -> None:
    def answer(request: Request) -> str:
        return desk.exercise_json(
            **{**good(request), "solution": "Addition Subtraction Multiplication Squares: 2 + 2 = 5."}
        )

    kept, _ = desk.write_exercises(ScriptedTeacher(answer), exercises={**FEW, "verify": "none"})
    assert kept
    assert not any(e.steps_right for e in kept)
