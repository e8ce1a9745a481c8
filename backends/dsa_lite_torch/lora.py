"""The adapter: PEFT's LoRA modules own parameters, names and file format; the arithmetic is one fused step per layer.

PEFT's own forward adds two full-sized elementwise passes per layer and keeps their results for the backward pass.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.numpy import load_file
from safetensors.torch import save_file
from torch import Tensor, nn

from dsa_lite.errors import ModelError
from dsa_lite.model_folder import saved_adapter
from dsa_lite.student import StudentOptions
from dsa_lite_torch.base import Base
from dsa_lite_torch.memory import Checkpoints
from dsa_lite_torch.quantized import Packed
from dsa_lite_torch.sharding import share_out

_NAME = "default"
_FILE = "adapter_model.safetensors"
_MERGED_BYTES = 2 << 30  # generation keeps merged copies of the layers below this size


class LoraModel:
    """A base whose linear layers carry an adapter. `parameters`: A and B of every layer, in a fixed order."""

    def __init__(self, base: Base, source: str, options: StudentOptions) -> None:
        self.base = base
        self.dropout = options.lora_dropout
        self.dropout_generator: torch.Generator | None = None  # None: no dropout
        self.enabled = True  # False: the base alone
        self.see: Callable[[object, Tensor], None] | None = None
        self._peft = _inject(base, source, options)
        self.checkpoints = _checkpoints(self, options)
        modules = _lora_modules(base)
        # layer by layer, before the rest follows: the device never holds the whole base unpacked
        packed = [_pack(module.get_base_layer(), base, options) for module in modules]
        base.shards = share_out(base, options)
        base.model.to(base.device)
        self.layers = [Layer(self, module, weight) for module, weight in zip(modules, packed, strict=True)]
        self.parameters: list[nn.Parameter] = [p for layer in self.layers for p in (layer.a, layer.b)]

    @contextmanager
    def merged(self, *, adapter: bool) -> Iterator[None]:
        """For many small forward passes: the adapter folded into copies of the weights, or the base alone."""
        size = sum(layer.size * self.base.dtype.itemsize for layer in self.layers)
        self.enabled = adapter
        for layer in self.layers if size <= _MERGED_BYTES and self.base.shards is None else []:
            layer.merge(self.base.dtype)
        try:
            yield
        finally:
            self.enabled = True
            for layer in self.layers:
                layer.effective = None

    @contextmanager
    def watched(self, see: Callable[[object, Tensor], None]) -> Iterator[None]:
        """The base alone; `see` is given every layer with its inputs (b, t, in)."""
        self.see, self.enabled = see, False
        try:
            yield
        finally:
            self.see, self.enabled = None, True

    def _named(self) -> dict[str, Tensor]:
        """The values under the names they have in PEFT's file; they are no copies."""
        from peft import get_peft_model_state_dict

        found = get_peft_model_state_dict(self._peft, adapter_name=_NAME, save_embedding_layers=False)
        return {name: value.detach() for name, value in found.items()}

    def load(self, folder: Path) -> None:
        """The values that `save` wrote."""
        named = self._named()
        found = saved_adapter(folder / _FILE, {name: tuple(value.shape) for name, value in named.items()}, load_file)
        for name, value in named.items():
            value.copy_(torch.from_numpy(found[name]))

    def save(self, folder: Path) -> None:
        """Write adapter_config.json and adapter_model.safetensors, as PEFT reads them."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: value.cpu().contiguous().clone() for name, value in sorted(self._named().items())}
        save_file(tensors, folder / _FILE, metadata={"format": "pt"})
        config = {**self._peft.peft_config[_NAME].to_dict(), "inference_mode": True}
        # PEFT writes sets in a different order in every process
        content = {name: sorted(value) if isinstance(value, set) else value for name, value in config.items()}
        text = json.dumps(content, indent=2, sort_keys=True)
        (folder / "adapter_config.json").write_text(text + "\n", encoding="utf-8")


class Layer:
    """Arithmetic of one linear layer with an adapter; replaces the PEFT module's forward."""

    def __init__(self, owner: LoraModel, module: Any, packed: Packed | None) -> None:
        inner = module.get_base_layer()
        # what is shared out is whole in the module itself, for a while
        whole = partial(_upright, inner) if owner.base.shards else _always(_upright(inner))
        self.weight: Callable[[], Tensor] = packed or whole
        self.dtype, self.size = owner.base.products, (packed or inner.weight).shape.numel()
        self.bias: Tensor | None = inner.bias
        self.a: nn.Parameter = module.lora_A[_NAME].weight
        self.b: nn.Parameter = module.lora_B[_NAME].weight
        self.scale = float(module.scaling[_NAME])
        self.effective: Tensor | None = None
        self._owner = owner
        module.forward = self.forward

    def forward(self, x: Tensor) -> Tensor:
        owner, wide = self._owner, x.dtype
        if self.effective is not None:
            return F.linear(x, self.effective, self.bias)
        if owner.see is not None:
            owner.see(self, x)
        x = x.to(self.dtype)
        if not owner.enabled:
            return self._with_bias(F.linear(x, self.weight()).to(wide))
        dropped = None
        if owner.dropout and owner.dropout_generator is not None:
            keep = torch.empty_like(x).bernoulli_(1 - owner.dropout, generator=owner.dropout_generator)
            dropped = x * keep.div_(1 - owner.dropout)
        y: Tensor = _LoraLinear.apply(x, dropped, self.weight, self.a, self.b, self.scale)  # type: ignore[no-untyped-call]
        return self._with_bias(y.to(wide))

    def _with_bias(self, y: Tensor) -> Tensor:
        return y if self.bias is None else y + self.bias

    def merge(self, dtype: torch.dtype) -> None:
        """Fold the adapter, if it is on, into a copy of the weight."""
        with torch.no_grad():
            weight = self.weight().float()
            self.effective = (weight + (self.b @ self.a) * self.scale if self._owner.enabled else weight).to(dtype)


class _LoraLinear(torch.autograd.Function):
    """x W^T + s (d A^T) B^T with frozen W; d is x after dropout, or None for x itself.

    x, d (..., in); W (out, in), called for; A (r, in); B (out, r). Without dropout both paths' gradients of x meet in
    one matmul.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, dropped: Tensor | None, whole: Callable[[], Tensor], a: Tensor, b: Tensor, scale: float
    ) -> Tensor:
        weight = whole()
        rows = x.reshape(-1, x.shape[-1])
        source = rows if dropped is None else dropped.reshape(-1, x.shape[-1])
        low = source @ a.to(x.dtype).t()
        y = rows @ weight.t()
        y.addmm_(low, b.to(x.dtype).t(), alpha=scale)
        ctx.save_for_backward(source, low, a, b)
        ctx.whole, ctx.scale, ctx.separate = whole, scale, dropped is not None
        return y.view(*x.shape[:-1], weight.shape[0])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        source, low, a, b = ctx.saved_tensors
        weight = ctx.whole()
        shape = (*gradients[0].shape[:-1], weight.shape[1])
        g = gradients[0].reshape(-1, weight.shape[0])
        g_low = (g @ b.to(g.dtype)).mul_(ctx.scale)
        g_a = (g_low.t() @ source).to(a.dtype)
        g_b = (g.t() @ low).to(b.dtype).mul_(ctx.scale)
        g_x = g_dropped = None
        if ctx.separate and ctx.needs_input_grad[1]:
            g_dropped = (g_low @ a.to(g.dtype)).view(shape)
        if ctx.needs_input_grad[0]:
            g_x = g @ weight
            if not ctx.separate:
                g_x.addmm_(g_low, a.to(g.dtype))
            g_x = g_x.view(shape)
        return g_x, g_dropped, None, g_a, g_b, None


def _always(weight: Tensor) -> Callable[[], Tensor]:
    return lambda: weight


def _upright(layer: Any) -> Tensor:
    """The weight (out, in): transformers' Conv1D (GPT-2) holds it transposed."""
    weight: Tensor = layer.weight
    return weight if isinstance(layer, nn.Linear) else weight.t()


def _pack(layer: Any, base: Base, options: StudentOptions) -> Packed | None:
    """The layer's weight, packed on the device and taken out of the layer; None where it stays, in its precision."""
    if options.quantize == "none":
        layer.weight.data = layer.weight.data.to(base.products)
        return None
    packed = Packed(_upright(layer).data.to(base.device, base.products), options.quantize)
    layer.weight.data = torch.empty(0, 0)
    return packed


def _checkpoints(lora: LoraModel, options: StudentOptions) -> Checkpoints:
    made = Checkpoints(lora.base, lambda: lora.dropout_generator)
    if options.gradient_checkpointing == "on" and not made.possible:
        kind = lora.base.model.config.model_type
        raise ModelError(f"models of type {kind} have no blocks to checkpoint", hint="gradient_checkpointing = auto")
    return made


def _linear_names(base: Base) -> list[str]:
    """The last names of all linear layers below the output layer: "all-linear" in a form that fits every depth."""
    linear = [n for n, module in base.inner.named_modules() if type(module).__name__ in ("Linear", "Conv1D")]
    return sorted({name.rpartition(".")[2] for name in linear})


def _lora_modules(base: Base) -> list[Any]:
    """PEFT's modules in the base. PEFT imports bitsandbytes: only after `import_offline`."""
    from peft.tuners.lora import LoraLayer

    return [module for module in base.model.modules() if isinstance(module, LoraLayer)]


def _inject(base: Base, source: str, options: StudentOptions) -> Any:
    """Put PEFT's modules into the base, on the CPU; the start depends on the seed alone, on every device."""
    from peft import LoraConfig, get_peft_model

    alpha: Any = int(options.lora_alpha) if options.lora_alpha.is_integer() else options.lora_alpha
    config = LoraConfig(
        r=options.lora_rank,
        lora_alpha=alpha,
        lora_dropout=options.lora_dropout,
        target_modules=_linear_names(base),
        task_type="CAUSAL_LM",
        base_model_name_or_path=source,
    )
    generator = torch.default_generator
    before = generator.get_state()
    generator.manual_seed(options.seed)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|peft)\.")
            wrapped = get_peft_model(base.model, config, adapter_name=_NAME)
    except ValueError as error:
        raise ModelError(f"no adapter fits {base.folder}: {error}") from error
    finally:
        generator.set_state(before)
    wrapped.peft_config[_NAME].base_model_name_or_path = source
    wrapped.eval()
    layers = [module.get_base_layer() for module in _lora_modules(base)]
    odd = {type(layer).__name__ for layer in layers} - {"Linear", "Conv1D"}
    if odd:
        raise ModelError(f"layers of type {', '.join(sorted(odd))} cannot carry an adapter here")
    return wrapped
