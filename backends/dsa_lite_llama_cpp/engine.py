"""Continuous batching: every sequence writes for one request, a finished one is given the next at once. Child only."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dsa_lite_llama_cpp.context import Context
from dsa_lite_llama_cpp.embedding import Embedder
from dsa_lite_llama_cpp.flight import Flight
from dsa_lite_llama_cpp.grammar import BadSchema, Grammars
from dsa_lite_llama_cpp.model import Model
from dsa_lite_llama_cpp.prefixes import Prefixes, split
from dsa_lite_llama_cpp.sampling import NothingAllowed, Pickers, Sampler
from dsa_lite_llama_cpp.sizing import Sizing
from dsa_lite_llama_cpp.threads import Threads

#: Time between two words on how far the requests in flight are, s.
ANNOUNCE_EVERY = 1.0


@dataclass
class _Job:
    ask: dict[str, Any]
    tokens: tuple[int, ...]
    reply: tuple[int, ...]  # to be scored, not written; () in all others
    split: int = 0
    sampler: Sampler | None = None
    written: list[int] = field(default_factory=list)
    started: float = 0.0

    @property
    def need(self) -> int:
        return len(self.tokens) + (len(self.reply) if "reply" in self.ask else int(self.ask["max_tokens"]))

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
        self._threads = Threads(threads)
        self._say = say
        # On a CPU the time this thread worked: waiting for other programs is no measure of a step.
        self._clock = time.perf_counter if model.gpu_share else time.thread_time
        self._sizing = Sizing(model, options)
        self._embedder = Embedder(model, threads, self._sizing.longest, say)
        self._grammars = Grammars(model.vocab)
        self._pickers = Pickers(threads)
        self._announced = 0.0
        self._waiting: deque[_Job] = deque()
        self._jobs: list[_Job | None] = []
        self._context: Context | None = None

    @property
    def slots(self) -> int:
        """Requests that may at most be written at a time."""
        return self._sizing.slots

    @property
    def busy(self) -> int:
        """Requests being written."""
        return sum(job is not None for job in self._jobs)

    @property
    def idle(self) -> bool:
        return not self._waiting and not self.busy and self._embedder.idle

    def ask(self, ask: dict[str, Any]) -> None:
        """Queue a request; one that cannot be served is answered at once."""
        if "embed" in ask:
            self._embedder.ask(ask)
            return
        tokens = self._model.tokens(ask["prompt"])
        job = _Job(ask, tokens, self._model.reply_tokens(ask["reply"]) if "reply" in ask else ())
        if not tokens:
            self._answer(job, "error", "the prompt is empty")
        elif refusal := self._sizing.refusal(len(tokens), job.need - len(tokens)):
            self._answer(job, "error", refusal)
        elif "reply" in ask and not job.reply:
            self._answer(job, "stop")
        else:
            start = self._model.start_tokens(ask["shared"]) if ask["shared"] else ()
            job.split = split(start, tokens)
            self._waiting.append(job)

    def cancel(self, tickets: list[int]) -> None:
        gone = set(tickets)
        self._embedder.cancel(gone)
        self._waiting = deque(j for j in self._waiting if j.ask["ticket"] not in gone)
        for slot, job in enumerate(self._jobs):
            if job and job.ask["ticket"] in gone:
                self._free(slot)

    def turn(self) -> None:
        """Give free sequences their next request, then write one token for each; embed some texts."""
        self._admit()
        if self.busy:
            self._step()
            self._announce()
        self._embedder.turn()

    def _announce(self) -> None:
        """Say how much of what is in flight is written, now and then."""
        if (now := time.monotonic()) >= self._announced + ANNOUNCE_EVERY:
            self._announced = now
            self._say({"kind": "writing", "tokens": sum(len(job.written) for job in self._jobs if job)})

    def _admit(self) -> None:
        while self._waiting:
            if self._context is None or self._waiting[0].need > self._context.tokens:
                if self.busy:
                    return  # they finish first, then the context grows
                self._grow()
            elif self.busy >= self._flight.limit:
                return
            else:
                job = self._waiting.popleft()
                self._start(self._jobs.index(None), job)
                if job.reply:
                    return  # those that write go on in between

    def _grow(self) -> None:
        """A new context for the longest waiting request; without one where even that has no memory."""
        last = self._context.tokens if self._context else 0
        if self._context:
            self._context.close()
            self._context = None
        need = max(job.need for job in self._waiting)
        try:
            self._context = self._sizing.context(need, last, self._threads)
        except RuntimeError as error:
            refused = [job for job in self._waiting if job.need == need]
            self._waiting = deque(job for job in self._waiting if job.need < need)
            for job in refused:
                self._answer(job, "error", str(error))
            return
        self._jobs = [None] * self._context.slots
        self._prefixes = Prefixes(self._context)
        self._flight = Flight(self._context.widths, fixed=self._sizing.chosen)
        self._say({"kind": "layout", "layout": self._context.layout})

    def _start(self, slot: int, job: _Job) -> None:
        ask, job.started = job.ask, time.perf_counter()
        self._say({"kind": "started", "ticket": ask["ticket"]})
        if job.reply:
            self._score(slot, job)
            return
        try:
            grammar = self._grammars.sampler(ask["schema"]) if ask["schema"] is not None else None
        except BadSchema as error:
            self._answer(job, "error", str(error))
            return
        settings = {name: ask[name] for name in ("temperature", "top_p", "seed")}
        job.sampler = Sampler(self._model, grammar=grammar, **settings)
        self._jobs[slot] = job
        row = self._prefixes.prefill(slot, job.tokens, job.split)
        self._pick([(slot, job)], row)

    def _score(self, slot: int, job: _Job) -> None:
        assert self._context is not None
        row = self._prefixes.prefill(slot, job.tokens, job.split)
        nll = self._context.nll(slot, row, job.reply, len(job.tokens))
        self._answer(job, "stop", nll=nll)

    def _step(self) -> None:
        assert self._context is not None
        begun, writing = self._clock(), self.busy
        width = self._narrow()
        tokens, positions = [0] * width, [0] * width
        for slot, job in enumerate(self._jobs[:width]):
            if job:
                tokens[slot], positions[slot] = job.written[-1], job.position
            else:
                self._context.clear(slot)
        self._context.step(tokens, positions)
        self._pick([(slot, job) for slot, job in enumerate(self._jobs[:width]) if job])
        self._flight.stepped(writing, self._clock() - begun)

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

    def _pick(self, writing: list[tuple[int, _Job]], row: int | None = None) -> None:
        """The next token of each; `row`: the decoded row it follows, where that is not the sequence's own."""
        assert self._context is not None
        samplers = [(slot if row is None else row, job.sampler) for slot, job in writing if job.sampler]
        tokens = self._pickers.pick(samplers, self._context, self._threads.now)
        for (slot, job), token in zip(writing, tokens, strict=True):
            self._write(slot, job, token)

    def _write(self, slot: int, job: _Job, token: int | NothingAllowed) -> None:
        if isinstance(token, NothingAllowed):
            self._finish(slot, job, "error", str(token))
            return
        job.written.append(token)
        if self._model.ends(token):
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

    def _answer(self, job: _Job, finish: str, error: str = "", *, nll: float = 0.0) -> None:
        text = b"".join(map(self._model.piece, job.written)).decode("utf-8", errors="replace")
        reply: dict[str, Any] = {
            "finish": finish,
            "error": error,
            "text": text,
            "tokens_in": len(job.tokens),
            "tokens_out": len(job.written),
            "seconds": time.perf_counter() - job.started if job.started else 0.0,
            "in_flight": self._flight.limit if self._context else 0,
        }
        if "reply" in job.ask:
            reply |= {"nll": nll, "tokens": len(job.reply)}
        self._say({"kind": "reply", "ticket": job.ask["ticket"], **reply})
