"""The student's contract: something that learns. Backends only do arithmetic; the engine decides everything else.

A student backend is a package with an `open_student(source, options)` callable registered under the entry-point group
`dsa_lite.students`. Plain numpy crosses this line, never a tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dsa_lite.records import Checkpointing, Message, Precision, Quantize, Record


@dataclass(frozen=True)
class Batch:
    """B examples padded to T tokens.

    ids (B, T) int32, padded on the right with any valid id; loss_mask (B, T) bool, True where the token *at that
    position* is a target (predicted from the ones before it; position 0 is never a target); weights (B,) float32 >= 0;
    segments (B, T) int32 or None: number of the text a token belongs to in a packed row (0 is padding), attention
    stays inside a segment and positions start anew in each.
    """

    ids: NDArray[np.int32]
    loss_mask: NDArray[np.bool_]
    weights: NDArray[np.float32]
    example_ids: tuple[str, ...]
    segments: NDArray[np.int32] | None = None

    def targets(self) -> NDArray[np.bool_]:
        """(B, T): where `loss_mask` holds and something stands before: never the first token of a text."""
        mask = self.loss_mask.copy()
        mask[:, 0] = False
        if self.segments is not None:
            mask[:, 1:] &= (self.segments[:, 1:] == self.segments[:, :-1]) & (self.segments[:, 1:] > 0)
        return mask


@dataclass(frozen=True)
class Observation:
    """One example of a batch, measured before the batch's update. A packed row is one example here."""

    example_id: str
    nll: float  # summed negative log-likelihood of the target tokens, nats
    tokens: int  # target tokens
    correct: int  # target tokens whose most likely prediction was right


@dataclass(frozen=True)
class Sampling:
    """How replies are drawn instead of taken greedily; one seed per prompt, so a reply depends on nothing else."""

    temperature: float
    seeds: Sequence[int]

    def chances(self, steps: int) -> NDArray[np.float64]:
        """(N, steps): for each prompt and step a number in [0, 1) that says which token is drawn."""
        return np.array([np.random.default_rng(seed).random(steps) for seed in self.seeds]).reshape(-1, steps)

    def draw(self, logits: NDArray[np.float32], chances: NDArray[np.float64]) -> list[int]:
        """One token for each row of logits (b, V): where the cumulated probability passes the row's chance (b,)."""
        scaled = (logits.astype(np.float64) - logits.max(axis=1, keepdims=True)) / self.temperature
        cumulated = np.exp(scaled).cumsum(axis=1)
        return [int(token) for token in (cumulated <= chances[:, None] * cumulated[:, -1:]).sum(axis=1)]


class StudentOptions(Record):
    """How to open a student: the adapter's shape and where to compute."""

    lora_rank: int = Field(default=16, gt=0)
    lora_alpha: float = Field(default=32.0, gt=0, description="the adapter's output is scaled by alpha / rank")
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    seed: int = Field(default=0, ge=0, description="fixes the adapter's start")
    device: str = Field(default="auto", description="auto, cpu, cuda, mps")
    precision: Precision = Field(
        default="auto", description="of matrix products; auto: bfloat16 where the hardware has it, else float32"
    )
    threads: int = Field(default=0, ge=0, description="CPU threads; 0: all cores")
    micro_batch_tokens: int = Field(
        default=16384, gt=0, description="padded tokens per forward pass; changes memory, not results; less if need be"
    )
    gradient_checkpointing: Checkpointing = Field(
        default="auto", description="less memory for more time, the same results; auto: once memory has run out"
    )
    quantize: Quantize = Field(default="none", description="bits of the frozen base's linear layers; the rest is whole")
    shard: bool = Field(
        default=False,
        description="each process of a launch holds a part of the frozen base, a lone one all; not results",
    )


class Tokenizer(Protocol):
    """Text to ids and back. The chat template itself is text; the engine renders it."""

    eos_id: int
    chat_template: str | None
    special_tokens: dict[str, str]  # e.g. {"bos_token": "<s>", "eos_token": "</s>"}, for the template

    def encode(self, text: str) -> list[int]:
        """Ids of `text` alone: special tokens written in the text are parsed, none is added."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Text without special tokens."""
        ...


@runtime_checkable
class Student(Protocol):
    """A base model with one trainable LoRA adapter and its optimiser."""

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str:
        """Changes when the base's bytes change."""
        ...

    @property
    def context_tokens(self) -> int:
        """The longest sequence the base takes."""
        ...

    @property
    def device(self) -> str:
        """What computes, in words for a person, e.g. "cpu (2 threads, float32)"."""
        ...

    @property
    def tokenizer(self) -> Tokenizer: ...

    def step(self, batch: Batch, lr: float) -> list[Observation]:
        """One optimiser step on sum_i w_i * nll_i / (unweighted number of target tokens); observations before it.

        A step whose loss or gradient is not finite raises TrainingError and changes nothing.
        """
        ...

    def score(self, batch: Batch) -> list[Observation]:
        """The same observations without an update and without dropout."""
        ...

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        max_tokens: int,
        *,
        adapter: bool = True,
        sampling: Sampling | None = None,
    ) -> list[list[int]]:
        """Continuations, the end token not included: greedy, or drawn as `sampling` says.

        adapter=False: the base alone.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write the adapter alone, in the ecosystem's own format (PEFT: adapter_config.json, adapter_model…)."""
        ...

    def load(self, folder: Path) -> None:
        """Take over the adapter that `save` wrote, bit for bit; the optimiser stays as it is. Raises ModelError for one
        that is missing, cut short, of another shape or not finite (`dsa_lite.model_folder.saved_adapter`)."""
        ...

    def save_state(self, folder: Path) -> None:
        """Write adapter, optimiser and random state, for exact resume."""
        ...

    def load_state(self, folder: Path) -> None: ...

    def fork(self) -> Student:
        """A copy of the adapter with a fresh optimiser on the same base, to be thrown away (used for probes).

        Steps on the fork leave this student untouched; close() the fork before going on with this student.
        """
        ...

    def avoid(self, batches: Sequence[Batch]) -> None:
        """Begin anew with an adapter that reads in every layer the directions which these examples use least, and
        changes nothing yet (LoRA-Null, arXiv 2503.02659)."""
        ...

    def reset_optimizer(self) -> None:
        """Forget the optimiser's moments (a new phase of training begins)."""
        ...

    def add_to_average(self) -> None:
        """Count the adapter as it is now into a running mean of its values (arXiv 1803.05407)."""
        ...

    def take_average(self) -> None:
        """Put that mean in the adapter's place and begin a new one; nothing where nothing was counted.

        A saved state holds the mean as well; a fork begins without one.
        """
        ...

    def close(self) -> None: ...


Messages = Sequence[Message]
