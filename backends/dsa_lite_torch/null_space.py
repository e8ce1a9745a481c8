"""How the layers of a base are used by given texts, and the adapter that begins where they are used least."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dsa_lite.null_space import groups, least_used
from dsa_lite.student import Batch
from dsa_lite_torch.lora import LoraModel
from dsa_lite_torch.loss import MicroBatch, lengths, micro_batches


def starts(lora: LoraModel, batches: Sequence[Batch], budget: int) -> list[NDArray[np.float32]]:
    """A (r, in) of every layer, in the order of `lora.layers`. budget: padded tokens at a time."""
    layers, found = lora.layers, list[NDArray[np.float32]]()
    for group in groups([layer.a.shape[1] for layer in layers]):
        sums = {id(layers[i]): torch.zeros(2 * (layers[i].a.shape[1],), device=lora.base.device) for i in group}
        for batch in batches:
            sizes = lengths(batch)
            for micro in micro_batches(batch, np.arange(len(sizes)), budget):
                _add(lora, micro, sizes, sums)
        for i in group:
            found.append(least_used(sums[id(layers[i])].double().cpu().numpy(), layers[i].a.shape[0]))
    return found


def _add(lora: LoraModel, micro: MicroBatch, sizes: NDArray[np.int64], sums: dict[int, Tensor]) -> None:
    """Add x x^T of every input that a target is predicted from or that comes before one, padding left out."""
    inputs = torch.from_numpy(micro.inputs).to(lora.base.device).long()
    used = torch.from_numpy(np.arange(inputs.shape[1]) < sizes[micro.rows, None] - 1).to(lora.base.device)

    def see(layer: object, x: Tensor) -> None:
        if id(layer) in sums:
            rows = x[used].float()
            sums[id(layer)].addmm_(rows.T, rows)

    positions = None if micro.positions is None else torch.from_numpy(micro.positions).to(lora.base.device).long()
    with torch.no_grad(), lora.watched(see):
        lora.base.inner(input_ids=inputs, position_ids=positions, use_cache=False)
