"""Texts as vectors: a context of its own, made for the first of many texts and freed after the last. Child only."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable
from typing import Any

import llama_cpp as C
import numpy as np

from dsa_lite_llama_cpp.context import DecodeFailed, Rows
from dsa_lite_llama_cpp.model import Model

#: Tokens computed together. More costs memory: llama.cpp keeps a row as long as the vocabulary for each of them.
_TOGETHER = 256
_MOST_TEXTS = 64


class Embedder:
    """Answers requests for a text's vector, many texts in one computation."""

    def __init__(self, model: Model, threads: int, limit: int, say: Callable[[dict[str, Any]], None]) -> None:
        """`limit`: tokens of the longest text that is taken."""
        self._model = model
        self._threads = threads
        self._limit = limit
        self._say = say
        self._waiting: deque[tuple[int, tuple[int, ...]]] = deque()
        self._context: Any = None
        self._tokens = 0

    @property
    def idle(self) -> bool:
        return not self._waiting

    def ask(self, ask: dict[str, Any]) -> None:
        """Queue a text; one that cannot be served is answered at once."""
        tokens = self._model.text_tokens(ask["embed"])
        if not tokens:
            self._fail(ask["ticket"], "it is empty")
        elif len(tokens) > self._limit:
            self._fail(ask["ticket"], f"its {len(tokens)} tokens exceed the model's context of {self._limit}")
        else:
            self._waiting.append((ask["ticket"], tokens))

    def cancel(self, tickets: set[int]) -> None:
        self._waiting = deque(w for w in self._waiting if w[0] not in tickets)
        if not self._waiting:
            self._close()

    def turn(self) -> None:
        """Compute as many of the waiting texts as go together."""
        if not self._waiting:
            return
        if self._context is None or len(self._waiting[0][1]) > self._tokens:
            longest = max(len(tokens) for _, tokens in self._waiting)
            # A multiple, also of the number of texts: llama.cpp aborts on any other.
            self._open(-(-longest // _TOGETHER) * _TOGETHER)
        pack: list[tuple[int, tuple[int, ...]]] = []
        total = 0
        while self._waiting and len(pack) < _MOST_TEXTS and total + len(self._waiting[0][1]) <= self._tokens:
            pack.append(self._waiting.popleft())
            total += len(pack[-1][1])
            self._say({"kind": "started", "ticket": pack[-1][0]})
        self._compute(pack)
        if not self._waiting:
            self._close()

    def _open(self, tokens: int) -> None:
        self._close()
        params = C.llama_context_default_params()
        # One piece: what pools reads a text's tokens from a single micro-batch.
        params.n_ctx = params.n_batch = params.n_ubatch = tokens
        params.n_seq_max = _MOST_TEXTS
        params.kv_unified = True
        params.n_threads = params.n_threads_batch = self._threads
        params.embeddings = True
        params.no_perf = True
        if not self._model.pools:
            params.pooling_type = C.LLAMA_POOLING_TYPE_MEAN
        self._context = C.llama_init_from_model(self._model.pointer, params)
        if not self._context:
            raise RuntimeError(f"no memory to embed texts of {tokens} tokens")
        self._tokens = tokens
        self._rows = Rows(tokens)

    def _compute(self, pack: list[tuple[int, tuple[int, ...]]]) -> None:
        C.llama_memory_clear(C.llama_get_memory(self._context), False)
        self._rows.sequences([tokens for _, tokens in pack])
        code = C.llama_decode(self._context, self._rows.batch)
        if code != 0:
            raise DecodeFailed(f"llama_decode returned {code}")
        size = C.llama_model_n_embd_out(self._model.pointer)
        for sequence, (ticket, _) in enumerate(pack):
            vector = np.ctypeslib.as_array(C.llama_get_embeddings_seq(self._context, sequence), (size,))
            data = base64.b64encode(vector.astype("<f4").tobytes()).decode()
            self._say({"kind": "reply", "ticket": ticket, "vector": data})

    def _fail(self, ticket: int, error: str) -> None:
        self._say({"kind": "reply", "ticket": ticket, "finish": "error", "error": error})

    def _close(self) -> None:
        if self._context is not None:
            C.llama_free(self._context)
            self._context = None
