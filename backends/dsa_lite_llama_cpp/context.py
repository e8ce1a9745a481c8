"""One llama.cpp context: a key-value cache with a stream per sequence. Child only.

Replies must not depend on their neighbours, to the last bit, so no arithmetic may: prompts are computed one at a
time in chunks counted from their start, and a step always computes one row for each of sequences 0..width-1, with
a dummy row where a sequence is idle. Which widths give the same bits is measured, not assumed.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from typing import Any

import llama_cpp as C
import numpy as np
import numpy.typing as npt

from dsa_lite_llama_cpp.model import Model
from dsa_lite_llama_cpp.threads import Threads

_CHUNK = 512
#: Rows scored at once: for each, llama.cpp keeps as many numbers as the vocabulary has tokens.
_SCORED = 64


class DecodeFailed(Exception):
    """llama_decode refused; the context is of no further use."""


class Context:
    """`slots` sequences that write, then `spares` that only keep prefixes. Only whole sequences are cleared or copied:
    with a stream each, anything partial aborts the process."""

    def __init__(self, model: Model, *, slots: int, spares: int, tokens: int, threads: Threads) -> None:
        """`tokens`: capacity of each sequence. Raises RuntimeError when it does not fit into memory."""
        self._model, self._threads = model, threads
        self.slots, self.spares = slots, spares
        sequences = slots + spares
        refusal = RuntimeError(f"no memory for {sequences} sequences of {tokens} tokens")
        if tokens * sequences >= 1 << 32:  # more than llama.cpp can count
            raise refusal
        params = C.llama_context_default_params()
        params.n_ctx = tokens * sequences
        params.n_batch = params.n_ubatch = max(_CHUNK, slots)
        params.n_seq_max = sequences
        params.n_outputs_max = max(_SCORED, sequences)
        params.n_threads, params.n_threads_batch = threads.most, threads.now
        params.kv_unified = False
        params.no_perf = True
        if model.small_cache:
            params.type_k = params.type_v = C.GGML_TYPE_Q8_0
            params.flash_attn_type = C.LLAMA_FLASH_ATTN_TYPE_ENABLED  # 8-bit values need it
        self.pointer: Any = C.llama_init_from_model(model.pointer, params)
        if not self.pointer:
            raise refusal
        self.tokens = int(C.llama_n_ctx_seq(self.pointer))
        self.layout: dict[str, int | str] = {
            "slots": slots,
            "batch_tokens": int(params.n_ubatch),
            "cache": "q8_0" if model.small_cache else "f16",
            "flash_attention": "on" if model.small_cache else "auto",
        }
        self._memory: Any = C.llama_get_memory(self.pointer)
        self._rows = Rows(max(_CHUNK, slots))
        self.widths = self._equal_widths()

    def prefill(self, sequence: int, tokens: Sequence[int], start: int) -> int:
        """Append `tokens` at position `start`; returns the row whose logits come after the last of them."""
        piece: Sequence[int] = ()
        for at in range(0, len(tokens), _CHUNK):
            piece = tokens[at : at + _CHUNK]
            self._rows.one_sequence(sequence, piece, start + at)
            self._decode(self._rows)
        return len(piece) - 1

    def nll(self, sequence: int, row: int, tokens: Sequence[int], start: int) -> float:
        """-log p of `tokens` at position `start`, in nats, summed; `row` of the last decode has the first's logits."""
        found = self._surprise(row, tokens[0])
        for at in range(0, len(tokens) - 1, _SCORED):
            piece = tokens[at : min(at + _SCORED, len(tokens) - 1)]
            self._rows.one_sequence(sequence, piece, start + at, every=True)
            self._decode(self._rows)
            found += sum(self._surprise(i, tokens[at + i + 1]) for i in range(len(piece)))
        return found

    def _surprise(self, row: int, token: int) -> float:
        logits = self.logits(row).astype(np.float64)
        top = logits.max()
        return max(0.0, float(np.log(np.exp(logits - top).sum()) + top - logits[token]))

    def step(self, tokens: Sequence[int], positions: Sequence[int]) -> None:
        """One token for each of sequences 0..len-1; afterwards row i has the logits of sequence i."""
        self._rows.one_each(tokens, positions)
        self._decode(self._rows)

    def clear(self, sequence: int) -> None:
        C.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def copy(self, source: int, target: int) -> None:
        """Replace all of `target` by all of `source`."""
        self.clear(target)
        C.llama_memory_seq_cp(self._memory, source, target, -1, -1)

    def logits(self, row: int) -> npt.NDArray[np.float32]:
        """(V,) view, valid until the next decode."""
        return np.ctypeslib.as_array(C.llama_get_logits_ith(self.pointer, row), (self._model.n_vocab,))

    def close(self) -> None:
        C.llama_free(self.pointer)

    def _decode(self, rows: Rows) -> None:
        worked, passed = time.process_time(), time.perf_counter()
        code = C.llama_decode(self.pointer, rows.batch)
        if code != 0:
            raise DecodeFailed(f"llama_decode returned {code}")
        if self._model.gpu_share or rows.batch.n_tokens == 1:
            return  # threads that wait for a GPU, or of which a lone row needs always the same number
        if self._threads.computed(time.process_time() - worked, time.perf_counter() - passed):
            C.llama_set_n_threads(self.pointer, self._threads.most, self._threads.now)

    def _equal_widths(self) -> tuple[int, ...]:
        """Row counts, ascending, at which every row comes out with the same bits as at the full one.

        Of several never 1: from 512 tokens on, flash attention adds up a lone row in another way.
        """
        full = self._probe(self.slots)
        widths = [w for w in (2, 4, 8, 16, 32, 64, 128) if w < self.slots and np.array_equal(self._probe(w), full[:w])]
        return (*widths, self.slots)

    def _probe(self, width: int) -> npt.NDArray[np.float32]:
        for position in range(2):
            self.step([(7919 * (i + 1) + position) % self._model.n_vocab for i in range(width)], [position] * width)
        found = np.stack([self.logits(i).copy() for i in range(width)])
        for i in range(width):
            self.clear(i)
        return found


class Rows:
    """A llama_batch over arrays of our own, filled by slices."""

    def __init__(self, size: int) -> None:
        self._token = np.zeros(size, np.int32)
        self._position = np.zeros(size, np.int32)
        self._count = np.ones(size, np.int32)
        self._flag = np.zeros(size, np.int8)
        self._sequence = np.zeros(size, np.int32)
        self._range = np.arange(size, dtype=np.int32)
        width = self._sequence.itemsize
        # Row i's list of sequences is the one number at sequence[i].
        self._lists = self._sequence.ctypes.data + width * np.arange(size, dtype=np.uintp)
        self.batch: Any = C.llama_batch()
        self.batch.token = self._pointer(self._token, C.llama_token)
        self.batch.pos = self._pointer(self._position, C.llama_pos)
        self.batch.n_seq_id = self._pointer(self._count, ctypes.c_int32)
        self.batch.seq_id = self._pointer(self._lists, ctypes.POINTER(C.llama_seq_id))
        self.batch.logits = self._pointer(self._flag, ctypes.c_int8)

    @staticmethod
    def _pointer(array: npt.NDArray[Any], kind: Any) -> Any:
        return ctypes.cast(array.ctypes.data, ctypes.POINTER(kind))

    def one_sequence(self, sequence: int, tokens: Sequence[int], start: int, *, every: bool = False) -> None:
        """`every`: logits of every row, not of the last alone."""
        count = len(tokens)
        self._token[:count] = tokens
        self._position[:count] = self._range[:count] + start
        self._sequence[:count] = sequence
        self._flag[:count] = every
        self._flag[count - 1] = 1
        self.batch.n_tokens = count

    def sequences(self, texts: Sequence[Sequence[int]]) -> None:
        """Whole texts from position 0 on, in sequences 0..len-1, every row flagged."""
        at = 0
        for sequence, tokens in enumerate(texts):
            end = at + len(tokens)
            self._token[at:end] = tokens
            self._position[at:end] = self._range[: len(tokens)]
            self._sequence[at:end] = sequence
            at = end
        self._flag[:at] = 1
        self.batch.n_tokens = at

    def one_each(self, tokens: Sequence[int], positions: Sequence[int]) -> None:
        count = len(tokens)
        self._token[:count] = tokens
        self._position[:count] = positions
        self._sequence[:count] = self._range[:count]
        self._flag[:count] = 1
        self.batch.n_tokens = count
