"""Texts as vectors, many in one call: /embeddings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from dsa_lite.errors import TeacherError
from dsa_lite_openai.concurrency import Gate
from dsa_lite_openai.server import Answer, Patience, Refused, Server, Trouble

#: Texts in one call.
_TOGETHER = 32
_TRIES = 4
_NONE = (404, 405, 501)
_HINT = (
    "start it with embeddings (llama-server --embeddings, llama_cpp.server --embedding true), or use another teacher"
)


class _Row(BaseModel):
    index: int
    #: A vector; of servers that do not pool, one for each token.
    embedding: list[float] | list[list[float]]


class _Embeddings(BaseModel):
    data: list[_Row]


class Embedding:
    """Embeds on one server, with the model that writes."""

    def __init__(self, server: Server, model: str, gate: Gate, patience: Patience) -> None:
        self._server = server
        self._model = model
        self._gate = gate
        self._patience = patience

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `dsa_lite.teacher.Embeds`. Raises TeacherError naming a text that cannot be used."""
        for number, text in enumerate(texts):
            if not text:
                raise _unusable(number, "it is empty")
        starts = range(0, len(texts), _TOGETHER)
        calls = [asyncio.ensure_future(self._piece(texts[s : s + _TOGETHER], s)) for s in starts]
        try:
            pieces = await asyncio.gather(*calls)
        finally:
            for call in calls:
                call.cancel()
        if not pieces:
            return np.zeros((0, 0), np.float32)
        if len({piece.shape[1] for piece in pieces}) > 1:
            raise TeacherError(f"the server {self._server.url} embeds texts in different widths", hint=_HINT)
        found = np.concatenate(pieces)
        found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return found

    async def _piece(self, texts: Sequence[str], first: int) -> NDArray[np.float32]:
        """(N, D) of a few texts, the first of which is number `first`."""
        said = ""
        for nth in range(_TRIES):
            async with self._gate.turn():
                outcome = await self._server.embed(self._model, texts)
            if isinstance(outcome, Answer):
                rows, pooled = _rows(outcome.body, len(texts))
                if rows is not None and (pooled or len(texts) == 1):
                    return rows
                if rows is not None:  # llama-cpp-python's server misplaces all but the first where it does not pool
                    return await self._singly(texts, first)
                outcome = Trouble("garbage", "the answer is no list of embeddings")
            if isinstance(outcome, Refused):
                return await self._refused(texts, first, outcome)
            said = outcome.said
            if outcome.pause > self._patience.in_all:
                break
            await asyncio.sleep(max(outcome.pause, self._patience.first_wait * 2.0**nth))
        raise TeacherError(f"the server {self._server.url} cannot embed texts: {said}", hint=_HINT)

    async def _refused(self, texts: Sequence[str], first: int, refusal: Refused) -> NDArray[np.float32]:
        """One text of several may be at fault: each by itself."""
        if refusal.status in _NONE or refusal.status in (401, 403):
            raise TeacherError(f"the server {self._server.url} does not embed texts: {refusal.said}", hint=_HINT)
        if len(texts) == 1:
            raise _unusable(first, refusal.said)
        return await self._singly(texts, first)

    async def _singly(self, texts: Sequence[str], first: int) -> NDArray[np.float32]:
        return np.concatenate([await self._piece([text], first + n) for n, text in enumerate(texts)])


def _unusable(number: int, why: str) -> TeacherError:
    return TeacherError(f"text {number} (counted from 0) cannot be used: {why}", hint="leave it out or shorten it")


def _rows(body: bytes, count: int) -> tuple[NDArray[np.float32] | None, bool]:
    """(N, D) in the order of the texts, and whether the server pooled; None: not `count` vectors of one width."""
    try:
        data = sorted(_Embeddings.model_validate_json(body).data, key=lambda row: row.index)
        rows = [np.asarray(row.embedding, np.float32) for row in data]
        found = np.stack([row.mean(axis=0) if row.ndim == 2 else row for row in rows])
    except (ValidationError, ValueError, RecursionError):
        return None, False
    whole = [row.index for row in data] == list(range(count)) and found.shape[1] > 0
    return (found if whole and bool(np.isfinite(found).all()) else None), all(row.ndim == 1 for row in rows)
