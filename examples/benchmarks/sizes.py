"""Shapes of the random-weight models that are measured, those of real models of that size."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """A Llama with tied embeddings."""

    width: int
    layers: int
    heads: int
    heads_kv: int
    inner: int
    vocabulary: int


SIZES = {
    "tiny": Size(width=64, layers=2, heads=2, heads_kv=1, inner=128, vocabulary=4096),
    "trial": Size(width=256, layers=4, heads=4, heads_kv=2, inner=768, vocabulary=8192),  # 5 million parameters
    "100m": Size(width=768, layers=12, heads=12, heads_kv=4, inner=2048, vocabulary=32_768),  # 101 million
    "0.5b": Size(width=1024, layers=24, heads=16, heads_kv=4, inner=4096, vocabulary=151_936),  # 0.52 billion
    "1.5b": Size(width=1536, layers=28, heads=12, heads_kv=2, inner=8960, vocabulary=151_936),  # 1.5 billion
}
