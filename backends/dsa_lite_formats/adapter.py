"""LoRA adapters in the two formats there are, PEFT's and mlx-lm's: read, written, turned into each other."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dsa_lite.errors import ModelError
from dsa_lite.model_files import read_json
from dsa_lite_formats.tensors import Floats, Planned, read_tensors, write_tensors

_PEFT, _MLX = "adapter_model.safetensors", "adapters.safetensors"
#: Settings of PEFT that make an adapter more than W + scale * B A.
_BEYOND = (
    "use_dora", "use_rslora", "fan_in_fan_out", "lora_bias", "modules_to_save", "rank_pattern", "alpha_pattern",
    "layer_replication", "use_qalora", "target_parameters", "trainable_token_indices", "alora_invocation_tokens",
)  # fmt: skip
_HINT = "export takes plain LoRA on linear layers, as `dsa-lite run` writes it"


@dataclass(frozen=True)
class Adapter:
    """y = x W^T + scale * (x A^T) B^T. `layers`: model.layers.0.mlp.up_proj and so on -> A (r, in), B (out, r)."""

    rank: int
    scale: float
    dropout: float
    layers: Mapping[str, tuple[Floats, Floats]]

    @property
    def alpha(self) -> float:
        return self.scale * self.rank

    def delta(self, layer: str) -> Floats | None:
        """What is added to the layer's weight (out, in); None for a layer without adapter."""
        if layer not in self.layers:
            return None
        a, b = self.layers[layer]
        delta: Floats = (b @ a) * self.scale
        return delta


def read_adapter(folder: Path) -> Adapter:
    """An adapter folder of PEFT or mlx-lm. Raises ModelError for what is missing, broken or not plain LoRA."""
    config = read_json(folder / "adapter_config.json")
    if (folder / _PEFT).is_file():
        return _read_peft(folder, config)
    if (folder / _MLX).is_file():
        return _read_mlx(folder, config)
    raise ModelError(f"{folder} holds no adapter: no {_PEFT}, no {_MLX}", hint="finish the run first")


def _read_peft(folder: Path, config: Mapping[str, Any]) -> Adapter:
    odd = [name for name in _BEYOND if config.get(name)]
    if config.get("bias") not in (None, "none"):
        odd.append("bias")
    if config.get("peft_type") != "LORA" or odd:
        raise ModelError(f"{folder}: this adapter uses {', '.join(odd) or config.get('peft_type')}", hint=_HINT)
    pattern = re.compile(r"(?:base_model\.model\.)?(.+)\.lora_(A|B)\.weight")
    halves = _halves(folder / _PEFT, pattern)
    layers = {name: (half["A"], half["B"]) for name, half in halves.items()}
    rank = int(config["r"])
    return Adapter(rank, float(config["lora_alpha"]) / rank, float(config.get("lora_dropout") or 0), layers)


def _read_mlx(folder: Path, config: Mapping[str, Any]) -> Adapter:
    settings = config.get("lora_parameters")
    if config.get("fine_tune_type", "lora") != "lora" or not isinstance(settings, dict):
        raise ModelError(f"{folder}: this adapter is of type {config.get('fine_tune_type')}", hint=_HINT)
    halves = _halves(folder / _MLX, re.compile(r"(.+)\.lora_(a|b)"))
    layers = {name: (half["a"].T, half["b"].T) for name, half in halves.items()}
    return Adapter(int(settings["rank"]), float(settings["scale"]), float(settings.get("dropout") or 0), layers)


def _halves(path: Path, pattern: re.Pattern[str]) -> dict[str, dict[str, Floats]]:
    halves: dict[str, dict[str, Floats]] = {}
    for name, tensor in read_tensors(path).items():
        found = pattern.fullmatch(name)
        if found is None or len(tensor.shape) != 2:
            raise ModelError(f"{path}: {name} is no part of a plain LoRA", hint=_HINT)
        values = halves.setdefault(found[1], {})[found[2]] = tensor.floats()
        if not np.isfinite(values).all():
            raise ModelError(f"{path}: {name} holds NaN or infinity", hint="copy it again from the run")
    if not halves or any(len(half) != 2 for half in halves.values()):
        raise ModelError(f"{path}: a layer has only half of its adapter", hint="copy it again from the run")
    return halves


def write_peft(adapter: Adapter, base: str, folder: Path) -> None:
    """adapter_config.json and adapter_model.safetensors, as PEFT reads them."""
    planned = []
    for name, (a, b) in adapter.layers.items():
        planned += [
            Planned.of(f"base_model.model.{name}.lora_A.weight", a),
            Planned.of(f"base_model.model.{name}.lora_B.weight", b),
        ]
    write_tensors(folder / _PEFT, planned, "pt")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": adapter.rank,
        "lora_alpha": _plain(adapter.alpha),
        "lora_dropout": adapter.dropout,
        "target_modules": sorted({name.rpartition(".")[2] for name in adapter.layers}),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
    }
    _write_json(folder / "adapter_config.json", config)


def write_mlx(adapter: Adapter, base: str, layers: int, folder: Path) -> None:
    """adapter_config.json and adapters.safetensors, as mlx-lm reads them. `layers`: blocks of the base model."""
    planned, keys = [], set()
    for name, (a, b) in adapter.layers.items():
        found = re.fullmatch(r"(?:.+\.)?layers\.\d+\.(.+)", name)
        if found is None:
            raise ModelError(f"mlx-lm knows no adapter on {name}", hint="it adapts the layers of the blocks alone")
        keys.add(found[1])
        planned += [Planned.of(f"{name}.lora_a", a.T), Planned.of(f"{name}.lora_b", b.T)]
    write_tensors(folder / _MLX, planned, "mlx")
    parameters = {"rank": adapter.rank, "scale": adapter.scale, "dropout": adapter.dropout, "keys": sorted(keys)}
    config = {"fine_tune_type": "lora", "model": base, "num_layers": layers, "lora_parameters": parameters}
    _write_json(folder / "adapter_config.json", config)


def _plain(value: float) -> float | int:
    return int(value) if float(value).is_integer() else value


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
