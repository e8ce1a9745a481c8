"""Random-weight GGUF models of realistic size and vocabulary, for measuring speed: what they write has no meaning.

A reply of theirs hardly ever ends by itself, so that all are equally long.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import llama_cpp
import numpy as np
from llama_cpp._logger import set_verbose
from sizes import SIZES, Size

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
LETTERS = "etaoinshrdlucmfwypvbgkqjxz0123456789"

#: Standard deviation of the logits. At 1 all tokens are about as likely, and top-p would sort the whole vocabulary for
#: every token, as no trained model has it do.
SPREAD = 5.0


def make(folder: Path, name: str) -> Path:
    """A Q4_K_M file of size `name`, kept in `folder` for the next time."""
    path = folder / f"random-{name}-q4_k_m.gguf"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    whole, unfinished = folder / f"random-{name}-f16.gguf", path.with_suffix(".unfinished")
    _write(whole, SIZES[name])
    set_verbose(False)
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_M
    code = llama_cpp.llama_model_quantize(str(whole).encode(), str(unfinished).encode(), params)
    whole.unlink()
    if code != 0:
        raise SystemExit(f"llama_model_quantize returned {code}")
    return unfinished.rename(path)


def _write(path: Path, size: Size) -> None:
    w = gguf.GGUFWriter(path, "llama")
    w.add_name(path.stem)
    w.add_context_length(32768)
    w.add_embedding_length(size.width)
    w.add_block_count(size.layers)
    w.add_feed_forward_length(size.inner)
    w.add_head_count(size.heads)
    w.add_head_count_kv(size.heads_kv)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_dimension_count(size.width // size.heads)
    merges = list(itertools.islice(_merges(), size.vocabulary - 256 - len(SPECIALS)))
    tokens = [*_bytes(), *(a + b for a, b in merges), *SPECIALS]
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("qwen2")
    w.add_token_list(tokens)
    kinds = [gguf.TokenType.NORMAL] * (len(tokens) - len(SPECIALS)) + [gguf.TokenType.CONTROL] * len(SPECIALS)
    w.add_token_types(kinds)
    w.add_token_merges([f"{a} {b}" for a, b in merges])
    w.add_bos_token_id(len(tokens) - 3)
    w.add_eos_token_id(len(tokens) - 1)
    w.add_add_bos_token(False)
    w.add_chat_template(CHATML)
    _add_weights(w, size)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def _bytes() -> list[str]:
    """The 256 bytes as byte-level BPE writes them."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [*map(chr, printable), *(chr(256 + i) for i in range(256 - len(printable)))]


def _merges() -> Iterator[tuple[str, str]]:
    """Pairs of letters, then those with a third letter, then pairs of pairs."""
    pairs = [a + b for a, b in itertools.product(LETTERS, LETTERS)]
    yield from itertools.product(LETTERS, LETTERS)
    yield from itertools.product(pairs, LETTERS)
    yield from itertools.product(pairs, pairs)


def _add_weights(w: Any, size: Size) -> None:
    rng = np.random.default_rng(0)
    d, kv = size.width, size.width // size.heads * size.heads_kv

    def add(name: str, rows: int, columns: int) -> None:
        data = rng.standard_normal((rows, columns), np.float32)
        data *= columns**-0.5
        w.add_tensor(name, data.astype(np.float16))

    add("token_embd.weight", size.vocabulary, d)
    w.add_tensor("output_norm.weight", np.full(d, SPREAD, np.float32))
    for i in range(size.layers):
        for norm in ("attn_norm", "ffn_norm"):
            w.add_tensor(f"blk.{i}.{norm}.weight", np.ones(d, np.float32))
        add(f"blk.{i}.attn_q.weight", d, d)
        add(f"blk.{i}.attn_k.weight", kv, d)
        add(f"blk.{i}.attn_v.weight", kv, d)
        add(f"blk.{i}.attn_output.weight", d, d)
        add(f"blk.{i}.ffn_gate.weight", size.inner, d)
        add(f"blk.{i}.ffn_up.weight", size.inner, d)
        add(f"blk.{i}.ffn_down.weight", d, size.inner)
