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

from dsa_lite.chat import PLAIN_TEMPLATE, end_token
from dsa_lite.errors import ModelError
from dsa_lite.model_files import chat_template, check_student, read_json, weight_files

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
    """The folder a source means. Raises ModelError naming everything that keeps it from being a student."""
    folder = Path(source).expanduser()
    if folder.is_file():
        raise ModelError(f"{source} is a file", hint="a student is a folder with config.json and *.safetensors")
    if not folder.is_dir():
        folder = _cached(source)
    check_student(folder)
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
    for path in [folder / "config.json", folder / "tokenizer.json", *weight_files(folder)]:
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
    """Text to ids and back; implements `dsa_lite.student.Tokenizer`.

    `chat_template`: the folder's own, else the plain one, begun with BOS where the tokenizer is to add it.
    """

    eos_id: int
    chat_template: str | None
    special_tokens: dict[str, str]

    def __init__(self, folder: Path) -> None:
        """Read a model folder. Raises ModelError when tokenizer.json is broken or no end token is known."""
        try:
            self._engine = _engine(folder)
        except (ModelError, ImportError):
            raise
        except Exception as error:  # the Rust side raises bare Exception
            raise ModelError(f"{folder / 'tokenizer.json'} cannot be read: {error}", hint=_HINT) from error
        self._engine.no_padding()
        self._engine.no_truncation()
        settings = {**read_json(folder / "special_tokens_map.json"), **read_json(folder / "tokenizer_config.json")}
        self.special_tokens = {name: text for name in _SPECIAL if (text := _token_text(settings.get(name)))}
        self.chat_template = chat_template(folder)[0] or self._plain_template(settings)
        self.eos_id = self._end_token(folder)

    @property
    def size(self) -> int:
        """One more than the highest id."""
        return _size(self._engine)

    def encode(self, text: str) -> list[int]:
        """Ids of `text` alone: special tokens written in the text are parsed, none is added."""
        return list(self._engine.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Text without special tokens."""
        return str(self._engine.decode([int(i) for i in ids], skip_special_tokens=True))

    def spell(self, ids: Sequence[int]) -> str:
        """Text with special tokens as they are written."""
        return str(self._engine.decode([int(i) for i in ids], skip_special_tokens=False))

    def _plain_template(self, settings: Mapping[str, Any]) -> str:
        """Begun with what the tokenizer adds before a text, as its settings or else its post-processor say."""
        stated = settings.get("add_bos_token")
        alone, begun = self.encode("x"), list(self._engine.encode("x", add_special_tokens=True).ids)
        added = begun[: begun.index(alone[0])] if stated is not False and alone and alone[0] in begun else []
        start = "".join(self._engine.id_to_token(number) or "" for number in added)
        start = start or (self.special_tokens.get("bos_token", "") if stated else "")
        if not start or (added and self.encode(start) != added):
            return PLAIN_TEMPLATE
        return f"{{{{ {json.dumps(start, ensure_ascii=False)} }}}}{PLAIN_TEMPLATE}"

    def _end_token(self, folder: Path) -> int:
        text = self.special_tokens.get("eos_token")
        number = self._engine.token_to_id(text) if text else None
        candidates = [number, *end_ids(folder)]
        for candidate in candidates:
            if candidate is not None:
                return int(candidate)
        raise ModelError(f"{folder} names no end token", hint="set eos_token in tokenizer_config.json")


def _engine(folder: Path) -> Any:
    """The tokenizer, without special tokens for which the model has no row (Gemma 3: one for pictures)."""
    from tokenizers import Tokenizer as Engine

    engine = Engine.from_file(str(folder / "tokenizer.json"))
    rows = _settings(folder).get("vocab_size")
    if not isinstance(rows, int) or _size(engine) <= rows:
        return engine
    content = read_json(folder / "tokenizer.json")
    kept = [token for token in content.get("added_tokens", []) if token["id"] < rows or not token["special"]]
    return Engine.from_str(json.dumps({**content, "added_tokens": kept}))


def _size(engine: Any) -> int:
    return max(engine.get_vocab(with_added_tokens=True).values(), default=-1) + 1


def _settings(folder: Path) -> dict[str, Any]:
    """config.json, the text model's part of it first."""
    config = read_json(folder / "config.json")
    text = config.get("text_config")
    return {**config, **(text if isinstance(text, dict) else {})}


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
    settings = _settings(folder)
    found = settings.get("max_position_embeddings") or settings.get("n_positions")
    return found if isinstance(found, int) and found > 0 else 1 << 30


def _token_text(value: Any) -> str | None:
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) and value else None
