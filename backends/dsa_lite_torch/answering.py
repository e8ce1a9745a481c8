"""Exported students, loaded afresh as a stranger would, and asked: group `dsa_lite.answerers`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from dsa_lite.errors import MissingExtra
from dsa_lite.student import StudentOptions


def answer_merged(base: str, out: Path, prompts: Sequence[str], max_tokens: int) -> list[str]:
    """Greedy replies of a merged folder to rendered prompts, in their order. Raises ModelError if it is broken."""
    _need_torch()
    from dsa_lite_torch.student import TorchStudent

    student = TorchStudent.open(str(out), StudentOptions(lora_rank=1))
    try:
        ids = [student.tokenizer.encode(prompt) for prompt in prompts]
        room = student.context_tokens - max(len(prompt) for prompt in ids)
        written = student.generate(ids, max(1, min(max_tokens, room)), adapter=False)
        return [student.tokenizer.decode(reply) for reply in written]
    finally:
        student.close()


def answer_peft(base: str, out: Path, prompts: Sequence[str], max_tokens: int) -> list[str]:
    """The same of the base with the adapter folder `out` on it, loaded by PEFT itself."""
    _need_torch()
    from dsa_lite.model_folder import FolderTokenizer, find_folder, stop_ids
    from dsa_lite_torch.generation import generate
    from dsa_lite_torch.loading import choose_device, load_base

    folder = find_folder(base)
    device, dtype = choose_device("auto")
    model, tokenizer = load_base(folder, device, dtype), FolderTokenizer(folder)
    from peft import PeftModel  # after the base, which has bitsandbytes imported without a look at the hub

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|peft)\.")
        PeftModel.from_pretrained(model.model, str(out))  # puts its layers into the model it is given
    model.model.to(device)
    ids = [tokenizer.encode(prompt) for prompt in prompts]
    room = model.context_tokens - max(len(prompt) for prompt in ids)
    ends, budget = stop_ids(folder, tokenizer), StudentOptions().micro_batch_tokens
    written = generate(model, ids, max(1, min(max_tokens, room)), ends, budget)
    return [tokenizer.decode(reply) for reply in written]


def _need_torch() -> None:
    missing = [name for name in ("torch", "transformers", "peft") if find_spec(name) is None]
    if missing:
        hint = 'pip install "dsa-lite[torch]"'
        raise MissingExtra(f"loading it afresh needs {', '.join(missing)}", hint=hint)
