"""One pass over a batch: micro-batches, cross-entropy at the target positions only, gradient, observations.

Shapes in docstrings: B rows of the batch, b texts of a micro-batch, t tokens of its longest text, N targets in it,
H hidden units, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from dsa_lite.passes import even_parts
from dsa_lite.student import Batch, Observation
from dsa_lite_mlx.loading import Base
from dsa_lite_mlx.lora import LoraModel

_LOGITS = 1 << 25  # float32 logits alive at a time: 128 MiB

Gradients = list[mx.array]


@dataclass(frozen=True)
class Text:
    """A text of a batch: tokens `start` to `end` (one behind the last target) of `row`. A packed row has several."""

    row: int
    start: int
    end: int


@dataclass(frozen=True)
class MicroBatch:
    """b texts, padded on the right; inputs and targets are shifted against each other already."""

    inputs: NDArray[np.int32]  # (b, t)
    row: NDArray[np.int64]  # (N,), row of the batch each target belongs to
    places: NDArray[np.int64]  # (N,), position in the flattened `inputs` that predicts it
    targets: NDArray[np.int32]  # (N,)


def run_batch(
    lora: LoraModel, batch: Batch, budget: int, *, train: bool, key: mx.array | None = None
) -> tuple[list[Observation], Gradients]:
    """Observe every example, in the batch's order; with `train` also the loss's gradient by the adapter's values.

    The loss is sum_i w_i nll_i / (target tokens of the batch). Rows of weight 0 are only observed. Non-finite losses
    are for the caller to find in the observations. budget: padded tokens at a time; `key`: for dropout.
    """
    nll, correct = np.zeros(len(batch.ids)), np.zeros(len(batch.ids))
    tokens, gradients = batch.targets().sum(axis=1), [mx.zeros_like(value) for value in lora.values]
    trained = (batch.weights != 0) & train
    for gradient in (True, False):
        for micro in micro_batches(batch, [t for t in texts(batch) if trained[t.row] == gradient], budget):
            if key is not None:
                key, used = mx.random.split(key)
                lora.drop(used)
            scale = (batch.weights / max(1, tokens.sum()))[micro.row] if gradient else None
            losses, right, more = _run_micro(lora, micro, scale)
            if gradient:
                gradients = [mine + other for mine, other in zip(gradients, more, strict=True)]
            mx.eval(losses, right, gradients if gradient else [])
            nll += np.bincount(micro.row, weights=np.array(losses), minlength=len(nll))
            correct += np.bincount(micro.row, weights=np.array(right), minlength=len(nll))
    return [
        Observation(name, float(nll[i]), int(tokens[i]), int(correct[i])) for i, name in enumerate(batch.example_ids)
    ], gradients


def texts(batch: Batch) -> list[Text]:
    """The texts that have a target, each cut behind its last one: nothing after it can matter to a causal model.

    mlx-lm's models take no positions, so the texts of a packed row are computed as rows of their own.
    """
    found = []
    for row, mask in enumerate(batch.targets()):
        bounds = [0, len(mask)]
        if batch.segments is not None:
            bounds[1:1] = (np.flatnonzero(np.diff(batch.segments[row])) + 1).tolist()
        for start, end in pairwise(bounds):
            places = np.flatnonzero(mask[start:end])
            if len(places):
                found.append(Text(row, start, start + int(places[-1]) + 1))
    return found


def micro_batches(batch: Batch, chosen: list[Text], budget: int) -> Iterator[MicroBatch]:
    """Groups of texts of similar length, at most `budget` padded tokens each."""
    ordered = sorted(chosen, key=lambda text: text.start - text.end)
    widths = [text.end - text.start - 1 for text in ordered]
    for part in even_parts(widths, budget):
        yield _micro_batch(batch, ordered[part], widths[part.start])


def _micro_batch(batch: Batch, group: list[Text], width: int) -> MicroBatch:
    inputs, mask = np.zeros((len(group), width), dtype=np.int32), batch.targets()
    rows, places, targets = [], [], []
    for number, text in enumerate(group):
        inputs[number, : text.end - text.start - 1] = batch.ids[text.row, text.start : text.end - 1]
        found = np.flatnonzero(mask[text.row, text.start : text.end])
        rows.append(np.full(len(found), text.row))
        places.append(number * width + found - 1)
        targets.append(batch.ids[text.row, text.start + found])
    return MicroBatch(inputs, np.concatenate(rows), np.concatenate(places), np.concatenate(targets))


def _run_micro(
    lora: LoraModel, micro: MicroBatch, scale: NDArray[np.float64] | None
) -> tuple[mx.array, mx.array, Gradients]:
    """Loss and success of each target (N,); with `scale` (N,) the gradient of sum(scale * loss)."""
    base, values = lora.base, lora.values
    inputs, places, targets = (mx.array(array) for array in (micro.inputs, micro.places, micro.targets))
    scales = None if scale is None else mx.array(scale.astype(np.float32))

    def observe(parameters: Gradients) -> tuple[mx.array, mx.array, mx.array]:
        lora.values = parameters
        hidden = base.inner(inputs)
        picked = hidden.reshape(-1, hidden.shape[-1])[places]
        losses, right, gradient = target_losses(base, mx.stop_gradient(picked), targets, scales)
        # a number whose gradient by `picked` is the one found chunk by chunk
        lead = mx.array(0.0) if gradient is None else (picked * mx.stop_gradient(gradient)).sum()
        return lead, losses, right

    try:
        if scales is None:
            return *observe(list(values))[1:], []
        (_, losses, right), gradients = mx.value_and_grad(observe)(list(values))
        return losses, right, gradients
    finally:
        lora.values = values


def target_losses(
    base: Base, hidden: mx.array, targets: mx.array, scale: mx.array | None
) -> tuple[mx.array, mx.array, mx.array | None]:
    """Losses (N,) in nats, success (N,) and the gradient (N, H) of sum(scale * loss) by the hidden states (N, H).

    Chunk by chunk, each after the one before it, so that the full logits (N, V) never exist.
    """
    chunk = max(1, _LOGITS // base.vocabulary)
    losses, right, gradients = list[mx.array](), list[mx.array](), list[mx.array]()

    def of(part: mx.array, target: mx.array, factor: mx.array | None) -> tuple[mx.array, mx.array, mx.array]:
        logits = base.logits(part)
        loss = mx.logsumexp(logits, axis=-1) - mx.take_along_axis(logits, target[:, None], axis=-1)[:, 0]
        total = mx.array(0.0) if factor is None else (loss * factor).sum()
        return total, loss, logits.argmax(-1) == target

    for start in range(0, hidden.shape[0], chunk):
        part, target = hidden[start : start + chunk], targets[start : start + chunk]
        if losses:
            part = mx.depends([part], [losses[-1], right[-1], *gradients[-1:]])[0]
        if scale is None:
            _, loss, hit = of(part, target, None)
        else:
            (_, loss, hit), gradient = mx.value_and_grad(of)(part, target, scale[start : start + chunk])
            gradients.append(gradient)
        losses.append(loss)
        right.append(hit)
    return mx.concatenate(losses), mx.concatenate(right), mx.concatenate(gradients) if gradients else None
