"""How the layers of a base are used by given texts, and the adapter that begins where they are used least."""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx
import numpy as np

from dsa_lite.null_space import groups, least_used
from dsa_lite.student import Batch
from dsa_lite_mlx.lora import LoraModel
from dsa_lite_mlx.loss import MicroBatch, micro_batches, texts


def starts(lora: LoraModel, batches: Sequence[Batch], budget: int) -> list[mx.array]:
    """A (in, r) and B (r, out), zero, of every layer. budget: padded tokens at a time."""
    shapes, found = list(zip(lora.shapes[::2], lora.shapes[1::2], strict=True)), list[mx.array]()
    for group in groups([of_a[0] for of_a, _ in shapes]):
        sums = {place: mx.zeros((shapes[place][0][0],) * 2) for place in group}
        for batch in batches:
            for micro in micro_batches(batch, texts(batch), budget):
                _add(lora, micro, sums)
        for place in group:
            of_a, of_b = shapes[place]
            start = least_used(np.array(sums[place]).astype(np.float64), of_a[1])
            found += [mx.array(np.ascontiguousarray(start.T)), mx.zeros(of_b)]
    return found


def _add(lora: LoraModel, micro: MicroBatch, sums: dict[int, mx.array]) -> None:
    """Add x x^T of every input that a target is predicted from or that comes before one, padding left out."""
    last = np.zeros(len(micro.inputs), dtype=np.int64)
    np.maximum.at(last, micro.places // micro.inputs.shape[1], micro.places % micro.inputs.shape[1])
    used = mx.array((np.arange(micro.inputs.shape[1]) <= last[:, None]).astype(np.float32))[..., None]

    def see(place: int, x: mx.array) -> None:
        if place in sums:
            rows = (x.astype(mx.float32) * used).reshape(-1, x.shape[-1])
            sums[place] = sums[place] + rows.T @ rows

    with lora.watched(see):
        mx.eval(lora.base.inner(mx.array(micro.inputs)))
    mx.eval(list(sums.values()))
