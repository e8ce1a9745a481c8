"""What the llama.cpp teacher writes: independence, schemas, limits, templates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import dsa_lite
from dsa_lite.records import Message
from dsa_lite.teacher import Reply, Request, Teacher, TeacherOptions
from dsa_lite_llama_cpp import open_teacher
from dsa_lite_llama_cpp.teacher import LlamaCppTeacher

from .conftest import CHATML, Shape, write_model

SCHEMA = {
    "type": "object",
    "properties": {"problem": {"type": "string", "maxLength": 60}, "answer": {"type": "string", "maxLength": 20}},
    "required": ["problem", "answer"],
    "additionalProperties": False,
}
SYSTEM = "You write exercises about sums, with every step worked out in full and one answer at the end."


def ask(number: int, *, system: str = SYSTEM, **settings: object) -> Request:
    """A request whose prompt length varies with its number."""
    turns = [Message(role="user", content=f"exercise {number}" + " more" * (number % 7))]
    if system:
        turns.insert(0, Message(role="system", content=system))
    return Request.model_validate({"id": f"r{number}", "messages": turns, "max_tokens": 24, "seed": number, **settings})


def replies(teacher: Teacher, requests: list[Request]) -> dict[str, Reply]:
    return {reply.id: reply for reply in teacher.write(requests)}


@pytest.fixture(scope="module", params=["f32", "q8"])
def teacher(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Teacher]:
    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    write_model(path, Shape(q8=request.param == "q8", width=128 if request.param == "q8" else 64))
    with open_teacher(str(path), TeacherOptions(threads=1, in_flight=16)) as opened:
        yield opened


def test_a_reply_depends_on_its_request_alone(teacher: Teacher) -> None:
    # Mixed: with and without a schema, with and without a shared start, greedy and drawn, short and long.
    variants: list[dict[str, object]] = [
        {},
        {"json_schema": SCHEMA, "max_tokens": 130},
        {"system": ""},
        {"temperature": 0},
        {"max_tokens": 60},
    ]
    crowd = [ask(n, **variants[n % 5]) for n in range(32)]
    everything = replies(teacher, crowd)
    assert everything.keys() == {r.id for r in crowd}
    backwards = replies(teacher, crowd[::-1])
    few = replies(teacher, crowd[3:10])
    for request in crowd:
        reply = everything[request.id]
        assert reply.text == backwards[request.id].text
        assert reply.tokens_out == backwards[request.id].tokens_out
        if request.id in few:
            assert reply.text == few[request.id].text
    for request in crowd[:6]:
        assert replies(teacher, [request])[request.id].text == everything[request.id].text


def test_an_answer_does_not_change_when_the_context_grows(teacher: Teacher) -> None:
    small = replies(teacher, [ask(1)])["r1"]
    replies(teacher, [ask(2, max_tokens=700)])
    assert replies(teacher, [ask(1)])["r1"].text == small.text


def test_the_seed_and_nothing_else_makes_texts_differ(teacher: Teacher) -> None:
    same = [ask(1).model_copy(update={"id": f"s{n}", "seed": n // 2}) for n in range(6)]
    texts = [replies(teacher, same)[f"s{n}"].text for n in range(6)]
    assert texts[0::2] == texts[1::2]
    assert len(set(texts)) == 3


def test_schema_replies_parse_or_are_cut_off(teacher: Teacher) -> None:
    finished = 0
    for reply in replies(teacher, [ask(n, json_schema=SCHEMA, max_tokens=400) for n in range(16)]).values():
        assert reply.finish in ("stop", "length"), reply.error
        if reply.finish == "stop":
            finished += 1
            value = json.loads(reply.text)
            assert value.keys() == {"problem", "answer"}
            assert len(value["problem"]) <= 60
            assert len(value["answer"]) <= 20
    assert finished >= 8


def test_a_schema_llama_cpp_cannot_serve_is_an_error_reply(teacher: Teacher) -> None:
    reply = replies(teacher, [ask(1, json_schema={"type": "never heard of"})])["r1"]
    assert reply.finish == "error"
    assert "schema" in reply.error


def test_very_long_strings_are_allowed(teacher: Teacher) -> None:
    reply = replies(teacher, [ask(1, json_schema={"type": "string", "maxLength": 100000})])["r1"]
    assert reply.finish in ("stop", "length")


def test_max_tokens_cuts_off(teacher: Teacher) -> None:
    reply = replies(teacher, [ask(n, max_tokens=1) for n in range(4)])["r3"]
    assert (reply.finish, reply.tokens_out) == ("length", 1)


def test_a_request_too_long_for_the_model_is_an_error_reply(teacher: Teacher) -> None:
    found = replies(teacher, [ask(1, max_tokens=5000), ask(2)])
    assert found["r1"].finish == "error"
    assert "exceed the model's context of 1024" in found["r1"].error
    assert found["r2"].finish != "error"


def test_each_of_a_thousand_requests_is_answered_once() -> None:
    bundled = next((Path(dsa_lite.__file__).parent / "bundled" / "teacher").glob("*.gguf"))
    with open_teacher(str(bundled), TeacherOptions(threads=1)) as teacher:
        assert isinstance(teacher, LlamaCppTeacher)
        assert teacher.in_flight == 0
        got = list(teacher.write(ask(n, max_tokens=1 + n % 5, system="") for n in range(1000)))
        assert teacher.in_flight in (4, 8, 16, 32)
    assert sorted(r.id for r in got) == sorted(f"r{n}" for n in range(1000))
    assert all(r.finish in ("stop", "length") for r in got)


def test_the_number_in_flight_can_be_set(teacher: Teacher) -> None:
    replies(teacher, [ask(1)])
    assert isinstance(teacher, LlamaCppTeacher)
    assert teacher.in_flight == 16


def test_an_iterator_left_early_leaves_the_teacher_usable(teacher: Teacher) -> None:
    expected = replies(teacher, [ask(5)])["r5"].text
    for _ in teacher.write(ask(n, max_tokens=300) for n in range(40)):
        break
    assert replies(teacher, [ask(5)])["r5"].text == expected


def test_two_iterators_may_take_turns(teacher: Teacher) -> None:
    both = zip(teacher.write([ask(n) for n in range(10)]), teacher.write([ask(n) for n in range(10, 20)]), strict=True)
    assert {reply.id for pair in both for reply in pair} == {f"r{n}" for n in range(20)}


def test_bos_is_put_once(tmp_path: Path) -> None:
    counts = []
    for number, (template, bos) in enumerate([(CHATML, False), (CHATML, True), ("{{ bos_token }}" + CHATML, True)]):
        path = write_model(tmp_path / f"{number}.gguf", template=template, bos=bos)
        with open_teacher(str(path), TeacherOptions(threads=1, in_flight=1)) as teacher:
            counts.append(replies(teacher, [ask(1, max_tokens=1)])["r1"].tokens_in)
    assert counts == [counts[0], counts[0] + 1, counts[0] + 1]


def test_a_template_may_refuse_the_system_role(tmp_path: Path) -> None:
    refusal = "{% if m['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}"
    template = "{% for m in messages %}" + refusal + "{{ m['content'] }}{% endfor %}"
    path = write_model(tmp_path / "tiny.gguf", template=template)
    with open_teacher(str(path), TeacherOptions(threads=1, in_flight=2)) as teacher:
        assert replies(teacher, [ask(1)])["r1"].finish != "error"


def test_without_a_template_a_plain_one_is_used(tmp_path: Path) -> None:
    path = write_model(tmp_path / "tiny.gguf", template=None)
    with open_teacher(str(path), TeacherOptions(threads=1, in_flight=2, context_tokens=256)) as teacher:
        found = replies(teacher, [ask(1, system=""), ask(2, max_tokens=250)])
    assert found["r1"].finish != "error"
    assert "context of 256" in found["r2"].error
