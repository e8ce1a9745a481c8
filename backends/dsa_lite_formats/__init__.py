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

from dsa_lite.errors import MissingExtra, ModelError
from dsa_lite.formats import check_numbers
from dsa_lite.model_files import read_json
from dsa_lite.model_folder import find_folder


def export_peft(base: str, adapter: Path, out: Path, quantize: str, name: str) -> list[str]:
    """The adapter as PEFT reads it."""
    from dsa_lite_formats.adapter import read_adapter, write_peft

    check_numbers("peft", quantize)
    write_peft(read_adapter(adapter), _portable(base), out)
    return []


def export_mlx(base: str, adapter: Path, out: Path, quantize: str, name: str) -> list[str]:
    """The adapter as mlx-lm reads it."""
    from dsa_lite_formats.adapter import read_adapter, write_mlx

    check_numbers("mlx", quantize)
    blocks = _blocks(find_folder(base))
    write_mlx(read_adapter(adapter), _portable(base), blocks, out)
    return []


def export_merged(base: str, adapter: Path, out: Path, quantize: str, name: str) -> list[str]:
    """A Hugging Face folder: base and adapter in one."""
    from dsa_lite_formats.adapter import read_adapter
    from dsa_lite_formats.merging import write_merged

    check_numbers("merged", quantize)
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

    check_numbers("gguf-adapter", quantize)
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


def _blocks(folder: Path) -> int:
    """Blocks of a text model. Raises ModelError, naming the layout, where config.json does not state them itself."""
    config = read_json(folder / "config.json")
    if not isinstance(config.get("num_hidden_layers"), int):
        name = (config.get("architectures") or ["this model"])[0]
        why = "nests its text model in text_config" if "text_config" in config else "does not state num_hidden_layers"
        raise ModelError(f"{folder}: adapters of {name} are not written for mlx-lm: config.json {why}",
                         hint="try --to peft or --to merged")  # fmt: skip
    return int(config["num_hidden_layers"])


def _need_gguf() -> None:
    if find_spec("gguf") is None:
        raise MissingExtra("writing GGUF files needs the package gguf", hint='pip install "dsa-lite[export]"')


def _portable(base: str) -> str:
    """The base's name without this machine's path: a hub id stays, of a folder the last part."""
    path = Path(base).expanduser()
    return path.resolve().name if path.is_dir() else base


__all__ = ["answer_gguf", "answer_gguf_adapter", "export_gguf", "export_gguf_adapter", "export_merged", "export_mlx",
           "export_peft"]  # fmt: skip
