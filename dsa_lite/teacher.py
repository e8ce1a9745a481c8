"""The teacher's contract: something that writes. Implemented by backends, found through entry points.

A teacher backend is a package with an `open_teacher(source, options)` callable registered under the entry-point group
`dsa_lite.teachers`. `dsa_lite.testing` has the checks every backend should pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dsa_lite.records import Message, Record

Finish = Literal["stop", "length", "error"]


class Request(Record):
    """One thing to write. `seed` fixes the reply together with the messages and the sampling settings."""

    id: str
    messages: tuple[Message, ...]
    json_schema: dict[str, Any] | None = Field(
        default=None, description="the reply must be one JSON value of this schema"
    )
    max_tokens: int = Field(gt=0)
    temperature: float = Field(default=0.8, ge=0, description="0: greedy")
    top_p: float = Field(default=0.95, gt=0, le=1)
    seed: int = Field(ge=0, lt=2**32)


class Reply(Record):
    """What came back. `finish` "length" means cut off: never an answer."""

    id: str
    text: str
    finish: Finish
    tokens_in: int = Field(ge=0)
    tokens_out: int = Field(ge=0)
    seconds: float = Field(ge=0)
    error: str = ""


class TeacherOptions(Record):
    """How to open a teacher. 0 or None means: the backend chooses."""

    context_tokens: int = Field(
        default=0, ge=0, description="tokens per sequence, prompt and reply together; 0: fits the requests"
    )
    in_flight: int = Field(default=0, ge=0, description="sequences at a time; 0: the backend chooses")
    threads: int = Field(default=0, ge=0, description="CPU threads; 0: all cores")
    gpu_layers: int = Field(default=-1, ge=-1, description="layers on the GPU, output layer included; -1: all")
    slots: int = Field(
        default=0, ge=0, description="sequences to make room for, as `Reports.layout` of an earlier session had them"
    )


@runtime_checkable
class Teacher(Protocol):
    """Writes replies, any number in flight. Use as a context manager; closing leaves no process behind."""

    @property
    def name(self) -> str:
        """What a person calls the model."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes when the model's bytes change; part of a run's inputs."""
        ...

    def write(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Yield exactly one reply per request, in the order they finish.

        A reply depends on its request alone, not on what else is in flight. A request that cannot be served
        (too long, bad schema) yields a reply with finish "error"; a dead teacher raises TeacherError.
        Closing the iterator early abandons what is in flight.
        """
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Teacher: ...

    def __exit__(self, *exc: object) -> None: ...


@runtime_checkable
class Reports(Protocol):
    """A teacher that tells how it works. Ask with `isinstance(teacher, Reports)`."""

    @property
    def in_flight(self) -> int:
        """Requests it works on at a time, as found best so far; 0: not known yet."""
        ...

    @property
    def layout(self) -> Mapping[str, int | str]:
        """What it chose itself and its replies may depend on in their last bits; empty where nothing is known (yet).

        "slots" can be given back as `TeacherOptions.slots`, so that a later session replies as this one; the rest is
        for people.
        """
        ...


@runtime_checkable
class Announces(Protocol):
    """A teacher that says how far it is while nothing is finished yet. Ask with `isinstance(teacher, Announces)`."""

    def announce(self, heard: Callable[[int], None]) -> None:
        """From now on `heard(tokens)` is called from within `write`, about once a second: the tokens written so far of
        the requests in flight."""
        ...


@runtime_checkable
class Tells(Protocol):
    """A teacher that says what it waits for. Ask with `isinstance(teacher, Tells)`."""

    def listen(self, say: Callable[[str], None]) -> None:
        """From now on `say` is given a sentence for the person watching, in the thread that reads the replies."""
        ...


class Score(Record):
    """How surprising a reply is to a model: `nll` summed over its `tokens`, in nats; nll / tokens is the mean."""

    nll: float = Field(ge=0)
    tokens: int = Field(ge=0)


@runtime_checkable
class Embeds(Protocol):
    """A teacher that also turns texts into vectors. Ask with `isinstance(teacher, Embeds)`."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, D), row i for text i, of length 1, so that the product of two rows is their cosine.

        Rows are pooled as the model says, else the mean over the text's tokens. A row depends on its text, and on the
        other texts through rounding alone. (0, 0) for no texts. Raises TeacherError naming a text that does not fit.
        """
        ...


@runtime_checkable
class Scores(Protocol):
    """A teacher that also says how likely given replies are to it. Ask with `isinstance(teacher, Scores)`."""

    def score(self, items: Sequence[tuple[Sequence[Message], str]]) -> list[Score]:
        """For each (messages, reply) the surprise at the reply's own tokens, each given all before it; in their order.

        The messages are put into the chat template as for writing; the end of the turn is not scored. A score depends
        on its item alone. An empty reply has 0 tokens and nll 0. Raises TeacherError naming an item that does not fit.
        """
        ...
