"""The base with the adapter folded in: tensor by tensor, and as a Hugging Face folder."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from dsa_lite.errors import ModelError
from dsa_lite.model_files import read_json, weight_files, weight_map
from dsa_lite.model_folder import FolderTokenizer
from dsa_lite_formats.adapter import Adapter
from dsa_lite_formats.tensors import WIDTHS, Floats, Planned, Tensor, encode, read_model, write_tensors

_INDEX = "model.safetensors.index.json"
_TORCH_NAMES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
#: Files of a model folder that are not weights; code (*.py) is left behind on purpose.
_CARRIED = ("*.json", "*.jinja", "*.txt", "*.model", "LICENSE*")


def merged_floats(tensor: Tensor, adapter: Adapter | None) -> Floats:
    """The tensor's values with the adapter of its layer added, in float32."""
    values = tensor.floats()
    delta = adapter.delta(tensor.name.removesuffix(".weight")) if adapter else None
    if delta is None:
        return values
    if delta.shape != values.shape:
        raise ModelError(
            f"the adapter of {tensor.name} is {delta.shape}, the base's weight {values.shape}",
            hint="is this the base it was trained on?",
        )
    merged: Floats = values + delta
    return merged


def check_fits(adapter: Adapter, tensors: dict[str, Tensor], folder: Path) -> None:
    """Raises ModelError when a layer of the adapter is not in the base."""
    missing = [name for name in adapter.layers if f"{name}.weight" not in tensors]
    if missing:
        raise ModelError(
            f"{folder} has no layer {', '.join(missing[:3])}", hint="is this the base the adapter was trained on?"
        )


def write_merged(base: Path, adapter: Adapter, out: Path, kind: str = "") -> None:
    """A model folder like the base's: weights with the adapter in them, tokenizer, chat template, settings.

    `kind`: F32, F16 or BF16 for all weights; "": each as in the base.
    """
    tensors = read_model(base)
    shards = {path.name: [t for t in tensors.values() if t.path == path] for path in weight_files(base)}
    check_fits(adapter, tensors, base)
    for name, shard in shards.items():
        write_tensors(out / name, [_planned(t, adapter, kind) for t in shard], "pt")
    for pattern in _CARRIED:
        for path in sorted(base.glob(pattern)):
            shutil.copyfile(path, out / path.name)
    index = read_json(out / _INDEX)
    if not weight_map(base):
        (out / _INDEX).unlink(missing_ok=True)  # left over from earlier shards
    elif kind:
        size = sum(math.prod(t.shape) * WIDTHS[kind] for t in tensors.values())
        _rewrite(out / _INDEX, {"metadata": {**index.get("metadata", {}), "total_size": size}})
    if kind:
        _rewrite(out / "config.json", {"dtype": _TORCH_NAMES[kind]}, drop="torch_dtype")
    _keep_template(base, out)


def _planned(tensor: Tensor, adapter: Adapter, kind: str) -> Planned:
    kind = kind or tensor.kind
    untouched = tensor.name.removesuffix(".weight") not in adapter.layers
    data: Callable[[], NDArray[Any]]
    if kind == tensor.kind and untouched:
        data, size = tensor.raw, tensor.size
    else:
        data, size = (lambda: encode(merged_floats(tensor, adapter), kind)), math.prod(tensor.shape) * WIDTHS[kind]
    return Planned(tensor.name, kind, tensor.shape, data, size)


def _keep_template(base: Path, out: Path) -> None:
    """The chat template that was trained, also where the base keeps it somewhere other tools do not look."""
    trained = FolderTokenizer(base).chat_template
    if trained is not None and not (out / "chat_template.jinja").is_file():
        (out / "chat_template.jinja").write_text(trained, encoding="utf-8")


def _rewrite(path: Path, changed: dict[str, Any], drop: str = "") -> None:
    content = {name: value for name, value in read_json(path).items() if name != drop} | changed
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
