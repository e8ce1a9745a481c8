"""Servers that stall, fail, drop connections and answer garbage."""

from __future__ import annotations

import logging
import random
import threading
import time
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest

from dsa_lite.errors import TeacherError
from dsa_lite.teacher import TeacherOptions

from .conftest import KEY, QUICK, SCHEMA, FakeServer, Handler, ask, connect

ONCE: dict[str, Any] = {
    "500": lambda handler: handler.fail(500),
    "502 web page": lambda handler: handler.send(502, "<html>bad gateway</html>", kind="text/html"),
    "503": lambda handler: handler.fail(503, "loading"),
    "429": lambda handler: handler.fail(429, "slow down", retry_after="0.01"),
    "408": lambda handler: handler.fail(408),
    "dropped": lambda handler: handler.drop(),
    "silent": lambda handler: handler.stall(),
    "web page": lambda handler: handler.send(200, "<html>sign in</html>", kind="text/html"),
    "no json": lambda handler: handler.send(200, '{"choices": [{'),
    "no choices": lambda handler: handler.send(200, '{"choices": []}'),
    "an error with status 200": lambda handler: handler.send(200, '{"error": {"message": "oops"}}'),
    "cut short": lambda handler: (handler.send(200, "{}", content_length="900"), handler.drop()),
}


@pytest.mark.parametrize("fault", ONCE)
def test_what_passes_is_tried_again(server: FakeServer, fault: str) -> None:
    def script(handler: Handler, body: dict[str, Any], attempt: int) -> None:
        ONCE[fault](handler) if attempt == 1 else handler.write("fine")

    server.script = script
    silent = fault == "silent"
    with connect(server, replace(QUICK, reply=0.5 if silent else 10)) as teacher:
        replies = list(teacher.write([ask(1), ask(2)]))
    assert sorted((r.id, r.text, r.finish) for r in replies) == [("r1", "fine", "stop"), ("r2", "fine", "stop")]
    assert len(server.asked) == 4 or silent  # a slow machine may miss its time once more
    assert all(body["seed"] in (1, 2) for body in server.asked)


def test_a_model_that_is_loaded_at_the_first_request_is_waited_for(server: FakeServer) -> None:
    def script(handler: Handler, body: dict[str, Any], attempt: int) -> None:
        handler.fail(503, "Loading model") if attempt < QUICK.tries + 2 else handler.write("fine")

    server.script = script
    with connect(server) as teacher:
        assert [reply.text for reply in teacher.write([ask(1)])] == ["fine"]


@pytest.mark.parametrize("status", [400, 403, 404, 413, 422, 501])
def test_what_is_our_fault_is_not_tried_again(server: FakeServer, status: int) -> None:
    server.script = lambda handler, body, attempt: handler.fail(status, f"not with {KEY}")
    with connect(server) as teacher:
        (reply,) = teacher.write([ask(1)])
    assert (reply.finish, reply.error) == ("error", f"the server refused: {status} not with ***")
    assert len(server.asked) == 1


def test_a_key_that_is_no_longer_accepted_ends_it(server: FakeServer) -> None:
    server.script = lambda handler, body, attempt: handler.fail(401, f"expired: {KEY}")
    with connect(server) as teacher, pytest.raises(TeacherError, match="does not accept the key") as caught:
        list(teacher.write([ask(1)]))
    assert KEY not in caught.value.message


@pytest.mark.parametrize("given", ["0.3", "date", "ms"])
def test_retry_after_holds_for_everybody(server: FakeServer, given: str) -> None:
    headers = {
        "0.3": {"retry_after": "0.3"},
        "ms": {"retry_after_ms": "300"},
        "date": {"retry_after": formatdate(time.time() + 1.7, usegmt=True)},  # whole seconds
    }[given]

    def script(handler: Handler, body: dict[str, Any], attempt: int) -> None:
        if len(server.asked) == 1:
            handler.fail(429, "slow down", **headers)
        else:
            handler.write("fine")

    server.script = script
    with connect(server, in_flight=1) as teacher:
        assert len(list(teacher.write([ask(1), ask(2)]))) == 2
    assert server.times[1] - server.times[0] >= 0.28


def test_a_request_that_alone_fails_is_an_error_reply(server: FakeServer) -> None:
    def script(handler: Handler, body: dict[str, Any], attempt: int) -> None:
        time.sleep(0.01)
        handler.fail(500, f"crash {KEY}") if body["seed"] == 3 else handler.write("fine")

    server.script = script
    with connect(server, in_flight=2) as teacher:
        replies = {r.id: r for r in teacher.write(ask(n) for n in range(30))}
    assert len(replies) == 30
    assert {i for i, r in replies.items() if r.finish == "error"} == {"r3"}
    assert replies["r3"].error.startswith("500 crash *** (6 tries in")
    assert server.attempts["p3"] == 6


@pytest.mark.parametrize("fault", ["500", "dropped", "web page"])
def test_the_last_request_failing_is_not_the_server_gone(server: FakeServer, fault: str) -> None:
    def script(handler: Handler, body: dict[str, Any], attempt: int) -> None:
        ONCE[fault](handler) if body["seed"] == 2 else handler.write("fine")

    server.script = script
    with connect(server, in_flight=1) as teacher:
        assert [r.finish for r in teacher.write(ask(n) for n in range(3))] == ["stop", "stop", "error"]
        assert [r.finish for r in teacher.write([ask(4)])] == ["stop"]


GONE: dict[str, tuple[Any, str]] = {
    "500": (ONCE["500"], "500 it failed"),
    "dropped": (ONCE["dropped"], "disconnected|reset|closed"),
    "silent": (ONCE["silent"], "no reply within 0.1 s"),
    "web page": (ONCE["web page"], "no chat completion: '<html>sign in"),
    "429": (ONCE["429"], "slow down"),
}


@pytest.mark.parametrize("fault", GONE)
def test_a_server_that_is_gone_ends_it(server: FakeServer, fault: str) -> None:
    act, said = GONE[fault]
    server.script = lambda handler, body, attempt: act(handler)
    teacher = connect(server, replace(QUICK, reply=0.1, tries_when_busy=4))
    with teacher, pytest.raises(TeacherError, match="no longer answers") as caught:
        list(teacher.write(ask(n) for n in range(6)))
    assert server.url in caught.value.message
    assert "what was written is kept" in caught.value.hint
    caught.match(said)


def test_a_server_that_stops_listening(server: FakeServer) -> None:
    with connect(server) as teacher:
        writing = teacher.write(ask(n) for n in range(500))
        next(writing)
        server.close()
        with pytest.raises(TeacherError, match="no longer answers"):
            for _ in writing:
                pass


def test_closing_the_iterator_hangs_up(server: FakeServer) -> None:
    def script(handler: Handler, body: dict[str, Any], attempt: int) -> None:
        handler.write("first") if body["seed"] == 0 else handler.stall()

    server.script = script
    pulled = []
    with connect(server) as teacher:
        writing = teacher.write(pulled.append(n) or ask(n) for n in range(1000))  # type: ignore[func-returns-value]
        assert next(writing).text == "first"
        while server.active < 4:
            time.sleep(0.005)
        writing.close()  # type: ignore[attr-defined]
        end = time.monotonic() + 5
        while server.active and time.monotonic() < end:
            time.sleep(0.005)
        assert server.hung_up >= 3
        assert len(pulled) <= 9
        server.script = lambda handler, body, attempt: handler.write("again")
        assert [r.text for r in teacher.write([ask(5)])] == ["again"]  # nothing is left of it


def test_closing_the_teacher_ends_its_thread_and_its_writing(server: FakeServer) -> None:
    server.script = lambda handler, body, attempt: handler.stall() if body["seed"] else handler.write("first")
    teacher = connect(server)
    writing = teacher.write(ask(n) for n in range(10))
    next(writing)
    teacher.close()
    teacher.close()
    with pytest.raises(TeacherError, match="closed"):
        next(writing)
    with pytest.raises(TeacherError, match="closed"):
        next(teacher.write([ask(1)]))
    assert not [t for t in threading.enumerate() if t.name == "dsa-lite-openai"]


def test_two_hundred_requests_under_random_faults_are_answered_once_each(
    server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    faults = [f for f in ONCE if f != "silent"]

    def script(handler: Handler, body: dict[str, Any], attempt: int) -> None:
        rng = random.Random(f"{body['seed']}/{attempt}")
        if rng.random() < 0.3:
            ONCE["silent" if rng.random() < 0.02 else rng.choice(faults)](handler)
            return
        time.sleep(rng.random() * 0.01)
        handler.write(f'{{"answer": "{body["messages"][-1]["content"]}"}}')

    server.script = script
    caplog.set_level(logging.DEBUG)
    with connect(server, replace(QUICK, reply=2, tries=30), in_flight=8) as teacher:
        replies = list(teacher.write(ask(n, schema=SCHEMA if n % 2 else None) for n in range(200)))
    assert sorted(r.id for r in replies) == sorted(f"r{n}" for n in range(200))
    fine = [r for r in replies if r.finish == "stop"]
    assert len(fine) >= 195  # garbage three times in a row is given up
    assert all(r.text == f'{{"answer": "p{r.id[1:]}"}}' for r in fine)
    assert KEY not in caplog.text
    assert not any(KEY in r.error for r in replies)


def test_replies_come_as_they_finish(server: FakeServer) -> None:
    def script(handler: Handler, body: dict[str, Any], attempt: int) -> None:
        time.sleep(0.4 if body["seed"] == 0 else 0)
        handler.write("fine")

    server.script = script
    with connect(server) as teacher:
        order = [r.id for r in teacher.write(ask(n) for n in range(4))]
    assert sorted(order) == ["r0", "r1", "r2", "r3"]
    assert order[-1] == "r0"


def test_requests_are_pulled_only_a_little_ahead(server: FakeServer) -> None:
    pulled: list[int] = []
    with connect(server, in_flight=3) as teacher:
        source = (pulled.append(n) or ask(n) for n in range(100))  # type: ignore[func-returns-value]
        for count, _ in enumerate(teacher.write(source), 1):
            assert len(pulled) <= count + 6
    assert len(pulled) == 100
    assert server.most_active <= 3


def test_options_reach_nothing_but_the_number_in_flight(server: FakeServer) -> None:
    with connect(server, **TeacherOptions(threads=3, context_tokens=99).model_dump()) as teacher:
        assert [r.finish for r in teacher.write([ask(1)])] == ["stop"]
