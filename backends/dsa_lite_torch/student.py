"""The PyTorch student: the contract of `dsa_lite.student`, put together from this folder's parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch

from dsa_lite.errors import ModelError, TrainingError, UsageError
from dsa_lite.model_folder import FolderTokenizer, find_folder, fingerprint, stop_ids
from dsa_lite.passes import Fit, refuse_non_finite, some
from dsa_lite.student import Batch, Observation, Sampling, StudentOptions, Tokenizer
from dsa_lite_torch.generation import generate
from dsa_lite_torch.loading import choose_device, choose_products, load_base
from dsa_lite_torch.lora import LoraModel
from dsa_lite_torch.loss import lengths, run_batch
from dsa_lite_torch.memory import ran_out, release
from dsa_lite_torch.null_space import starts
from dsa_lite_torch.quantized import require
from dsa_lite_torch.sharding import refuse
from dsa_lite_torch.state import AdapterState

_CPU_TOKENS = 1024  # more rows at a time do not make a CPU faster, but leave its caches


@dataclass
class _Shared:
    """What a student and its forks have in common. `bound`: whose values the model's parameters are now.

    `fit`: of the passes over batches; `writing`: of generation.
    """

    name: str
    fingerprint: str
    tokenizer: FolderTokenizer
    ends: frozenset[int]
    lora: LoraModel
    options: StudentOptions
    fit: Fit
    writing: Fit
    bound: AdapterState | None = None


class TorchStudent:
    """Implements `dsa_lite.student.Student`. Forks share the base in memory and may be used in any order."""

    def __init__(self, shared: _Shared, state: AdapterState) -> None:
        self._parts: tuple[_Shared, AdapterState] | None = (shared, state)

    @classmethod
    def open(cls, source: str, options: StudentOptions) -> Self:
        """See `dsa_lite_torch.open_student`."""
        if options.threads:
            torch.set_num_threads(options.threads)
        device, dtype = choose_device(options.device, options.precision)
        refuse(options, device)
        require(options.quantize, device)
        folder = find_folder(source)
        tokenizer = FolderTokenizer(folder)
        ends = stop_ids(folder, tokenizer)
        base = load_base(folder, device, dtype, choose_products(device, options.precision))
        rows = base.model.get_input_embeddings().weight.shape[0]
        if tokenizer.size > rows:
            raise ModelError(f"{folder}: the tokenizer has {tokenizer.size} tokens, the model only {rows}")
        lora = LoraModel(base, source, options)
        name = Path(source).expanduser().resolve().name if Path(source).expanduser().is_dir() else source
        tokens, mode = options.micro_batch_tokens, options.gradient_checkpointing
        fit = Fit(min(tokens, _CPU_TOKENS) if device.type == "cpu" else tokens, ran_out, release, str(device),
                  checkpointing=mode == "on", may_checkpoint=mode == "auto" and lora.checkpoints.possible)  # fmt: skip
        writing = Fit(tokens, ran_out, release, str(device))
        shared = _Shared(name, fingerprint(folder), tokenizer, ends, lora, options, fit, writing)
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
        whole = ", not sharded in one process" if self._shared.options.shard and not base.shards else ""
        if base.device.type == "cuda":
            return f"{base.device} ({torch.cuda.get_device_name(base.device)}, {dtype}){whole}"
        threads = f"{torch.get_num_threads()} threads, " if base.device.type == "cpu" else ""
        return f"{base.device} ({threads}{dtype}){whole}"

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
            self._check(batch)
            state.zero_grad()
            observations = self._pass(batch, train=True)
            norm = state.gradient_norm()
            refuse_non_finite(batch, observations, norm, lr)
        except BaseException:
            state.generator.set_state(random_state)
            raise
        state.update(lr, norm)
        return observations

    def score(self, batch: Batch) -> list[Observation]:
        """The same observations without an update and without dropout."""
        self._check(batch)
        return self._pass(batch, train=False)

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
        return self._write(prompts, max_tokens, adapter, sampling)

    def save(self, folder: Path) -> None:
        """Write the adapter as PEFT does: adapter_config.json, adapter_model.safetensors."""
        with self._bound() as lora:
            lora.save(folder)

    def load(self, folder: Path) -> None:
        """Take over the adapter that `save` wrote. Raises ModelError for one that does not fit or is broken."""
        with self._bound() as lora:
            lora.load(folder)

    def save_state(self, folder: Path) -> None:
        """Write adapter, optimiser and random state, for exact resume."""
        self._state.save(folder, self._about())

    def load_state(self, folder: Path) -> None:
        """Go on exactly where `save_state` was called. Raises ModelError when the state does not fit this student."""
        self._state.load(folder, self._about())

    def fork(self) -> TorchStudent:
        """A copy of the adapter with a fresh optimiser on the same base. Neither changes the other."""
        return TorchStudent(self._shared, self._state.copy())

    def avoid(self, batches: Sequence[Batch]) -> None:
        """Begin anew where these examples use the base least: A of every layer from `dsa_lite.null_space`, B zero.

        Raises UsageError where processes share the base out among them.
        """
        for batch in batches:
            self._check(batch)
        fit, sizes = self._shared.fit, np.concatenate([lengths(batch) for batch in batches])
        with self._bound() as lora:
            if lora.base.shards is not None:
                raise UsageError("rehearsal.null_space does not go together with student.shard", hint="choose one")
            found = fit.run(lambda tokens: starts(lora, batches, tokens), int(sizes.max()), int(sizes.sum()))
            with torch.no_grad():
                for layer, start in zip(lora.layers, found, strict=True):
                    layer.a.copy_(torch.from_numpy(start))
                    layer.b.zero_()
        self._state.reset_optimizer()

    def reset_optimizer(self) -> None:
        """Forget the optimiser's moments."""
        self._state.reset_optimizer()

    def add_to_average(self) -> None:
        """Count the adapter as it is now into a running mean of its values."""
        self._state.add_to_average()

    def take_average(self) -> None:
        """Put that mean in the adapter's place and begin a new one."""
        self._state.take_average()

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
        about = {"base": self.fingerprint, "lora_rank": options.lora_rank, "lora_alpha": options.lora_alpha}
        return about if options.quantize == "none" else {**about, "quantize": options.quantize}

    def _pass(self, batch: Batch, *, train: bool) -> list[Observation]:
        """Forward, and with `train` backward with dropout: the gradient takes the place of the state's."""
        state, fit = self._state, self._shared.fit
        random_state, sizes = state.generator.get_state(), lengths(batch)

        def attempt(tokens: int) -> list[Observation]:
            state.generator.set_state(random_state)
            if train:
                state.zero_grad()
            with self._bound(dropout=train) as lora:
                lora.checkpoints.on = fit.checkpointing
                return run_batch(lora.base, batch, tokens, train=train)

        longest = int(sizes.max(initial=0))
        return fit.run(attempt, longest, longest * len(sizes), train=train)

    def _write(
        self, prompts: Sequence[Sequence[int]], max_tokens: int, adapter: bool, sampling: Sampling | None
    ) -> list[list[int]]:
        def attempt(tokens: int) -> list[list[int]]:
            with self._bound() as lora, lora.merged(adapter=adapter):
                return generate(lora.base, prompts, max_tokens, self._shared.ends, tokens, sampling)

        longest = max((len(p) for p in prompts), default=0) + max_tokens
        return self._shared.writing.run(attempt, longest, longest * len(prompts))

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
        finally:
            shared.lora.dropout_generator = None

    def _check(self, batch: Batch) -> None:
        if batch.segments is None and (too_long := lengths(batch) > self.context_tokens).any():
            names = [name for name, long in zip(batch.example_ids, too_long, strict=True) if long]
            raise TrainingError(f"longer than the {self.context_tokens} tokens {self.name} takes: {some(names)}")
