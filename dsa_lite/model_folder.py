"""A student's folder in Hugging Face layout: found, fingerprinted, its tokenizer read. Shared by the student backends.

What is imported here beyond the standard library (`tokenizers`, `huggingface_hub`) comes with every student's extra
and is imported when it is used.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsa_lite.chat import end_token
from dsa_lite.errors import ModelError

if TYPE_CHECKING:  # the look at a folder needs no numpy
    import numpy as np
    from numpy.typing import NDArray

_HINT = "copy or download it again"
_ADAPTER_HINT = "go on with the run: it is then written again from the last checkpoint, or trained again"
_SPECIAL = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_FILES = ("*.json", "*.safetensors", "*.jinja")
_SIZES = ("hidden_size", "intermediate_size", "num_attention_heads", "vocab_size")
_LAYER_BYTES = 256  # what one layer takes in a file at least, by its tensors' names alone
_WHOLE = 64 << 20  # bytes; bigger files are fingerprinted by their size and two ends
_END = 1 << 20


def find_folder(source: str) -> Path:
    """The folder a source means. Raises ModelError naming what is missing."""
    folder = Path(source).expanduser()
    if folder.is_file():
        raise ModelError(f"{source} is a file", hint="a student is a folder with config.json and *.safetensors")
    if not folder.is_dir():
        folder = _cached(source)
    wanted = ("config.json", "tokenizer.json", "*.safetensors")
    missing = [pattern for pattern in wanted if not any(folder.glob(pattern))]
    if missing:
        raise ModelError(
            f"{folder} is not a student model: no {', no '.join(missing)}",
            hint="give a Hugging Face model folder with safetensors weights (GGUF files are for teachers)",
        )
    return folder


def _cached(source: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    hint = "give a local folder, or download the model first: hf download <id>"
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        raise ModelError(f"no such student model folder: {source}", hint=hint)
    try:
        return Path(snapshot_download(source, local_files_only=True, allow_patterns=list(_FILES)))
    except (LocalEntryNotFoundError, HFValidationError, OSError) as error:
        raise ModelError(f"{source} is neither a folder nor a model in the Hugging Face cache", hint=hint) from error


def fingerprint(folder: Path) -> str:
    """SHA-256 over configuration, tokenizer and weights (of very big files: size, first and last MiB)."""
    digest = hashlib.sha256()
    for path in [folder / "config.json", folder / "tokenizer.json", *sorted(folder.glob("*.safetensors"))]:
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode())
        with path.open("rb") as file:
            if size <= _WHOLE:
                digest.update(file.read())
            else:
                digest.update(file.read(_END))
                file.seek(-_END, 2)
                digest.update(file.read())
    return digest.hexdigest()


def saved_adapter(
    path: Path, shapes: Mapping[str, tuple[int, ...]], read: Callable[[Path], dict[str, NDArray[np.float32]]]
) -> dict[str, NDArray[np.float32]]:
    """The tensors that `read` finds in an adapter's file. Raises ModelError where they are not those of `shapes`, or
    not finite."""
    import numpy

    try:
        found = read(path)
    except Exception as error:  # safetensors raises its own bare kind
        what = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
        raise ModelError(f"the adapter {path} {what}", hint=_ADAPTER_HINT) from error
    odd = sorted(name for name in {*found, *shapes} if name not in found or found[name].shape != shapes.get(name))
    if odd:
        raise ModelError(f"the adapter {path} belongs to another model or shape: {odd[0]}", hint=_ADAPTER_HINT)
    if broken := [name for name, values in found.items() if not numpy.isfinite(values).all()]:
        raise ModelError(f"the adapter {path} is broken: {broken[0]} holds NaN or infinity", hint=_ADAPTER_HINT)
    return found


class FolderTokenizer:
    """Text to ids and back; implements `dsa_lite.student.Tokenizer`."""

    eos_id: int
    chat_template: str | None
    special_tokens: dict[str, str]

    def __init__(self, folder: Path) -> None:
        """Read a model folder. Raises ModelError when tokenizer.json is broken or no end token is known."""
        from tokenizers import Tokenizer as Engine

        try:
            self._engine = Engine.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # the Rust side raises bare Exception
            raise ModelError(f"{folder / 'tokenizer.json'} cannot be read: {error}", hint=_HINT) from error
        self._engine.no_padding()
        self._engine.no_truncation()
        settings = {**read_json(folder / "special_tokens_map.json"), **read_json(folder / "tokenizer_config.json")}
        self.special_tokens = {name: text for name in _SPECIAL if (text := _token_text(settings.get(name)))}
        self.chat_template = _chat_template(folder, settings)
        self.eos_id = self._end_token(folder)

    @property
    def size(self) -> int:
        """One more than the highest id."""
        return max(self._engine.get_vocab(with_added_tokens=True).values(), default=-1) + 1

    def encode(self, text: str) -> list[int]:
        """Ids of `text` alone: special tokens written in the text are parsed, none is added."""
        return list(self._engine.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Text without special tokens."""
        return str(self._engine.decode([int(i) for i in ids], skip_special_tokens=True))

    def spell(self, ids: Sequence[int]) -> str:
        """Text with special tokens as they are written."""
        return str(self._engine.decode([int(i) for i in ids], skip_special_tokens=False))

    def _end_token(self, folder: Path) -> int:
        text = self.special_tokens.get("eos_token")
        number = self._engine.token_to_id(text) if text else None
        candidates = [number, *end_ids(folder)]
        for candidate in candidates:
            if candidate is not None:
                return int(candidate)
        raise ModelError(f"{folder} names no end token", hint="set eos_token in tokenizer_config.json")


def stop_ids(folder: Path, tokenizer: FolderTokenizer) -> frozenset[int]:
    """Every id a reply stops at: the end tokens the files name, and what training teaches to write last."""
    try:
        # Often not one of those the files name.
        taught = end_token(tokenizer)
    except ModelError as error:
        hint = "correct its chat template, or try another model"
        raise ModelError(f"{folder}: {error.message}", hint=hint) from error
    return frozenset([tokenizer.eos_id, taught, *end_ids(folder)])


def end_ids(folder: Path) -> list[int]:
    """Every id that ends a generation, as generation_config.json and config.json say."""
    found: list[int] = []
    for name in ("generation_config.json", "config.json"):
        value = read_json(folder / name).get("eos_token_id")
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int) and number not in found:
                found.append(number)
    return found


def refuse_absurd(folder: Path) -> None:
    """Raises ModelError for sizes in config.json that the weights beside it cannot have: building such a model would
    take all memory, or for ever."""
    config = read_json(folder / "config.json")
    text = config.get("text_config")
    settings = {**config, **(text if isinstance(text, dict) else {})}
    most = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    limits = dict.fromkeys(_SIZES, most) | {"num_hidden_layers": max(1, most // _LAYER_BYTES)}
    odd = [
        f"{name} = {value!r}"
        for name, limit in limits.items()
        if (value := settings.get(name)) is not None
        and not (isinstance(value, int) and not isinstance(value, bool) and 0 < value <= limit)
    ]
    if odd:
        raise ModelError(
            f"{folder / 'config.json'} does not belong to the {most:,} bytes of weights beside it: {', '.join(odd)}",
            hint=_HINT,
        )


def context_tokens(folder: Path) -> int:
    """The longest sequence a model takes, as config.json says; without a word there, none is too long."""
    config = read_json(folder / "config.json")
    text = config.get("text_config")
    settings = {**config, **(text if isinstance(text, dict) else {})}
    found = settings.get("max_position_embeddings") or settings.get("n_positions")
    return found if isinstance(found, int) and found > 0 else 1 << 30


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty when there is no such file. Raises ModelError when it is broken."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}", hint=_HINT) from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} does not hold a JSON object", hint=_HINT)
    return content


def _token_text(value: Any) -> str | None:
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) and value else None


def _chat_template(folder: Path, settings: dict[str, Any]) -> str | None:
    """The file chat_template.jinja wins over the setting; of several named templates, the default one."""
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    template = settings.get("chat_template")
    if isinstance(template, list):
        named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
        template = named.get("default")
    return template if isinstance(template, str) else None
