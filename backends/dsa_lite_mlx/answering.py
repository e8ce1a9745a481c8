"""An exported adapter, loaded afresh by mlx-lm itself, and asked: group `dsa_lite.answerers`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from dsa_lite.errors import MissingExtra


def answer_mlx(base: str, out: Path, prompts: Sequence[str], max_tokens: int) -> list[str]:
    """Greedy replies of the base with the adapter folder `out` on it to rendered prompts, in their order."""
    missing = [name for name in ("mlx", "mlx_lm") if find_spec(name) is None]
    if missing:
        raise MissingExtra(f"loading it afresh needs {', '.join(missing)}", hint='pip install "dsa-lite[mlx]"')
    import mlx.core as mx
    from mlx_lm.generate import generate_step
    from mlx_lm.tuner.utils import load_adapters
    from mlx_lm.utils import load_model

    from dsa_lite.model_folder import FolderTokenizer, find_folder, stop_ids

    folder = find_folder(base)
    tokenizer = FolderTokenizer(folder)
    ends = stop_ids(folder, tokenizer)
    model = load_adapters(load_model(folder)[0], str(out))
    if mx.default_device().type == mx.cpu:
        model.set_dtype(mx.float32)  # as the student computes there
    model.eval()
    replies = []
    for prompt in prompts:
        reply: list[int] = []
        for token, _ in generate_step(mx.array(tokenizer.encode(prompt)), model, max_tokens=max_tokens):
            if int(token) in ends:
                break
            reply.append(int(token))
        replies.append(tokenizer.decode(reply))
    return replies
