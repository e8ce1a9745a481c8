"""Test questions for a skill that brings none: set aside by hash, kept by vote, never trained on."""

from __future__ import annotations

import json
import random
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from dsa_lite.core.hold_out import hold_out
from dsa_lite.io.plugins import open_teacher
from dsa_lite.io.settings.files import model_settings
from dsa_lite.io.skills import load_skill
from dsa_lite.records import Exercise
from dsa_lite.stages import evaluate, exercises, graph, setting_aside, textbooks
from dsa_lite.stages.held_out import HeldOutGuard
from dsa_lite.teacher import Request, TeacherOptions
from dsa_lite.testing import ScriptedTeacher

MANY = {
    "graph": {"expand": False},
    "exercises": {"single_per_skill": 20, "composed_per_skill": 0, "hold_out": 0.3, "hold_out_votes": 3},
}


class Teacher:
    """Sums of which every third is wrong, solved rightly but for one in ten; passages quote some problems."""

    def __init__(self, desk: Any) -> None:
        self.desk = desk
        self.asked: list[str] = []

    def __call__(self, request: Request) -> str:
        self.asked.append(request.id)
        text = request.messages[-1].content
        chance = random.Random(request.seed)
        if text.startswith("task: solve"):
            a, b = text.split("What is ")[1].rstrip("?").split(" plus ")
            shift = 1 if chance.random() < 0.1 else 0
            return json.dumps({"solution": "I add.", "answer": str(int(a) + int(b) + shift)})
        names = text.split("skills: ")[1].split("\n")[0].split("; ")
        if text.startswith("task: textbook"):
            return f"A passage on {names[0]}, which is what this course is about."
        a, b = chance.choices(range(10, 5000), k=2)
        answer = str(a + b + (7 if request.seed % 3 == 0 else 0))
        return str(self.desk.exercise_json(f"What is {a} plus {b}?", f"{' '.join(names)}: done.", answer))


@pytest.fixture
def untested(desk: Any) -> Any:
    """A desk whose skill brings a general set and nothing on its topics."""
    desk.pack = desk.pack.model_copy(update={"held_out": {"general": desk.pack.held_out["general"]}})
    return desk


def written(desk: Any, teacher: ScriptedTeacher, out: str = "run", /, **settings: Any) -> dict[str, Any]:
    """What the stage leaves behind, in an order that does not depend on arrival."""
    with desk.context(teacher, out, **{**MANY, **settings}) as context:
        graph.run(context)
        exercises.run(context)
        logs = context.folder
        return {
            "trained": exercises.load(context),
            "tested": logs.set_aside().read(),
            "rejected": sorted(logs.rejected().read(), key=lambda r: r.id),
            "votes": sorted(logs.votes().read(), key=lambda v: v.id),
            "all": sorted(logs.exercises().read(), key=lambda e: e.id),
        }


def right(item: Any) -> bool:
    a, b = item.problem.removeprefix("What is ").rstrip("?").split(" plus ")
    return int(item.answer) == int(a) + int(b)


def test_confirmed_ones_are_the_test_and_the_others_go_with_the_reason(untested: Any) -> None:
    found = written(untested, ScriptedTeacher(Teacher(untested)))
    aside = hold_out([e.problem for e in found["all"]], 0.3, least=10)
    chosen = {e.id for e, out in zip(found["all"], aside, strict=True) if out}
    reasons = {r.id: r.reason for r in found["rejected"]}
    tested = {i.id for i in found["tested"]}
    wrong = {e.id for e in found["all"] if not right(e)}
    assert len(found["all"]) == 80
    assert len(chosen) > 10
    assert set(reasons) == chosen
    assert {id for id, reason in reasons.items() if reason == setting_aside.KEPT} == tested
    assert chosen & wrong, "no wrong exercise was set aside: the test says nothing"
    assert tested == chosen - wrong
    assert {reasons[id] for id in chosen & wrong} == {setting_aside.UNCONFIRMED}
    assert {r.detail for r in found["rejected"] if r.id in wrong} == {"0 of 3 new solutions agree"}
    assert {e.id for e in found["trained"]} == {e.id for e in found["all"]} - chosen
    assert {v.exercise for v in found["votes"]} == chosen
    assert {i.topic for i in found["tested"]} <= {"Addition", "Subtraction", "Multiplication", "Squares"}
    assert f"{len(tested)} test questions of {len(chosen)} set aside" in str(untested.events)


def test_what_is_set_aside_is_asked_and_guarded_and_counted(untested: Any) -> None:
    tested = written(untested, ScriptedTeacher(Teacher(untested)))["tested"]
    with untested.context(ScriptedTeacher({}), **MANY) as context:
        assert list(evaluate.items_of(context, "eval")) == tested
        assert len(evaluate.items_of(context, "general")) == 2
        guard = HeldOutGuard(context)
        assert guard.same(tested[0].problem) == tested[0].id
        assert guard.inside(f"First: {tested[1].problem} Then more.") == tested[1].id
        facts = setting_aside.facts(context)
        assert facts is not None
        assert facts["kept"] == len(tested)
        assert facts["set_aside"] == facts["kept"] + facts["unconfirmed"] + facts["in_training_texts"]
        assert f"the {len(tested)} kept" in setting_aside.in_words(facts)
        assert "teacher-made, vote-verified" in setting_aside.in_words(facts)


def test_stopping_changes_nothing_and_asks_nothing_twice(untested: Any) -> None:
    whole = written(untested, ScriptedTeacher(Teacher(untested)), "whole")
    total = len(whole["all"]) + len(whole["votes"])
    for after in (30, total - 40, total - 1):
        first, second = Teacher(untested), Teacher(untested)
        with pytest.raises(KeyboardInterrupt):
            written(untested, untested.Unruly(first, after=after), f"cut-{after}")
        assert written(untested, ScriptedTeacher(second), f"cut-{after}") == whole
        assert len(first.asked) + len(second.asked) <= total + 1  # the reply at which it was stopped
    again = Teacher(untested)
    assert written(untested, ScriptedTeacher(again), "whole") == whole
    assert again.asked == []


def test_votes_that_verified_the_exercise_count_once(untested: Any) -> None:
    settings = {"exercises": {**MANY["exercises"], "verify": "vote:3"}, "teacher": {"attempts": 9}}
    teacher = Teacher(untested)
    found = written(untested, ScriptedTeacher(teacher), **settings)
    assert all(map(right, found["all"])) or any(r.reason == "outvoted" for r in found["rejected"])
    assert all(map(right, found["tested"]))
    assert not [r for r in found["rejected"] if r.reason == setting_aside.UNCONFIRMED]
    assert len(teacher.asked) == len(set(teacher.asked))


def test_a_question_that_stands_in_a_training_text_is_no_test(untested: Any) -> None:
    plain = written(untested, ScriptedTeacher(Teacher(untested)), "plain")
    known = plain["tested"][0]
    teacher = Teacher(untested)

    def quoting(request: Request) -> str:
        text = teacher(request)
        return f"{text} For example: {known.problem}" if "task: textbook" in request.messages[-1].content else text

    with untested.context(ScriptedTeacher(quoting), "quoted", **MANY) as context:
        graph.run(context)
        textbooks.run(context)
    found = written(untested, ScriptedTeacher(quoting), "quoted")
    assert found["tested"] == plain["tested"][1:]
    reasons = {r.id: (r.reason, r.detail) for r in found["rejected"]}
    assert reasons[known.id][0] == setting_aside.TRAINED_ON
    assert reasons[known.id][1].startswith("text-")
    assert known.id not in {e.id for e in found["trained"]}


def test_own_exercises_are_never_set_aside_and_keep_what_they_hold_out_of_the_test(untested: Any) -> None:
    known = written(untested, ScriptedTeacher(Teacher(untested)), "plain")["tested"][0]
    own = Exercise(
        id="own-1", problem=f"Look at this first. {known.problem} And then?", solution="", answer="1",
        skills=("addition",), origin="imported",
    )  # fmt: skip
    untested.pack = untested.pack.model_copy(update={"exercises": (own,)})
    found = written(untested, ScriptedTeacher(Teacher(untested)), "own")
    assert "own-1" in {e.id for e in found["trained"]}
    assert known.id not in {i.id for i in found["tested"]}


@pytest.mark.parametrize("share", [0.0, 0.01])
def test_none_or_too_few(untested: Any, share: float) -> None:
    settings = {"exercises": {**MANY["exercises"], "hold_out": share}}
    found = written(untested, ScriptedTeacher(Teacher(untested)), **settings)
    assert len(found["trained"]) == 80
    assert not found["tested"]
    assert not found["votes"]
    assert any("no test questions" in w for w in untested.warnings()) == (share > 0)


def test_a_skill_with_its_own_questions_sets_none_aside(desk: Any) -> None:
    found = written(desk, ScriptedTeacher(Teacher(desk)))
    assert len(found["trained"]) == 80
    assert not found["tested"]
    with desk.context(ScriptedTeacher({}), **MANY) as context:
        assert setting_aside.facts(context) is None
        assert "hold_out" not in str(exercises.inputs(context))


def test_the_bundled_teacher_makes_a_test_for_its_own_topics(untested: Any) -> None:
    pytest.importorskip("llama_cpp")
    known = load_skill("calculus")
    untested.pack = known.model_copy(update={"topics": known.topics[:2], "held_out": {}})
    folder = Path(str(files("dsa_lite"))) / "bundled" / "teacher"
    few = {"single_per_skill": 12, "composed_per_skill": 0, "hold_out": 0.7, "hold_out_votes": 1, "max_tokens": 320}
    settings = {**model_settings(folder), "graph": {"expand": False}, "exercises": few}
    (gguf,) = folder.glob("*.gguf")
    with open_teacher("llama_cpp", str(gguf), TeacherOptions(threads=1)) as teacher:
        found = written(untested, teacher, **settings)
    reasons = Counter(r.reason for r in found["rejected"])
    assert 0 < len(found["tested"]) == reasons[setting_aside.KEPT] < len(found["all"])
    assert {r.detail for r in found["rejected"] if r.reason == setting_aside.KEPT} == {"1 of 1 new solutions agree"}
    assert not {i.id for i in found["tested"]} & {e.id for e in found["trained"]}
    assert len(found["votes"]) >= len(found["tested"])
