"""The PyTorch student: the contract of `dsa_lite.student`, put together from this folder's parts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from dsa_lite.errors import ModelError, TrainingError
from dsa_lite.model_folder import FolderTokenizer, find_folder, fingerprint, stop_ids
from dsa_lite.student import Batch, Observation, Sampling, StudentOptions, Tokenizer
from dsa_lite_torch.generation import generate
from dsa_lite_torch.loading import choose_device, choose_products, load_base
from dsa_lite_torch.lora import LoraModel
from dsa_lite_torch.loss import lengths, run_batch
from dsa_lite_torch.state import AdapterState


@dataclass
class _Shared:
    """What a student and its forks have in common. `bound`: whose values the model's parameters are now."""

    name: str
    fingerprint: str
    tokenizer: FolderTokenizer
    ends: frozenset[int]
    lora: LoraModel
    options: StudentOptions
    bound: AdapterState | None = None


class TorchStudent:
    """Implements `dsa_lite.student.Student`. Forks share the base in memory and may be used in any order."""

    def __init__(self, shared: _Shared, state: AdapterState) -> None:
        self._parts: tuple[_Shared, AdapterState] | None = (shared, state)

    @classmethod
    def open(cls, source: str, options: StudentOptions) -> TorchStudent:
        """See `dsa_lite_torch.open_student`."""
        if options.threads:
            torch.set_num_threads(options.threads)
        device, dtype = choose_device(options.device, options.precision)
        folder = find_folder(source)
        tokenizer = FolderTokenizer(folder)
        ends = stop_ids(folder, tokenizer)
        base = load_base(folder, device, dtype, choose_products(device, options.precision))
        rows = base.model.get_input_embeddings().weight.shape[0]
        if tokenizer.size > rows:
            raise ModelError(f"{folder}: the tokenizer has {tokenizer.size} tokens, the model only {rows}")
        lora = LoraModel(base, source, options)
        name = Path(source).expanduser().resolve().name if Path(source).expanduser().is_dir() else source
        shared = _Shared(name, fingerprint(folder), tokenizer, ends, lora, options)
        return cls(shared, AdapterState.of(lora.parameters, options, device))

    @property
    def name(self) -> str:
        return self._shared.name

    @property
    def fingerprint(self) -> str:
        """Changes when the base's bytes change."""
        return self._shared.fingerprint

    @property
    def context_tokens(self) -> int:
        """The longest sequence the base takes."""
        return self._shared.lora.base.context_tokens

    @property
    def device(self) -> str:
        """What computes, e.g. "cpu (2 threads, float32)"."""
        base = self._shared.lora.base
        dtype = str(base.products).removeprefix("torch.")
        if base.device.type == "cuda":
            return f"{base.device} ({torch.cuda.get_device_name(base.device)}, {dtype})"
        threads = f"{torch.get_num_threads()} threads, " if base.device.type == "cpu" else ""
        return f"{base.device} ({threads}{dtype})"

    @property
    def tokenizer(self) -> Tokenizer:
        return self._shared.tokenizer

    def step(self, batch: Batch, lr: float) -> list[Observation]:
        """One AdamW step; observations measured before it, with dropout. Raises TrainingError and changes nothing when
        the loss or its gradient is not finite, there is no target, or memory runs out.

        Micro-batching changes results by rounding only, but with dropout it also decides which units are dropped.
        """
        if not batch.loss_mask[:, 1:].any():
            raise TrainingError("the batch has no target token: nothing to train on")
        state, random_state = self._state, self._state.generator.get_state()
        try:
            with self._bound(dropout=True) as lora:
                self._check(batch)
                state.zero_grad()
                observations = run_batch(lora.base, batch, self._shared.options.micro_batch_tokens, train=True)
            norm = state.gradient_norm()
            self._refuse_non_finite(batch, observations, norm, lr)
        except BaseException:
            state.generator.set_state(random_state)
            raise
        state.update(lr, norm)
        return observations

    def score(self, batch: Batch) -> list[Observation]:
        """The same observations without an update and without dropout."""
        with self._bound() as lora:
            self._check(batch)
            return run_batch(lora.base, batch, self._shared.options.micro_batch_tokens, train=False)

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        max_tokens: int,
        *,
        adapter: bool = True,
        sampling: Sampling | None = None,
    ) -> list[list[int]]:
        """Continuations, the end token not included. adapter=False: the base alone."""
        longest = max((len(p) for p in prompts), default=0) + max_tokens
        if any(len(p) == 0 for p in prompts):
            raise ValueError("a prompt has no tokens")
        if longest > self.context_tokens:
            raise ModelError(f"prompt and reply need {longest} tokens, {self.name} takes {self.context_tokens}")
        with self._bound() as lora, lora.merged(adapter=adapter):
            budget = self._shared.options.micro_batch_tokens
            return generate(lora.base, prompts, max_tokens, self._shared.ends, budget, sampling)

    def save(self, folder: Path) -> None:
        """Write the adapter as PEFT does: adapter_config.json, adapter_model.safetensors."""
        with self._bound() as lora:
            lora.save(folder)

    def save_state(self, folder: Path) -> None:
        """Write adapter, optimiser and random state, for exact resume."""
        self._state.save(folder, self._about())

    def load_state(self, folder: Path) -> None:
        """Go on exactly where `save_state` was called. Raises ModelError when the state does not fit this student."""
        self._state.load(folder, self._about())

    def fork(self) -> TorchStudent:
        """A copy of the adapter with a fresh optimiser on the same base. Neither changes the other."""
        return TorchStudent(self._shared, self._state.copy())

    def reset_optimizer(self) -> None:
        """Forget the optimiser's moments."""
        self._state.reset_optimizer()

    def close(self) -> None:
        """Let the memory go. The base stays in memory while another fork of it is open."""
        if self._parts is not None:
            self._shared.bound = None
            self._parts = None

    @property
    def _shared(self) -> _Shared:
        return self._open_parts()[0]

    @property
    def _state(self) -> AdapterState:
        return self._open_parts()[1]

    def _open_parts(self) -> tuple[_Shared, AdapterState]:
        if self._parts is None:
            raise RuntimeError("the student is closed")
        return self._parts

    def _about(self) -> dict[str, object]:
        options = self._shared.options
        return {"base": self.fingerprint, "lora_rank": options.lora_rank, "lora_alpha": options.lora_alpha}

    @contextmanager
    def _bound(self, *, dropout: bool = False) -> Iterator[LoraModel]:
        """The model with this student's adapter in it."""
        shared = self._shared
        if shared.bound is not self._state:
            self._state.bind(shared.lora.parameters)
            shared.bound = self._state
        shared.lora.dropout_generator = self._state.generator if dropout else None
        try:
            yield shared.lora
        except torch.OutOfMemoryError as error:
            raise TrainingError(f"out of memory on {self.device}", hint="lower micro_batch_tokens") from error
        finally:
            shared.lora.dropout_generator = None

    def _check(self, batch: Batch) -> None:
        if batch.segments is None and (too_long := lengths(batch) > self.context_tokens).any():
            names = [name for name, long in zip(batch.example_ids, too_long, strict=True) if long]
            raise TrainingError(f"longer than the {self.context_tokens} tokens {self.name} takes: {_some(names)}")

    def _refuse_non_finite(self, batch: Batch, observations: list[Observation], norm: float, lr: float) -> None:
        if not math.isfinite(lr):
            raise TrainingError(f"the learning rate is {lr}")
        bad = [o.example_id for o in observations if not math.isfinite(o.nll)]
        if bad:
            raise TrainingError(f"the loss is not finite for {_some(bad)}", hint="lower the learning rate")
        if not math.isfinite(norm):
            names = [o.example_id for o, w in zip(observations, batch.weights, strict=True) if w != 0]
            raise TrainingError(f"the gradient is not finite; examples: {_some(names)}", hint="lower the learning rate")


def _some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more
