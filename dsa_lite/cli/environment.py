"""What every command sets before it opens a model."""

from __future__ import annotations

import os

#: Set unless the user has: no look-up, no telemetry, no fragmented GPU memory, no warning about forked tokenizers.
_VARIABLES = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True",
}


def quiet_environment() -> None:
    """No look-ups, and no warnings of libraries on the terminal."""
    for name, value in _VARIABLES.items():
        os.environ.setdefault(name, value)
