"""Short texts, the batches made of them, and the options that the checks of students share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from dsa_lite.student import Batch, Student, StudentOptions

OpenStudent = Callable[[StudentOptions], Student]
Example = tuple[Sequence[int], Sequence[int]]  # token ids; the positions that are targets
OPTIONS = StudentOptions(precision="float32", lora_rank=4, lora_alpha=8, max_grad_norm=1e9, threads=1, device="cpu")
RATE = 5e-3
TEXTS = (
    "The derivative of x^2 is 2x, by the power rule.",
    "Add 17 and 25: 7 + 5 = 12, write 2, carry 1; the sum is 42.",
    "A limit exists when both sides agree.",
    "To integrate 3x^2, raise the power and divide: x^3 + C is the answer, as deriving it shows.",
    "If f is even, f(-x) = f(x).",
    "Paris is the capital of France; the Seine runs through it, past islands and bridges.",
)


def make_batch(examples: Mapping[str, Example], weights: Sequence[float] | None = None, *, pad_to: int = 0) -> Batch:
    """A batch of id -> (tokens, target positions), padded on the right to the longest or to `pad_to` tokens."""
    width = max(pad_to, *(len(tokens) for tokens, _ in examples.values()))
    ids = np.zeros((len(examples), width), dtype=np.int32)
    mask = np.zeros((len(examples), width), dtype=np.bool_)
    for row, (tokens, targets) in enumerate(examples.values()):
        ids[row, : len(tokens)] = tokens
        mask[row, list(targets)] = True
    given = np.ones(len(examples)) if weights is None else np.asarray(weights)
    return Batch(ids, mask, given.astype(np.float32), tuple(examples))


def examples_of(student: Student) -> dict[str, Example]:
    """Six short texts; the second two thirds of each are targets."""
    encoded = [student.tokenizer.encode(text)[:80] for text in TEXTS]
    return {str(i): (ids, range(max(1, len(ids) // 3), len(ids))) for i, ids in enumerate(encoded)}


def batches_of(student: Student) -> tuple[Batch, Batch]:
    examples = examples_of(student)
    return make_batch({n: examples[n] for n in "012"}, [1, 0.5, 2]), make_batch({n: examples[n] for n in "345"})
