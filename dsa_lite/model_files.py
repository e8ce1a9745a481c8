"""The files of a model folder in Hugging Face layout: which of them are the weights, which chat template is meant, and
what can be seen of the folder before anything is loaded. Needs the standard library alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dsa_lite.errors import ModelError

_HINT = "copy or download it again"
_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_LONGEST_HEADER = 100 << 20  # bytes
_COMPARED = 1 << 16  # bytes of each end of two tensors
_FLOATS = ("F64", "F32", "F16", "BF16")
#: What packed weights are called where config.json does not say that they are packed.
_PACKED = re.compile(r"\.(?:qweight|weight_packed|weight_scale|weight_scale_inv|absmax|quant_state\..*)$")
_UNPACKED = 'give the unquantised model; quantize = "4bit" under [student] makes it small'
#: Of several named templates, those that are not for chatting.
_OTHER_USES = ("tool_use", "rag")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty when there is no such file. Raises ModelError when it is broken."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON: {error}", hint=_HINT) from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} does not hold a JSON object", hint=_HINT)
    return content


def weight_files(folder: Path) -> list[Path]:
    """The files that hold the weights, as transformers decides: model.safetensors, else those that the index names.

    Whatever else lies there (shards of an earlier upload, consolidated.safetensors, an adapter) is no part of it.
    Empty where there are none. Raises ModelError for a broken index; the files need not be there.
    """
    if (folder / _WEIGHTS).exists():
        return [folder / _WEIGHTS]
    return [folder / name for name in sorted(set(weight_map(folder).values()))]


def weight_map(folder: Path) -> dict[str, str]:
    """Tensor -> name of its file, as the index says; empty where there is no index or it does not count."""
    path = folder / _INDEX
    if (folder / _WEIGHTS).exists() or not path.is_file():
        return {}
    found = read_json(path).get("weight_map")
    if not isinstance(found, dict) or not found:
        raise ModelError(f"{path} names no weights", hint=_HINT)
    odd = [name for name in found.values() if not isinstance(name, str) or not name or Path(name).name != name]
    if odd:
        raise ModelError(f"{path} names {odd[0]!r}, which is no file of this folder", hint=_HINT)
    return found


def weight_header(path: Path) -> tuple[dict[str, Any], int]:
    """Tensor -> {"dtype", "shape", "data_offsets"} of one safetensors file, and the byte from which offsets count.

    Raises ModelError when it is broken.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > min(_LONGEST_HEADER, path.stat().st_size):
                raise ValueError("its header is cut short")
            header = json.loads(file.read(length))
        if not isinstance(header, dict) or not all(isinstance(entry, dict) for entry in header.values()):
            raise ValueError("its header names no tensors")
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is no readable safetensors file: {error}", hint=_HINT) from error
    return {name: entry for name, entry in header.items() if name != "__metadata__"}, 8 + length


def chat_template(folder: Path) -> tuple[str | None, str]:
    """The chat template that is meant, and what is worth saying about it ("" if nothing).

    In this order: chat_template.jinja, tokenizer_config.json, chat_template.json and processor_config.json (vision
    models). Of several named ones `default`, else the only one for chatting. Raises ModelError for broken files.
    """
    path = folder / "chat_template.jinja"
    if path.is_file():
        try:
            return path.read_text(encoding="utf-8"), ""
        except UnicodeDecodeError as error:
            raise ModelError(f"{path} is not UTF-8: {error}", hint=_HINT) from error
    named: dict[str, str] = {}
    for name in ("tokenizer_config.json", "chat_template.json", "processor_config.json"):
        found = read_json(folder / name).get("chat_template")
        if isinstance(found, str) and found.strip():
            return found, ""
        named |= {key: text for key, text in _named(found).items() if key not in named}
    for more in sorted((folder / "additional_chat_templates").glob("*.jinja")):
        named.setdefault(more.stem, more.read_text(encoding="utf-8", errors="replace"))
    return _chosen(named)


def _named(found: Any) -> dict[str, str]:
    """Several templates: a list of {"name", "template"}, or an object."""
    pairs = (
        [(e.get("name"), e.get("template")) for e in found if isinstance(e, dict)] if isinstance(found, list) else []
    )
    pairs = list(found.items()) if isinstance(found, dict) else pairs
    return {str(name): text for name, text in pairs if isinstance(text, str) and text.strip()}


def _chosen(named: Mapping[str, str]) -> tuple[str | None, str]:
    if "default" in named or not named:
        return named.get("default"), ""
    chats = [name for name in named if name not in _OTHER_USES]
    listed = ", ".join(named)
    if len(chats) == 1:
        return named[chats[0]], f"of its chat templates ({listed}) none is called default: {chats[0]} is used"
    return None, f"of its chat templates ({listed}) none is called default: none is used"


def check_student(folder: Path) -> None:
    """Raises ModelError, with every fault, for a folder that is certainly no student; weights are not read."""
    if found := faults(folder):
        what = "; ".join(dict.fromkeys(what for what, _ in found))
        raise ModelError(
            f"{folder} cannot be a student: {what}", hint="; ".join(dict.fromkeys(how for _, how in found))
        )


def faults(folder: Path) -> list[tuple[str, str]]:
    """What is wrong with a student's folder, each with what to do."""
    config, adapter = folder / "config.json", folder / "adapter_config.json"
    if adapter.is_file():
        base = read_json(adapter).get("base_model_name_or_path") or "another model"
        if not config.is_file():
            return [(f"it is an adapter of {base}, not a model", "give its base, or merge it into its base first")]
        beside = "it holds an adapter (adapter_config.json) beside the model"
        return [(beside, "move the adapter elsewhere, or merge it into the model first")]
    found = [fault for fault in (_tokenizer_fault(folder), _weights_fault(folder)) if fault]
    if not config.is_file():
        found.append(("it has no config.json", "give a Hugging Face model folder"))
    return found or _kind_faults(folder, read_json(config))


def _tokenizer_fault(folder: Path) -> tuple[str, str] | None:
    if (folder / "tokenizer.json").is_file():
        return None
    old = [name for name in ("tokenizer.model", "spiece.model", "vocab.json", "vocab.txt") if (folder / name).is_file()]
    if not old:
        return "it has no tokenizer.json", _HINT
    path = str(folder)
    line = f"from transformers import AutoTokenizer as A; A.from_pretrained({path!r}).save_pretrained({path!r})"
    return f"it has {old[0]} but no tokenizer.json", f'make one: python -c "{line}"'


def _weights_fault(folder: Path) -> tuple[str, str] | None:
    files = weight_files(folder)
    lacking = [path.name for path in files if not path.exists()]
    if lacking:
        return f"{len(lacking)} of {len(files)} weight files are missing: {', '.join(lacking[:3])}", _HINT
    if files:
        small = [path for path in files if path.is_file() and path.stat().st_size < 1024]
        holders = [path.name for path in small if path.read_bytes()[:8] == b"version "]
        what = f"{', '.join(holders[:3])} is the place-holder of a large file"
        return (what, "git lfs pull fetches it") if holders else None
    others = sorted(path.name for path in folder.glob("*") if path.suffix in (".safetensors", ".bin", ".gguf", ".pth"))
    if any(re.fullmatch(r"model-\d+-of-\d+\.safetensors", name) for name in others):
        return f"its weights are in parts and there is no {_INDEX}", _HINT
    there = f" (it has {', '.join(others[:3])})" if others else ""
    return f"it has no {_WEIGHTS}{there}", "give a Hugging Face model folder with safetensors weights"


def _kind_faults(folder: Path, config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the kind of model makes impossible."""
    if packed := _packing(folder, config):
        return [(f"it holds weights quantised with {packed}", _UNPACKED)]
    if config.get("tie_word_embeddings") is True and _holds_another_head(folder):
        what = (
            "config.json says that the output layer is the embedding (tie_word_embeddings), and lm_head.weight differs"
        )
        return [(what, "say false there, which takes lm_head.weight, or give the folder without it")]
    name = _architecture(config)
    if config.get("is_encoder_decoder"):
        return [
            (f"{name} reads with one network and writes with another", "give a model that only writes (…ForCausalLM)")
        ]
    return []


def _packing(folder: Path, config: Mapping[str, Any]) -> str:
    """How the weights are quantised; "" where they are not, or in MLX's way, which MLX trains."""
    if isinstance(config.get("quantization"), dict):
        return ""
    text = config.get("text_config")
    for place in (config, text if isinstance(text, dict) else {}):
        stated = place.get("quantization_config") or place.get("compression_config")
        if isinstance(stated, dict):
            return str(stated.get("quant_method") or "an unnamed method")
    for name, method in (
        ("quantize_config.json", "gptq"),
        ("quant_config.json", "awq"),
        ("hf_quant_config.json", "modelopt"),
    ):
        if (folder / name).is_file():
            return method
    header: dict[str, Any] = {}
    for path in weight_files(folder):
        with suppress(ModelError, OSError):  # what is broken is said when it is loaded
            header = weight_header(path)[0]
        for tensor, entry in header.items():
            kind = entry.get("dtype")
            if _PACKED.search(tensor) or (tensor.endswith(".weight") and kind not in _FLOATS):
                return f"a method that config.json does not name ({tensor} is {kind})"
    return ""


def _holds_another_head(folder: Path) -> bool:
    """Whether lm_head.weight is there and begins or ends otherwise than the embedding: loaders disagree then."""
    found: dict[str, tuple[Any, ...]] = {}
    for path in weight_files(folder):
        with suppress(ModelError, OSError, KeyError, TypeError, ValueError):  # as in _packing
            header, start = weight_header(path)
            for tensor in ("lm_head.weight", "model.embed_tokens.weight"):
                if tensor in header:
                    entry = header[tensor]
                    first, last = (start + offset for offset in entry["data_offsets"])
                    found[tensor] = (entry["dtype"], entry["shape"], *_ends(path, first, last))
    return len(found) == 2 and len(set(map(str, found.values()))) == 2


def _ends(path: Path, first: int, last: int) -> tuple[bytes, bytes]:
    """The first and last bytes of a tensor."""
    size = min(_COMPARED, last - first)
    with path.open("rb") as file:
        file.seek(first)
        begin = file.read(size)
        file.seek(last - size)
        return begin, file.read(size)


def _architecture(config: Mapping[str, Any]) -> str:
    names = config.get("architectures")
    return str(names[0]) if isinstance(names, list) and names else str(config.get("model_type") or "this model")
