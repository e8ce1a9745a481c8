"""Write a tiny model and its tokenizer as one GGUF file for llama.cpp."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from .model import Config

Array = NDArray[np.float32]

LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf_name(name: str) -> str:
    """llama.cpp's name of a Hugging Face parameter."""
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{LAYER_NAMES[rest.removesuffix('.weight')]}.weight"


def interleave(weight: Array, heads: int) -> Array:
    """Reorder the rows of q and k (N * D, H): llama.cpp rotates neighbours, Hugging Face rotates halves."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def add_tensors(writer: gguf.GGUFWriter, state: dict[str, Tensor], heads: int) -> None:
    """Matrices as Q8_0 where their rows divide into its blocks, everything else as float32."""
    for name, value in state.items():
        array: Array = value.to(torch.float32).numpy()
        if "q_proj" in name or "k_proj" in name:
            array = interleave(array, heads)
        if array.ndim == 2 and array.shape[1] % 32 == 0:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(gguf_name(name), gguf.quants.quantize(array, kind), raw_dtype=kind)
        else:
            writer.add_tensor(gguf_name(name), array)


def add_tokenizer(writer: gguf.GGUFWriter, folder: Path) -> None:
    """Vocabulary, merges and chat template; special tokens are marked as control tokens."""
    content: dict[str, Any] = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    settings: dict[str, Any] = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    vocab: dict[str, int] = content["model"]["vocab"]
    special = {token["id"] for token in content["added_tokens"] if token["special"]}
    kinds = [gguf.TokenType.CONTROL if index in special else gguf.TokenType.NORMAL for index in range(len(vocab))]
    end = vocab[settings["eos_token"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(sorted(vocab, key=vocab.__getitem__))
    writer.add_token_types(kinds)
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in content["model"]["merges"]])
    writer.add_eos_token_id(end)
    writer.add_eot_token_id(end)
    writer.add_pad_token_id(end)
    writer.add_add_bos_token(False)
    writer.add_chat_template(settings["chat_template"])


def add_sizes(writer: gguf.GGUFWriter, config: Config) -> None:
    """The network's sizes."""
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.hidden)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.ffn)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_vocab_size(config.vocab)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def read_config(folder: Path) -> Config:
    """The sizes stated in a Hugging Face folder's `config.json`."""
    stated = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return Config(
        vocab=stated["vocab_size"],
        hidden=stated["hidden_size"],
        layers=stated["num_hidden_layers"],
        heads=stated["num_attention_heads"],
        ffn=stated["intermediate_size"],
        context=stated["max_position_embeddings"],
        rope_theta=stated["rope_theta"],
        norm_eps=stated["rms_norm_eps"],
    )


def export(hf_folder: str | Path, out_file: str | Path, name: str, license_id: str, description: str) -> None:
    """Write the GGUF of a folder written by `model.save_hf`; `license_id` is an SPDX identifier."""
    folder, out = Path(hf_folder), Path(out_file)
    config = read_config(folder)
    out.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(out, "llama")
    writer.add_name(name)
    writer.add_license(license_id)
    writer.add_description(description)
    add_sizes(writer, config)
    add_tokenizer(writer, folder)
    add_tensors(writer, load_file(folder / "model.safetensors"), config.heads)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    """Command line: the Hugging Face folder to read and the file to write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hf_folder", type=Path)
    parser.add_argument("out_file", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--license", default="Apache-2.0", help="SPDX identifier")
    parser.add_argument("--description", default="")
    options = parser.parse_args()
    export(options.hf_folder, options.out_file, options.name, options.license, options.description)


if __name__ == "__main__":
    main()
