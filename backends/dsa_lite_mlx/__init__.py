"""A student that learns with MLX: local models that mlx-lm knows, LoRA, on Apple silicon, CUDA or CPU."""

from __future__ import annotations

from importlib.util import find_spec

from dsa_lite.errors import MissingExtra
from dsa_lite.student import Student, StudentOptions
from dsa_lite_mlx.answering import answer_mlx

_NEEDED = ("mlx", "mlx_lm", "safetensors", "tokenizers")


def open_student(source: str, options: StudentOptions) -> Student:
    """Open a base model with a fresh adapter, without touching the network.

    `source`: a folder with config.json, tokenizer.json and model*.safetensors (mlx-lm's quantised ones too), or the id
    of a model already in the Hugging Face cache. Raises MissingExtra when MLX is not installed, ModelError when the
    model cannot be used, UsageError for a device that this machine does not have.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise MissingExtra(f"the MLX student needs {', '.join(missing)}", hint='pip install "dsa-lite[mlx]"')
    from dsa_lite_mlx.student import MlxStudent

    return MlxStudent.open(source, options)


__all__ = ["answer_mlx", "open_student"]
