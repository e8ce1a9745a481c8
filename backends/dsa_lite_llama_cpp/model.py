"""The loaded weights and their vocabulary. Child only."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import llama_cpp as C
from llama_cpp._logger import llama_log_callback, set_verbose

from dsa_lite_llama_cpp.memory import free_on_gpus

#: By their words: the numbers of the levels differ between versions. Metadata is logged, too.
_COMPLAINS = re.compile(r"^(?!.* - kv ).*(?:error|failed|unable|invalid)", re.IGNORECASE)


@contextmanager
def _log_kept() -> Iterator[list[str]]:
    """What llama.cpp logs meanwhile, its complaints also on stderr, in case they are its last words."""
    lines: list[str] = []

    @C.llama_log_callback  # type: ignore[untyped-decorator]
    def keep(level: int, text: bytes, data: Any) -> None:
        lines.append(text.decode(errors="replace").strip())
        if _COMPLAINS.search(lines[-1]):
            sys.stderr.write(f"{lines[-1]}\n")

    C.llama_log_set(keep, ctypes.c_void_p(0))
    try:
        yield lines
    finally:
        C.llama_log_set(llama_log_callback, ctypes.c_void_p(0))


def _reason(lines: Sequence[str]) -> str:
    """The first complaint, which is the cause of the others, without the names of the functions that pass it on."""
    first = next(filter(_COMPLAINS.search, lines), "it does not say why")
    return re.sub(r"^\w+: |error loading model(?: \w+)?: ", "", first)[:300]


class Model:
    """Weights, tokeniser and sizes of one GGUF file."""

    def __init__(self, path: str, gpu_layers: int) -> None:
        """Load the file. Raises RuntimeError with llama.cpp's own reason."""
        set_verbose(False)
        C.llama_backend_init()
        params = C.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        # AMX code built with an older GCC, or run on some kernels, dies of a signal (ggml-org/llama.cpp#20824, #26954).
        params.use_extra_bufts = b"AMX_INT8 = 1" not in C.llama_print_system_info()
        with _log_kept() as lines:
            self.pointer: Any = C.llama_model_load_from_file(path.encode(), params)
        if not self.pointer:
            raise RuntimeError(_reason(lines))
        self.gpu_share = self._gpu_share(gpu_layers)
        if C.llama_model_has_encoder(self.pointer):
            raise RuntimeError("encoder models cannot write")
        self.vocab: Any = C.llama_model_get_vocab(self.pointer)
        self.n_vocab = int(C.llama_vocab_n_tokens(self.vocab))
        self.trained_context = int(C.llama_model_n_ctx_train(self.pointer)) or 1 << 20
        self._bos = int(C.llama_vocab_bos(self.vocab))
        self._adds_bos = bool(C.llama_vocab_get_add_bos(self.vocab)) and self._bos >= 0
        self.piece = lru_cache(maxsize=None)(self._piece)
        self.ends = lru_cache(maxsize=None)(self._ends)
        self.start_tokens = lru_cache(maxsize=64)(self._tokenise)

    def tokens(self, text: str) -> tuple[int, ...]:
        """Token ids of a rendered prompt, special tokens parsed, begun with BOS once where the model wants it."""
        return self._tokenise(text)

    def text_tokens(self, text: str) -> tuple[int, ...]:
        """Token ids of a text that is no prompt, begun and ended as the model wants; control tokens' names are text."""
        return self._ids(text, special=False, whole=True)

    def reply_tokens(self, text: str) -> tuple[int, ...]:
        """Token ids of a text that follows a prompt: no BOS, control tokens' names are text."""
        return self._ids(text, special=False)

    def _gpu_share(self, asked: int) -> float:
        """Share of the layers, and so of their cache, that is on GPUs with memory of their own."""
        if asked == 0 or not C.llama_supports_gpu_offload() or not free_on_gpus():
            return 0.0
        layers = max(1, C.llama_model_n_layer(self.pointer))
        # The output layer is the first to be moved, and has no cache.
        return 1.0 if asked < 0 else min(asked - 1, layers) / layers

    @property
    def weights_bytes(self) -> int:
        return int(C.llama_model_size(self.pointer))

    @property
    def pools(self) -> bool:
        """Whether the file says how token vectors become one text's vector."""
        return self._number("pooling_type") > 0

    @property
    def small_cache(self) -> bool:
        """Whether the key-value cache has 8 instead of 16 bits, because 16 would be slow.

        llama.cpp's AVX-512 code takes 64 numbers of a 16-bit head at a time and what is left one by one, so that heads
        of 32 or 96 are several times slower than 8-bit blocks of 32.
        """
        wide = b"AVX512 = 1" in C.llama_print_system_info() and self.gpu_share < 1
        widths = self._head_widths()
        return wide and any(w % 64 for w in widths) and all(w % 32 == 0 for w in widths)

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of the key-value cache for one token of one sequence; an upper estimate."""
        heads = C.llama_model_n_layer(self.pointer) * max(1, C.llama_model_n_head_kv(self.pointer))
        numbers = heads * sum(self._head_widths())
        return int(numbers * 34 // 32 if self.small_cache else numbers * 2)

    def _head_widths(self) -> list[int]:
        """Numbers in a key and in a value of one head."""
        per_head = C.llama_model_n_embd(self.pointer) // max(1, C.llama_model_n_head(self.pointer))
        return [self._number(f"attention.{name}_length") or per_head for name in ("key", "value")]

    def _number(self, name: str) -> int:
        """A hyper-parameter from the file's header; 0 where it has none."""
        text = self._meta(f"{self._meta('general.architecture')}.{name}")
        return int(text) if text.isdecimal() else 0

    def _meta(self, key: str) -> str:
        buffer = ctypes.create_string_buffer(256)
        count = C.llama_model_meta_val_str(self.pointer, key.encode(), buffer, len(buffer))
        return buffer.value.decode(errors="replace") if count >= 0 else ""

    def _tokenise(self, text: str) -> tuple[int, ...]:
        # As a whole text it would also get an end token from some models.
        tokens = self._ids(text, special=True)
        return tokens if not self._adds_bos or tokens[:1] == (self._bos,) else (self._bos, *tokens)

    def _ids(self, text: str, *, special: bool, whole: bool = False) -> tuple[int, ...]:
        data = text.encode()
        size = len(data) + 8
        buffer = (C.llama_token * size)()
        count = C.llama_tokenize(self.vocab, data, len(data), buffer, size, whole, special)
        if count < 0:
            raise RuntimeError(f"the tokeniser fails with code {count}")
        return tuple(buffer[:count])

    def _piece(self, token: int) -> bytes:
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = C.llama_token_to_piece(self.vocab, token, buffer, size, 0, False)
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def _ends(self, token: int) -> bool:
        return bool(C.llama_vocab_is_eog(self.vocab, token))
