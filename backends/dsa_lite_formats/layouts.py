"""Model layouts that llama.cpp computes exactly as their authors do: names, sizes, and what differs in the weights.

Follows llama.cpp's own convert_hf_to_gguf.py. A layout, or a setting of one, that is not known here is refused: a file
that loads and computes something else is worse than none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from dsa_lite.errors import ModelError
from dsa_lite.model_files import read_json
from dsa_lite_formats.tensors import Floats

_ARCHITECTURES = {
    "LlamaForCausalLM": gguf.MODEL_ARCH.LLAMA,
    "MistralForCausalLM": gguf.MODEL_ARCH.LLAMA,
    "Qwen2ForCausalLM": gguf.MODEL_ARCH.QWEN2,
    "Qwen3ForCausalLM": gguf.MODEL_ARCH.QWEN3,
    "GemmaForCausalLM": gguf.MODEL_ARCH.GEMMA,
    "Gemma2ForCausalLM": gguf.MODEL_ARCH.GEMMA2,
    "Gemma3ForCausalLM": gguf.MODEL_ARCH.GEMMA3,
}
_GEMMAS = (gguf.MODEL_ARCH.GEMMA, gguf.MODEL_ARCH.GEMMA2, gguf.MODEL_ARCH.GEMMA3)
_ACTIVATIONS = {True: ("gelu_pytorch_tanh", "gelu_tanh"), False: ("silu", "swish")}
_LLAMA3 = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
#: Gemma: number of blocks of the one size for which llama.cpp scales attention by hidden / heads.
_SCALED_BY_WIDTH = {gguf.MODEL_ARCH.GEMMA2: 46, gguf.MODEL_ARCH.GEMMA3: 62}


@dataclass(frozen=True)
class Layout:
    """One model's layout. `config` is its config.json."""

    name: str
    arch: gguf.MODEL_ARCH
    config: Mapping[str, Any]

    @property
    def label(self) -> str:
        """llama.cpp's word for the architecture."""
        return str(gguf.MODEL_ARCH_NAMES[self.arch])

    @property
    def blocks(self) -> int:
        return int(self.config["num_hidden_layers"])

    @property
    def heads(self) -> int:
        return int(self.config["num_attention_heads"])

    @property
    def kv_heads(self) -> int:
        return int(self.config.get("num_key_value_heads") or self.heads)

    @property
    def head_dim(self) -> int:
        return int(self.config.get("head_dim") or self.config["hidden_size"] // self.heads)

    @property
    def context(self) -> int:
        """Tokens up to which llama.cpp computes what the model does: it does not slide where these models may."""
        longest, window = int(self.config["max_position_embeddings"]), self.config.get("sliding_window")
        slides = self.config.get("use_sliding_window", self.config.get("model_type") == "mistral")
        return min(longest, int(window)) if window and slides and not self.gemma else longest

    @property
    def gemma(self) -> bool:
        return self.arch in _GEMMAS

    def gguf_name(self, name: str) -> str:
        """llama.cpp's name of a parameter. Raises ModelError for one it does not know."""
        found = gguf.get_tensor_name_map(self.arch, self.blocks).get_name(name, try_suffixes=(".weight", ".bias"))
        if found is None:
            raise ModelError(f"llama.cpp has no place for {name} in a model of type {self.label}")
        return str(found)

    def dropped(self, name: str) -> bool:
        """Parameters that llama.cpp does not want: the output layer where it is the embedding, buffers."""
        tied = self.gemma or bool(self.config.get("tie_word_embeddings"))
        return (name == "lm_head.weight" and tied) or name.endswith(".rotary_emb.inv_freq")

    def transformed(self, name: str, values: Floats) -> Floats:
        """A parameter as llama.cpp wants it."""
        if self.gemma and name.endswith("norm.weight"):
            return values + np.float32(1)
        return self.rows(name, values)

    def rows(self, name: str, values: Floats) -> Floats:
        """The rows of q and k (heads * dim, …): llama.cpp rotates neighbours, Hugging Face rotates halves."""
        heads = {"q_proj": self.heads, "k_proj": self.kv_heads}.get(name.split(".")[-2], 0)
        if self.arch != gguf.MODEL_ARCH.LLAMA or not heads:
            return values
        size = values.shape[0]
        return values.reshape(heads, 2, size // heads // 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)

    def rope(self) -> dict[str, Any]:
        """Rotary settings of full attention, whichever generation of config.json states them; "local": of sliding."""
        stated = self.config.get("rope_parameters") or self.config.get("rope_scaling") or {}
        full = dict(stated.get("full_attention", stated))
        full["rope_type"] = str(full.get("rope_type") or full.get("type") or "default")
        full.setdefault("rope_theta", self.config.get("rope_theta"))
        local = stated.get("sliding_attention", {}).get("rope_theta") or self.config.get("rope_local_base_freq")
        return {**full, "local": local}

    def rope_factors(self) -> Floats | None:
        """(head_dim / 2,) what Llama 3 divides its frequencies by; None for other models."""
        rope = self.rope()
        if rope["rope_type"] != "llama3":
            return None
        factor, low, high = (float(rope[k]) for k in ("factor", "low_freq_factor", "high_freq_factor"))
        context = float(rope["original_max_position_embeddings"])
        theta, factors = float(rope["rope_theta"] or 10000.0), []
        for frequency in 1.0 / theta ** (np.arange(0, self.head_dim, 2, dtype=np.float32) / self.head_dim):
            length = 2 * math.pi / float(frequency)
            smooth = (context / length - low) / (high - low)
            factors.append(1 / ((1 - smooth) / factor + smooth) if context / high <= length <= context / low else
                           factor if length > context / low else 1.0)  # fmt: skip
        return np.array(factors, np.float32)

    def describe(self, writer: gguf.GGUFWriter) -> None:
        """Write the network's sizes."""
        config, rope = self.config, self.rope()
        writer.add_block_count(self.blocks)
        writer.add_context_length(self.context)
        writer.add_embedding_length(config["hidden_size"])
        writer.add_feed_forward_length(config["intermediate_size"])
        writer.add_head_count(self.heads)
        writer.add_head_count_kv(self.kv_heads)
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
        writer.add_key_length(self.head_dim)
        writer.add_value_length(self.head_dim)
        if rope["rope_theta"] is not None:
            writer.add_rope_freq_base(rope["rope_theta"])
        if self.arch == gguf.MODEL_ARCH.LLAMA:
            writer.add_vocab_size(config["vocab_size"])
            writer.add_rope_dimension_count(self.head_dim)
        if rope["rope_type"] == "linear":
            writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
            writer.add_rope_scaling_factor(rope["factor"])
        if self.arch == gguf.MODEL_ARCH.GEMMA2:
            writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
        if self.arch in (gguf.MODEL_ARCH.GEMMA2, gguf.MODEL_ARCH.GEMMA3):
            writer.add_sliding_window(config["sliding_window"])
            if config.get("final_logit_softcapping"):
                writer.add_final_logit_softcapping(config["final_logit_softcapping"])
        if self.arch == gguf.MODEL_ARCH.GEMMA3 and rope["local"] is not None:
            writer.add_rope_freq_base_swa(rope["local"])


def read_layout(folder: Path) -> Layout:
    """The layout of a model folder. Raises ModelError, naming it, for one that llama.cpp would not compute right."""
    config = read_json(folder / "config.json")
    name = str((config.get("architectures") or ["none named"])[0])
    if name not in _ARCHITECTURES:
        known = ", ".join(_ARCHITECTURES)
        raise ModelError(
            f"{folder}: GGUF files of {name} are not written here", hint=f"known layouts: {known}; try --to merged"
        )
    layout = Layout(name, _ARCHITECTURES[name], config)
    faults = _faults(layout)
    if faults:
        raise ModelError(
            f"{folder}: this {name} is not written as GGUF: {'; '.join(faults)}", hint="try --to merged instead"
        )
    return layout


def _faults(layout: Layout) -> list[str]:
    config, rope = layout.config, layout.rope()
    needed = ("num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size", "rms_norm_eps",
              "max_position_embeddings", "vocab_size")  # fmt: skip
    faults = [f"config.json does not state {key}" for key in needed if config.get(key) is None]
    if config.get("quantization_config"):
        faults.append("its weights are quantised")
    activation = config.get("hidden_activation") or config.get("hidden_act")
    if activation not in (*_ACTIVATIONS[layout.gemma], None) and not (layout.gemma and activation == "gelu"):
        faults.append(f"activation {activation}")
    if rope["rope_type"] not in ("default", "linear", "llama3"):
        faults.append(f"rotary positions of type {rope['rope_type']}")
    if rope["rope_type"] == "llama3" and layout.arch != gguf.MODEL_ARCH.LLAMA:
        faults.append("Llama 3 positions in another layout")
    if rope.get("partial_rotary_factor") not in (None, 1, 1.0):
        faults.append("partly rotated heads")
    lacking = [key for key in _LLAMA3 if rope["rope_type"] == "llama3" and rope.get(key) is None]
    faults += [f"config.json does not state {key} of its rotary positions" for key in lacking]
    return faults if faults or not layout.gemma else _gemma_faults(layout)


def _gemma_faults(layout: Layout) -> list[str]:
    config, faults = layout.config, []
    scalar = config.get("query_pre_attn_scalar")
    usual = layout.head_dim
    if layout.blocks == _SCALED_BY_WIDTH.get(layout.arch):
        usual = config["hidden_size"] // layout.heads
    if scalar not in (None, usual):
        faults.append(f"attention scaled by {scalar} where llama.cpp takes {usual}")
    period = {gguf.MODEL_ARCH.GEMMA2: 2, gguf.MODEL_ARCH.GEMMA3: 6}.get(layout.arch)
    kinds = config.get("layer_types")
    if period and kinds:
        expected = ["full_attention" if (i + 1) % period == 0 else "sliding_attention" for i in range(layout.blocks)]
        if list(kinds) != expected:
            faults.append("its blocks slide in another order than llama.cpp's")
    if layout.arch == gguf.MODEL_ARCH.GEMMA3 and config.get("attn_logit_softcapping"):
        faults.append("capped attention")
    if config.get("use_bidirectional_attention"):
        faults.append("attention in both directions")
    return faults
