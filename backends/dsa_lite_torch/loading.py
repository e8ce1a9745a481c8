"""From a folder or a cached hub id to a frozen base model in memory. Never the network, never code from the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from dsa_lite.errors import DsaError, ModelError, UsageError
from dsa_lite.model_folder import refuse_absurd
from dsa_lite.records import Precision
from dsa_lite_torch.base import Base
from dsa_lite_torch.quantized import import_offline

_TOLERANCE = 2e-2  # of the largest logit, in bfloat16's favour


def choose_device(name: str, precision: Precision = "auto") -> tuple[torch.device, torch.dtype]:
    """Where to compute, and in what precision: on a GPU bfloat16 where the hardware has it, float32 elsewhere."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"unknown device: {name}", hint="auto, cpu, cuda or mps") from error
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(device.type, False):
        raise UsageError(f"PyTorch finds no {name} device on this machine", hint="device = cpu works everywhere")
    return device, choose_products(device, precision) if device.type == "cuda" else torch.float32


def choose_products(device: torch.device, precision: Precision) -> torch.dtype:
    """The precision of the linear layers, which a CPU may be faster in than in that of everything else."""
    if precision != "auto":
        return torch.bfloat16 if precision == "bfloat16" else torch.float32
    if device.type == "cuda":
        half = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        known = torch.cpu.get_capabilities() if device.type == "cpu" else {}
        half = bool(known.get("avx512_bf16") or known.get("amx_bf16"))
    return torch.bfloat16 if half else torch.float32


def load_base(folder: Path, device: torch.device, dtype: torch.dtype, products: torch.dtype | None = None) -> Base:
    """The frozen model on the CPU, in evaluation mode (`Base.device` says where it will compute).

    Raises ModelError for an architecture that transformers does not know, broken or incomplete weights.
    """
    import_offline()
    refuse_absurd(folder)
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        with _quiet():
            config = AutoConfig.from_pretrained(folder, **local)
            _check_kind(config, folder)
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder, config=config, dtype=dtype, use_safetensors=True, output_loading_info=True,
                attn_implementation=_attention(config), **local,
            )  # fmt: skip
    except (ValueError, KeyError, OSError, RuntimeError, TypeError, AttributeError) as error:
        first = str(error).strip().split("\n")[0]
        hint = "is its architecture one that transformers knows?"
        if isinstance(error, OSError):
            hint = "copy or download it again"
        raise ModelError(f"{folder} cannot be loaded: {first}", hint=hint) from error
    except Exception as error:
        if isinstance(error, DsaError | MemoryError):
            raise
        if type(error).__module__.split(".")[0] not in ("safetensors", "safetensors_rust"):
            said = " ".join(str(error).split())[:300]  # transformers raises of many kinds
            raise ModelError(f"{folder} cannot be loaded: {said}", hint="copy or download it again") from error
        raise ModelError(f"the weights in {folder} are broken: {error}", hint="copy or download them again") from error
    model, info = loaded
    if info["missing_keys"]:
        raise ModelError(
            f"the weights in {folder} lack {', '.join(sorted(info['missing_keys'])[:5])}",
            hint="if the embedding is its output layer, set tie_word_embeddings to true in config.json"
            if set(info["missing_keys"]) == {"lm_head.weight"}
            else "is it a whole model that writes text?",
        )
    model.requires_grad_(False).eval()
    base = Base(model, folder, device, dtype, products or dtype, _context_tokens(config))
    _check_logits(base)
    return base


def _check_kind(config: Any, folder: Path) -> None:
    """Before the weights are read: a model that also reads pictures or sound would carry adapters there, too."""
    kind: Any = AutoModelForCausalLM._model_mapping.get(type(config), None)
    if kind is None or not kind.__name__.endswith(("ForCausalLM", "LMHeadModel")):
        named = (config.architectures or [kind.__name__ if kind else f"a model of type {config.model_type}"])[0]
        raise ModelError(
            f"{folder} is {named}: PyTorch's backend trains models that read and write text alone",
            hint="give its text-only version; --backend mlx trains the text part of some",
        )


def _context_tokens(config: Any) -> int:
    return int(getattr(config.get_text_config(), "max_position_embeddings", None) or 1 << 30)


def _attention(config: Any) -> str | None:
    """PyTorch's fused attention knows no cap on its logits (Gemma 2), and older transformers leave the cap out."""
    return "eager" if getattr(config.get_text_config(), "attn_logit_softcapping", None) else None


def _check_logits(base: Base) -> None:
    """An architecture that treats its logits in a way we do not know must not be trained wrongly in silence."""
    ids = torch.arange(1, 5)[None]
    with torch.no_grad():
        expected = base.model(input_ids=ids, use_cache=False).logits[0].float()
        ours = base.logits(base.inner(input_ids=ids, use_cache=False).last_hidden_state[0])
    if not expected.isfinite().all():
        raise ModelError(f"the weights in {base.folder} hold NaN or infinity", hint="copy or download them again")
    if not torch.allclose(ours, expected, rtol=0, atol=_TOLERANCE * float(expected.abs().max())):
        kind = base.model.config.model_type
        raise ModelError(f"models of type {kind} change their logits in a way this backend does not know")


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and no advice on the user's terminal while loading."""
    settings: Any = transformers_logging
    verbosity, bars = settings.get_verbosity(), settings.is_progress_bar_enabled()
    settings.set_verbosity_error()
    settings.disable_progress_bar()
    try:
        yield
    finally:
        settings.set_verbosity(verbosity)
        if bars:
            settings.enable_progress_bar()
