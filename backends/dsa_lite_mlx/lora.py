"""The adapter: mlx-lm's names, shapes (A (in, r), B (r, out)) and file format; values are swapped in from outside."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx.utils import tree_unflatten
from safetensors.numpy import load_file, save_file

from dsa_lite.errors import ModelError
from dsa_lite.model_folder import saved_adapter
from dsa_lite.student import StudentOptions
from dsa_lite_mlx.loading import Base
from dsa_lite_mlx.memory import Checkpoints

_FILE = "adapters.safetensors"
_MERGED_BYTES = 2 << 30  # generation keeps merged copies of the layers below this size


class LoraModel:
    """A base whose linear layers carry an adapter. `values`: A and B of every layer, in the order of their names."""

    def __init__(self, base: Base, source: str, options: StudentOptions) -> None:
        self.base = base
        self.dropout = options.lora_dropout
        self.dropout_keys: list[mx.array] | None = None  # one per layer; None: no dropout
        self.enabled = True
        self.see: Callable[[int, mx.array], None] | None = None
        self.values: Sequence[mx.array] = ()
        self._source, self._options = source, options
        self._scale = options.lora_alpha / options.lora_rank
        self._layers = self._inject()
        self.checkpoints = self._checkpoints()
        self.shapes = [s for layer in self._layers.values() for s in layer.shapes(options.lora_rank)]

    def start(self) -> list[mx.array]:
        """Fresh values, as PEFT and mlx-lm start: A uniform within 1 / sqrt(in), B zero. From the seed alone."""
        generator, values = np.random.default_rng(self._options.seed), list[mx.array]()
        for of_a, of_b in zip(self.shapes[::2], self.shapes[1::2], strict=True):
            bound = 1 / math.sqrt(of_a[0])
            values += [mx.array(generator.uniform(-bound, bound, of_a).astype(np.float32)), mx.zeros(of_b)]
        return values

    def drop(self, key: mx.array | None) -> None:
        """Use dropout with this key from now on; None: none."""
        self.dropout_keys = None if key is None or not self.dropout else list(mx.random.split(key, len(self._layers)))

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """The base alone."""
        self.enabled = False
        try:
            yield
        finally:
            self.enabled = True

    @contextmanager
    def watched(self, see: Callable[[int, mx.array], None]) -> Iterator[None]:
        """The base alone; `see` is given the place of every layer with its inputs (b, t, in)."""
        self.see = see
        try:
            with self.disabled():
                yield
        finally:
            self.see = None

    @contextmanager
    def merged(self) -> Iterator[None]:
        """The adapter folded into copies of the weights, for many small forward passes; the base stays as it is."""
        plain = [layer for layer in self._layers.values() if isinstance(layer.linear, nn.Linear)]
        if sum(layer.linear.weight.nbytes for layer in plain) <= _MERGED_BYTES:
            for layer in plain:
                layer.merge()
        try:
            yield
        finally:
            for layer in plain:
                layer.effective = None

    def _names(self) -> list[str]:
        return [f"{name}.{part}" for name in self._layers for part in ("lora_a", "lora_b")]

    def saved(self, folder: Path) -> list[mx.array]:
        """The values that `save` wrote, in the order of `values`."""
        shapes = dict(zip(self._names(), (tuple(shape) for shape in self.shapes), strict=True))
        found = saved_adapter(folder / _FILE, shapes, load_file)
        return [mx.array(found[name]) for name in self._names()]

    def save(self, folder: Path) -> None:
        """Write adapter_config.json and adapters.safetensors, as mlx-lm reads them."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: np.array(value) for name, value in zip(self._names(), self.values, strict=True)}
        save_file(tensors, folder / _FILE, metadata={"format": "mlx"})
        options = self._options
        parameters = {
            "rank": options.lora_rank,
            "scale": self._scale,
            "dropout": options.lora_dropout,
            "keys": sorted({layer.key for layer in self._layers.values()}),
        }
        content = {
            "fine_tune_type": "lora",
            "model": self._source,
            "num_layers": len(self.base.model.layers),
            "lora_parameters": parameters,
        }
        text = json.dumps(content, indent=2, sort_keys=True)
        (folder / "adapter_config.json").write_text(text + "\n", encoding="utf-8")

    def _inject(self) -> dict[str, LoraLinear]:
        """Put layers with an adapter in the place of all linear layers of the blocks. Full name -> layer."""
        model, injected = self.base.model, dict[int, LoraLinear]()
        for block in model.layers:
            linear = [(k, m) for k, m in block.named_modules() if isinstance(m, nn.Linear | nn.QuantizedLinear)]
            layers = [(key, LoraLinear(self, key, module, self._scale)) for key, module in linear]
            injected.update({id(layer): layer for _, layer in layers})
            block.update_modules(tree_unflatten(layers))
        if not injected:
            raise ModelError(f"no adapter fits {self.base.folder}: its blocks have no linear layers")
        named = {name: injected[id(module)] for name, module in model.named_modules() if id(module) in injected}
        ordered = {name: named[name] for name in sorted(named)}
        for place, layer in enumerate(ordered.values()):
            layer.place = place
        return ordered

    def _checkpoints(self) -> Checkpoints:
        made, places = Checkpoints(), {id(layer): layer.place for layer in self._layers.values()}
        for block in self.base.model.layers:
            mine = [places[id(module)] for _, module in block.named_modules() if id(module) in places]
            made.add(block, [place for number in mine for place in (2 * number, 2 * number + 1)], self)
        return made


class LoraLinear(nn.Module):
    """y = x W^T + s (d A) B with frozen W; d is x after dropout. A and B are the owner's values."""

    def __init__(self, owner: LoraModel, key: str, linear: Any, scale: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.linear = linear
        self.key, self.place = key, 0
        self.effective: mx.array | None = None
        self._owner, self._scale = owner, scale

    def shapes(self, rank: int) -> list[tuple[int, int]]:
        """Of A and B."""
        rows, columns = self.linear.weight.shape
        if isinstance(self.linear, nn.QuantizedLinear):
            columns = columns * 32 // self.linear.bits
        return [(columns, rank), (rank, rows)]

    def __call__(self, x: mx.array) -> mx.array:
        owner = self._owner
        if self.effective is not None:
            y: mx.array = x @ self.effective.T
            return y + self.linear.bias if "bias" in self.linear else y
        if owner.see is not None:
            owner.see(self.place, x)
        y = self.linear(x)
        if not owner.enabled:
            return y
        if owner.dropout_keys is not None:
            keep = mx.random.bernoulli(1 - owner.dropout, x.shape, key=owner.dropout_keys[self.place])
            x = mx.where(keep, x * (1 / (1 - owner.dropout)), mx.zeros((), x.dtype))
        a, b = (value.astype(x.dtype) for value in owner.values[2 * self.place : 2 * self.place + 2])
        return mx.addmm(y, x @ a, b, alpha=self._scale)

    def merge(self) -> None:
        """Fold the adapter into a copy of the weight."""
        a, b = self._owner.values[2 * self.place : 2 * self.place + 2]
        weight = self.linear.weight
        self.effective = (weight + (self._scale * (a @ b).T)).astype(weight.dtype)
        mx.eval(self.effective)
