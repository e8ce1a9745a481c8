"""Compare dsa-lite's GGUF files with those of llama.cpp's own converters, tensor by tensor and key by key.

    python examples/gguf_parity.py LLAMA_CPP MODEL ADAPTER

LLAMA_CPP: a checkout of llama.cpp with convert_hf_to_gguf.py (one stands in the source package of llama-cpp-python,
under vendor/llama.cpp); MODEL: a Hugging Face folder; ADAPTER: a PEFT folder. Exit status 1 when a tensor differs.
"""

from __future__ import annotations

import runpy
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    import gguf  # the checkout's own, see main

    reader = gguf.GGUFReader(path)
    keys = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    return keys, {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in reader.tensors}


def convert(checkout: Path, script: str, *words: str) -> None:
    """Run one of the converters in this process."""
    before = sys.argv
    sys.argv = [str(checkout / script), *words]
    try:
        runpy.run_path(str(checkout / script), run_name="__main__")
    except SystemExit as done:
        if done.code:
            raise
    finally:
        sys.argv = before


def accept_any_tokenizer() -> None:
    """The converter knows tokenizers by the hash of what they make of one text; one trained at home has none."""
    from conversion.base import TextModel

    TextModel.get_vocab_base_pre = lambda self, tokenizer: "by hand"


def compare(name: str, theirs: Path, ours: Path) -> bool:
    """Print what differs. Metadata may: the converter guesses names and licences from files."""
    (keys, tensors), (own_keys, own) = read(theirs), read(ours)
    wrong = sorted(tensors.keys() ^ own.keys())
    wrong += [n for n in tensors.keys() & own.keys() if not np.array_equal(tensors[n], own[n])]
    print(f"{name}: {len(tensors)} tensors, {len(wrong)} differ {wrong[:8]}")
    for key in sorted(keys.keys() | own_keys.keys()):
        if keys.get(key) != own_keys.get(key):
            print(f"  {key}: {str(keys.get(key, '-'))[:60]!r}, here {str(own_keys.get(key, '-'))[:60]!r}")
    return not wrong


def main() -> None:
    checkout, model, adapter = map(Path, sys.argv[1:])
    sys.path[:0] = [str(checkout), str(checkout / "gguf-py")]
    from dsa_lite_formats import export_gguf_adapter
    from dsa_lite_formats.gguf_files import write_gguf

    accept_any_tokenizer()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ours").mkdir()
        same = []
        for kind in ("F32", "F16", "Q8_0"):
            write_gguf(model, None, folder / f"ours-{kind}.gguf", kind, model.name)
            out = folder / f"theirs-{kind}.gguf"
            convert(checkout, "convert_hf_to_gguf.py", str(model), "--outfile", str(out), "--outtype", kind.lower())
            same.append(compare(kind, out, folder / f"ours-{kind}.gguf"))
        export_gguf_adapter(str(model), adapter, folder / "ours", "", model.name)
        out, words = folder / "lora.gguf", ["--base", str(model), "--outtype", "f32"]
        convert(checkout, "convert_lora_to_gguf.py", str(adapter), "--outfile", str(out), *words)
        same.append(compare("adapter", out, folder / "ours" / f"{model.name}-lora.gguf"))
    sys.exit(0 if all(same) else 1)


if __name__ == "__main__":
    main()
