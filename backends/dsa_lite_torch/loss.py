"""One pass over a batch: micro-batches, cross-entropy at the target positions only, gradient, observations.

Shapes in docstrings: B rows of the batch, b rows of a micro-batch, t tokens of its longest row, N targets in it,
H hidden units, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dsa_lite.passes import even_parts
from dsa_lite.student import Batch, Observation
from dsa_lite_torch.base import Base

_LOGITS = 1 << 25  # float32 logits alive at a time: 128 MiB


@dataclass(frozen=True)
class MicroBatch:
    """Rows (b,) of the batch, cut to the longest; inputs and targets are shifted against each other already."""

    rows: NDArray[np.int64]
    inputs: NDArray[np.int32]  # (b, t)
    positions: NDArray[np.int32] | None  # (b, t), only for packed rows
    row: NDArray[np.int64]  # (N,), row of the micro-batch each target belongs to
    column: NDArray[np.int64]  # (N,), position in `inputs` that predicts it
    targets: NDArray[np.int32]  # (N,)


def run_batch(base: Base, batch: Batch, budget: int, *, train: bool) -> list[Observation]:
    """Observe every example, in the batch's order; with `train` also add the loss's gradient to the parameters'.

    budget: padded tokens at a time.

    The loss is sum_i w_i nll_i / (target tokens of the batch). Rows of weight 0 are only observed. Non-finite losses
    are for the caller to find in the observations.
    """
    nll, correct = np.zeros(len(batch.ids)), np.zeros(len(batch.ids), dtype=np.int64)
    tokens = batch.targets().sum(axis=1)
    with_gradient = (batch.weights != 0) & train
    for gradient in (True, False):
        for micro in micro_batches(batch, np.flatnonzero(with_gradient == gradient), budget):
            scale = (batch.weights[micro.rows] / max(1, tokens.sum()))[micro.row] if gradient else None
            losses, right = _run_micro(base, micro, scale)
            nll[micro.rows] = np.bincount(micro.row, weights=losses, minlength=len(micro.rows))
            correct[micro.rows] = np.bincount(micro.row, weights=right, minlength=len(micro.rows))
    return [
        Observation(name, float(nll[i]), int(tokens[i]), int(correct[i])) for i, name in enumerate(batch.example_ids)
    ]


def lengths(batch: Batch) -> NDArray[np.int64]:
    """(B,) position after each row's last target: nothing behind it can matter to a causal model."""
    reach = np.arange(1, batch.ids.shape[1] + 1)
    return np.asarray((batch.targets() * reach).max(axis=1, initial=0), dtype=np.int64)


def micro_batches(batch: Batch, rows: NDArray[np.int64], budget: int) -> Iterator[MicroBatch]:
    """Groups of rows of similar length, at most `budget` padded tokens each; rows without a target are left out."""
    length = lengths(batch)
    rows = rows[length[rows] > 0]
    rows = rows[np.argsort(-length[rows], kind="stable")]
    widths = length[rows] - 1
    for part in even_parts(widths.tolist(), budget):
        yield _micro_batch(batch, rows[part], int(widths[part.start]))


def _micro_batch(batch: Batch, rows: NDArray[np.int64], width: int) -> MicroBatch:
    row, column = np.nonzero(batch.targets()[rows, 1 : width + 1])
    positions = None
    if batch.segments is not None:
        positions = _positions(batch.segments[rows, :width])
    return MicroBatch(rows, batch.ids[rows, :width], positions, row, column, batch.ids[rows[row], column + 1])


def _positions(segments: NDArray[np.int32]) -> NDArray[np.int32]:
    """(b, t) positions that start anew at every change of segment. transformers takes its masks from them."""
    index = np.broadcast_to(np.arange(segments.shape[1]), segments.shape)
    new = np.diff(segments, axis=1, prepend=segments[:, :1] - 1) != 0
    return np.asarray(index - np.maximum.accumulate(np.where(new, index, 0), axis=1), dtype=np.int32)


def _run_micro(
    base: Base, micro: MicroBatch, scale: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Loss and success of each target (N,); with `scale` (N,) the gradient of sum(scale * loss) is added up."""

    def on_device(array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(base.device)

    places = on_device(micro.row * micro.inputs.shape[1] + micro.column)
    positions = None if micro.positions is None else on_device(micro.positions).long()
    scales = None if scale is None else on_device(scale.astype(np.float32))
    with base.one_pass(gradient=scale is not None):
        with torch.set_grad_enabled(scale is not None):
            hidden = base.inner(input_ids=on_device(micro.inputs).long(), position_ids=positions, use_cache=False)[0]
            picked = hidden.reshape(-1, hidden.shape[-1]).index_select(0, places)
        losses, right, gradient = target_losses(base, picked.detach(), on_device(micro.targets).long(), scales)
        if gradient is not None:
            torch.autograd.backward(picked, gradient)
    return losses.cpu().double().numpy(), right.cpu().numpy()


def target_losses(
    base: Base, hidden: Tensor, targets: Tensor, scale: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Losses (N,) in nats, success (N,) and the gradient (N, H) of sum(scale * loss) by the hidden states (N, H).

    Chunk by chunk, so that the full logits (N, V) never exist.
    """
    chunk = max(1, _LOGITS // base.model.config.get_text_config().vocab_size)
    losses, right, gradients = list[Tensor](), list[Tensor](), list[Tensor]()
    for start in range(0, len(hidden), chunk):
        part, target = hidden[start : start + chunk], targets[start : start + chunk]
        with torch.set_grad_enabled(scale is not None):
            part = part.requires_grad_(scale is not None)
            logits = base.logits(part)
            loss = F.cross_entropy(logits, target, reduction="none")
        if scale is not None:
            gradients += torch.autograd.grad(loss, part, scale[start : start + chunk])
        losses.append(loss.detach())
        right.append(logits.detach().argmax(-1) == target)
    return torch.cat(losses), torch.cat(right), torch.cat(gradients) if gradients else None
