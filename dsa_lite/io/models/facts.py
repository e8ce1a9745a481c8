"""What a model that was found is like, read from its files' headers without loading it."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsa_lite.io.models.found import Found
from dsa_lite.io.models.gguf_header import read_header

#: Memory as a multiple of the weights; estimates. A teacher also holds the texts in flight, a student what it is
#: trained with, beside weights in float32 (4 bytes a number; a GPU with bfloat16 takes half).
TEACHER_MEMORY, STUDENT_MEMORY = 1.2, 1.5
_WRITES = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
_FIRST_PART = re.compile(r"-0*1-of-(\d+)\.gguf$", re.IGNORECASE)
_LONGEST_HEADER = 100 << 20


@dataclass(frozen=True)
class Facts:
    """`size` on disk and `memory` needed in bytes; None: the files do not say. `problem`: why it cannot be used."""

    size: int
    quantisation: str | None = None
    context: int | None = None
    chat_template: bool = False
    memory: int | None = None
    problem: str = ""


def describe(found: Found) -> Facts | None:
    """None for what is no model that writes text: embedders, adapters, picture readers."""
    return _describe_gguf(found.path) if found.role == "teacher" else _describe_folder(found.path)


def trained_by_mlx_only(folder: Path) -> bool:
    """Whether the weights are quantised in MLX's own way, which no other backend reads."""
    try:
        return "quantization" in _object(folder / "config.json")
    except (OSError, ValueError):
        return False


def _describe_gguf(path: Path) -> Facts | None:
    try:
        size, missing = _gguf_size(path)
        header = read_header(path)
    except (OSError, ValueError) as error:
        return Facts(size=path.stat().st_size if path.exists() else 0, problem=f"unreadable: {error}")
    if not header.writes:
        return None
    needed = int(TEACHER_MEMORY * size)
    return Facts(size, header.quantisation, header.context, header.chat_template, needed, missing)


def _gguf_size(path: Path) -> tuple[int, str]:
    """Bytes of all parts of a split file, and what is missing of it."""
    match = _FIRST_PART.search(path.name)
    if not match:
        return path.stat().st_size, ""
    count, width = int(match[1]), len(match[1])
    start = path.name[: match.start()]
    parts = [path.with_name(f"{start}-{i:0{width}d}-of-{match[1]}.gguf") for i in range(2, count + 1)]
    there = [path, *(part for part in parts if part.exists())]
    lacking = count - len(there)
    return sum(p.stat().st_size for p in there), f"incomplete: {lacking} of {count} parts missing" if lacking else ""


def _describe_folder(folder: Path) -> Facts | None:
    weights = sorted(folder.glob("*.safetensors"))
    try:
        size = sum(path.stat().st_size for path in weights)
        config = _object(folder / "config.json")
        names = config.get("architectures")
        if isinstance(names, list) and names and not any(str(n).endswith(_WRITES) for n in names):
            return None
        numbers, dtype = _numbers(weights)
        problem = _missing(folder)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        return Facts(size=0, problem=f"unreadable: {error}")
    text = config.get("text_config")
    context = {**config, **(text if isinstance(text, dict) else {})}.get("max_position_embeddings")
    packed = _quantisation(config)
    return Facts(
        size=size,
        quantisation=packed or dtype,
        context=context if isinstance(context, int) else None,
        chat_template=_has_template(folder),
        memory=int(STUDENT_MEMORY * (size if packed else 4 * numbers)),
        problem=problem,
    )


def _quantisation(config: dict[str, Any]) -> str | None:
    own, other = config.get("quantization"), config.get("quantization_config")
    if isinstance(own, dict):
        return f"MLX {own.get('bits', '?')} bit"
    return str(other.get("quant_method")) if isinstance(other, dict) else None


def _numbers(weights: list[Path]) -> tuple[int, str | None]:
    """How many numbers the safetensors files hold, and the type most of them have."""
    counts: dict[str, int] = {}
    for path in weights:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > _LONGEST_HEADER:
                raise ValueError(f"{path.name} is no safetensors file")
            header = json.loads(file.read(length))
        for name, tensor in header.items():
            if name != "__metadata__":
                dtype = str(tensor["dtype"])
                counts[dtype] = counts.get(dtype, 0) + math.prod(tensor["shape"])
    return sum(counts.values()), max(counts, key=lambda d: counts[d], default=None)


def _missing(folder: Path) -> str:
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return ""
    shards = {str(name) for name in _object(index).get("weight_map", {}).values()}
    lacking = sum(not (folder / Path(name).name).exists() for name in shards)
    return f"incomplete: {lacking} of {len(shards)} weight files missing" if lacking else ""


def _has_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file():
        return True
    settings = folder / "tokenizer_config.json"
    try:
        return settings.is_file() and bool(_object(settings).get("chat_template"))
    except (OSError, ValueError):
        return False


def _object(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_bytes())
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} holds no JSON object")
    return content
