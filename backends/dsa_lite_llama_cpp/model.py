"""The loaded weights and their vocabulary. Child only."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import llama_cpp as C
from llama_cpp._logger import set_verbose


class Model:
    """Weights, tokeniser and sizes of one GGUF file."""

    def __init__(self, path: str, gpu_layers: int) -> None:
        """Load the file. Raises RuntimeError; llama.cpp's own words go to stderr."""
        set_verbose(False)
        C.llama_backend_init()
        params = C.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        self.pointer: Any = C.llama_model_load_from_file(path.encode(), params)
        if not self.pointer:
            raise RuntimeError("the model does not load")
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

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of the 16-bit key-value cache for one token of one sequence; an upper estimate."""
        heads = max(1, C.llama_model_n_head(self.pointer))
        per_head = C.llama_model_n_embd(self.pointer) // heads
        cells = C.llama_model_n_layer(self.pointer) * max(1, C.llama_model_n_head_kv(self.pointer)) * per_head
        return int(2 * 2 * cells)

    def _tokenise(self, text: str) -> tuple[int, ...]:
        data = text.encode()
        size = len(data) + 8
        buffer = (C.llama_token * size)()
        # add_special would also append an end token for some models, so BOS is put here.
        count = C.llama_tokenize(self.vocab, data, len(data), buffer, size, False, True)
        if count < 0:
            raise RuntimeError(f"the tokeniser fails with code {count}")
        tokens = tuple(buffer[:count])
        return tokens if not self._adds_bos or tokens[:1] == (self._bos,) else (self._bos, *tokens)

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
