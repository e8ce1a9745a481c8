"""The teacher's syllabus: merged, without cycles, asked for again, given up."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dsa_lite.config import TeacherSettings
from dsa_lite.core.replies import SYLLABUS_SCHEMA
from dsa_lite.errors import TeacherError
from dsa_lite.records import Topic
from dsa_lite.stages.new_skill import propose
from dsa_lite.teacher import Reply, Request
from dsa_lite.testing import ScriptedTeacher

SETTINGS = TeacherSettings(attempts=3)


def topic(name: str, *prerequisites: str, description: str = "d") -> dict[str, Any]:
    return {"name": name, "description": description, "prerequisites": list(prerequisites)}


def syllabus(*topics: dict[str, Any]) -> str:
    return json.dumps({"description": "About\nit.", "checker": "exact", "topics": topics})


def test_of_a_clean_syllabus_only_what_follows_from_other_prerequisites_is_dropped() -> None:
    teacher = ScriptedTeacher(
        lambda _: syllabus(topic("Ranks", "Rows"), topic("Rows"), topic("Frames", "Ranks", "Rows"))
    )
    found = propose(teacher, " SQL  windows ", SETTINGS, 0)
    assert [(t.name, t.prerequisites) for t in found.topics] == [
        ("Rows", ()), ("Ranks", ("Rows",)), ("Frames", ("Ranks",)),
    ]  # fmt: skip
    assert (found.description, found.checker, found.notes) == ("About it.", "exact", ())
    (request,) = teacher.requests
    assert request.json_schema == SYLLABUS_SCHEMA
    assert request.messages[-1].content == "task: syllabus\nsubject: SQL windows"


def test_duplicates_cycles_and_strangers_are_put_right_and_told() -> None:
    text = syllabus(
        topic("Rows", "Frames"), topic("Ranks", "Rows", "Sorting"), topic("ROWS", "Sorting", description="other"),
        topic("Frames", "Ranks"), topic("x = {1}", "Rows"), topic("Sums", "Sums", "See. Then", "Evil\x1b[31m"),
    )  # fmt: skip
    found = propose(ScriptedTeacher(lambda _: text), "SQL", SETTINGS, 0)
    named = {t.name: t for t in found.topics}
    assert set(named) == {"Rows", "Ranks", "Frames", "Sorting", "Sums"}
    assert named["Rows"] == Topic(name="Rows", description="d", prerequisites=("Sorting",))
    assert named["Ranks"].prerequisites == ("Rows",)  # Sorting follows from Rows
    assert [t.name for t in found.topics].index("Sorting") < [t.name for t in found.topics].index("Rows")
    told = "\n".join(found.notes)
    for words in ("closes a cycle", "more than once", '"Sorting", a prerequisite of', '"x = {1}" is no name',
                  '"See. Then" is no name', "is its own prerequisite"):  # fmt: skip
        assert words in told


def test_it_is_asked_again_with_another_seed_until_it_is_usable() -> None:
    good = syllabus(topic("A one"), topic("B two"), topic("C three"))
    bad = iter(["no json", syllabus(topic("A one"), topic("a ONE"))])
    teacher = ScriptedTeacher(lambda _: next(bad, good))
    heard: list[str] = []
    assert len(propose(teacher, "SQL", SETTINGS, 0, heard.append).topics) == 3
    assert heard == ["not usable, asking again (2 of 3)", "not usable, asking again (3 of 3)"]
    assert len({r.seed for r in teacher.requests}) == 3
    assert len({r.id for r in teacher.requests}) == 3


def test_it_is_given_up_with_every_reason_and_what_to_do() -> None:
    def answer(request: Request) -> str | Reply:
        if request.id == "syllabus":
            return Reply(id=request.id, text="{", finish="length", tokens_in=1, tokens_out=3072, seconds=0)
        if request.id == "syllabus.1":
            return Reply(id=request.id, text="", finish="error", tokens_in=1, tokens_out=0, seconds=0, error="too long")
        return syllabus(topic("A one"))

    teacher = ScriptedTeacher(answer)
    with pytest.raises(TeacherError, match="asked 3 times") as caught:
        propose(teacher, "SQL", SETTINGS, 0)
    for reason in ("cut off after 3072 tokens", "too long", "1 usable topics, at least 3"):
        assert reason in str(caught.value)
    assert "--empty" in caught.value.hint
    assert "GGUF" in caught.value.hint
    assert len(teacher.requests) == 3
