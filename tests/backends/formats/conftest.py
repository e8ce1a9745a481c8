"""Tiny random models in every layout that is written as GGUF, and an adapter for each."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gguf")

SIZES: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256, "initializer_range": 0.4, "bos_token_id": None,
    "eos_token_id": 0, "pad_token_id": None, "vocab_size": 400,  # more than the tokenizer has, as models often do
}  # fmt: skip
LLAMA3 = {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 16, "rope_theta": 10000.0}  # fmt: skip
#: Name -> architecture and settings beyond SIZES.
LAYOUTS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {"tie_word_embeddings": True}),
    "llama-3": ("Llama", {"rope_parameters": LLAMA3, "tie_word_embeddings": False, "attention_bias": True}),
    "mistral": ("Mistral", {"sliding_window": None, "head_dim": 16}),
    "qwen2": ("Qwen2", {}),
    "qwen3": ("Qwen3", {"head_dim": 16, "tie_word_embeddings": True}),
    "gemma": ("Gemma", {"head_dim": 16, "hidden_activation": "gelu_pytorch_tanh"}),
    "gemma-2": ("Gemma2", {"head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 8}),
    "gemma-3": ("Gemma3", {"head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 8, "num_hidden_layers": 6}),
}


@pytest.fixture(scope="session")
def model_of(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Name of a layout -> a random model in it, with the tokenizer of `tiny_model_folder`."""
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp("layouts") / name
            _make(made[name], name, tiny_model_folder)
        return made[name]

    return make


def _make(folder: Path, name: str, tokenizer: Path) -> None:
    import torch
    import transformers
    from transformers.utils import logging

    folder.mkdir()
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / file, folder)
    family, more = LAYOUTS[name]
    kind = "Gemma3TextConfig" if family == "Gemma3" else f"{family}Config"
    config = getattr(transformers, kind)(**{**SIZES, **more})
    logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.manual_seed(0)
        model = getattr(transformers, f"{family}ForCausalLM")(config)
        for parameter_name, parameter in model.named_parameters():  # biases and norms start as 0 and 1
            if parameter.ndim == 1:
                parameter.data += 0.3 * torch.randn_like(parameter) if "norm" in parameter_name else 0.5
        model.save_pretrained(folder)


@pytest.fixture(scope="session")
def adapter_of() -> Callable[[Path, Path], Path]:
    """A base's folder and an empty folder -> a random adapter on all of its linear layers, as PEFT writes it."""
    return _adapter


def _adapter(base: Path, out: Path, rank: int = 4, alpha: float = 6.0) -> Path:
    from dsa_lite_formats.adapter import Adapter, write_peft
    from dsa_lite_formats.tensors import read_model

    chance = np.random.default_rng(1)
    layers = {}
    for name, tensor in read_model(base).items():
        if name.endswith("_proj.weight"):
            rows, columns = tensor.shape
            a, b = chance.normal(0, 0.5, (rank, columns)), chance.normal(0, 0.5, (rows, rank))
            layers[name.removesuffix(".weight")] = (a.astype(np.float32), b.astype(np.float32))
    out.mkdir(parents=True, exist_ok=True)
    write_peft(Adapter(rank, alpha / rank, 0.0, layers), base.name, out)
    return out
