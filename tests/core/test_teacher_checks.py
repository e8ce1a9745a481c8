"""The checks for teachers: a good one passes, and each fault is caught."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator

import pytest

from dsa_lite.teacher import Reply, Request, TeacherOptions
from dsa_lite.testing import ScriptedTeacher, check_teacher


def answer(request: Request) -> str | Reply:
    """By the seed alone, cut off where it must be."""
    number = random.Random(request.seed).randrange(1000)
    keys = request.json_schema["required"] if request.json_schema else []
    values = {key: [] if key == "prerequisites" else f"{key} {number}" for key in keys}
    text = json.dumps(values) if keys else f"A passage of number {number}."
    cut = len(text.split()) > request.max_tokens
    return reply(request, " ".join(text.split()[: request.max_tokens]), "length") if cut else text


def reply(request: Request, text: str, finish: str) -> Reply:
    out = len(text.split())
    return Reply.model_validate(
        {"id": request.id, "text": text, "finish": finish, "tokens_in": 1, "tokens_out": out, "seconds": 0}
    )


class Doubling(ScriptedTeacher):
    def write(self, requests: Iterable[Request]) -> Iterator[Reply]:
        for each in super().write(requests):
            yield from (each, each)


class Remembering(ScriptedTeacher):
    def write(self, requests: Iterable[Request]) -> Iterator[Reply]:
        for each in super().write(requests):
            yield each.model_copy(update={"text": f"{each.text} {len(self.requests)}"} if "{" not in each.text else {})


def constant(request: Request) -> str | Reply:
    return answer(request.model_copy(update={"seed": 1}))


def endless(request: Request) -> str | Reply:
    return answer(request.model_copy(update={"max_tokens": 10**6}))


def test_a_good_teacher_passes() -> None:
    check_teacher(lambda _: ScriptedTeacher(answer))


@pytest.mark.parametrize(
    ("teacher", "fault"),
    [
        (Doubling(answer), "exactly one reply"),
        (Remembering(answer), "is answered otherwise alone"),
        (ScriptedTeacher(constant), "one and the same exercise"),
        (ScriptedTeacher(endless), "one token was allowed"),
        (ScriptedTeacher(lambda _: "no JSON"), "is no JSON"),
        (ScriptedTeacher({}), "most requests were not answered"),
        (ScriptedTeacher(answer, name=""), "no name"),
    ],
    ids=["twice", "remembers", "constant", "endless", "no-json", "silent", "nameless"],
)
def test_each_fault_is_caught(teacher: ScriptedTeacher, fault: str) -> None:
    def open_it(_: TeacherOptions) -> ScriptedTeacher:
        return teacher

    with pytest.raises(AssertionError, match=fault):
        check_teacher(open_it)
