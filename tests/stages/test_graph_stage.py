"""The skill graph of a run: the syllabus, and what the teacher says each skill rests on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dsa_lite.core.graph import SkillGraph
from dsa_lite.errors import TeacherError
from dsa_lite.events import Note
from dsa_lite.stages import graph
from dsa_lite.testing import ScriptedTeacher


def build(desk: Any, needs: dict[str, list[str]], out: str = "run", **settings: Any) -> tuple[SkillGraph, list[str]]:
    """The graph when the teacher names `needs` by skill, and the skills it was asked about, in order."""
    asked: list[str] = []

    def script(request: Any) -> str:
        skill = request.messages[-1].content.split("skill: ")[1]
        asked.append(skill)
        return json.dumps({"prerequisites": needs.get(skill, [])})

    with desk.context(ScriptedTeacher(script), out, **settings) as context:
        graph.run(context)
        return graph.load(context), asked


def test_the_teachers_prerequisites_join_the_syllabus_and_are_decomposed_in_turn(desk: Any) -> None:
    found, asked = build(desk, {"Addition": ["Counting"], "Counting": ["Order of numbers"]}, graph={"max_depth": 5})
    assert asked[:4] == ["Addition", "Multiplication", "Squares", "Subtraction"]
    assert asked[4:] == ["Counting", "Order of numbers"]
    assert set(found.edges) == {
        ("order-of-numbers", "counting"), ("counting", "addition"), ("addition", "multiplication"),
        ("multiplication", "squares"),
    }  # fmt: skip
    levels = {s.name: s.level for s in found.skills.values()}
    assert levels == {
        "Order of numbers": 0, "Counting": 1, "Addition": 2, "Subtraction": 0, "Multiplication": 3, "Squares": 4,
    }  # fmt: skip
    assert {s.id for s in found.skills.values() if s.source == "teacher"} == {"counting", "order-of-numbers"}


def test_other_spellings_of_a_topic_are_that_topic(desk: Any) -> None:
    found, asked = build(desk, {"Subtraction": ["ADDITION", " addition "], "Squares": ["Subtraction"]})
    assert len(found.skills) == len(asked) == 4
    assert ("addition", "subtraction") in found.edges
    assert ("subtraction", "squares") in found.edges


def test_names_that_cannot_be_skills_are_left_out(desk: Any) -> None:
    names = [
        "",
        "7",
        "x = 3",
        "You should first learn. Then go on",
        "{{ x }}",
        "../../etc",
        "a" * 70,
        "<b>",
        "Counting",
    ]
    found, _ = build(desk, {"Addition": names}, graph={"max_prerequisites": 20})
    assert set(found.skills) - {"addition", "subtraction", "multiplication", "squares"} == {"counting", "etc"}


def test_at_most_so_many_prerequisites_are_taken_from_one_reply(desk: Any) -> None:
    found, _ = build(desk, {"Addition": ["One", "Two", "Three", "Four"]}, graph={"max_prerequisites": 2})
    assert [p for p, d in found.edges if d == "addition"] == ["one", "two"]


def test_a_cycle_is_broken_at_the_teachers_edge_and_announced_as_a_warning(desk: Any) -> None:
    found, _ = build(desk, {"Addition": ["Squares"]})
    assert ("squares", "addition") not in found.edges
    assert ("addition", "multiplication") in found.edges
    assert len(desk.warnings()) == 1
    assert all(word in desk.warnings()[0] for word in ("Squares", "Addition", "cycle"))


def test_a_skill_with_cycle_in_its_name_is_no_warning(desk: Any) -> None:
    build(desk, {"Addition": ["Cycle counting"], "Squares": ["cycle  Counting"]})
    notes = [e for e in desk.events if isinstance(e, Note)]
    assert [n.level for n in notes if "Cycle counting" in n.text] == ["info"]


@pytest.mark.parametrize(("depth", "asked_in_all"), [(0, 0), (1, 4), (2, 5), (3, 6)])
def test_decomposition_stops_at_the_depth(desk: Any, depth: int, asked_in_all: int) -> None:
    needs = {"Addition": ["One"], "One": ["Two"], "Two": ["Three"], "Three": ["Four"]}
    found, asked = build(desk, needs, graph={"max_depth": depth})
    assert len(asked) == asked_in_all
    assert len(found.skills) == 4 + depth


def test_the_teacher_adds_no_more_skills_than_allowed(desk: Any) -> None:
    needs = {"Addition": ["One", "Two"], "Subtraction": ["Three", "Addition"]}
    found, _ = build(desk, needs, graph={"max_new_skills": 2})
    assert set(found.skills) == {"addition", "subtraction", "multiplication", "squares", "one", "two"}
    assert ("addition", "subtraction") in found.edges


def test_without_expansion_the_syllabus_alone_is_the_graph_and_nobody_is_asked(desk: Any) -> None:
    found, asked = build(desk, {"Addition": ["Counting"]}, graph={"expand": False})
    assert not asked
    assert found.edges == (("addition", "multiplication"), ("multiplication", "squares"))


def test_a_reply_of_another_shape_is_rejected_and_asked_again(desk: Any) -> None:
    def script(request: Any) -> str:
        return '["Counting"]' if request.id == "need-0-addition" else '{"prerequisites": ["Counting"]}'

    with desk.context(ScriptedTeacher(script), graph={"max_depth": 1}) as context:
        graph.run(context)
        assert [(r.id, r.reason) for r in context.folder.rejected().read()] == [("need-0-addition", "malformed")]
        assert ("counting", "addition") in graph.load(context).edges


@pytest.mark.parametrize("after", range(7))
def test_stopping_while_decomposing_changes_nothing(desk: Any, after: int) -> None:
    needs = {"Addition": ["Counting"], "Squares": ["Shapes"], "Counting": ["Order"], "Shapes": ["Lines"]}

    def script(request: Any) -> str:
        return json.dumps({"prerequisites": needs.get(request.messages[-1].content.split("skill: ")[1], [])})

    with desk.context(ScriptedTeacher(script), "undisturbed", graph={"max_depth": 3}) as context:
        graph.run(context)
        expected = context.folder.read_graph()
    teacher = desk.Unruly(script, after)
    with desk.context(teacher, graph={"max_depth": 3}) as context, pytest.raises(KeyboardInterrupt):
        graph.run(context)
    with desk.context(desk.Unruly(script, order=after), graph={"max_depth": 3}) as context:
        graph.run(context)
        assert context.folder.read_graph() == expected


def test_a_teacher_that_cannot_decompose_stops_the_stage_after_the_budget(desk: Any) -> None:
    teacher = ScriptedTeacher(lambda r: "no")
    with (
        desk.context(teacher, teacher={"min_replies": 10}) as context,
        pytest.raises(TeacherError, match="stage graph"),
    ):
        graph.run(context)
    assert len(teacher.requests) == 10
