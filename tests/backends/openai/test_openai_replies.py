"""What is asked, and how replies are read."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from dsa_lite.errors import TeacherError
from dsa_lite.teacher import Embeds
from dsa_lite_openai.formats import json_problem

from .conftest import SCHEMA, FakeServer, Handler, ask, connect

GOOD = '{"answer": "42"}'


def test_settings_are_sent(server: FakeServer) -> None:
    with connect(server) as teacher:
        (reply,) = teacher.write([ask(7).model_copy(update={"temperature": 0.25, "top_p": 0.5})])
    (body,) = server.asked
    assert {k: body[k] for k in ("model", "max_tokens", "temperature", "top_p", "seed")} == {
        "model": "tiny", "max_tokens": 50, "temperature": 0.25, "top_p": 0.5, "seed": 7,
    }  # fmt: skip
    assert body["messages"] == [{"role": "system", "content": "Write."}, {"role": "user", "content": "p7"}]
    assert "response_format" not in body
    assert (reply.tokens_in, reply.tokens_out, reply.finish) == (7, 1, "stop")
    assert reply.seconds > 0


@pytest.mark.parametrize(
    ("text", "finish", "expected", "how"),
    [
        ("half a", "length", "half a", "length"),
        ("<think>hm</think>\n fine", "stop", "fine", "stop"),
        ("hm, so</think>fine", "stop", "fine", "stop"),
        ("use <think> and </think>", "stop", "use <think> and </think>", "stop"),
        (None, "stop", "", "error"),
        (" ", "stop", "", "error"),
        ("fine", None, "fine", "stop"),
        ("fine", "", "fine", "stop"),
        ("fine", "STOP", "fine", "stop"),
        ("fine", "FinishReason.END_TURN", "fine", "stop"),
        ("half a", "MAX_TOKENS", "half a", "length"),
        ("half a", "FinishReason.max-output-tokens", "half a", "length"),
        ("fine", "tool_calls", "fine", "error"),
        ("fine", "content_filter", "fine", "error"),
        ("half a \ud800 character", "stop", "half a ? character", "stop"),
    ],
)
def test_plain_replies(server: FakeServer, text: str | None, finish: str | None, expected: str, how: str) -> None:
    server.script = lambda handler, body, attempt: handler.write(text, finish, reasoning_content="secret thoughts")
    with connect(server) as teacher:
        (reply,) = teacher.write([ask(1)])
    assert (reply.text, reply.finish) == (expected, how)


def test_without_a_finish_reason_a_full_reply_is_cut_off(server: FakeServer) -> None:
    server.script = lambda handler, body, attempt: handler.write("one two three", None)
    with connect(server) as teacher:
        (reply,) = teacher.write([ask(1, max_tokens=3)])
    assert reply.finish == "length"


@pytest.mark.parametrize(
    ("text", "finish", "why"),
    [
        (GOOD, "stop", ""),
        ('{"answer": "a </think> b"}', "stop", ""),
        (f"<think>x</think>{GOOD}", "stop", ""),
        (f"```json\n{GOOD}\n```", "stop", ""),
        ('{"answer": "4', "length", ""),
        ('{"answer": "4', "error", "not JSON"),
        ('{"answer": ""}', "error", "at $.answer"),
        ('{"answer": "4", "more": 1}', "error", "more"),
        ('{"answer": NaN}', "error", "NaN is no JSON number"),
        (f"Sure! {GOOD}", "stop", ""),
        (f"Sure:\n```json\n{GOOD}\n```\nAnything else?", "stop", ""),
        (f"<think>Maybe {{}}</think>Here it is: {GOOD}", "stop", ""),
        (f'{GOOD} I repeat: {{"answer":"42"}}', "stop", ""),
        (f'The form is {{"answer": "..."}}: {GOOD}', "error", "2 different JSON values"),
        (f"<think>I could say {GOOD}", "error", "not JSON"),
        ("Sure! The answer is 42.", "error", "not JSON"),
        ('{"a":' * 8_000, "error", "not JSON"),
        ("[" * 50_000, "error", "not JSON"),
        (None, "error", "not JSON"),
    ],
)
def test_replies_with_a_schema(server: FakeServer, text: str | None, finish: str, why: str) -> None:
    server.script = lambda handler, body, attempt: handler.write(text, "length" if finish == "length" else "stop")
    with connect(server) as teacher:
        (reply,) = teacher.write([ask(1, schema=SCHEMA)])
    assert reply.finish == finish
    assert why in reply.error
    assert len(reply.error) <= 300
    if finish == "stop":
        assert json.loads(reply.text)["answer"] in ("42", "a </think> b")
    # Trying again with another seed is the stage's business; a format that brought no JSON is left for the next.
    assert len(server.asked) == (4 if "not JSON" in why or "NaN" in why else 1)


@pytest.mark.parametrize(
    ("content", "thoughts", "finish", "why"),
    [
        ("", {"reasoning_content": GOOD}, "stop", ""),
        (None, {"reasoning_content": f"```json\n{GOOD}\n```"}, "stop", ""),
        (" \n", {"reasoning": GOOD}, "stop", ""),
        (GOOD, {"reasoning_content": '{"answer": "no"}'}, "stop", ""),
        ([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": GOOD}], {}, "stop", ""),
        ("", {"reasoning_content": f"I could say {GOOD}"}, "error", "put 28 characters into reasoning_content"),
        ("", {"reasoning_content": None, "reasoning": "hm"}, "error", "put 2 characters into reasoning"),
        ("", {"reasoning_content": ["hm"]}, "error", "not JSON"),
    ],
)
def test_json_that_stands_where_thoughts_belong(
    server: FakeServer, content: Any, thoughts: dict[str, Any], finish: str, why: str
) -> None:
    message = {"role": "assistant", "content": content, **thoughts}
    body = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]})
    server.script = lambda handler, asked, attempt: handler.send(200, body)
    with connect(server) as teacher:
        (reply,) = teacher.write([ask(1, schema=SCHEMA)])
    assert reply.finish == finish
    assert why in reply.error
    if finish == "stop":
        assert json.loads(reply.text) == {"answer": "42"}


@pytest.mark.parametrize("ignored", ["", "Sure, I can do that."])
def test_a_format_that_is_accepted_and_ignored_is_left_for_the_next(server: FakeServer, ignored: str) -> None:
    def script(handler: Handler, body: dict[str, Any], attempt: int) -> None:
        kind = body.get("response_format", {}).get("type")
        handler.write(GOOD if kind == "json_object" else ignored)

    server.script = script
    with connect(server) as teacher:
        assert [r.finish for r in teacher.write([ask(1, schema=SCHEMA)])] == ["stop"]
        assert [r.finish for r in teacher.write(ask(n, schema=SCHEMA) for n in range(3))] == ["stop"] * 3
    assert server.formats == ["json_schema", *["json_object+schema"] * 4]


def test_a_server_that_knows_no_format_is_asked_in_all_of_them_once(server: FakeServer) -> None:
    server.script = lambda handler, body, attempt: handler.write("Sure, I can do that.")
    with connect(server) as teacher:
        for number in range(3):
            assert [r.finish for r in teacher.write([ask(number, schema=SCHEMA)])] == ["error"]
    assert server.formats == ["json_schema", "json_object+schema", "json_object", "none", "none", "none"]


def test_a_format_that_works_is_kept_when_one_reply_has_no_json(server: FakeServer) -> None:
    server.script = lambda handler, body, attempt: handler.write("no" if "p2" in str(body["messages"]) else GOOD)
    with connect(server) as teacher:
        found = [r.finish for n in (1, 2, 3) for r in teacher.write([ask(n, schema=SCHEMA)])]
    assert found == ["stop", "error", "stop"]
    assert server.formats == ["json_schema"] * 3


def test_a_refusal(server: FakeServer) -> None:
    server.script = lambda handler, body, attempt: handler.write(None, "stop", refusal="I would rather not")
    with connect(server) as teacher:
        (reply,) = teacher.write([ask(1, schema=SCHEMA)])
    assert (reply.finish, reply.error) == ("error", "the model refused: I would rather not")


def test_half_characters_and_references_are_no_json() -> None:
    assert "not JSON" in json_problem(r'{"answer": "\ud83d"}', SCHEMA)
    assert "cannot be used" in json_problem("1", {"$ref": "http://127.0.0.1:9/never-fetched"})


def strict(accepted: set[str], status: int, said: str) -> Any:
    def script(handler: Handler, body: dict[str, Any], attempt: int) -> None:
        asked = body.get("response_format", {})
        kind = asked.get("type", "none") + ("+schema" if "schema" in asked else "")
        if kind in accepted:
            handler.write(GOOD)
        else:
            handler.fail(status, said)

    return script


@pytest.mark.parametrize(
    ("accepted", "status", "said", "tried"),
    [
        ("json_schema", 400, "", ["json_schema"]),
        ("json_object+schema", 400, "what?", ["json_schema", "json_object+schema"]),
        # What llama-cpp-python's server says to json_schema.
        ("json_object+schema", 500, "1 validation error: 'loc': ('body', 'response_format', 'type')",
         ["json_schema", "json_object+schema"]),
        ("json_object", 422, "extra field", ["json_schema", "json_object+schema", "json_object"]),
        ("none", 400, "unknown", ["json_schema", "json_object+schema", "json_object", "none"]),
    ],
)  # fmt: skip
def test_the_format_falls_back_and_is_remembered(
    server: FakeServer, accepted: str, status: int, said: str, tried: list[str]
) -> None:
    server.script = strict({accepted}, status, said)
    with connect(server) as teacher:
        assert [r.finish for r in teacher.write([ask(1, schema=SCHEMA)])] == ["stop"]
        assert server.formats == tried
        assert [r.finish for r in teacher.write(ask(n, schema=SCHEMA) for n in range(5))] == ["stop"] * 5
    assert server.formats[len(tried) :] == [accepted] * 5
    assert all(body["seed"] in range(5) for body in server.asked)


def test_a_schema_the_server_dislikes_leaves_the_others_alone(server: FakeServer) -> None:
    def script(handler: Handler, body: dict[str, Any], attempt: int) -> None:
        if "odd" in json.dumps(body.get("response_format", "")):
            handler.fail(400, "keyword not supported")
        else:
            handler.write(GOOD)

    server.script = script
    with connect(server) as teacher:
        requests = [ask(1, schema=SCHEMA | {"title": "odd"}), ask(2, schema=SCHEMA)]
        assert [r.finish for q in requests for r in teacher.write([q])] == ["stop", "stop"]
    assert server.formats == ["json_schema", "json_object+schema", "json_object", "json_schema"]


def test_a_request_refused_in_every_format_says_why_and_teaches_nothing(server: FakeServer) -> None:
    def script(handler: Handler, body: dict[str, Any], attempt: int) -> None:
        if body["messages"][-1]["content"] == "p1":
            handler.fail(400, f"the prompt is longer than the context (try {attempt})")
        else:
            handler.write(GOOD)

    server.script = script
    with connect(server) as teacher:
        (long,) = teacher.write([ask(1, schema=SCHEMA)])
        (fine,) = teacher.write([ask(2, schema=SCHEMA)])
        (again,) = teacher.write([ask(1, schema=SCHEMA)])
    assert (long.finish, long.error) == (
        "error",
        "the server refused: 400 the prompt is longer than the context (try 1)",
    )
    assert fine.finish == "stop"
    assert again.finish == "error"
    assert server.formats[4:] == ["json_schema", "json_schema"]  # once a format is known, a refusal is the request's


def test_requests_that_cannot_be_sent(server: FakeServer) -> None:
    with connect(server) as teacher:
        bad = [ask(1, schema={"type": "no such type"}), ask(2).model_copy(update={"messages": ()}), ask(3)]
        replies = {r.id: r for r in teacher.write(bad)}
    assert "JSON schema is not one" in replies["r1"].error
    assert "at least one message" in replies["r2"].error
    assert replies["r3"].finish == "stop"
    assert len(server.asked) == 1


def embeddings(handler: Handler, rows: list[tuple[int, list[float]]]) -> None:
    handler.send(200, json.dumps({"data": [{"index": index, "embedding": vector} for index, vector in rows]}))


def test_vectors_come_back_in_the_order_of_the_texts_and_of_length_1(server: FakeServer) -> None:
    def script(handler: Handler, body: dict[str, Any], attempt: int) -> None:
        assert body["encoding_format"] == "float"
        if attempt == 1:
            handler.fail(503)
            return
        vectors = [(n, [float(text), 1.0]) for n, text in enumerate(body["input"])]
        embeddings(handler, vectors[::-1])

    server.script = script
    with connect(server) as teacher:
        assert isinstance(teacher, Embeds)
        found = teacher.embed([str(n) for n in range(70)])
        assert teacher.embed([]).shape == (0, 0)
    expected = np.array([[n, 1] / np.hypot(n, 1) for n in range(70)], np.float32)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert len(server.asked) == 6  # three calls, each twice


def test_a_text_that_the_server_refuses_is_named(server: FakeServer) -> None:
    def script(handler: Handler, body: dict[str, Any], attempt: int) -> None:
        if "long" in body["input"]:
            handler.fail(400, "too many tokens")
        else:
            embeddings(handler, [(n, [1.0]) for n in range(len(body["input"]))])

    server.script = script
    with connect(server) as teacher:
        assert teacher.embed(["a", "b"]).shape == (2, 1)
        with pytest.raises(TeacherError, match=r"text 2 .*too many tokens"):
            teacher.embed(["a", "b", "long", "c"])
        with pytest.raises(TeacherError, match=r"text 1 .*empty"):
            teacher.embed(["a", ""])


@pytest.mark.parametrize(
    "rows", [[], [(0, [1.0])], [(0, [1.0]), (0, [1.0])], [(0, [1.0]), (1, [1.0, 2.0])], [(0, []), (1, [])]]
)
def test_vectors_that_do_not_fit_the_texts_are_an_error(
    server: FakeServer, rows: list[tuple[int, list[float]]]
) -> None:
    server.script = lambda handler, body, attempt: embeddings(handler, rows)
    with connect(server) as teacher, pytest.raises(TeacherError, match="cannot embed") as caught:
        teacher.embed(["a", "b"])
    assert "--embeddings" in caught.value.hint


def test_a_server_without_embeddings_says_so(server: FakeServer) -> None:
    server.script = lambda handler, body, attempt: handler.fail(501, "not supported")
    with connect(server) as teacher, pytest.raises(TeacherError, match="does not embed"):
        teacher.embed(["a", "b"])
    assert len(server.asked) == 1
