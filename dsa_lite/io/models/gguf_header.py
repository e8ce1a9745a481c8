"""The few facts of a GGUF file's header that a list of models shows. Arrays are stepped over, so that it is quick.

The teacher's backend reads and checks the whole header when a file is opened; this only looks.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
#: general.file_type -> what people call it (llama.h, LLAMA_FTYPE).
_QUANTISATION = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
    12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS",
    20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M",
    28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4",
    39: "NVFP4", 40: "Q1_0", 41: "Q2_0",
}  # fmt: skip


_READS_AND_WRITES = ("t5",)
_ENCODES = ("bert", "t5encoder")  # ends of architectures' names
_OTHER_TYPES = {
    "mmproj": "a picture reader (mmproj)",
    "adapter": "an adapter",
    "imatrix": "a table for quantising (imatrix)",
    "vocab": "a vocabulary alone",
}


@dataclass(frozen=True)
class GgufHeader:
    """`context`: tokens the model was trained for. `part`, `parts`: of a split file, from 1.

    `instead`: what it is where it is no language model, "" where it is one.
    """

    quantisation: str | None
    context: int | None
    chat_template: bool
    instead: str
    part: int = 1
    parts: int = 1


def read_header(path: Path) -> GgufHeader:
    """Raises ValueError when `path` is no readable GGUF file (also when it is cut short in its header), OSError."""
    with path.open("rb") as file:
        if path.stat().st_size < 24:
            raise ValueError("too short for a GGUF file")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            try:
                return _facts(_metadata(content))
            except (struct.error, KeyError, IndexError, OverflowError, RecursionError) as error:
                raise ValueError("its header is broken or cut short") from error


def _facts(metadata: dict[str, Any]) -> GgufHeader:
    context = metadata.get(f"{metadata.get('general.architecture', '')}.context_length")
    file_type = metadata.get("general.file_type")
    part, parts = metadata.get("split.no", 0), metadata.get("split.count", 0)
    return GgufHeader(
        quantisation=None if file_type is None else _QUANTISATION.get(file_type, f"type {file_type}"),
        context=context if isinstance(context, int) else None,
        chat_template=bool(metadata.get("tokenizer.chat_template")),
        instead="" if part else _instead(metadata),  # later parts do not say what they are parts of
        part=part + 1 if isinstance(part, int) else 1,
        parts=max(1, parts) if isinstance(parts, int) else 1,
    )


def _instead(metadata: dict[str, Any]) -> str:
    architecture = str(metadata.get("general.architecture", ""))
    kind = "mmproj" if architecture == "clip" else metadata.get("general.type", "model")
    if kind != "model":
        return _OTHER_TYPES.get(kind, f"a file of type {kind}")
    if architecture in _READS_AND_WRITES:
        return f"a model that reads with one network and writes with another ({architecture})"
    if metadata.get(f"{architecture}.pooling_type", 0) or architecture.endswith(_ENCODES):
        return "an embedder"
    if not {"tokenizer.ggml.tokens", "tokenizer.ggml.model"} & metadata.keys():
        return f"a model of another kind (architecture {architecture or 'not named'}, no vocabulary)"
    return ""


def _metadata(content: mmap.mmap) -> dict[str, Any]:
    """Scalars and strings by key; of an array its length."""
    if content[:4] != b"GGUF":
        raise ValueError(f"it starts with {content[:4]!r}, not b'GGUF'")
    version, _, pairs = struct.unpack_from("<IQQ", content, 4)
    if version not in (2, 3):
        raise ValueError(f"GGUF version {version}, known are 2 and 3")
    found: dict[str, Any] = {}
    at = 24
    for _ in range(pairs):
        key, at = _string(content, at)
        (kind,) = struct.unpack_from("<I", content, at)
        found[key], at = _value(content, at + 4, kind)
    return found


def _string(content: mmap.mmap, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<Q", content, at)
    end = at + 8 + length
    if end > len(content):
        raise IndexError(end)
    return content[at + 8 : end].decode("utf-8", "replace"), end


def _value(content: mmap.mmap, at: int, kind: int) -> tuple[Any, int]:
    """A value, or an array's length, and where the next one begins."""
    if kind == _STRING:
        return _string(content, at)
    if kind == _ARRAY:
        return struct.unpack_from("<Q", content, at + 4)[0], _after_array(content, at)
    code = "<" + _SCALARS[kind]
    return struct.unpack_from(code, content, at)[0], at + struct.calcsize(code)


def _after_array(content: mmap.mmap, at: int) -> int:
    kind, count = struct.unpack_from("<IQ", content, at)
    at += 12
    if kind == _STRING:
        length_at = struct.Struct("<Q").unpack_from
        for _ in range(count):
            at += 8 + length_at(content, at)[0]
    elif kind == _ARRAY:
        for _ in range(count):
            at = _after_array(content, at)
    else:
        at += count * struct.calcsize("<" + _SCALARS[kind])
    return at
