"""The trained student in other tools' formats: PEFT, merged Hugging Face folder, GGUF, GGUF adapter, mlx-lm.

Needs numpy, gguf and tokenizers alone, whichever backend has trained. Writers (group `dsa_lite.exporters`) take
`(base, adapter, out, quantize, name)`: a folder or cached hub id, an adapter folder, an empty folder to fill, a number
format ("" for the usual one) and a file name's stem. They return notes for the user. Readers (group
`dsa_lite.answerers`) take `(base, out, prompts, max_tokens)`, load what was written as a stranger would, and return
greedy replies to rendered prompts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from dsa_lite.errors import MissingExtra, UsageError
from dsa_lite.model_folder import find_folder, read_json

_PRECISIONS = ("F32", "F16", "BF16")


def export_peft(base: str, adapter: Path, out: Path, quantize: str, name: str) -> list[str]:
    """The adapter as PEFT reads it."""
    from dsa_lite_formats.adapter import read_adapter, write_peft

    _refuse_quantize("peft", quantize, ())
    write_peft(read_adapter(adapter), _portable(base), out)
    return []


def export_mlx(base: str, adapter: Path, out: Path, quantize: str, name: str) -> list[str]:
    """The adapter as mlx-lm reads it."""
    from dsa_lite_formats.adapter import read_adapter, write_mlx

    _refuse_quantize("mlx", quantize, ())
    config = read_json(find_folder(base) / "config.json")
    write_mlx(read_adapter(adapter), _portable(base), int(config["num_hidden_layers"]), out)
    return []


def export_merged(base: str, adapter: Path, out: Path, quantize: str, name: str) -> list[str]:
    """A Hugging Face folder: base and adapter in one."""
    from dsa_lite_formats.adapter import read_adapter
    from dsa_lite_formats.merging import write_merged

    _refuse_quantize("merged", quantize, _PRECISIONS)
    write_merged(find_folder(base), read_adapter(adapter), out, quantize)
    return []


def export_gguf(base: str, adapter: Path, out: Path, quantize: str, name: str) -> list[str]:
    """One GGUF file: base and adapter in one, F16 unless told otherwise."""
    _need_gguf()
    from dsa_lite_formats.adapter import read_adapter
    from dsa_lite_formats.answering import llama_cpp_there, prove_tokens
    from dsa_lite_formats.gguf_files import write_gguf

    kind = quantize or "F16"
    path, folder = out / f"{name}-{kind}.gguf", find_folder(base)
    notes = write_gguf(folder, read_adapter(adapter), path, kind, name)
    if not llama_cpp_there():
        return [*notes, "llama-cpp-python is not installed: whether llama.cpp splits text as the student was not tried"]
    prove_tokens(path, folder)
    return notes


def export_gguf_adapter(base: str, adapter: Path, out: Path, quantize: str, name: str) -> list[str]:
    """One GGUF file with the adapter alone."""
    _need_gguf()
    from dsa_lite_formats.adapter import read_adapter
    from dsa_lite_formats.gguf_files import write_gguf_adapter

    _refuse_quantize("gguf-adapter", quantize, ())
    write_gguf_adapter(find_folder(base), read_adapter(adapter), out / f"{name}-lora.gguf", name)
    return []


def answer_gguf(base: str, out: Path, prompts: Sequence[str], max_tokens: int) -> list[str]:
    """Replies of the one GGUF file in a folder."""
    from dsa_lite_formats.answering import answer

    (path,) = out.glob("*.gguf")
    return answer(path, prompts, max_tokens)


def answer_gguf_adapter(base: str, out: Path, prompts: Sequence[str], max_tokens: int) -> list[str]:
    """Replies of the base, written as GGUF for this, with the GGUF adapter on it."""
    _need_gguf()
    from dsa_lite_formats.answering import answer
    from dsa_lite_formats.gguf_files import write_gguf

    (path,) = out.glob("*.gguf")
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".base-") as folder:
        whole = Path(folder) / "base.gguf"
        write_gguf(find_folder(base), None, whole, "F16", "base")
        return answer(whole, prompts, max_tokens, path)


def _need_gguf() -> None:
    if find_spec("gguf") is None:
        raise MissingExtra("writing GGUF files needs the package gguf", hint='pip install "dsa-lite[export]"')


def _refuse_quantize(target: str, asked: str, allowed: Sequence[str]) -> None:
    if asked and asked not in allowed:
        hint = f"{target} takes {', '.join(allowed)}" if allowed else f"{target} is written in float32"
        raise UsageError(f"{target} cannot be written as {asked}", hint=f"{hint}; --to gguf takes any format")


def _portable(base: str) -> str:
    """The base's name without this machine's path: a hub id stays, of a folder the last part."""
    path = Path(base).expanduser()
    return path.resolve().name if path.is_dir() else base


__all__ = ["answer_gguf", "answer_gguf_adapter", "export_gguf", "export_gguf_adapter", "export_merged", "export_mlx",
           "export_peft"]  # fmt: skip
