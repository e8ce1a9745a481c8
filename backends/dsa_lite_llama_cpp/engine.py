"""Continuous batching: every sequence writes for one request, a finished one is given the next at once. Child only."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dsa_lite_llama_cpp.context import Context
from dsa_lite_llama_cpp.grammar import BadSchema, Grammars
from dsa_lite_llama_cpp.memory import free_bytes
from dsa_lite_llama_cpp.model import Model
from dsa_lite_llama_cpp.sampling import NothingAllowed, Sampler

#: More gained nothing in tokens per second on a CPU and costs memory.
DEFAULT_SLOTS = 16
#: llama.cpp's limit on sequences, less the spares.
MOST_SLOTS = 248
_SPARES = 2
_WORTH_SHARING = 32
_ROUND = 256


@dataclass
class _Job:
    ask: dict[str, Any]
    tokens: tuple[int, ...]
    split: int
    sampler: Sampler | None = None
    written: list[int] = field(default_factory=list)
    started: float = 0.0

    @property
    def need(self) -> int:
        return len(self.tokens) + int(self.ask["max_tokens"])

    @property
    def position(self) -> int:
        """Of the newest token, which is not decoded yet."""
        return len(self.tokens) + len(self.written) - 1


class Engine:
    """Takes requests by `ask`, works by `turn`, and answers through `say`."""

    def __init__(
        self, model: Model, options: dict[str, Any], threads: int, say: Callable[[dict[str, Any]], None]
    ) -> None:
        self._model = model
        self._threads = threads
        self._say = say
        self._fixed = min(options["context_tokens"], model.trained_context)
        self.slots = min(options["in_flight"] or DEFAULT_SLOTS, MOST_SLOTS)
        self._chosen = bool(options["in_flight"])
        self._grammars = Grammars(model.vocab)
        self._waiting: deque[_Job] = deque()
        self._jobs: list[_Job | None] = []
        self._context: Context | None = None
        self._prefixes: OrderedDict[tuple[int, ...], int] = OrderedDict()

    @property
    def idle(self) -> bool:
        return not self._waiting and not any(self._jobs)

    def ask(self, ask: dict[str, Any]) -> None:
        """Queue a request; one that cannot be served is answered at once."""
        tokens = self._model.tokens(ask["prompt"])
        limit = self._fixed or self._model.trained_context
        if not tokens:
            self._answer(_Job(ask, tokens, 0), "error", "the prompt is empty")
        elif len(tokens) + ask["max_tokens"] > limit:
            reason = (
                f"prompt of {len(tokens)} tokens + {ask['max_tokens']} to write exceed the model's context of {limit}"
            )
            self._answer(_Job(ask, tokens, 0), "error", reason)
        else:
            self._waiting.append(_Job(ask, tokens, self._split(ask["shared"], tokens)))

    def cancel(self, tickets: list[int]) -> None:
        gone = set(tickets)
        self._waiting = deque(j for j in self._waiting if j.ask["ticket"] not in gone)
        for slot, job in enumerate(self._jobs):
            if job and job.ask["ticket"] in gone:
                self._free(slot)

    def turn(self) -> None:
        """Give free sequences their next request, then write one token for each."""
        self._admit()
        if any(self._jobs):
            self._step()

    def _split(self, shared: str, tokens: tuple[int, ...]) -> int:
        """Tokens of the part worth keeping for other requests; 0: none. Follows from the request alone."""
        start = self._model.start_tokens(shared) if shared else ()
        count = next(
            (i for i, (a, b) in enumerate(zip(start, tokens, strict=False)) if a != b), min(len(start), len(tokens))
        )
        count = min(count, len(tokens) - 1)
        return count if count >= _WORTH_SHARING else 0

    def _admit(self) -> None:
        while self._waiting:
            if self._context is None or self._waiting[0].need > self._context.tokens:
                if any(self._jobs):
                    return  # they finish first, then the context grows
                self._grow()
            slot = next((i for i, job in enumerate(self._jobs) if job is None), None)
            if slot is None:
                return
            self._start(slot, self._waiting.popleft())

    def _grow(self) -> None:
        """A new context for the longest waiting request, and half as much again as the last one had."""
        size = self._fixed or max(job.need for job in self._waiting)
        if self._context is not None:
            size = min(max(size, self._context.tokens * 3 // 2), self._model.trained_context)
            self._context.close()
            self._context = None
        size = -(-size // _ROUND) * _ROUND
        per_sequence = size * self._model.kv_bytes_per_token
        while not self._chosen and self.slots > 1 and (self.slots + _SPARES) * per_sequence > free_bytes() // 2:
            self.slots //= 2
        self._context = Context(self._model, slots=self.slots, spares=_SPARES, tokens=size, threads=self._threads)
        self._jobs = [None] * self.slots
        self._prefixes.clear()

    def _start(self, slot: int, job: _Job) -> None:
        ask, job.started = job.ask, time.perf_counter()
        self._say({"kind": "started", "ticket": ask["ticket"]})
        try:
            grammar = self._grammars.sampler(ask["schema"]) if ask["schema"] is not None else None
        except BadSchema as error:
            self._answer(job, "error", str(error))
            return
        settings = {name: ask[name] for name in ("temperature", "top_p", "seed")}
        job.sampler = Sampler(self._model, grammar=grammar, **settings)
        self._jobs[slot] = job
        self._pick(slot, job, self._prefill(slot, job))

    def _prefill(self, slot: int, job: _Job) -> int:
        assert self._context is not None
        if not job.split:
            self._context.clear(slot)
            return self._context.prefill(slot, job.tokens, 0)
        self._context.copy(self._prefix(job.tokens[: job.split]), slot)
        return self._context.prefill(slot, job.tokens[job.split :], job.split)

    def _prefix(self, tokens: tuple[int, ...]) -> int:
        """The spare sequence that holds exactly `tokens`."""
        assert self._context is not None
        if tokens not in self._prefixes:
            full = len(self._prefixes) == _SPARES
            spare = self._prefixes.popitem(last=False)[1] if full else self.slots + len(self._prefixes)
            self._context.clear(spare)
            self._context.prefill(spare, tokens, 0)
            self._prefixes[tokens] = spare
        self._prefixes.move_to_end(tokens)
        return self._prefixes[tokens]

    def _step(self) -> None:
        assert self._context is not None
        width = self._narrow()
        tokens, positions = [0] * width, [0] * width
        for slot, job in enumerate(self._jobs[:width]):
            if job:
                tokens[slot], positions[slot] = job.written[-1], job.position
            else:
                self._context.clear(slot)
        self._context.step(tokens, positions)
        for slot, job in enumerate(self._jobs[:width]):
            if job:
                self._pick(slot, job, slot)

    def _narrow(self) -> int:
        """The smallest width for the requests that write; moves the highest down where that saves rows."""
        assert self._context is not None
        busy = [slot for slot, job in enumerate(self._jobs) if job]
        width = next(w for w in self._context.widths if w >= len(busy))
        for slot in reversed(busy):
            if slot < width:
                break
            target = self._jobs.index(None)
            self._context.copy(slot, target)
            self._jobs[target], self._jobs[slot] = self._jobs[slot], None
        return width

    def _pick(self, slot: int, job: _Job, row: int) -> None:
        assert job.sampler is not None
        assert self._context is not None
        try:
            job.written.append(job.sampler.pick(self._context, row))
        except NothingAllowed as error:
            self._finish(slot, job, "error", str(error))
            return
        if self._model.ends(job.written[-1]):
            self._finish(slot, job, "stop")
        elif len(job.written) == job.ask["max_tokens"]:
            self._finish(slot, job, "length")

    def _finish(self, slot: int, job: _Job, finish: str, error: str = "") -> None:
        self._free(slot)
        self._answer(job, finish, error)

    def _free(self, slot: int) -> None:
        job = self._jobs[slot]
        if job and job.sampler:
            job.sampler.close()
        self._jobs[slot] = None

    def _answer(self, job: _Job, finish: str, error: str = "") -> None:
        text = b"".join(map(self._model.piece, job.written)).decode("utf-8", errors="replace")
        reply = {
            "finish": finish,
            "error": error,
            "text": text,
            "tokens_in": len(job.tokens),
            "tokens_out": len(job.written),
        }
        seconds = time.perf_counter() - job.started if job.started else 0.0
        self._say({"kind": "reply", "ticket": job.ask["ticket"], "seconds": seconds, **reply})
