"""A base that no process holds whole: the matrices of its blocks lie in parts on all processes of a launch (FSDP2).

A block is put together wherever it computes, for as long as it computes, and that takes all processes at the same time.
So they take turns: before every pass all tell what they need, and whoever needs less does an idle pass, whose results
nobody looks at. Everything else (embeddings, norms, biases, the adapter) is whole in every process.
"""

from __future__ import annotations

import atexit
import gc
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from dsa_lite.errors import ModelError, UsageError
from dsa_lite.student import StudentOptions
from dsa_lite_torch.base import Base
from dsa_lite_torch.crew import Crew, Stopped
from dsa_lite_torch.memory import blocks_of, release


class _Need(IntEnum):
    """What a process needs all others for next; the largest need is met first."""

    NOTHING = 0
    FORWARD = 1
    BACKWARD = 2  # and forward before it
    END = 3  # it has failed: nobody goes on


def refuse(options: StudentOptions, device: torch.device) -> None:
    """Raises UsageError where `options.shard` cannot be done. In one process it does nothing, anywhere."""
    if options.shard and options.quantize != "none":
        raise UsageError(
            f"student.shard does not go together with student.quantize = {options.quantize}", hint="choose one of them"
        )
    if _crew(options) is None:
        return
    from torch.distributed.fsdp import FSDPModule

    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"PyTorch cannot shard on {device}", hint="student.shard = false, or student.device = cpu")
    if not hasattr(FSDPModule, "reset_iter_state"):
        raise UsageError(f"student.shard needs PyTorch 2.13, not {torch.__version__}", hint="pip install -U torch")


def share_out(base: Base, options: StudentOptions) -> Shards | None:
    """Take this process's part of the base, still on the CPU, to the device. None: the base stays whole, as
    `options.shard` is off or there is one process only."""
    crew = _crew(options)
    return None if crew is None else Shards(base, crew)


def _crew(options: StudentOptions) -> Crew | None:
    """Those among whom the base is shared out."""
    crew = Crew.joined
    return crew if options.shard and crew is not None and crew.size > 1 else None


class Shards:
    """The parts of a base in one process, and its passes in step with those of all others.

    All processes call `in_step` with their work of one order; the passes in it are surrounded by `one_pass`.
    """

    def __init__(self, base: Base, crew: Crew) -> None:
        """Raises ModelError for a base without blocks."""
        from torch.distributed.device_mesh import DeviceMesh
        from torch.distributed.fsdp import fully_shard

        self._base, self._group = base, crew.work
        self._gathered: list[Any] = []  # blocks put together in this pass, in order
        self._owed: list[Any] = []  # what the others still put together in a pass that this process has left
        self._blocks = blocks_of(base)
        if not self._blocks:
            kind = base.model.config.model_type
            raise ModelError(f"models of type {kind} have no blocks to shard", hint="student.shard = false")
        if base.device.type == "cuda":
            torch.cuda.set_device(base.device)  # where FSDP puts its parts
        mesh: Any = DeviceMesh.from_group(crew.work, base.device.type)
        parts = {p for block in self._blocks for p in block.parameters() if p.dim() > 1 and not p.requires_grad}
        whole = set(base.model.parameters()) - parts
        for block in self._blocks:
            fully_shard(block, mesh=mesh, ignored_params=whole, reshard_after_forward=True)
            block.set_custom_all_gather(_Counted(partial(self._gathered.append, block)))
        self._root: Any = fully_shard(base.inner, mesh=mesh, ignored_params=whole)
        self._entered = False  # FSDP has something to reset once its own hook, before this one, has run
        self._root.register_forward_pre_hook(self._enter)
        atexit.register(_let_go)

    def in_step(self, work: Callable[[], Any]) -> Any:
        """`work()`, and idle passes until all processes have done theirs. Raises Stopped when one of them could not."""
        try:
            result = work()
        except Stopped:
            raise
        except Exception as error:
            traceback.clear_frames(error.__traceback__)  # they hold on to what the pass had computed
            release()
            self._turn(_Need.END)
            raise
        self._turn(_Need.NOTHING)
        return result

    @contextmanager
    def one_pass(self, *, gradient: bool) -> Iterator[None]:
        """One forward pass of `base.inner`, with `gradient` also the backward pass, once it is this process's turn."""
        self._turn(_Need.BACKWARD if gradient else _Need.FORWARD)
        with self._counted(self._due(gradient)):
            yield

    def _turn(self, need: _Need) -> None:
        """Idle passes until all agree on what this process needs."""
        if self._owed:
            with self._counted(self._owed):
                for block in self._owed:
                    block.unshard()
                    block.reshard()
            self._owed = []
        while (agreed := self._agree(need)) != need:
            if agreed == _Need.END:
                raise Stopped("another process could not do its part")
            self._idle(gradient=agreed == _Need.BACKWARD)

    def _agree(self, need: _Need) -> _Need:
        needs = torch.tensor(int(need))
        dist.all_reduce(needs, op=dist.ReduceOp.MAX, group=self._group)
        return _Need(int(needs))

    def _idle(self, *, gradient: bool) -> None:
        """A pass over one token for the others' sake; no gradient is added up."""
        token = torch.zeros((1, 1), dtype=torch.long, device=self._base.device)
        with self._counted(self._due(gradient)), torch.set_grad_enabled(gradient):
            hidden = self._base.inner(input_ids=token, use_cache=False)[0]
            if gradient:
                adapter = [p for p in self._base.model.parameters() if p.requires_grad]
                torch.autograd.grad(hidden, adapter, torch.zeros_like(hidden), allow_unused=True)

    def _due(self, gradient: bool) -> list[Any]:
        """The blocks that are put together in a pass, in order: for the gradient a second time."""
        return [*self._blocks, *reversed(self._blocks)] if gradient else self._blocks

    @contextmanager
    def _counted(self, due: Sequence[Any]) -> Iterator[None]:
        """Here the blocks `due` are put together; a process that leaves early knows what it owes the others."""
        self._gathered.clear()
        try:
            yield
        except Exception:
            self._owed = list(due[len(self._gathered) :])
            raise
        finally:
            if self._entered:
                self._root.reset_iter_state()  # also after a pass without a backward one, which FSDP would wait for
        if not _same(self._gathered, due):
            kind = self._base.model.config.model_type
            raise ModelError(f"models of type {kind} do not run block after block", hint="student.shard = false")

    def _enter(self, root: Any, inputs: Any) -> None:
        self._entered = True


def _let_go() -> None:
    """DTensor's cache and closed models still hold the group, whose threads must end before Python does."""
    from torch.distributed.tensor.debug import _clear_sharding_prop_cache  # there is no public way

    _clear_sharding_prop_cache()  # type: ignore[no-untyped-call]
    gc.collect()


class _Counted:
    """FSDP's way of putting a block together, and a word once it has begun."""

    def __init__(self, begun: Callable[[], None]) -> None:
        self._begun = begun

    def allocate(self, size: Sequence[int], *, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.empty(*size, dtype=dtype, device=device)

    def __call__(
        self, output_tensor: Tensor, input_tensor: Tensor, group: dist.ProcessGroup, async_op: bool = False
    ) -> dist.Work | None:
        work: dist.Work | None = dist.all_gather_single(output_tensor, input_tensor, group, async_op)
        self._begun()
        return work


def _same(some: Sequence[Any], others: Sequence[Any]) -> bool:
    return [id(one) for one in some] == [id(other) for other in others]
