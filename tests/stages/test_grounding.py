"""Documents of one's own in a run: what the teacher is given, what items say of it, what a change does again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dsa_lite.events import Note, StageFinished
from dsa_lite.stages import graph, textbooks
from dsa_lite.teacher import Request
from dsa_lite.testing import ScriptedTeacher

GUIDE = """# Addition
Addition of apples: put both heaps together and count them.

# Squares
A square is a number times itself; squares grow fast.
"""


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "guide.md").write_text(GUIDE, encoding="utf-8")
    return folder


def grounded(docs: Path, **more: Any) -> dict[str, Any]:
    return {"graph": {"expand": False}, "docs": {"folder": str(docs)}, **more}


def test_items_are_written_from_what_suits_them_and_say_so(desk: Any, docs: Path) -> None:
    teacher = ScriptedTeacher(desk.answer)
    kept, _ = desk.write_exercises(teacher, **grounded(docs))
    asked = {r.id: r.messages[-1].content for r in teacher.requests}
    source = {"addition": ("guide.md, line 2 (Addition)",), "squares": ("guide.md, line 5 (Squares)",)}
    singles = [e for e in kept if e.origin == "single"]
    assert {e.skill for e in singles} == {"addition", "squares", "subtraction", "multiplication"}
    for e in singles:
        assert e.sources == source.get(e.skill, ())
        assert ("\ndocument: " in asked[e.id]) == bool(e.sources)
        assert all(f"\ndocument: {s}\n> " in asked[e.id] for s in e.sources)
    with desk.context(teacher, **grounded(docs)) as context:
        graph.run(context)
        textbooks.run(context)
        assert {t.skill: t.sources for t in textbooks.load(context)} == {
            "addition": source["addition"], "squares": source["squares"], "subtraction": (), "multiplication": (),
        }  # fmt: skip


def test_votes_see_what_the_writer_saw(desk: Any, docs: Path) -> None:
    def script(request: Request) -> Any:
        text = request.messages[-1].content
        if not text.startswith("task: solve"):
            return desk.answer(request)
        a, b = text.split("What is ")[1].split("?")[0].split(" + ")
        return json.dumps({"solution": "I add.", "answer": str(int(a) + int(b))})

    teacher = ScriptedTeacher(script)
    settings = {"exercises": {"single_per_skill": 2, "composed_per_skill": 0, "verify": "vote:1"}}
    kept, _ = desk.write_exercises(teacher, **grounded(docs, **settings))
    asked = {r.id: r.messages[-1].content for r in teacher.requests}
    for e in kept:
        for s in e.sources:
            assert f"\ndocument: {s}\n" in asked[e.id]
            assert f"\ndocument: {s}\n" in asked[f"{e.id}/1"]
    assert any(e.sources for e in kept)


def test_a_run_without_documents_has_the_inputs_it_always_had(desk: Any, docs: Path) -> None:
    inputs = []
    for settings in ({}, grounded(docs)):
        with desk.context(ScriptedTeacher({}), str(len(inputs)), **settings) as context:
            inputs.append(textbooks.inputs(context))
    assert set(inputs[1]) - set(inputs[0]) == {"documents"}


def test_a_changed_document_does_again_what_depends_on_it(training_desk: Any, docs: Path) -> None:
    small = {"single_per_skill": 2, "composed_per_skill": 1}
    settings = grounded(docs, exercises=small, tune={"rounds": 2}, pretrain={"epochs": 1})
    desk = training_desk

    def statuses() -> dict[str, str]:
        return {e.stage: e.status for e in desk.events if isinstance(e, StageFinished)}

    desk.run(ScriptedTeacher(desk.answer), **settings)
    fresh = desk.result()
    new = [e for e in fresh["exercises"] if json.loads(e)["round"] and json.loads(e)["sources"]]
    assert new, "no exercise ordered by a round was written from documents: the test says less"
    assert set(statuses().values()) == {"done"}
    desk.run(ScriptedTeacher(desk.answer), **settings)
    assert set(statuses().values()) == {"reused"}
    (docs / "guide.md").write_text(GUIDE + "Squares of sums are larger.\n", encoding="utf-8")
    desk.run(ScriptedTeacher(desk.answer), **settings)
    assert statuses() == {"graph": "reused", **dict.fromkeys(list(statuses())[1:], "done")}
    said = [e.text for e in desk.events if isinstance(e, Note)]
    assert "textbooks: inputs changed; it and all later stages are done again" in said
    with pytest.raises(KeyboardInterrupt):
        desk.run(desk.Unruly(desk.answer, after=9), "cut", **settings)
    desk.run(ScriptedTeacher(desk.answer), "cut", **settings)
    assert desk.result("cut") == desk.result()
