"""Where an adapter begins so that what is learned disturbs least what a base does with given texts.

LoRA-Null (arXiv 2503.02659): the directions that a layer's inputs hardly use are left free by what the base knows.
Plain numpy, the same for every engine: floor 1, for backends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_BYTES = 1 << 30  # second moments in memory at a time
_FLOOR = 1e-6  # share of all energy below which a direction counts as unused
_LONGEST = 10.0  # times a direction: what is not used at all would be made endlessly long


def least_used(moments: NDArray[np.float64], rank: int) -> NDArray[np.float32]:
    """A (rank, in) of a layer whose inputs x have these second moments (in, in), the sum of x x^T.

    Rows are the directions that the inputs use least, each so long that the inputs give as much in it as they give in a
    row of PEFT's random start on average. They repeat where `rank` is larger than `in`. Raises
    ValueError when nothing is used at all.
    """
    used, directions = np.linalg.eigh(moments)
    total = float(used.sum())
    if total <= 0:
        raise ValueError("the texts use no direction at all")
    used = np.maximum(used, _FLOOR * total)
    length = np.minimum(np.sqrt(total / (3 * len(used) * used)), _LONGEST)
    return np.asarray(np.resize((directions * length).T, (rank, len(used))), dtype=np.float32)


def groups(widths: Sequence[int]) -> Iterator[range]:
    """Consecutive layers whose second moments (width, width) in float32 fit into memory together."""
    start = held = 0
    for number, width in enumerate(widths):
        if number > start and held + 4 * width * width > _BYTES:
            yield range(start, number)
            start, held = number, 0
        held += 4 * width * width
    if widths:
        yield range(start, len(widths))
