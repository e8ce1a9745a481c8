"""A small Llama in plain torch, with the parameter names of Hugging Face's `LlamaForCausalLM`.

Shapes in docstrings: B rows, T tokens per row, H hidden units, N heads, D units per head, V vocabulary.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn


@dataclass(frozen=True)
class Config:
    """Sizes of the network; every width must divide by 32 so that Q8_0 blocks fit its rows."""

    vocab: int = 1024
    hidden: int = 192
    layers: int = 6
    heads: int = 6
    ffn: int = 512
    context: int = 1024
    rope_theta: float = 10000.0
    norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        for name in ("vocab", "hidden", "ffn"):
            if getattr(self, name) % 32:
                raise ValueError(f"{name} must be a multiple of 32")
        if self.hidden % (2 * self.heads):
            raise ValueError("hidden must be a multiple of twice the number of heads")

    @property
    def head_dim(self) -> int:
        return self.hidden // self.heads


STUDENT = Config(hidden=192, layers=6, heads=6, ffn=512)
TEACHER = Config(hidden=256, layers=6, heads=8, ffn=704)
CONFIGS = {"student": STUDENT, "teacher": TEACHER}


def rope_tables(config: Config, length: int) -> tuple[Tensor, Tensor]:
    """Cosines and signed sines of the rotary angles, both (T, D), for rotation by halves.

    The sine's first half is negated here so that `rotate` needs a roll instead of a negation.
    """
    half = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
    angles = torch.outer(torch.arange(length, dtype=torch.float32), 1.0 / config.rope_theta**half)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of x (B, N, T, D): the two halves of D are the pairs' parts."""
    first, second = x.chunk(2, dim=-1)
    return (x * cos + torch.cat((second, first), dim=-1) * sin).to(x.dtype)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Attention of (B, N, T, D) under mask (B, 1, T, T), spelled out.

    Compiled for a processor, and with rows this short, it trains 1.2 to 1.5 times as fast as PyTorch's fused kernel.
    """
    scores = (q @ k.transpose(-1, -2)).float() * q.shape[-1] ** -0.5
    return torch.softmax(scores.masked_fill(~mask, float("-inf")), dim=-1).to(v.dtype) @ v


class RMSNorm(nn.Module):
    """Root-mean-square normalisation over the last dimension, with a gain."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight * (x * scale)


class Attention(nn.Module):
    """Causal multi-head self-attention, without biases."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads = config.heads
        self.q_proj = nn.Linear(config.hidden, config.hidden, bias=False)
        self.k_proj = nn.Linear(config.hidden, config.hidden, bias=False)
        self.v_proj = nn.Linear(config.hidden, config.hidden, bias=False)
        self.o_proj = nn.Linear(config.hidden, config.hidden, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        rows, length, hidden = x.shape

        def split(y: Tensor) -> Tensor:
            return y.view(rows, length, self.heads, -1).transpose(1, 2)

        q = rotate(split(self.q_proj(x)), cos, sin)
        k = rotate(split(self.k_proj(x)), cos, sin)
        v = split(self.v_proj(x))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True) if mask is None else attend(q, k, v, mask)
        out: Tensor = self.o_proj(y.transpose(1, 2).reshape(rows, length, hidden))
        return out


class MLP(nn.Module):
    """SwiGLU feed-forward block."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden, config.ffn, bias=False)
        self.up_proj = nn.Linear(config.hidden, config.ffn, bias=False)
        self.down_proj = nn.Linear(config.ffn, config.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Block(nn.Module):
    """Attention and feed-forward, each after a norm and added to the residual stream."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden, config.norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden, config.norm_eps)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class TinyLlama(nn.Module):
    """The decoder with its input embedding tied to the output projection."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab, config.hidden)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.hidden, config.norm_eps)
        cos, sin = rope_tables(config, config.context)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        """Normal weights; the two projections into the residual stream start smaller, by depth."""
        deep = (2 * self.config.layers) ** -0.5
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                std = 0.02 if name.startswith("embed") else weight.shape[1] ** -0.5
                nn.init.normal_(weight, std=std * (deep if "o_proj" in name or "down_proj" in name else 1.0))

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """Logits (B, T, V) for ids (B, T); mask (B, 1, T, T) is True where a token may look, None = causal."""
        x = self.embed_tokens(ids)
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        for layer in self.layers:
            x = layer(x, cos, sin, mask)
        return F.linear(self.norm(x), self.embed_tokens.weight)


def hf_state(model: TinyLlama, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """The weights under Hugging Face's names (the output projection is tied, hence absent)."""
    return {f"model.{name}": value.detach().to(dtype).contiguous() for name, value in model.state_dict().items()}


def hf_config(config: Config, eos: int, dtype: torch.dtype) -> dict[str, object]:
    """The content of `config.json`."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": config.vocab,
        "hidden_size": config.hidden,
        "intermediate_size": config.ffn,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.heads,
        "head_dim": config.head_dim,
        "max_position_embeddings": config.context,
        "rope_theta": config.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "rms_norm_eps": config.norm_eps,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": None,
        "eos_token_id": eos,
        "pad_token_id": eos,
        "dtype": str(dtype).removeprefix("torch."),
    }


def save_hf(
    model: TinyLlama, tokenizer_folder: str | Path, out_folder: str | Path, dtype: torch.dtype = torch.float32
) -> None:
    """Write a folder that `AutoModelForCausalLM` and `AutoTokenizer` load."""
    source, out = Path(tokenizer_folder), Path(out_folder)
    out.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if source.resolve() != out.resolve():
            shutil.copyfile(source / name, out / name)
    eos = _eos_id(source)
    generation = {"eos_token_id": eos, "pad_token_id": eos, "do_sample": False}
    for name, content in (("config.json", hf_config(model.config, eos, dtype)), ("generation_config.json", generation)):
        (out / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    save_file(hf_state(model, dtype), out / "model.safetensors", metadata={"format": "pt"})


def _eos_id(tokenizer_folder: Path) -> int:
    """The number of the end token, from the tokenizer's own files."""
    settings = json.loads((tokenizer_folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    added = json.loads((tokenizer_folder / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    return int(next(token["id"] for token in added if token["content"] == settings["eos_token"]))
