"""What a trained student can be written as: the formats of `dsa-lite export`, and the number formats of each."""

from __future__ import annotations

from dataclasses import dataclass

from dsa_lite.errors import UsageError

PLAIN = ("F32", "F16", "BF16")
GGUF = (*PLAIN, "Q8_0", "Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_0", "Q4_1", "Q4_K_S", "Q4_K_M", "Q5_0", "Q5_1",
        "Q5_K_S", "Q5_K_M", "Q6_K", "IQ4_XS", "IQ4_NL")  # fmt: skip


@dataclass(frozen=True)
class Format:
    """`exporter`: the plugin that does its weights, "" for none; `numbers`: what --quantize takes."""

    exporter: str
    numbers: tuple[str, ...] = ()


FORMATS = {
    "peft": Format("peft"),
    "merged": Format("merged", PLAIN),
    "gguf-adapter": Format("gguf-adapter"),
    "gguf": Format("gguf", GGUF),
    "ollama": Format("gguf", GGUF),
    "mlx": Format("mlx"),
    "dataset": Format(""),
}


def check_numbers(kind: str, quantize: str) -> None:
    """Raises UsageError for a format that is not known, and for a number format that it has not; "" is every format's
    usual one."""
    if kind not in FORMATS:
        raise UsageError(f"there is no format called {kind!r}", hint=f"formats: {', '.join(FORMATS)}")
    known = FORMATS[kind].numbers
    if not quantize or quantize in known:
        return
    if not known:
        takers = ", ".join(name for name, format in FORMATS.items() if format.numbers)
        raise UsageError(f"--quantize {quantize} means nothing for --to {kind}", hint=f"it goes with --to {takers}")
    raise UsageError(f"{kind} cannot be written as {quantize}", hint=f"--quantize takes {', '.join(known)}")
