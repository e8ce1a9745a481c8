"""The processes of one launch. The first decides and tells the others what to compute; all lay together what they find.

Every order takes the same way through all processes: the order itself, the adapter's values, each one's own work,
everyone's results, and in training the sum of the gradients. Only the first process keeps a state that matters.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

import torch
import torch.distributed as dist
from torch import Tensor

from dsa_lite.errors import DsaError, TrainingError, UsageError

_MEETING = timedelta(minutes=10)
_PATIENCE = timedelta(minutes=30)  # until the slowest process has done its part of one order
_FOR_EVER = timedelta(days=365)  # between two orders a teacher may write for days
_HINT = "the reason may stand above; the run goes on in as many processes as you like, also in one"


class Lost(TrainingError):
    """Another process has ended, or does not answer any more."""


class Stopped(TrainingError):
    """This process has left its part of an order because another one could not do its own."""


@dataclass(frozen=True)
class _Failed:
    """What a process sends instead of a result."""

    kind: type[DsaError]
    message: str
    hint: str

    @classmethod
    def of(cls, error: Exception) -> _Failed:
        if isinstance(error, DsaError):
            return cls(type(error), error.message, error.hint)
        return cls(TrainingError, f"{type(error).__name__}: {error}", "")


class Crew:
    """All processes of a launch, as one of them sees them. `joined`: this process's own, once it has met the others."""

    joined: ClassVar[Crew | None] = None

    def __init__(self, patience: timedelta) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.direct = False  # every process has a GPU of its own: tensors go from one to the other
        self._orders = dist.new_group(backend="gloo", timeout=_FOR_EVER if self.rank else patience)
        self.work = dist.new_group(timeout=patience)
        self.broken = False  # in the middle of an order; when that was left, the others are somewhere else

    @classmethod
    def join(cls, patience: timedelta = _PATIENCE) -> Crew:
        """Meet the other processes, as RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT say.

        `patience`: how long the slowest may take for its part of one order. Raises UsageError when the environment is
        not a launcher's, Lost when the others do not come.
        """
        both = torch.cuda.is_available() and dist.is_nccl_available()
        try:
            dist.init_process_group("cpu:gloo,cuda:nccl" if both else "gloo", timeout=_MEETING)
            cls.joined = cls(patience)
        except ValueError as error:
            hint = "start it with accelerate launch or torchrun, or unset WORLD_SIZE"
            raise UsageError(f"WORLD_SIZE is set, but no launcher's environment: {error}", hint=hint) from error
        except RuntimeError as error:
            hint = "is the first machine's address right, and its port open?"
            raise Lost(f"the other processes of this launch are not found: {_first_line(error)}", hint=hint) from error
        atexit.register(cls.joined.leave)
        return cls.joined

    def leave(self) -> None:
        """End the connections, and the threads that serve them: they need Python, and must not outlive it. The others
        notice. After a loss NCCL is left alone, which would wait for the lost."""
        if dist.is_initialized() and not (self.broken and dist.is_nccl_available() and torch.cuda.is_available()):
            dist.destroy_process_group()
            del self._orders, self.work
        self.broken = True
        Crew.joined = None

    def announce(self, order: object) -> None:
        """In the first process: what all do next."""
        if self.broken:
            raise Lost("the other processes of this launch were lost", hint=_HINT)
        self.broken = True
        with self._reaching():
            dist.broadcast_object_list([order], src=0, group=self._orders)

    def tell(self, order: object) -> None:
        """An order that asks for nothing; said in vain when the others are gone."""
        with suppress(Lost):
            self.announce(order)
            self.broken = False

    def receive(self) -> Any:
        """In the others: the next order; None when the first process has ended."""
        order: list[Any] = [None]
        with suppress(Lost), self._reaching():
            dist.broadcast_object_list(order, src=0, group=self._orders)
        return order[0]

    def carry_out(
        self, work: Callable[[], Any], values: Tensor | None = None, gradient: Tensor | None = None
    ) -> list[Any]:
        """Each process's results of `work`, by rank. Raises what `work` raised anywhere, once all have come through.

        Before, `values` are made the first process's; after it, the sum of all `gradient` is in the first process's.
        """
        self.broken = True
        if values is not None:
            self._share(values)
        try:
            own, mine = None, work()
        except Exception as error:  # the others wait for an answer, whatever went wrong
            own, mine = error, _Failed.of(error)
        everyone: list[Any] = [None] * self.size
        with self._reaching():
            dist.all_gather_object(everyone, (socket.gethostname(), mine), group=self.work)
        results = [result for _, result in everyone]
        failed = [rank for rank, result in enumerate(results) if isinstance(result, _Failed)]
        if gradient is not None and not failed:
            self._add_up(gradient)
        self.broken = False
        if own is not None and not isinstance(own, Stopped):
            raise own
        for rank in failed:
            failure: _Failed = results[rank]
            if failure.kind is Stopped:
                continue
            raise failure.kind(f"process {rank} on {everyone[rank][0]}: {failure.message}", hint=failure.hint)
        return results

    def _share(self, values: Tensor) -> None:
        wire = values if self.direct and values.is_cuda else values.cpu()
        with self._reaching():
            dist.broadcast(wire, src=0, group=self.work)
        if self.rank and wire is not values:
            values.copy_(wire)

    def _add_up(self, gradient: Tensor) -> None:
        wire = gradient if self.direct and gradient.is_cuda else gradient.cpu()
        with self._reaching():
            dist.reduce(wire, dst=0, group=self.work)
        if not self.rank and wire is not gradient:
            gradient.copy_(wire)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # torch.distributed raises nothing finer
            if not self.rank:
                with suppress(ValueError):  # not the main thread
                    # the launcher, which sees the same, would end this process before it has said why
                    signal.signal(signal.SIGTERM, signal.SIG_IGN)
            message = f"another process of this launch has ended or does not answer: {_first_line(error)}"
            raise Lost(message, hint=_HINT) from error


def own_device(name: str) -> str:
    """The device of this process, where each has its own: "auto" and "cuda" become e.g. "cuda:1" by LOCAL_RANK."""
    if name not in ("auto", "cuda") or not torch.cuda.is_available():
        return name
    number = int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count()
    torch.cuda.set_device(number)
    return f"cuda:{number}"


def shares(sizes: Sequence[int], processes: int) -> list[list[int]]:
    """Which items each process takes, in their order: the largest first, each to whoever has the least to do."""
    taken: list[list[int]] = [[] for _ in range(processes)]
    load = [0] * processes
    for item in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)):
        idlest = load.index(min(load))
        taken[idlest].append(item)
        load[idlest] += max(1, sizes[item])
    return [sorted(items) for items in taken]


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]
