"""Text to token ids and the mask of what is learnt: the same for every backend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsa_lite.chat import MARK, PLAIN_TEMPLATE, end_token, render
from dsa_lite.records import Message
from dsa_lite.student import Tokenizer


@dataclass(frozen=True, eq=False)
class Encoded:
    """One text of T tokens: ids (T,) int32; mask (T,) bool, True where the token is a target, never at position 0."""

    id: str
    ids: NDArray[np.int32]
    mask: NDArray[np.bool_]

    @property
    def targets(self) -> int:
        """Tokens that are targets."""
        return int(self.mask.sum())


def target_text(solution: str, answer: str) -> str:
    """What the student learns to write for an exercise; without an answer the solution as it is."""
    return f"{solution}\nAnswer: {answer}" if answer else solution


def prompt_text(tokenizer: Tokenizer, problem: str) -> str:
    """A problem as the student is asked it, up to where its answer begins."""
    messages = [Message(role="user", content=problem)]
    template = tokenizer.chat_template or PLAIN_TEMPLATE
    return render(template, messages, special_tokens=tokenizer.special_tokens, add_generation_prompt=True)


def encode_prompt(tokenizer: Tokenizer, problem: str) -> list[int]:
    """Ids of `prompt_text`."""
    return tokenizer.encode(prompt_text(tokenizer, problem))


def user_turn(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Ids before and after a user's words in the model's own chat format, up to where the answer begins."""
    before, _, after = prompt_text(tokenizer, MARK).partition(MARK)
    return tokenizer.encode(before), tokenizer.encode(after)


def encode_exercise(tokenizer: Tokenizer, id: str, problem: str, target: str) -> Encoded:
    """A problem and its target in the model's own chat format.

    The targets are `target` (without blank ends), what the template itself puts before it, and the one token that
    ends the turn; what the template puts after that is cut, the prompt is masked. The ids start with exactly
    `encode_prompt(tokenizer, problem)`. Where the rendered chat does not begin with the prompt's text (templates that
    rewrite earlier turns or add thinking blocks), the target follows the prompt directly.
    """
    core = target.strip()
    if not core:
        raise ValueError(f"exercise {id!r} has an empty target")
    prompt = prompt_text(tokenizer, problem)
    before = _chat(tokenizer, problem).rpartition(MARK)[0]
    body = before[len(prompt) :] + core if before.startswith(prompt) else core
    end = end_token(tokenizer)
    known = tokenizer.encode(prompt)
    ids = tokenizer.encode(prompt + body)
    if ids[: len(known)] != known:  # a token would span the border
        ids = known + tokenizer.encode(body)
    learnt = [token for token in ids[len(known) :] if token != end]  # it would teach to stop in the middle
    return _encoded(id, [*known, *learnt, end], masked=len(known))


def encode_text(tokenizer: Tokenizer, id: str, text: str) -> Encoded:
    """A plain text: the model's bos token where it has one, the text, the end token; all but position 0 are targets."""
    bos = tokenizer.encode(tokenizer.special_tokens["bos_token"]) if tokenizer.special_tokens.get("bos_token") else []
    return _encoded(id, [*bos, *tokenizer.encode(text), tokenizer.eos_id], masked=1)


def _chat(tokenizer: Tokenizer, problem: str) -> str:
    messages = [Message(role="user", content=problem), Message(role="assistant", content=MARK)]
    template = tokenizer.chat_template or PLAIN_TEMPLATE
    return render(template, messages, special_tokens=tokenizer.special_tokens, add_generation_prompt=False)


def _encoded(id: str, ids: Sequence[int], masked: int) -> Encoded:
    mask = np.arange(len(ids)) >= max(1, masked)
    return Encoded(id, np.asarray(ids, dtype=np.int32), mask)
