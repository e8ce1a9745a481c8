"""GGUF files: a whole model with the adapter folded in, the adapter alone, and smaller copies through llama.cpp."""

from __future__ import annotations

import errno
import math
import os
import shutil
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from dsa_lite.errors import MissingExtra, ModelError
from dsa_lite.formats import check_numbers
from dsa_lite_formats.adapter import Adapter
from dsa_lite_formats.layouts import Layout, read_layout
from dsa_lite_formats.llama_log import log_kept
from dsa_lite_formats.merging import check_fits, merged_floats
from dsa_lite_formats.tensors import Floats, Tensor, read_model
from dsa_lite_formats.vocabulary import add_vocabulary

_KINDS = gguf.GGMLQuantizationType
_EMBEDDING = "model.embed_tokens.weight"
#: Written directly; every other number format is made from F16 by llama.cpp.
DIRECT = {
    "F32": (_KINDS.F32, gguf.LlamaFileType.ALL_F32),
    "F16": (_KINDS.F16, gguf.LlamaFileType.MOSTLY_F16),
    "BF16": (_KINDS.BF16, gguf.LlamaFileType.MOSTLY_BF16),
    "Q8_0": (_KINDS.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}


def check_kind(kind: str) -> None:
    """Raises UsageError for an unknown number format, MissingExtra where llama.cpp is needed and not there."""
    check_numbers("gguf", kind)
    if kind not in DIRECT and find_spec("llama_cpp") is None:
        raise MissingExtra(
            f"{kind} is made by llama.cpp, which is not installed", hint='pip install "dsa-lite[llama-cpp]"'
        )


def write_gguf(base: Path, adapter: Adapter | None, path: Path, kind: str, name: str) -> list[str]:
    """A whole model: base and adapter, tokenizer, chat template and end tokens as trained. Returns notes on it."""
    check_kind(kind)
    layout = read_layout(base)
    if kind in DIRECT:
        _write_direct(base, layout, adapter, path, kind, name)
        return []
    full = path.with_name(f"{path.name}.f16")
    _write_direct(base, layout, adapter, full, "F16", name)
    notes = _quantise(full, path, kind)
    full.unlink()
    return notes


def _write_direct(base: Path, layout: Layout, adapter: Adapter | None, path: Path, kind: str, name: str) -> None:
    tensors = read_model(base)
    if adapter is not None:
        check_fits(adapter, tensors, base)
    if _EMBEDDING not in tensors:
        raise ModelError(f"{base}: this {layout.name} has no {_EMBEDDING}", hint="try --to merged instead")
    writer = gguf.GGUFWriter(path, layout.label)
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(name)
    layout.describe(writer)
    writer.add_file_type(DIRECT[kind][1])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    add_vocabulary(writer, base, tensors[_EMBEDDING].shape[0])
    data: list[Callable[[], NDArray[Any]]] = []
    factors = layout.rope_factors()
    if factors is not None:
        _announce(writer, "rope_freqs.weight", factors.shape, _KINDS.F32)
        data.append(lambda: factors)
    for tensor in tensors.values():
        if layout.dropped(tensor.name):
            continue
        new = layout.gguf_name(tensor.name)
        number = _number_kind(new, tensor.shape, DIRECT[kind][0])
        _announce(writer, new, tensor.shape, number)
        data.append(partial(_encoded, layout, tensor, adapter, number))
    _stream(writer, data)


def _encoded(layout: Layout, tensor: Tensor, adapter: Adapter | None, kind: gguf.GGMLQuantizationType) -> NDArray[Any]:
    values = layout.transformed(tensor.name, merged_floats(tensor, adapter))
    encoded: NDArray[Any] = gguf.quants.quantize(values, kind)
    return encoded


def _number_kind(name: str, shape: tuple[int, ...], wanted: gguf.GGMLQuantizationType) -> gguf.GGMLQuantizationType:
    """Vectors stay float32; rows that do not divide into blocks become float16. As llama.cpp's converter does."""
    if len(shape) < 2 or name.endswith("_norm.weight"):
        return _KINDS.F32
    return _KINDS.F16 if shape[-1] % gguf.GGML_QUANT_SIZES[wanted][0] else wanted


def _announce(writer: gguf.GGUFWriter, name: str, shape: tuple[int, ...], kind: gguf.GGMLQuantizationType) -> None:
    per_block, size = gguf.GGML_QUANT_SIZES[kind]
    writer.add_tensor_info(name, shape, np.dtype(np.float32), math.prod(shape) // per_block * size, raw_dtype=kind)


def _stream(writer: gguf.GGUFWriter, data: list[Callable[[], NDArray[Any]]]) -> None:
    """Header and metadata, then one tensor at a time."""
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for make in data:
            tensor = np.ascontiguousarray(make())
            try:
                writer.write_tensor_data(tensor)
            except OSError as error:  # numpy writes what fits and does not say why
                raise OSError(error.errno or errno.ENOSPC, os.strerror(error.errno or errno.ENOSPC)) from error
    finally:
        writer.close()


def write_gguf_adapter(base: Path, adapter: Adapter, path: Path, name: str) -> None:
    """The adapter alone, for `--lora` of llama.cpp, with the names of its convert_lora_to_gguf.py."""
    layout = read_layout(base)
    check_fits(adapter, read_model(base), base)
    writer = gguf.GGUFWriter(path, layout.label)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_name(name)
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, adapter.alpha)
    data: list[Callable[[], NDArray[Any]]] = []
    for layer, (a, b) in sorted(adapter.layers.items()):
        weight = f"{layer}.weight"
        turned: Floats = layout.rows(weight, b)
        for part, values in (("lora_a", a), ("lora_b", turned)):
            _announce(writer, f"{layout.gguf_name(weight)}.{part}", values.shape, _KINDS.F32)
            data.append(partial(np.asarray, values, np.float32))
    _stream(writer, data)


def _quantise(source: Path, target: Path, kind: str) -> list[str]:
    """A smaller copy, made by llama.cpp in this process. Returns what is worth knowing about it."""
    import llama_cpp as C

    with log_kept() as words:
        C.llama_backend_init()
        params = C.llama_model_quantize_default_params()
        params.ftype = getattr(C, f"LLAMA_FTYPE_MOSTLY_{kind}")
        code = C.llama_model_quantize(os.fsencode(source), os.fsencode(target), params)
    if code != 0:
        if shutil.disk_usage(target.parent).free < source.stat().st_size // 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        raise ModelError(f"llama.cpp cannot turn this model into {kind} (code {code})", hint="try --quantize Q8_0")
    wider = b"".join(words).count(b"falling back to")
    return [f"{wider} matrices are stored wider than {kind}: their rows do not divide into its blocks"] if wider else []
