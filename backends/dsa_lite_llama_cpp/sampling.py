"""Choosing the next token of one request, and of many at a time. Child only."""

from __future__ import annotations

import codecs
import ctypes
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import llama_cpp as C
import numpy as np
import numpy.typing as npt

from dsa_lite_llama_cpp.context import Context
from dsa_lite_llama_cpp.model import Model

#: From this vocabulary on a token takes longer to choose than to hand to another thread.
_LARGE = 8192
#: Shares of the probability: tokens with less are left out of the sorting, first with the first, if that is enough.
_SHARES = (1e-4, 1e-6, 0.0)
_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class NothingAllowed(Exception):
    """No token can be chosen: the grammar forbids them all, or top-p finds logits that are not numbers."""


def _chain(temperature: float, seed: int) -> Any:
    chain = C.llama_sampler_chain_init(C.llama_sampler_chain_default_params())
    if temperature == 0:
        C.llama_sampler_chain_add(chain, C.llama_sampler_init_greedy())
        return chain
    C.llama_sampler_chain_add(chain, C.llama_sampler_init_temp(temperature))
    C.llama_sampler_chain_add(chain, C.llama_sampler_init_dist(seed))
    return chain


def nucleus(logits: npt.NDArray[np.float32], top_p: float) -> npt.NDArray[np.intp]:
    """Indices of the likeliest tokens, falling, that have `top_p` of the probability together; (V,) -> (n,), n >= 1.

    llama.cpp's own top-p, but its exponentials are computed one by one: most of a millisecond for 150,000 tokens.
    Raises NothingAllowed where the logits are not numbers.
    """
    chances = np.exp(logits - logits.max())
    total = float(chances.sum(dtype=np.float64))
    if not np.isfinite(total):
        raise NothingAllowed("the model's logits are not numbers")
    for share in _SHARES:
        likely = np.flatnonzero(chances >= share * total)
        found = chances[likely].astype(np.float64)
        if found.sum() >= top_p * total:
            break
    order = np.argsort(-found, kind="stable")
    last = np.searchsorted(found[order].cumsum(), top_p * total)
    return likely[order[: last + 1]]


class Sampler:
    """A request's chain (temperature, draw by seed), top-p before it, and grammar. `close()` frees both."""

    def __init__(self, model: Model, *, temperature: float, top_p: float, seed: int, grammar: Any = None) -> None:
        """`grammar`: a llama_sampler of its own, or None; freed here."""
        self._model = model
        self._top_p = top_p if temperature else 1.0
        self._chain = _chain(temperature, seed)
        self._grammar = grammar
        self._utf8 = codecs.getincrementaldecoder("utf-8")("strict")
        self._one = np.zeros(1, _CANDIDATE)

    def pick(self, context: Context, row: int) -> int:
        """The token after decoded row `row`. Raises NothingAllowed."""
        if self._top_p == 1:
            token = int(C.llama_sampler_sample(self._chain, context.pointer, row))
        else:
            token = self._choose(context.logits(row))
        if self._grammar is None:
            return token
        # The grammar over a whole large vocabulary costs a thousand times one token: ask about the chosen one first.
        if not (self._allows(token) and self._whole_characters(token)):
            token = self._pick_allowed(context.logits(row))
        self._utf8.decode(self._model.piece(token))
        C.llama_sampler_accept(self._grammar, token)
        return token

    def close(self) -> None:
        C.llama_sampler_free(self._chain)
        if self._grammar is not None:
            C.llama_sampler_free(self._grammar)
        self._chain = self._grammar = None

    def _allows(self, token: int) -> bool:
        self._one[0] = (token, 1.0, 0.0)
        self._apply(self._grammar, self._one)
        return bool(np.isfinite(self._one["logit"][0]))

    def _whole_characters(self, token: int) -> bool:
        """Whether the token continues valid UTF-8: llama.cpp's grammar takes any byte as the rest of a character.

        Control tokens are out too: the grammar reads their names as text, the reply leaves them out.
        """
        if not self._model.piece(token) and not self._model.ends(token):
            return False
        state = self._utf8.getstate()
        try:
            self._utf8.decode(self._model.piece(token), final=self._model.ends(token))
            begun = self._utf8.getstate()[0]
        except UnicodeDecodeError:
            return False
        finally:
            self._utf8.setstate(state)
        # Half a surrogate: Python waits for its third byte, and then none is right.
        return not (begun[:1] == b"\xed" and begun[1:2] >= b"\xa0")

    def _pick_allowed(self, logits: npt.NDArray[np.float32]) -> int:
        candidates = _candidates(np.arange(len(logits)), logits)
        self._apply(self._grammar, candidates)
        allowed = candidates["logit"]  # minus infinity where the grammar says no
        while np.isfinite(allowed).any():
            token = self._choose(allowed)
            if self._whole_characters(token):
                return token
            allowed[token] = -np.inf
        raise NothingAllowed("the grammar allows none of the model's tokens here")

    def _choose(self, logits: npt.NDArray[np.float32]) -> int:
        """The chain's choice by logits (V,)."""
        ids = np.flatnonzero(np.isfinite(logits)) if self._top_p == 1 else nucleus(logits, self._top_p)
        candidates = _candidates(ids, logits[ids])
        return int(candidates["id"][self._apply(self._chain, candidates)])

    def _apply(self, sampler: Any, candidates: npt.NDArray[np.void]) -> int:
        """Run a sampler over candidates in place; returns the index it selected."""
        array = C.llama_token_data_array(
            data=ctypes.cast(candidates.ctypes.data, C.llama_token_data_p),
            size=len(candidates),
            selected=-1,
            sorted=False,
        )
        C.llama_sampler_apply(sampler, ctypes.byref(array))
        return int(array.selected)


def _candidates(ids: npt.NDArray[np.intp], logits: npt.NDArray[np.float32]) -> npt.NDArray[np.void]:
    found = np.zeros(len(ids), _CANDIDATE)
    found["id"], found["logit"] = ids, logits
    return found


class Pickers:
    """Next tokens for many requests at a time: with a vocabulary of 150,000 each takes a fifth of a millisecond, and
    many times that where the grammar refuses the first.

    No token depends on another's, and the C code lets other threads of Python run.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "pick")

    def pick(
        self, samplers: Sequence[tuple[int, Sampler]], context: Context, threads: int
    ) -> list[int | NothingAllowed]:
        """For each (row, sampler) the token, or why there is none; at most `threads` at work."""
        threads = min(threads, len(samplers))
        if threads == 1 or len(context.logits(samplers[0][0])) < _LARGE:
            return _picked(context, samplers)
        # That look has put the logits in order: from here on the threads only read them.
        shares = [samplers[first::threads] for first in range(threads)]
        found: list[int | NothingAllowed] = [0] * len(samplers)
        for first, tokens in enumerate(self._pool.map(partial(_picked, context), shares)):
            found[first::threads] = tokens
        return found


def _picked(context: Context, samplers: Sequence[tuple[int, Sampler]]) -> list[int | NothingAllowed]:
    found: list[int | NothingAllowed] = []
    for row, sampler in samplers:
        try:
            found.append(sampler.pick(context, row))
        except NothingAllowed as error:
            found.append(error)
    return found
