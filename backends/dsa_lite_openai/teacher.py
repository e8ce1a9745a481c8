"""The teacher as the caller sees it; the work is done in an event loop of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from queue import Empty, SimpleQueue

import numpy as np
from numpy.typing import NDArray

from dsa_lite.errors import TeacherError
from dsa_lite.teacher import Reply, Request, TeacherOptions
from dsa_lite_openai.address import find, read_address
from dsa_lite_openai.concurrency import Gate, Limit
from dsa_lite_openai.embedding import Embedding
from dsa_lite_openai.exchange import Exchange
from dsa_lite_openai.loop import Loop
from dsa_lite_openai.server import Patience

_CLOSED = "the teacher is closed"


class OpenAITeacher:
    """Writes with a model on an OpenAI-compatible server, as many requests in flight as serve it best.

    Whether a reply depends on its request alone is up to the server; each request carries its seed.
    `Reply.tokens_*` are as the server reports them (0 if it does not); `Reply.seconds` runs from the moment the
    request was first sent to its end, waits and repetitions included.
    """

    def __init__(self, source: str, options: TeacherOptions, patience: Patience | None = None) -> None:
        """Find the server at URL `source` and its model. Raises UsageError, TeacherError."""
        address, patience = read_address(source), patience or Patience()
        self._loop: Loop | None = Loop()
        try:
            self._server, self._model = self._loop.run(find(address, patience))
        except BaseException:
            self._loop.close()
            raise
        self._limit = Limit(options.in_flight)
        gate = Gate(self._limit)
        self._told: SimpleQueue[str] = SimpleQueue()
        self._say: Callable[[str], None] = lambda _: None
        self._exchange = Exchange(self._server, self._model, gate, patience, self._told.put)
        self._embedding = Embedding(self._server, self._model, gate, patience)

    @property
    def name(self) -> str:
        """The model's id; of one that is a path (older llama.cpp servers), the file's name."""
        return self._model.replace("\\", "/").rpartition("/")[2] if self._model[:1] in "/\\." else self._model

    @property
    def fingerprint(self) -> str:
        """URL and model id: servers do not tell what the model's bytes are."""
        return f"{self._server.url}#{self._model}"

    @property
    def in_flight(self) -> int:
        """See `dsa_lite.teacher.Reports`."""
        return self._limit.value

    @property
    def layout(self) -> Mapping[str, int | str]:
        """Empty: how the server works is its own business."""
        return {}

    def listen(self, say: Callable[[str], None]) -> None:
        """See `dsa_lite.teacher.Tells`."""
        self._say = say

    def write(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """One reply per request, as they finish. Requests are pulled a little ahead of the replies.

        Raises TeacherError when the server is gone or the teacher is closed.
        """
        return self._write(iter(requests))

    def _write(self, source: Iterator[Request]) -> Iterator[Reply]:
        mine: set[Future[Reply]] = set()
        done: SimpleQueue[Future[Reply]] = SimpleQueue()
        try:
            while True:
                # Twice the limit: a turn that is free always finds a request waiting.
                while len(mine) < 2 * self._limit.value and (request := next(source, None)) is not None:
                    if self._loop is None:
                        raise TeacherError(_CLOSED, hint="open it again")
                    future = self._loop.start(self._exchange.answer(request))
                    mine.add(future)
                    future.add_done_callback(done.put)
                if not mine:
                    return
                future = self._next(done)
                mine.discard(future)
                try:
                    reply = future.result()
                except CancelledError:
                    raise TeacherError(_CLOSED, hint="open it again") from None
                yield reply
        finally:
            for future in mine:
                future.cancel()

    def _next(self, done: SimpleQueue[Future[Reply]]) -> Future[Reply]:
        """Waits in short turns: one long wait cannot be interrupted on Windows, and there may be something to say."""
        while True:
            while not self._told.empty():
                self._say(self._told.get())
            try:
                return done.get(timeout=1.0)
            except Empty:
                continue

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `dsa_lite.teacher.Embeds`; done by the model that writes. Raises TeacherError where the server cannot."""
        if self._loop is None:
            raise TeacherError(_CLOSED, hint="open it again")
        return self._loop.run(self._embedding.embed(texts))

    def close(self) -> None:
        """Abandon what is in flight and end the thread; safe to call twice."""
        if self._loop:
            loop, self._loop = self._loop, None
            loop.cancel_all()
            loop.run(self._server.close())
            loop.close()

    def __enter__(self) -> OpenAITeacher:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
