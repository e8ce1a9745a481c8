"""A scripted OpenAI-compatible server on loopback that can misbehave in every way we know of."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

pytest.importorskip("openai", reason="the openai extra is not installed")
pytest.importorskip("jsonschema", reason="the openai extra is not installed")

from dsa_lite.records import Message
from dsa_lite.teacher import Request, TeacherOptions
from dsa_lite_openai.server import Patience
from dsa_lite_openai.teacher import OpenAITeacher

KEY = "sk-very-secret-key"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"answer": {"type": "string", "minLength": 1}},
    "required": ["answer"],
    "additionalProperties": False,
}
#: Everything quick, and enough tries for many faults.
QUICK = Patience(connect=2, reply=10, per_token=0, tries=6, first_wait=0.01, longest_wait=0.05)


class Handler(BaseHTTPRequestHandler):
    """One connection to the server."""

    protocol_version = "HTTP/1.1"
    server: _Listener

    def do_GET(self) -> None:
        fake = self.server.fake
        fake.gets.append(self.path)
        fake.keys.add(self.headers.get("authorization", ""))
        listed = fake.listings.get(self.path)
        if callable(listed):
            listed(self)
        elif listed is None:
            self.send(404, '{"error": {"message": "no such page"}}')
        else:
            self.send(200, json.dumps({"object": "list", "data": [{"id": m} for m in listed]}))

    def do_POST(self) -> None:
        fake = self.server.fake
        if fake.over.is_set():
            return self.drop()
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with fake.lock:
            prompt = body["messages"][-1]["content"] if "messages" in body else "\n".join(body["input"])
            fake.attempts[prompt] += 1
            fake.asked.append(body)
            fake.times.append(time.monotonic())
            fake.active += 1
            fake.most_active = max(fake.most_active, fake.active)
        try:
            fake.script(self, body, fake.attempts[prompt])
        finally:
            with fake.lock:
                fake.active -= 1

    def send(self, status: int, body: str, *, kind: str = "application/json", **headers: str) -> None:
        data = body.encode()
        self.send_response(status)
        for name, value in {"content-type": kind, "content-length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def write(self, text: str | None, finish: str | None = "stop", **message: Any) -> None:
        """A chat completion."""
        choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **message}}
        usage = {"prompt_tokens": 7, "completion_tokens": len((text or "").split())}
        self.send(200, json.dumps({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage}))

    def fail(self, status: int, said: str = "it failed", **headers: str) -> None:
        self.send(status, json.dumps({"error": {"message": said, "type": "x", "code": None}}), **headers)

    def drop(self) -> None:
        """End the connection without a word, by a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def stall(self, seconds: float = 30.0) -> bool:
        """Say nothing until the client hangs up (True), the test is over, or time has passed (False)."""
        self.connection.settimeout(0.02)
        end = time.monotonic() + seconds
        self.close_connection = True
        while time.monotonic() < end and not self.server.fake.over.is_set():
            with contextlib.suppress(TimeoutError):
                if self.connection.recv(1) == b"":
                    self.server.fake.hung_up += 1
                    return True
        return False

    def log_message(self, *args: object) -> None:
        pass


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    fake: FakeServer

    def handle_error(self, *args: object) -> None:
        """A client that has gone is no news."""


Script = Callable[[Handler, dict[str, Any], int], None]


class FakeServer:
    """`script(handler, body, attempt)` answers a POST; `attempt` counts from 1 for each prompt."""

    def __init__(self) -> None:
        self.script: Script = lambda handler, body, attempt: handler.write("fine")
        self.listings: dict[str, Any] = {"/v1/models": ["tiny"]}
        self.asked: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.gets: list[str] = []
        self.keys: set[str] = set()
        self.attempts: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.active = self.most_active = self.hung_up = 0
        self.over = threading.Event()
        self._listener = _Listener(("127.0.0.1", 0), Handler)
        self._listener.fake = self
        self.root = f"http://127.0.0.1:{self._listener.server_address[1]}"
        self.url = f"{self.root}/v1"
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def formats(self) -> list[str]:
        """The kinds of response_format asked for, in order."""
        return [_kind(body.get("response_format", {})) for body in self.asked]

    def close(self) -> None:
        self.over.set()
        if self._thread.is_alive():
            self._listener.shutdown()
            self._thread.join()
            self._listener.server_close()


def _kind(asked: dict[str, Any]) -> str:
    return str(asked.get("type", "none")) + ("+schema" if "schema" in asked else "")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key, and no proxy between the tests and loopback."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    yield fake
    fake.close()


def connect(server: FakeServer, patience: Patience = QUICK, **options: int) -> OpenAITeacher:
    return OpenAITeacher(server.url, TeacherOptions.model_validate(options), patience)


def ask(number: int, *, schema: dict[str, Any] | None = None, max_tokens: int = 50) -> Request:
    messages = (Message(role="system", content="Write."), Message(role="user", content=f"p{number}"))
    return Request(id=f"r{number}", messages=messages, json_schema=schema, max_tokens=max_tokens, seed=number)
