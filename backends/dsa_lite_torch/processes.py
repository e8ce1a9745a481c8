"""One student in several processes: each computes its share of every batch, the first process decides and remembers.

The gradient is added up by hand, not by DistributedDataParallel, which averages over processes: the loss is divided by
the whole batch's targets, however they fall to the processes. The optimiser's step is taken once, in the first
process, so adapters cannot drift apart, and a state saved by several processes goes on in one.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

import torch

from dsa_lite.errors import DsaError, ModelError, UsageError
from dsa_lite.student import Batch, Observation, Sampling, StudentOptions
from dsa_lite_torch.crew import Crew, Lost, own_device, shares
from dsa_lite_torch.loss import lengths
from dsa_lite_torch.student import TorchStudent

_numbers = count()


@dataclass(frozen=True)
class _Open:
    student: int
    source: str
    options: StudentOptions


@dataclass(frozen=True)
class _Pass:
    student: int
    batch: Batch
    train: bool
    seed: int | None  # of the dropout


@dataclass(frozen=True)
class _Write:
    student: int
    prompts: Sequence[Sequence[int]]
    max_tokens: int
    adapter: bool
    sampling: Sampling | None


@dataclass(frozen=True)
class _Close:
    student: int


@dataclass
class _Membership:
    """`number`: what orders call the student. `users`: it and its forks, as far as they are open."""

    crew: Crew
    number: int
    users: int = 1


@dataclass(frozen=True)
class _Place:
    """Where a process computes, and with what; `gpu` is another for every GPU in the world."""

    fingerprint: str
    products: str
    gpu: str


class Member(TorchStudent):
    """The student in each process. In the first its methods are the contract's, and have all processes work."""

    _membership: _Membership

    @classmethod
    def enlist(cls, membership: _Membership, source: str, options: StudentOptions) -> Member:
        """Open the model on this process's own device."""
        student = cls.open(source, options.model_copy(update={"device": own_device(options.device)}))
        student._membership = membership
        return student

    @property
    def device(self) -> str:
        """What computes, e.g. "cuda:0 (NVIDIA H100, bfloat16), 2 processes"."""
        sharded = ", base sharded" if self._shared.lora.base.shards else ""
        return f"{super().device}, {self._membership.crew.size} processes{sharded}"

    def place(self) -> _Place:
        """What must, and what may differ from one process to the other."""
        base = self._shared.lora.base
        gpu = str(torch.cuda.get_device_properties(base.device).uuid) if base.device.type == "cuda" else ""
        return _Place(self.fingerprint, str(base.products).removeprefix("torch."), gpu)

    def fork(self) -> Member:
        other = Member(self._shared, self._state.copy())
        other._membership = self._membership
        self._membership.users += 1
        return other

    def close(self) -> None:
        if self._parts is not None:
            membership = self._membership
            membership.users -= 1
            if membership.users == 0 and membership.crew.rank == 0:
                membership.crew.tell(_Close(membership.number))
        super().close()

    def take_part(self, order: _Pass | _Write) -> list[Any]:
        """This process's share of an order, and everyone's results by rank."""
        crew, state = self._membership.crew, self._state
        if isinstance(order, _Write):
            return crew.carry_out(self._in_step(partial(self._write_share, order)), state.values.data)
        gradient = state.values.grad if order.train else None
        return crew.carry_out(self._in_step(partial(self._pass_share, order)), state.values.data, gradient)

    def _in_step(self, work: Callable[[], Any]) -> Callable[[], Any]:
        shards = self._shared.lora.base.shards
        return work if shards is None else partial(shards.in_step, work)

    def _pass(self, batch: Batch, *, train: bool) -> list[Observation]:
        seed = None
        if train and self._shared.options.lora_dropout:
            generator = self._state.generator
            seed = int(torch.randint(1 << 31, (1,), generator=generator, device=generator.device))
        order = _Pass(self._membership.number, batch, train, seed)
        self._membership.crew.announce(order)
        return _in_order(_pass_shares(order, self._membership.crew), self.take_part(order))

    def _write(
        self, prompts: Sequence[Sequence[int]], max_tokens: int, adapter: bool, sampling: Sampling | None
    ) -> list[list[int]]:
        order = _Write(self._membership.number, prompts, max_tokens, adapter, sampling)
        self._membership.crew.announce(order)
        return _in_order(_write_shares(order, self._membership.crew), self.take_part(order))

    def _pass_share(self, order: _Pass) -> list[Observation]:
        crew, state, batch = self._membership.crew, self._state, order.batch
        if order.seed is not None:
            state.generator.manual_seed(order.seed + crew.rank)
        if order.train:
            state.zero_grad()
        rows = _pass_shares(order, crew)[crew.rank]
        if not rows:
            return []
        segments = None if batch.segments is None else batch.segments[rows]
        names = tuple(batch.example_ids[row] for row in rows)
        part = Batch(batch.ids[rows], batch.loss_mask[rows], batch.weights[rows], names, segments)
        observations = super()._pass(part, train=order.train)
        if order.train and state.values.grad is not None:
            # from a mean over the part's own targets to one over the batch's
            state.values.grad.mul_(int(part.targets().sum()) / max(1, int(batch.targets().sum())))
        return observations

    def _write_share(self, order: _Write) -> list[list[int]]:
        crew = self._membership.crew
        mine = _write_shares(order, crew)[crew.rank]
        sampling = order.sampling and Sampling(order.sampling.temperature, [order.sampling.seeds[i] for i in mine])
        prompts = [order.prompts[i] for i in mine]
        return super()._write(prompts, order.max_tokens, order.adapter, sampling) if mine else []


def join(patience: timedelta | None = None) -> bool:
    """Meet the other processes of this launch. True in the first; the others return False when the first has ended.

    `patience`: how long the first waits for the others' part of one order; None: half an hour.
    """
    crew = Crew.join() if patience is None else Crew.join(patience)
    if crew.rank == 0:
        return True
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the first process stops, and with it the others
    students: dict[int, Member] = {}
    while (order := crew.receive()) is not None:
        try:
            _obey(crew, order, students)
        except Lost:
            break
        except Exception:
            if crew.broken:
                raise
            # else the first process was told, and decides
    crew.leave()
    return False


def open_together(crew: Crew, source: str, options: StudentOptions) -> Member:
    """The student in every process. Raises ModelError when the processes do not have the same base."""
    order = _Open(next(_numbers), source, options)
    students: dict[int, Member] = {}
    crew.announce(order)
    try:
        for rank, (mine, other) in enumerate(_enlist(crew, order, students)):
            _refuse_another(rank, mine, other)
            if options.shard and other.gpu and not crew.direct:
                raise UsageError("student.shard needs a GPU for every process", hint="start fewer processes")
    except DsaError:
        crew.tell(_Close(order.student))
        raise
    return students[order.student]


def _enlist(crew: Crew, order: _Open, students: dict[int, Member]) -> list[tuple[_Place, _Place]]:
    """Open the student here; this process's place next to each one's, by rank."""

    def work() -> _Place:
        student = Member.enlist(_Membership(crew, order.student), order.source, order.options)
        students[order.student] = student
        return student.place()

    places: list[_Place] = crew.carry_out(work)
    gpus = {place.gpu for place in places}
    crew.direct = len(gpus) == crew.size and "" not in gpus
    return [(places[crew.rank], other) for other in places]


def _obey(crew: Crew, order: _Open | _Pass | _Write | _Close, students: dict[int, Member]) -> None:
    if isinstance(order, _Open):
        _enlist(crew, order, students)
    elif isinstance(order, _Close):
        if order.student in students:
            students.pop(order.student).close()
    else:
        students[order.student].take_part(order)


def _refuse_another(rank: int, mine: _Place, other: _Place) -> None:
    if other.fingerprint != mine.fingerprint:
        raise ModelError(f"process {rank} has another student of that name", hint="copy the same files to all machines")
    if other.products != mine.products:
        raise UsageError(
            f"process {rank} computes in {other.products}, the first one in {mine.products}",
            hint="set student.precision to float32, which every machine has",
        )


def _pass_shares(order: _Pass, crew: Crew) -> list[list[int]]:
    return shares(lengths(order.batch).tolist(), crew.size)


def _write_shares(order: _Write, crew: Crew) -> list[list[int]]:
    return shares([len(prompt) + order.max_tokens for prompt in order.prompts], crew.size)


def _in_order(taken: list[list[int]], parts: list[list[Any]]) -> list[Any]:
    """Items of all processes, back in the order they had before they were shared out."""
    places = [item for items in taken for item in items]
    results = [result for part in parts for result in part]
    return [result for _, result in sorted(zip(places, results, strict=True), key=lambda pair: pair[0])]
