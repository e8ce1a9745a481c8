"""The teacher as the caller sees it; the work is done in the child."""

from __future__ import annotations

import base64
import importlib.util
import itertools
import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dsa_lite.errors import MissingExtra, ModelError, TeacherError
from dsa_lite.records import Message
from dsa_lite.teacher import Reply, Request, Score, TeacherOptions
from dsa_lite_llama_cpp.conversation import Conversation
from dsa_lite_llama_cpp.gguf_file import read_gguf
from dsa_lite_llama_cpp.prompts import Prompter, without_thinking

K = TypeVar("K")


class LlamaCppTeacher:
    """Writes, embeds and scores with a GGUF model on llama.cpp, many requests in flight.

    How many is found by trying; `TeacherOptions.in_flight` sets it. On a CPU a reply depends on its request, the
    model, the number of threads and of sequences, on nothing else. `Reply.tokens_out` counts every token written, the
    end-of-turn token included; `Reply.seconds` runs from the moment the request got a sequence to its end.
    """

    def __init__(self, source: str, options: TeacherOptions) -> None:
        """Check the file at path `source`; the model is loaded at the first write. Raises MissingExtra, ModelError."""
        file = read_gguf(source)
        if importlib.util.find_spec("llama_cpp") is None:
            raise MissingExtra("reading a .gguf teacher needs llama.cpp", hint='pip install "dsa-lite[llama-cpp]"')
        self._name = file.name
        self._fingerprint = file.fingerprint()
        self._prompter = Prompter(file.chat_template, file.special_tokens())
        try:
            self._prompter.prompt((Message(role="user", content="?"),))
        except ModelError as error:
            raise ModelError(f"the teacher file {file.path}: {error.message}", hint=error.hint) from error
        self._settings = {"path": str(file.path.resolve()), **options.model_dump()}
        self._conversation: Conversation | None = None
        self._closed = False
        self._in_flight = 0
        self._heard: Callable[[int], None] = lambda tokens: None

    @property
    def name(self) -> str:
        """The model's own name, or the file's."""
        return self._name

    @property
    def fingerprint(self) -> str:
        """sha256, see `GgufFile.fingerprint`."""
        return self._fingerprint

    @property
    def pid(self) -> int | None:
        """Process id of the child; None before the first write and after close()."""
        return self._conversation.pid if self._conversation else None

    def write(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """One reply per request, as they finish. Requests are pulled a little ahead of the replies.

        Raises ModelError when llama.cpp cannot load the model, TeacherError when the child keeps dying or the teacher
        is closed.
        """
        return self._write(iter(requests))

    def _write(self, source: Iterator[Request]) -> Iterator[Reply]:
        payloads = ((request, self._payload(request)) for request in source)
        with closing(self._converse(payloads)) as replies:
            for request, message in replies:
                self._in_flight = message.get("in_flight") or self._in_flight
                yield _reply(request, message)

    def _converse(
        self, source: Iterator[tuple[K, dict[str, Any] | str]]
    ) -> Generator[tuple[K, dict[str, Any]], None, None]:
        """The child's reply to each payload, as they come; where a payload is a text, it is why there can be none."""
        if self._closed:
            raise TeacherError("the teacher is closed", hint="open it again")
        first = next(source, None)
        if first is None:
            return
        source = itertools.chain([first], source)
        if self._conversation is None:
            self._conversation = Conversation(self._settings)
            self._conversation.heard = self._heard
        talk = self._conversation
        mine: dict[int, K] = {}
        try:
            while True:
                # Twice the slots: a free sequence always finds a request waiting.
                while len(mine) < 2 * talk.slots and (item := next(source, None)) is not None:
                    key, payload = item
                    if isinstance(payload, str):
                        yield key, {"finish": "error", "error": payload}
                    else:
                        mine[talk.ask(payload)] = key
                if not mine:
                    return
                ticket, message = talk.reply(mine)
                yield mine.pop(ticket), message
        finally:
            talk.abandon(mine)

    def _payload(self, request: Request) -> dict[str, Any] | str:
        prompt = self._prompt(request.messages)
        schema = None if request.json_schema is None else json.dumps(request.json_schema)
        settings = request.model_dump(include={"max_tokens", "temperature", "top_p", "seed"})
        return prompt if isinstance(prompt, str) else {**settings, **prompt, "schema": schema}

    def _prompt(self, messages: Sequence[Message]) -> dict[str, Any] | str:
        """The prompt and its shareable start, or what is wrong with the messages."""
        if not messages:
            return "a request needs at least one message"
        try:
            prompt, shared = self._prompter.prompt(tuple(messages))
        except ModelError as error:
            return error.message
        return {"prompt": prompt, "shared": shared}

    @property
    def in_flight(self) -> int:
        """See `dsa_lite.teacher.Reports`; 0 before the first reply."""
        return self._in_flight

    def announce(self, heard: Callable[[int], None]) -> None:
        """See `dsa_lite.teacher.Announces`."""
        self._heard = heard
        if self._conversation:
            self._conversation.heard = heard

    @property
    def layout(self) -> Mapping[str, int | str]:
        """See `dsa_lite.teacher.Reports`; empty before the first reply."""
        return self._conversation.layout if self._conversation else {}

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `dsa_lite.teacher.Embeds`."""
        rows: dict[int, NDArray[np.float32]] = {}
        asked: Iterator[tuple[int, dict[str, Any] | str]] = ((i, {"embed": text}) for i, text in enumerate(texts))
        with closing(self._converse(asked)) as replies:
            for i, message in replies:
                rows[i] = np.frombuffer(base64.b64decode(_sound(message, f"text {i}")["vector"]), "<f4")
        if not rows:
            return np.zeros((0, 0), np.float32)
        found = np.stack([rows[i] for i in range(len(texts))]).astype(np.float32)
        found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return found

    def score(self, items: Sequence[tuple[Sequence[Message], str]]) -> list[Score]:
        """See `dsa_lite.teacher.Scores`."""
        prompts = ((i, self._prompt(messages), reply) for i, (messages, reply) in enumerate(items))
        asked = ((i, prompt if isinstance(prompt, str) else {**prompt, "reply": reply}) for i, prompt, reply in prompts)
        found: dict[int, Score] = {}
        with closing(self._converse(asked)) as replies:
            for i, message in replies:
                sound = _sound(message, f"item {i}")
                found[i] = Score(nll=sound["nll"], tokens=sound["tokens"])
        return [found[i] for i in range(len(items))]

    def close(self) -> None:
        """End the child process; safe to call twice."""
        self._closed = True
        if self._conversation:
            self._conversation.close()
            self._conversation = None

    def __enter__(self) -> LlamaCppTeacher:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _reply(request: Request, message: dict[str, Any]) -> Reply:
    text = message.get("text", "")
    return Reply(
        id=request.id,
        text=text if request.json_schema else without_thinking(text),
        finish=message["finish"],
        tokens_in=message.get("tokens_in", 0),
        tokens_out=message.get("tokens_out", 0),
        seconds=message.get("seconds", 0.0),
        error=message.get("error", ""),
    )


def _sound(message: dict[str, Any], what: str) -> dict[str, Any]:
    if message.get("error"):
        raise TeacherError(
            f"{what} (counted from 0) cannot be used: {message['error']}", hint="leave it out or shorten it"
        )
    return message
