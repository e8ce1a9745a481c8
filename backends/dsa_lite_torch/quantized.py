"""Frozen weights in 4 or 8 bits (QLoRA), packed by bitsandbytes; each product has them whole for a moment."""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from dsa_lite.errors import MissingExtra, UsageError
from dsa_lite.records import Quantize

_INT8 = 127


def require(quantize: Quantize, device: torch.device) -> None:
    """Raises MissingExtra or UsageError where `quantize` cannot be done."""
    if quantize == "none":
        return
    if device.type not in ("cpu", "cuda"):
        raise UsageError(
            f"PyTorch cannot quantise on {device}", hint="use --backend mlx, student.device = cpu or quantize = none"
        )
    if find_spec("bitsandbytes") is None:
        raise MissingExtra(
            f"student.quantize = {quantize} needs bitsandbytes", hint='pip install "dsa-lite[torch,qlora]"'
        )


def import_offline() -> None:
    """Import bitsandbytes, if it is installed, without its search for compiled kernels on the hub.

    PEFT imports it, too, whether it is used or not: call this first.
    """
    if "bitsandbytes" in sys.modules or find_spec("bitsandbytes") is None:
        return
    modules: dict[str, Any] = sys.modules
    kernels, logger = modules.get("kernels"), logging.getLogger("bitsandbytes")
    level = logger.level
    modules["kernels"] = None  # makes its import fail, which bitsandbytes takes as not installed
    logger.setLevel(logging.ERROR)
    try:
        import_module("bitsandbytes")
    finally:
        logger.setLevel(level)
        if kernels is None:
            del modules["kernels"]
        else:
            modules["kernels"] = kernels


class Packed:
    """A weight (out, in): NF4 with doubly quantised scales, or 8-bit integers with a scale per row."""

    def __init__(self, weight: Tensor, quantize: Quantize) -> None:
        from bitsandbytes import functional

        self._functional: Any = functional
        self.shape, self.dtype = weight.shape, weight.dtype
        if quantize == "4bit":
            self._codes, self._scales = functional.quantize_4bit(
                weight.contiguous(), quant_type="nf4", compress_statistics=True
            )
        else:
            self._codes, scales, _ = functional.int8_vectorwise_quant(weight.half())
            self._scales = (scales.float() / _INT8)[:, None]

    def __call__(self) -> Tensor:
        """The weight, whole."""
        if isinstance(self._scales, Tensor):
            whole: Tensor = self._codes * self._scales
            return whole.to(self.dtype)
        unpacked: Tensor = self._functional.dequantize_4bit(self._codes, self._scales)
        return unpacked
