"""Bytes are bounded while they come in, and what is waited for is said, with an end to it."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest

from dsa_lite.errors import TeacherError
from dsa_lite.teacher import Tells

from .conftest import QUICK, FakeServer, Handler, ask, connect

MEGABYTE = 1 << 20


class Flood:
    """Sends megabytes for as long as somebody reads. `status` of the answer; `stated`: its length is said before."""

    def __init__(self, status: int = 200, stated: bool = False, megabytes: int = 50) -> None:
        self.status, self.stated, self.megabytes = status, stated, megabytes
        self.sent = 0

    def __call__(self, handler: Handler, *_: object) -> None:
        handler.close_connection = True
        handler.send_response(self.status)
        handler.send_header("content-type", "application/json")
        if self.stated:
            handler.send_header("content-length", str(self.megabytes * MEGABYTE))
        else:
            handler.send_header("connection", "close")
        handler.end_headers()
        with contextlib.suppress(OSError):
            handler.wfile.write(b'{"choices": [{"finish_reason": "stop", "message": {"content": "')
            for _n in range(self.megabytes):
                handler.wfile.write(b"x" * MEGABYTE)
                self.sent += MEGABYTE
            handler.wfile.write(b'"}}]}')


@pytest.mark.parametrize(("status", "stated"), [(200, False), (200, True), (500, False), (400, False)])
def test_no_more_is_read_than_was_asked_for(server: FakeServer, status: int, stated: bool) -> None:
    flood = Flood(status, stated)
    server.script = lambda handler, body, attempt: flood(handler) if body["seed"] == 1 else handler.write("fine")
    with connect(server, in_flight=1) as teacher:
        replies = {r.id: r for r in teacher.write([ask(0), ask(1), ask(2)])}
    assert {i: r.finish for i, r in replies.items()} == {"r0": "stop", "r1": "error", "r2": "stop"}
    assert not replies["r1"].text
    assert "bytes" in replies["r1"].error
    assert flood.sent < 3 * 8 * MEGABYTE  # what lies in the sockets' buffers, three tries


def test_a_list_of_models_without_end_is_no_server(server: FakeServer) -> None:
    server.listings["/v1/models"] = server.listings["/models"] = Flood(megabytes=200)
    with pytest.raises(TeacherError, match="bytes"):
        connect(server)


def test_a_whole_reply_of_the_longest_kind_comes_through(server: FakeServer) -> None:
    """Every token a letter that JSON escapes into twelve bytes."""
    request = ask(1, max_tokens=5000)
    server.script = lambda handler, body, attempt: handler.write("\U0001d400" * body["max_tokens"])
    with connect(server) as teacher:
        (reply,) = teacher.write([request])
    assert len(reply.text) == 5000


@pytest.mark.parametrize("given", ["86400", "date"])
def test_a_pause_of_a_day_is_not_waited_for(server: FakeServer, given: str) -> None:
    after = formatdate(time.time() + 86400, usegmt=True) if given == "date" else given
    server.script = lambda handler, body, attempt: handler.fail(429, "daily limit", retry_after=after)
    with connect(server) as teacher, pytest.raises(TeacherError, match="asks for a pause until 20") as caught:
        list(teacher.write([ask(1)]))
    assert "daily limit" in caught.value.message
    assert "what was written is kept" in caught.value.hint
    assert len(server.asked) == 1


def test_pauses_that_follow_each_other_have_an_end(server: FakeServer) -> None:
    server.script = lambda handler, body, attempt: handler.fail(429, "slow down", retry_after="0.2")
    patience = replace(QUICK, in_all=0.5, tries_when_busy=1000)
    with connect(server, patience) as teacher, pytest.raises(TeacherError, match="slow down"):
        list(teacher.write(ask(n) for n in range(3)))
    assert max(server.attempts.values()) <= 4


@pytest.mark.parametrize(("status", "headers", "said"), [
    (429, {"retry_after": "11"}, "429 slow down; try 2 of 20 follows in 11 s, at "),
    (500, {}, "500 slow down; try 4 of 6 follows in 0 s, at "),
])  # fmt: skip
def test_what_is_waited_for_is_said(server: FakeServer, status: int, headers: dict[str, str], said: str) -> None:
    """In the thread that reads the replies, once for all that are in flight."""
    server.script = lambda handler, body, attempt: handler.fail(status, "slow down", **headers)
    words: list[str] = []

    class Heard(Exception):
        pass

    def say(text: str) -> None:
        words.append(text)
        raise Heard  # an exception reaches the reader only from its own thread

    with connect(server, replace(QUICK, tries_when_busy=20)) as teacher:
        assert isinstance(teacher, Tells)
        teacher.listen(say)
        with pytest.raises(Heard):
            list(teacher.write(ask(n) for n in range(4)))
    (word,) = words
    assert word.startswith(f"the server {server.url}: {said}")


def test_short_faults_are_no_news(server: FakeServer) -> None:
    def script(handler: Handler, body: dict[str, Any], attempt: int) -> None:
        handler.fail(500) if attempt < 3 else handler.write("fine")

    server.script = script
    words: list[str] = []
    with connect(server) as teacher:
        teacher.listen(words.append)
        assert [r.finish for r in teacher.write(ask(n) for n in range(8))] == ["stop"] * 8
    assert not words
