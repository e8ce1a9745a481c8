"""One server, spoken to through the official client; what comes of a call is a value, not an exception."""

from __future__ import annotations

import asyncio
import email.utils
import importlib
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Protocol

import openai

from dsa_lite.errors import UsageError
from dsa_lite.teacher import Request

#: Statuses other than 5xx after which the same request may succeed later.
_LATER = {408, 425, 429}
#: What a server says of an error, in characters.
_SAID = 300
#: No clock is asked to count further, s.
_LONGEST_PAUSE = 10 * 365 * 86400.0
#: Bytes of an answer: what stands around a reply, what one token may take, escapes included; a list of models; a call's
#: vectors, of servers that do not pool one for each token.
_FRAME, _PER_TOKEN, _MODELS, _VECTORS = 64 << 10, 64, 16 << 20, 256 << 20
#: What the answer that is coming in may take, bytes.
_room: ContextVar[int] = ContextVar("_room", default=_MODELS)


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server, in seconds, and how often to try again. `in_all`: the longest that one request is
    put off by faults, pauses that the server asks for included."""

    connect: float = 10.0
    reply: float = 300.0
    per_token: float = 1.0
    tries: int = 8
    tries_when_busy: int = 20
    tries_when_silent: int = 3
    first_wait: float = 0.5
    longest_wait: float = 30.0
    in_all: float = 3600.0


@dataclass(frozen=True)
class Answer:
    """The server did it."""

    body: bytes


@dataclass(frozen=True)
class Refused:
    """The server will never do it: another 4xx than `Trouble` stands for, or 501."""

    status: int
    said: str


@dataclass(frozen=True)
class Trouble:
    """It may go better later. `pause`: seconds the server asked for."""

    kind: Literal["busy", "silent", "unreachable", "failing", "garbage"]
    said: str
    pause: float = 0.0


Outcome = Answer | Refused | Trouble


class _Raw(Protocol):
    @property
    def http_response(self) -> Any: ...


class Server:
    """Calls at one base URL. Create and use it inside an event loop."""

    def __init__(self, url: str, patience: Patience) -> None:
        """Reads the key from OPENAI_API_KEY. Raises UsageError when a header cannot carry it."""
        self.url = url
        self._patience = patience
        self._key = os.environ.get("OPENAI_API_KEY", "").strip() or "none"
        if not (self._key.isascii() and self._key.isprintable()):
            raise UsageError(
                "OPENAI_API_KEY holds characters that cannot be sent", hint="set it again, or unset it for a server"
                " that needs no key"
            )  # fmt: skip
        timeout = openai.Timeout(None, connect=patience.connect)
        self._client = openai.AsyncOpenAI(
            api_key=self._key, base_url=url, max_retries=0, timeout=timeout,
            default_headers={"Accept-Encoding": "identity"},  # so that no few bytes unfold into many
            http_client=openai.DefaultAsyncHttpxClient(event_hooks={"response": [_bounded]}),
        )  # fmt: skip

    async def close(self) -> None:
        await self._client.close()

    async def models(self) -> Outcome:
        """GET /models."""
        return await self._call(self._client.models.with_raw_response.list(), 3 * self._patience.connect, _MODELS)

    async def chat(self, model: str, request: Request, response_format: Mapping[str, Any]) -> Outcome:
        """POST /chat/completions, answered in one piece."""
        messages: Any = [{"role": m.role, "content": m.content} for m in request.messages]
        call = self._client.chat.completions.with_raw_response.create(
            model=model,
            messages=messages,
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            top_p=request.top_p,
            seed=request.seed,
            extra_body={"response_format": response_format} if response_format else None,
        )
        seconds = self._patience.reply + self._patience.per_token * request.max_tokens
        return await self._call(call, seconds, _FRAME + _PER_TOKEN * request.max_tokens)

    async def embed(self, model: str, texts: Sequence[str]) -> Outcome:
        """POST /embeddings, plain numbers asked for: not every server knows the client's base64."""
        call = self._client.embeddings.with_raw_response.create(model=model, input=list(texts), encoding_format="float")
        return await self._call(call, self._patience.reply, _VECTORS)

    def without_key(self, text: str) -> str:
        """The text on one line, shortened, the key blotted out."""
        if self._key != "none":
            text = text.replace(self._key, "***")
        return " ".join(text.split())[:_SAID]

    async def _call(self, call: Awaitable[_Raw], seconds: float, room: int) -> Outcome:
        """`room`: bytes that the answer may take; no more are read."""
        _room.set(room)
        try:
            async with asyncio.timeout(seconds):
                response = await call
        except openai.APIStatusError as error:
            return self._status(error)
        except openai.APITimeoutError as error:
            if type(error.__cause__).__name__ != "ConnectTimeout":
                return Trouble("silent", "the connection timed out")
            return Trouble("unreachable", f"no connection within {self._patience.connect:g} s")
        except TimeoutError:
            return Trouble("silent", f"no reply within {seconds:g} s")
        except _TooLong as error:
            return Trouble("garbage", str(error))
        except openai.APIConnectionError as error:
            if isinstance(error.__cause__, _TooLong):  # versions of the client differ in what they wrap
                return Trouble("garbage", str(error.__cause__))
            return Trouble("unreachable", self.without_key(str(error.__cause__ or error)) or "the connection was lost")
        except openai.OpenAIError as error:
            return Trouble("garbage", self.without_key(str(error)))
        return Answer(bytes(response.http_response.content))

    def _status(self, error: openai.APIStatusError) -> Outcome:
        status = error.status_code
        said = self.without_key(f"{status} {_message(error)}")
        if status in _LATER or (status >= 500 and status != 501):
            pause = min(_LONGEST_PAUSE, _pause(error.response.headers))
            loading = status == 503  # a model that is being loaded, as a rule
            return Trouble("busy" if status in _LATER or loading or pause else "failing", said, pause)
        return Refused(status, said)


class _TooLong(Exception):
    """More comes in than was asked for."""


async def _bounded(response: Any) -> None:
    """Count what comes in while it comes in, errors and lists included."""
    room = _room.get()
    stated = response.headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > room:
        await response.aclose()
        raise _TooLong(f"the server answers with more than the {room:,} bytes that this can take")
    response.stream = _counted(type(response).__module__.partition(".")[0])(response.stream, room)


@cache
def _counted(name: str) -> Any:
    """A stream for the client's own HTTP library, which has had several names."""
    library = importlib.import_module(name)

    class Counted(library.AsyncByteStream):  # type: ignore[misc, name-defined]
        def __init__(self, stream: Any, room: int) -> None:
            self._stream, self._room = stream, room

        async def __aiter__(self) -> AsyncIterator[bytes]:
            left = self._room
            async for chunk in self._stream:
                left -= len(chunk)
                if left < 0:
                    raise _TooLong(f"the server answers with more than the {self._room:,} bytes that this can take")
                yield chunk

        async def aclose(self) -> None:
            await self._stream.aclose()

    return Counted


def _message(error: openai.APIStatusError) -> str:
    body = error.body
    if isinstance(body, dict):
        return str(body.get("message") or body.get("detail") or json.dumps(body))
    return str(body or error.response.reason_phrase)


def _pause(headers: Mapping[str, str]) -> float:
    """Seconds that Retry-After asks for, 0 without it."""
    given = headers.get("retry-after", "")
    try:
        if milliseconds := headers.get("retry-after-ms"):
            seconds = float(milliseconds) / 1000
        elif given.strip()[:1].isalpha():
            seconds = email.utils.parsedate_to_datetime(given).timestamp() - time.time()
        else:
            seconds = float(given or 0)
    except (ValueError, OverflowError):
        return 0.0
    return seconds if 0 < seconds < float("inf") else 0.0
