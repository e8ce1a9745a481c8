"""Encoded texts to the arrays a student takes: padded examples, or rows packed with several texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dsa_lite.core.encoding import Encoded
from dsa_lite.student import Batch


def pad(encoded: Sequence[Encoded], weights: Sequence[float]) -> Batch:
    """B examples as one batch (B, T), T the longest of them, padded on the right with id 0 and mask False."""
    if not encoded or len(encoded) != len(weights):
        raise ValueError(f"{len(encoded)} examples with {len(weights)} weights make no batch")
    shape = (len(encoded), max(len(e.ids) for e in encoded))
    ids, mask = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.bool_)
    for row, example in enumerate(encoded):
        ids[row, : len(example.ids)] = example.ids
        mask[row, : len(example.mask)] = example.mask
    mask[:, 0] = False
    return Batch(ids, mask, np.asarray(weights, dtype=np.float32), tuple(e.id for e in encoded))


def pack(encoded: Sequence[Encoded], row_tokens: int) -> list[list[Encoded]]:
    """Rows of at most `row_tokens` tokens, in the given order: a text that does not fit opens the next row.

    Raises ValueError for a text longer than a row: nothing is ever cut.
    """
    rows: list[list[Encoded]] = []
    free = 0
    for text in encoded:
        size = len(text.ids)
        if size > row_tokens:
            raise ValueError(f"{text.id!r} has {size} tokens, a row takes {row_tokens}")
        if size > free or not rows:
            rows.append([])
            free = row_tokens
        rows[-1].append(text)
        free -= size
    return rows


def pack_batch(rows: Sequence[Sequence[Encoded]]) -> Batch:
    """B packed rows as one batch (B, T) with segments 1, 2, … per text (0: padding) and weights 1.

    The first token of a text is never a target; the example id of a row is its texts' ids joined with "+".
    """
    if not rows or not all(rows):
        raise ValueError("a packed batch needs rows, and every row a text")
    shape = (len(rows), max(sum(len(text.ids) for text in row) for row in rows))
    ids, segments = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.int32)
    mask = np.zeros(shape, dtype=np.bool_)
    for r, row in enumerate(rows):
        start = 0
        for number, text in enumerate(row, start=1):
            place = slice(start, start + len(text.ids))
            ids[r, place], mask[r, place], segments[r, place] = text.ids, text.mask, number
            mask[r, start] = False
            start += len(text.ids)
    names = tuple("+".join(text.id for text in row) for row in rows)
    return Batch(ids, mask, np.ones(len(rows), dtype=np.float32), names, segments)
