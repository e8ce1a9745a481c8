"""From a folder or a cached hub id to a frozen base model in memory. Never the network, never code from the model."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx import nn
from mlx_lm.utils import load_model

from dsa_lite.errors import ModelError, UsageError
from dsa_lite.model_files import weight_files
from dsa_lite.model_folder import refuse_absurd
from dsa_lite.records import Precision, Quantize

_GROUPS = (64, 32)  # weights that share a scale
_TOLERANCE = 2e-2  # of the largest logit, in bfloat16's favour


@dataclass
class Base:
    """A frozen causal language model, taken apart: `inner` gives hidden states, `logits` the rest.

    `device` is where it computes: run everything inside `mx.stream(device)`.
    """

    model: Any
    folder: Path
    device: mx.Device
    dtype: mx.Dtype
    vocabulary: int
    context_tokens: int
    inner: Any
    head: Any
    pads: bool | None = None  # whether rows may be padded on the left; None: not known yet

    def logits(self, hidden: mx.array) -> mx.array:
        """Float32 logits (N, V) of hidden states (N, H)."""
        logits: mx.array = self.head(hidden[None])[0]
        return logits.astype(mx.float32)


class _Through:
    """Stands where the inner network was, so that what follows it can be called alone."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __call__(self, hidden: mx.array, *args: Any, **kwargs: Any) -> mx.array:
        return hidden

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def choose_device(name: str) -> mx.Device:
    """Where to compute."""
    there = {"cpu": True, "cuda": mx.cuda.is_available(), "mps": mx.metal.is_available()}
    if name == "auto":
        return mx.Device(mx.gpu if there["cuda"] or there["mps"] else mx.cpu)
    if name not in there:
        raise UsageError(f"unknown device: {name}", hint="auto, cpu, cuda or mps")
    if not there[name]:
        raise UsageError(f"MLX finds no {name} device on this machine", hint="device = cpu works everywhere")
    return mx.Device(mx.cpu if name == "cpu" else mx.gpu)


def load_base(folder: Path, device: mx.Device, precision: Precision, quantize: Quantize = "none") -> Base:
    """The frozen model in evaluation mode. "auto": in float32 on a CPU, in the precision of its files elsewhere.

    quantize: of the blocks' linear layers, where they are not quantised already.
    Raises ModelError for an architecture that mlx-lm does not know, broken or incomplete weights. Call it inside
    `mx.stream(device)`.
    """
    refuse_absurd(folder)
    try:
        with _random_state_kept(), _meant_files(folder) as meant:
            loaded: Any = load_model(meant, trust_remote_code=False)
    except (
        ValueError, KeyError, OSError, RuntimeError, TypeError, AttributeError, ImportError, ArithmeticError
    ) as error:  # fmt: skip
        lines = " ".join(line.strip() for line in str(error).strip().split("\n")[:4])
        hint = "is its architecture one that mlx-lm knows, and are its files complete?"
        raise ModelError(f"{folder} cannot be loaded: {lines}", hint=hint) from error
    model, config = loaded
    if precision == "auto" and device.type == mx.DeviceType.cpu:
        precision = "float32"
    if precision != "auto":
        model.set_dtype(mx.bfloat16 if precision == "bfloat16" else mx.float32)
        mx.eval(model.parameters())
    if quantize != "none":
        _quantize(model, folder, 4 if quantize == "4bit" else 8)
    return _taken_apart(model, config, folder, device)


def _quantize(model: Any, folder: Path, bits: int) -> None:
    """Block by block, so that little of the model is in memory twice."""

    def how(name: str, module: Any) -> bool | dict[str, int]:
        if not hasattr(module, "to_quantized"):
            return False
        width = module.weight.shape[-1]
        return next(({"group_size": size, "bits": bits} for size in _GROUPS if width % size == 0), False)

    for block in model.layers:
        nn.quantize(block, class_predicate=how)
        mx.eval(block.parameters())
    if not any(isinstance(m, nn.QuantizedLinear) for block in model.layers for m in block.modules()):
        raise ModelError(f"{folder} cannot be quantised: no layer is a multiple of {_GROUPS[-1]} wide")


def _taken_apart(model: Any, config: dict[str, Any], folder: Path, device: mx.Device) -> Base:
    """An architecture that does not come apart into hidden states and logits must not be trained wrongly in silence."""
    text, ids = model, mx.arange(1, 5)[None]
    while "language_model" in text:
        text = text.language_model
    settings = {**config, **config.get("text_config", {})}
    try:
        head = copy.copy(text)
        head.model = _Through(text.model)
        hidden = text.model(ids)
        context = int(settings.get("max_position_embeddings") or 1 << 30)
        base = Base(model, folder, device, hidden.dtype, int(settings["vocab_size"]), context, text.model, head)
        expected, ours = model(ids)[0].astype(mx.float32), base.logits(hidden[0])
        same = bool(mx.allclose(ours, expected, rtol=0, atol=_TOLERANCE * float(mx.abs(expected).max())))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(f"models of type {config.get('model_type')} do not fit this backend: {error}") from error
    if not bool(mx.isfinite(expected).all()):
        raise ModelError(f"the weights in {folder} hold NaN or infinity", hint="copy or download them again")
    if not same:
        kind = config.get("model_type")
        raise ModelError(f"models of type {kind} change their logits in a way this backend does not know")
    return base


@contextmanager
def _meant_files(folder: Path) -> Iterator[Path]:
    """mlx-lm reads every model*.safetensors: where others lie beside the model's own, a folder of links to those."""
    files = weight_files(folder)
    if {path.name for path in folder.glob("model*.safetensors")} <= {path.name for path in files}:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="dsa-lite-") as place:
        for path in [*folder.glob("*.json"), *files]:
            (Path(place) / path.name).symlink_to(path.resolve())
        yield Path(place)


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """mlx draws a start for all weights before it loads them: not from the user's random numbers."""
    state: Any = mx.random.state
    high, low = state[0].tolist()
    try:
        yield
    finally:
        mx.random.seed(high << 32 | low)
