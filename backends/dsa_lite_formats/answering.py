"""What llama.cpp makes of a GGUF file: its tokens compared with the student's own, and greedy answers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsa_lite.errors import MissingExtra, ModelError
from dsa_lite.model_folder import FolderTokenizer
from dsa_lite_formats.llama_log import log_kept

if TYPE_CHECKING:
    from llama_cpp import Llama

#: Digits, cases, blanks, line ends, signs, accents, other scripts: where ways of splitting text differ.
_TEXTS = (
    "Differentiate 3x^2 + 12x - 7 at x = 1024.5, then 100,000.",
    "f'(x) = 2·x;\n\n\ny'' = -3\t\t(a+b)**2   end  ",
    "We'll SEE: I'M don't they'RE  HTTPServer camelCase snake_case_2",
    "naïve Ünïcödé Größe Ελληνικά русский 中文字符 日本語 한국어 ✓ 🚀",
    '\n \n\n \r\n a\u00a0b ... !!! ??? <tag attr="1"> {x: [1, 2]} \\frac{1}{2} $y$',
)


def llama_cpp_there() -> bool:
    return find_spec("llama_cpp") is not None


def prove_tokens(path: Path, base: Path) -> None:
    """Raises ModelError when llama.cpp splits text into other tokens than the model's own tokenizer."""
    from llama_cpp import Llama

    tokenizer = FolderTokenizer(base)
    with log_kept():  # it warns that a vocabulary alone has no context
        model = Llama(os.fspath(path), vocab_only=True, verbose=False)
    try:
        for text in _TEXTS:
            theirs, ours = model.tokenize(text.encode(), add_bos=False, special=True), tokenizer.encode(text)
            if theirs != ours:
                raise ModelError(
                    f"llama.cpp splits text otherwise than this model's tokenizer, e.g. {text!r}",
                    hint="it would answer worse than the student: use --to merged or --to peft instead",
                )
    finally:
        model.close()


def answer(path: Path, prompts: Sequence[str], max_tokens: int, lora: Path | None = None) -> list[str]:
    """Greedy replies of a GGUF file to rendered prompts, in their order, on the CPU.

    Raises MissingExtra without llama-cpp-python, ModelError when llama.cpp cannot load the file.
    """
    if not llama_cpp_there():
        hint = 'pip install "dsa-lite[llama-cpp]"'
        raise MissingExtra("GGUF files are checked with llama.cpp, which is not installed", hint=hint)
    from llama_cpp import Llama

    threads = max(1, (os.cpu_count() or 2) // 2)  # more would spin and wait where others compute
    try:
        with without_amx():
            model = Llama(
                os.fspath(path),
                lora_path=os.fspath(lora) if lora else None,
                n_ctx=max(len(prompt.encode()) for prompt in prompts) + max_tokens + 1,  # a token is a byte or more
                n_gpu_layers=0,
                n_threads=threads,
                n_threads_batch=threads,
                verbose=False,
            )
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"llama.cpp cannot load {lora or path}: {error}") from error
    try:
        return [_reply(model, prompt, max_tokens) for prompt in prompts]
    finally:
        model.close()


@contextmanager
def without_amx() -> Iterator[None]:
    """Meanwhile `Llama` loads weights as they are where llama.cpp has AMX code, for which it has no switch itself.

    Built with an older GCC, or run on some kernels, that code ends the process (ggml-org/llama.cpp#20824, #26954).
    """
    from llama_cpp import llama_cpp as C

    default = C.llama_model_default_params

    def plain() -> Any:
        params = default()
        params.use_extra_bufts = b"AMX_INT8 = 1" not in C.llama_print_system_info()
        return params

    C.llama_model_default_params = plain
    try:
        yield
    finally:
        C.llama_model_default_params = default


def _reply(model: Llama, prompt: str, max_tokens: int) -> str:
    from llama_cpp import llama_vocab_is_eog

    model.reset()  # type: ignore[no-untyped-call]
    written: list[int] = []
    prompted = model.tokenize(prompt.encode(), add_bos=False, special=True)
    for token in model.generate(prompted, temp=0.0, top_k=1, repeat_penalty=1.0):
        if llama_vocab_is_eog(model._model.vocab, token):
            break
        written.append(token)
        if len(written) == max_tokens:
            break
    return model.detokenize(written).decode("utf-8", errors="replace")
