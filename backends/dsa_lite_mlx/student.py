"""The MLX student: the contract of `dsa_lite.student`, put together from this folder's parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx

from dsa_lite.errors import ModelError, TrainingError
from dsa_lite.model_folder import FolderTokenizer, find_folder, fingerprint, stop_ids
from dsa_lite.passes import Fit, refuse_non_finite, some
from dsa_lite.student import Batch, Observation, Sampling, StudentOptions, Tokenizer
from dsa_lite_mlx.generation import generate
from dsa_lite_mlx.loading import choose_device, load_base
from dsa_lite_mlx.lora import LoraModel
from dsa_lite_mlx.loss import Gradients, run_batch, texts
from dsa_lite_mlx.memory import ran_out, release
from dsa_lite_mlx.null_space import starts
from dsa_lite_mlx.state import AdapterState, gradient_norm

_CPU_TOKENS = 1024  # more rows at a time do not make a CPU faster, but leave its caches


@dataclass
class _Shared:
    """What a student and its forks have in common. `fit`: of the passes over batches; `writing`: of generation."""

    name: str
    fingerprint: str
    tokenizer: FolderTokenizer
    ends: frozenset[int]
    lora: LoraModel
    options: StudentOptions
    fit: Fit
    writing: Fit


class MlxStudent:
    """Implements `dsa_lite.student.Student`. Forks share the base in memory and may be used in any order.

    MLX chooses the number of threads itself: `options.threads` is not used.
    """

    def __init__(self, shared: _Shared, state: AdapterState) -> None:
        self._parts: tuple[_Shared, AdapterState] | None = (shared, state)

    @classmethod
    def open(cls, source: str, options: StudentOptions) -> MlxStudent:
        """See `dsa_lite_mlx.open_student`."""
        device = choose_device(options.device)
        folder = find_folder(source)
        tokenizer = FolderTokenizer(folder)
        with mx.stream(device):
            base = load_base(folder, device, options.precision, options.quantize)
            if tokenizer.size > base.vocabulary:
                raise ModelError(f"{folder}: the tokenizer has {tokenizer.size} tokens, the model {base.vocabulary}")
            lora = LoraModel(base, source, options)
            state = AdapterState(lora.start(), options)
        ends = stop_ids(folder, tokenizer)
        name = Path(source).expanduser().resolve().name if Path(source).expanduser().is_dir() else source
        tokens, mode = options.micro_batch_tokens, options.gradient_checkpointing
        on_cpu = device.type == mx.DeviceType.cpu
        place = "cpu" if on_cpu else "gpu"
        fit = Fit(min(tokens, _CPU_TOKENS) if on_cpu else tokens, ran_out, release, place,
                  checkpointing=mode == "on", may_checkpoint=mode == "auto")  # fmt: skip
        writing = Fit(tokens, ran_out, release, place)
        return cls(_Shared(name, fingerprint(folder), tokenizer, ends, lora, options, fit, writing), state)

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
        """What computes, e.g. "cpu (MLX, float32)"."""
        base = self._shared.lora.base
        dtype = str(base.dtype).removeprefix("mlx.core.")
        if base.device.type == mx.DeviceType.cpu:
            return f"cpu (MLX, {dtype})"
        return f"{mx.device_info(base.device).get('device_name', 'gpu')} (MLX, {dtype})"

    @property
    def tokenizer(self) -> Tokenizer:
        return self._shared.tokenizer

    def step(self, batch: Batch, lr: float) -> list[Observation]:
        """One AdamW step; observations measured before it, with dropout. Raises TrainingError and changes nothing when
        the loss or its gradient is not finite, there is no target, or memory runs out.

        Micro-batching changes results by rounding only, but with dropout it also decides which units are dropped.
        """
        state, options = self._state, self._shared.options
        with self._bound() as lora:
            self._check(batch)
            if not texts(batch):
                raise TrainingError("the batch has no target token: nothing to train on")
            following, key = mx.random.split(state.key)
            used = key if options.lora_dropout else None
            observations, gradients = self._pass(lora, batch, train=True, key=used)
            norm = gradient_norm(gradients)
            refuse_non_finite(batch, observations, norm, lr)
            state.update(gradients, norm, lr)
            state.key = following
        return observations

    def score(self, batch: Batch) -> list[Observation]:
        """The same observations without an update and without dropout."""
        with self._bound() as lora:
            self._check(batch)
            return self._pass(lora, batch, train=False)[0]

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

        def attempt(tokens: int) -> list[list[int]]:
            with lora.merged() if adapter else lora.disabled():
                return generate(lora.base, prompts, max_tokens, self._shared.ends, tokens, sampling)

        with self._bound() as lora:
            return self._shared.writing.run(attempt, longest, longest * len(prompts))

    def save(self, folder: Path) -> None:
        """Write the adapter as mlx-lm does: adapter_config.json, adapters.safetensors."""
        with self._bound() as lora:
            lora.save(folder)

    def load(self, folder: Path) -> None:
        """Take over the adapter that `save` wrote. Raises ModelError for one that does not fit or is broken."""
        with self._bound() as lora:
            self._state.take(lora.saved(folder))

    def save_state(self, folder: Path) -> None:
        """Write adapter, optimiser and random state, for exact resume."""
        self._state.save(folder, self._about())

    def load_state(self, folder: Path) -> None:
        """Go on exactly where `save_state` was called. Raises ModelError when the state does not fit this student."""
        self._state.load(folder, self._about())

    def fork(self) -> MlxStudent:
        """A copy of the adapter with a fresh optimiser on the same base. Neither changes the other."""
        with mx.stream(self._shared.lora.base.device):
            return MlxStudent(self._shared, self._state.copy())

    def avoid(self, batches: Sequence[Batch]) -> None:
        """Begin anew where these examples use the base least: A of every layer from `dsa_lite.null_space`, B zero."""
        for batch in batches:
            self._check(batch)
        sizes = [text.end - text.start for batch in batches for text in texts(batch)]
        with self._bound() as lora:
            found = self._shared.fit.run(lambda tokens: starts(lora, batches, tokens), max(sizes), sum(sizes))
            self._state.begin(found)

    def reset_optimizer(self) -> None:
        """Forget the optimiser's moments."""
        with mx.stream(self._shared.lora.base.device):
            self._state.reset_optimizer()

    def add_to_average(self) -> None:
        """Count the adapter as it is now into a running mean of its values."""
        with mx.stream(self._shared.lora.base.device):
            self._state.add_to_average()

    def take_average(self) -> None:
        """Put that mean in the adapter's place and begin a new one."""
        self._state.take_average()

    def close(self) -> None:
        """Let the memory go. The base stays in memory while another fork of it is open."""
        if self._parts is not None:
            self._parts = None
            mx.clear_cache()

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

    def _pass(
        self, lora: LoraModel, batch: Batch, *, train: bool, key: mx.array | None = None
    ) -> tuple[list[Observation], Gradients]:
        fit, found = self._shared.fit, texts(batch)

        def attempt(tokens: int) -> tuple[list[Observation], Gradients]:
            lora.checkpoints.on = train and fit.checkpointing
            return run_batch(lora, batch, tokens, train=train, key=key)

        longest = max((text.end - text.start for text in found), default=0)
        return fit.run(attempt, longest, longest * len(found), train=train)

    @contextmanager
    def _bound(self) -> Iterator[LoraModel]:
        """The model with this student's adapter in it, on its device."""
        lora = self._shared.lora
        try:
            with mx.stream(lora.base.device):
                lora.values = self._state.parts()
                yield lora
        finally:
            lora.values = ()
            lora.drop(None)

    def _check(self, batch: Batch) -> None:
        names = sorted({batch.example_ids[t.row] for t in texts(batch) if t.end - t.start > self.context_tokens})
        if names:
            raise TrainingError(f"longer than the {self.context_tokens} tokens {self.name} takes: {some(names)}")
