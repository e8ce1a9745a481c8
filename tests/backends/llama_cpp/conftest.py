"""Tiny random models in GGUF, small enough to write and load in a fraction of a second."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

gguf = pytest.importorskip("gguf")
pytest.importorskip("llama_cpp")

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIALS = ("<|bos|>", "<|im_start|>", "<|im_end|>")


@dataclass(frozen=True)
class Shape:
    """Sizes of a random model. `sharpness` scales the output layer: larger, more decided. `head`: width of one, 0: the
    model's width shared among the heads."""

    width: int = 64
    layers: int = 2
    heads: int = 4
    heads_kv: int = 2
    head: int = 0
    inner: int = 128
    vocab: int = 320
    context: int = 1024
    sharpness: float = 0.5
    q8: bool = False

    @property
    def head_width(self) -> int:
        return self.head or self.width // self.heads


def _vocabulary(size: int) -> tuple[list[str], list[str]]:
    """Tokens (bytes, merged pairs of letters, specials) and merges of a byte-level BPE."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in printable]
    tokens = [*map(chr, printable), *(chr(256 + i) for i in range(len(hidden)))]
    letters = "etaoinshrdlucmfwypvbgkqjxz0123456789"
    pairs = list(itertools.islice(itertools.product(letters, letters), size - 256 - len(SPECIALS)))
    merges = [f"{a} {b}" for a, b in pairs]
    return [*tokens, *(a + b for a, b in pairs), *SPECIALS], merges


def write_model(
    path: Path, shape: Shape = Shape(), *, seed: int = 0, template: str | None = CHATML, bos: bool = False
) -> Path:
    """A llama-architecture model with random weights; end of turn is <|im_end|>."""
    tokens, merges = _vocabulary(shape.vocab)
    w = gguf.GGUFWriter(path, "llama")
    w.add_name("Tiny Random")
    w.add_context_length(shape.context)
    w.add_embedding_length(shape.width)
    w.add_block_count(shape.layers)
    w.add_feed_forward_length(shape.inner)
    w.add_head_count(shape.heads)
    w.add_head_count_kv(shape.heads_kv)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_dimension_count(shape.head_width)
    if shape.head:
        w.add_key_length(shape.head)
        w.add_value_length(shape.head)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(tokens)
    normal, control = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL
    w.add_token_types([normal] * (len(tokens) - len(SPECIALS)) + [control] * len(SPECIALS))
    w.add_token_merges(merges)
    w.add_bos_token_id(len(tokens) - 3)
    w.add_eos_token_id(len(tokens) - 1)
    w.add_add_bos_token(bos)
    if template is not None:
        w.add_chat_template(template)
    _add_weights(w, shape, np.random.default_rng(seed))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return path


def _add_weights(w: Any, shape: Shape, rng: np.random.Generator) -> None:
    d, q, kv = shape.width, shape.head_width * shape.heads, shape.head_width * shape.heads_kv

    def add(name: str, rows: int, columns: int, scale: float) -> None:
        data = (rng.standard_normal((rows, columns)) * scale).astype(np.float32)
        if shape.q8:
            kind = gguf.GGMLQuantizationType.Q8_0
            w.add_tensor(name, gguf.quants.quantize(data, kind), raw_dtype=kind)
        else:
            w.add_tensor(name, data)

    add("token_embd.weight", shape.vocab, d, 1.0)
    for i in range(shape.layers):
        for norm in ("attn_norm", "ffn_norm"):
            w.add_tensor(f"blk.{i}.{norm}.weight", np.ones(d, np.float32))
        for name, rows, columns in (
            ("attn_q", q, d),
            ("attn_k", kv, d),
            ("attn_v", kv, d),
            ("attn_output", d, q),
            ("ffn_gate", shape.inner, d),
            ("ffn_up", shape.inner, d),
            ("ffn_down", d, shape.inner),
        ):
            add(f"blk.{i}.{name}.weight", rows, columns, columns**-0.5)
    w.add_tensor("output_norm.weight", np.ones(d, np.float32))
    add("output.weight", shape.vocab, d, shape.sharpness * 4 * d**-0.5)
