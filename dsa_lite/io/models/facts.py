"""What a model that was found is like, read from its files' headers without loading it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsa_lite.errors import ModelError
from dsa_lite.io.models.found import Found
from dsa_lite.io.models.gguf_header import read_header
from dsa_lite.model_files import chat_template, faults, read_json, weight_files, weight_header

#: Memory as a multiple of the weights; estimates. A teacher also holds the texts in flight, a student what it is
#: trained with, beside weights in float32 (4 bytes a number; a GPU with bfloat16 takes half).
TEACHER_MEMORY, STUDENT_MEMORY = 1.2, 1.5
_WRITES = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
_PART = re.compile(r"-(\d+)-of-(\d+)\.gguf$", re.IGNORECASE)


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
        return "quantization" in read_json(folder / "config.json")
    except (OSError, ModelError):
        return False


def teacher_fault(path: Path) -> tuple[str, str] | None:
    """Why a GGUF file is no teacher, and what to do. None: nothing is wrong, or the header says nothing.

    Whether the file is whole and sound is for the backend to say when it opens it.
    """
    try:
        header = read_header(path)
    except (OSError, ValueError):
        return None
    named = _PART.search(path.name)
    part, parts = (int(named[1]), int(named[2])) if named else (header.part, header.parts)
    if part > 1:
        return f"is part {part} of {parts} of a model", f"give {_part_name(path, 1, parts)}, with the others beside it"
    if parts > 1 and not named:
        return f"is part 1 of {parts}, and its name hides it", f"name the parts {_part_name(path, 1, parts)} and so on"
    names = [_part_name(path, number, parts) for number in range(2, parts + 1)]
    if lacking := [name for name in names if not path.with_name(name).exists()]:
        what = f"is incomplete: {len(lacking)} of {parts} parts missing"
        return f"{what} ({', '.join(lacking[:3])})", "download the missing parts into the same folder"
    if header.instead:
        return f"is {header.instead}, not a language model", "give a model that writes text"
    return None


def teacher_note(path: Path) -> str:
    """What is worth saying about a GGUF file that can teach; "" if nothing."""
    try:
        if read_header(path).chat_template:
            return ""
    except (OSError, ValueError):
        return ""
    return f"{path.name} has no chat template: User:/Assistant: is used; base models seldom do what they are asked"


def student_note(folder: Path) -> str:
    """What is worth saying about a student's folder; "" if nothing."""
    try:
        template, note = chat_template(folder)
    except (OSError, ModelError):
        return ""  # said when it is opened
    plain = "" if template else "User:/Assistant: is used"
    return f"{folder.name}: {'; '.join(filter(None, [note or 'no chat template', plain]))}" if note or plain else ""


def _describe_gguf(path: Path) -> Facts | None:
    try:
        size = sum(part.stat().st_size for part in _parts(path))
        header = read_header(path)
    except (OSError, ValueError) as error:
        return Facts(size=path.stat().st_size if path.exists() else 0, problem=f"unreadable: {error}")
    if header.instead:
        return None
    what, _ = teacher_fault(path) or ("", "")
    needed = int(TEACHER_MEMORY * size)
    return Facts(size, header.quantisation, header.context, header.chat_template, needed, what.removeprefix("is "))


def _parts(path: Path) -> list[Path]:
    """The parts of a split file that are there, or the file alone."""
    match = _PART.search(path.name)
    count = int(match[2]) if match else 1
    there = (path.with_name(_part_name(path, n, count)) for n in range(2, count + 1))
    return [path, *(part for part in there if part.exists())]


def _part_name(path: Path, part: int, parts: int) -> str:
    """As llama.cpp names it."""
    match = _PART.search(path.name)
    return f"{path.name[: match.start()] if match else path.stem}-{part:05d}-of-{parts:05d}.gguf"


def _describe_folder(folder: Path) -> Facts | None:
    try:
        config = read_json(folder / "config.json")
        names = config.get("architectures")
        if isinstance(names, list) and names and not any(str(n).endswith(_WRITES) for n in names):
            return None
        weights = [path for path in weight_files(folder) if path.is_file()]
        size = sum(path.stat().st_size for path in weights)
        numbers, dtype = _numbers(weights)
        problem = "; ".join(what for what, _ in faults(folder))
        template = chat_template(folder)[0] is not None
    except ModelError as error:
        return Facts(size=0, problem=f"unreadable: {error.message}")
    except (OSError, LookupError, TypeError, AttributeError) as error:
        return Facts(size=0, problem=f"unreadable: {error}")
    text = config.get("text_config")
    context = {**config, **(text if isinstance(text, dict) else {})}.get("max_position_embeddings")
    packed = _quantisation(config)
    return Facts(
        size=size,
        quantisation=packed or dtype,
        context=context if isinstance(context, int) else None,
        chat_template=template,
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
        for tensor in weight_header(path)[0].values():
            dtype = str(tensor["dtype"])
            counts[dtype] = counts.get(dtype, 0) + math.prod(tensor["shape"])
    return sum(counts.values()), max(counts, key=lambda d: counts[d], default=None)
