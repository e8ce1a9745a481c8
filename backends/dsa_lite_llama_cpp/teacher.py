"""The teacher as the caller sees it; the work is done in the child."""

from __future__ import annotations

import importlib.util
import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any

from dsa_lite.errors import MissingExtra, ModelError, TeacherError
from dsa_lite.records import Message
from dsa_lite.teacher import Reply, Request, TeacherOptions
from dsa_lite_llama_cpp.conversation import Conversation
from dsa_lite_llama_cpp.gguf_file import read_gguf
from dsa_lite_llama_cpp.prompts import Prompter, without_thinking


class LlamaCppTeacher:
    """Writes with a GGUF model on llama.cpp, many requests in flight.

    On a CPU a reply depends on its request, the model, the number of threads and of sequences, on nothing else.
    `Reply.tokens_out` counts every token written, the end-of-turn token included; `Reply.seconds` runs from the
    moment the request got a sequence to its end.
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
        if self._closed:
            raise TeacherError("the teacher is closed", hint="open it again")
        first = next(source, None)
        if first is None:
            return
        source = itertools.chain([first], source)
        if self._conversation is None:
            self._conversation = Conversation(self._settings)
        talk = self._conversation
        mine: dict[int, Request] = {}
        try:
            while True:
                # Twice the slots: a free sequence always finds a request waiting.
                while len(mine) < 2 * talk.slots and (request := next(source, None)) is not None:
                    try:
                        payload = self._payload(request)
                    except ModelError as error:
                        yield Reply(
                            id=request.id,
                            text="",
                            finish="error",
                            tokens_in=0,
                            tokens_out=0,
                            seconds=0,
                            error=error.message,
                        )
                        continue
                    mine[talk.ask(payload)] = request
                if not mine:
                    return
                ticket, message = talk.reply(mine)
                yield _reply(mine.pop(ticket), message)
        finally:
            talk.abandon(mine)

    def _payload(self, request: Request) -> dict[str, Any]:
        if not request.messages:
            raise ModelError("a request needs at least one message")
        prompt, shared = self._prompter.prompt(request.messages)
        schema = None if request.json_schema is None else json.dumps(request.json_schema)
        settings = request.model_dump(include={"max_tokens", "temperature", "top_p", "seed"})
        return {**settings, "prompt": prompt, "shared": shared, "schema": schema}

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
