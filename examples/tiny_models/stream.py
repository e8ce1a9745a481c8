"""Documents to fixed rows of tokens on disk, and back as batches.

A document is a list of (text, weight) segments. Rows hold whole documents, so a token never sees another
document's text: `docs` numbers the documents of a row, and training forbids attention between them.
Three arrays of shape (R, T) are written: `ids` (uint16), `weights` (uint8, hundredths), `docs` (uint8).
"""

from __future__ import annotations

import argparse
import importlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from .tokenizer import END, load

Document = list[tuple[str, float]]
Piece = tuple[list[int], list[int]]  # token ids and weights (hundredths) of one document

WEIGHT_UNIT = 100  # a weight of 1.0; uint8 leaves room up to 2.55
OPEN_ROWS = 32  # rows kept open while packing: more waste less space and cost more time


@dataclass(frozen=True)
class Batch:
    """Token ids (B, T), the tokens to predict (B, T), their weights (B, T), and where to look (B, 1, T, T)."""

    ids: Tensor
    targets: Tensor
    weights: Tensor
    mask: Tensor


def encode(tokenizer: Tokenizer, documents: list[Document]) -> list[Piece]:
    """Tokens and weights of documents.

    The joined text is encoded at once, so that tokens fall as they do when the prompt is read later; a token
    takes the weight of the segment in which it starts.
    """
    encodings = tokenizer.encode_batch(["".join(text for text, _ in document) for document in documents])
    pieces = []
    for document, encoding in zip(documents, encodings, strict=True):
        starts, weights, position = [], [], 0
        for text, weight in document:
            starts.append(position)
            weights.append(round(weight * WEIGHT_UNIT))
            position += len(text)
        per_token = [weights[bisect_right(starts, begin) - 1] for begin, _ in encoding.offsets]
        per_token[:1] = [0]  # nothing precedes the first token, so it cannot be predicted
        pieces.append((encoding.ids, per_token))
    return pieces


def pack(pieces: Iterable[Piece], length: int) -> Iterator[list[Piece]]:
    """Group pieces into rows of at most `length` tokens: each goes to the fullest open row that has room.

    A piece longer than a row is left out: cut in two, it would teach to stop in the middle.
    """
    rows: list[list[Piece]] = []
    used: list[int] = []
    for piece in pieces:
        size = len(piece[0])
        if not 0 < size <= length:
            continue
        fits = [index for index, count in enumerate(used) if count + size <= length]
        if not fits and len(rows) >= OPEN_ROWS:
            fullest = max(range(len(rows)), key=used.__getitem__)
            used.pop(fullest)
            yield rows.pop(fullest)
        if fits:
            best = max(fits, key=used.__getitem__)
            rows[best].append(piece)
            used[best] += size
        else:
            rows.append([piece])
            used.append(size)
    yield from rows


def _pieces(tokenizer: Tokenizer, documents: Iterable[Document], chunk: int = 2000) -> Iterator[Piece]:
    source = iter(documents)
    while block := list(islice(source, chunk)):
        yield from encode(tokenizer, block)


def prepare(tokenizer: Tokenizer, documents: Iterable[Document], rows: int, length: int, folder: str | Path) -> int:
    """Write up to `rows` packed rows of `length` tokens into `folder`; returns how many were written.

    Stops taking documents when the rows are full. Padding has weight 0.
    """
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    ids = np.full((rows, length), tokenizer.token_to_id(END), np.uint16)
    weights, docs = np.zeros((rows, length), np.uint8), np.full((rows, length), 255, np.uint8)
    count = 0
    for row in islice(pack(_pieces(tokenizer, documents), length), rows):
        position = 0
        for number, (tokens, token_weights) in enumerate(row):
            span = slice(position, position + len(tokens))
            ids[count, span], weights[count, span], docs[count, span] = tokens, token_weights, number % 255
            position += len(tokens)
        count += 1
    for name, array in (("ids", ids), ("weights", weights), ("docs", docs)):
        np.save(out / f"{name}.npy", array[:count])
    return count


def read_documents(tokenizer: Tokenizer, folder: str | Path) -> Iterator[Document]:
    """The documents of prepared rows, as they are trained on."""
    ids, docs = (np.load(Path(folder) / f"{name}.npy", mmap_mode="r") for name in ("ids", "docs"))
    for row, numbers in zip(ids, docs, strict=True):
        for number in range(int(numbers[numbers != 255].max(initial=0)) + 1):
            yield [(tokenizer.decode(row[numbers == number].tolist(), skip_special_tokens=False), 1.0)]


class Stream:
    """Batches from prepared rows; batch number `step` depends on (rows, size, seed) alone, never on history."""

    def __init__(self, folder: str | Path, size: int, seed: int) -> None:
        self.size, self.seed = size, seed
        self._ids, self._weights, self._docs = (
            np.load(Path(folder) / f"{name}.npy", mmap_mode="r") for name in ("ids", "weights", "docs")
        )
        self.rows, self.length = self._ids.shape
        if self.rows < size:
            raise ValueError(f"{self.rows} rows are fewer than one batch of {size}")
        self._epoch, self._order = -1, np.arange(0)

    def batch(self, step: int) -> Batch:
        """The rows of one step; every pass over the rows has its own order."""
        epoch, place = divmod(step, self.rows // self.size)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, np.random.default_rng((self.seed, epoch)).permutation(self.rows)
        chosen = np.sort(self._order[place * self.size : (place + 1) * self.size])
        return make_batch(self._ids[chosen], self._weights[chosen], self._docs[chosen])


def make_batch(ids: NDArray[np.uint16], weights: NDArray[np.uint8], docs: NDArray[np.uint8]) -> Batch:
    """Shift the targets by one token and draw the mask; all inputs are (B, T)."""
    tokens = torch.from_numpy(ids.astype(np.int64))
    targets = torch.roll(tokens, -1, dims=1)
    shifted = torch.roll(torch.from_numpy(weights.astype(np.float32)), -1, dims=1) / WEIGHT_UNIT
    shifted[:, -1] = 0.0
    number = torch.from_numpy(docs.astype(np.int16))
    same = number[:, :, None] == number[:, None, :]
    return Batch(tokens, targets, shifted, same.tril_().unsqueeze(1))


def load_documents(spec: str, seed: int) -> Iterable[Document]:
    """Call `package.module:function` with the seed; it gives documents, as many as are asked for."""
    module, _, function = spec.partition(":")
    documents: Iterable[Document] = getattr(importlib.import_module(module), function)(seed)
    return documents


def main() -> None:
    """Command line: write the rows of one training."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", required=True, help="package.module:function, called with the seed")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder of the tokenizer")
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--length", type=int, default=128, help="tokens per row; longer documents are left out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    documents = load_documents(options.documents, options.seed)
    count = prepare(load(options.tokenizer), documents, options.rows, options.length, options.out)
    filled = float((np.load(options.out / "docs.npy", mmap_mode="r") != 255).mean())
    print(f"{count} rows of {options.length} tokens, {filled:.1%} filled")


if __name__ == "__main__":
    main()
