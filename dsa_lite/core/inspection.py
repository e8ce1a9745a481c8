"""What a student would learn from its examples: token by token, and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from dsa_lite.chat import PLAIN_TEMPLATE, end_token, render
from dsa_lite.config import Config
from dsa_lite.core.encoding import Encoded, encode_exercise, encode_prompt, encode_text
from dsa_lite.records import TOO_LONG, Message
from dsa_lite.student import Tokenizer

Kind = Literal["textbook", "exercise", "rehearsal"]
KINDS: tuple[Kind, ...] = ("textbook", "exercise", "rehearsal")
#: Percentiles of the lengths in a summary; 100 is the longest.
PERCENTILES = (50, 90, 99, 100)


@dataclass(frozen=True, eq=False)
class Example:
    """One example as it would be trained.

    dropped: why it is left out, empty where it is trained; weight: its chance of taking part in an epoch, or of its
    loss (`dynamics.easy_by`); ended: its last target is the token that ends a turn (of a passage: a text). Of chats:
    `asked`, its ids begin with exactly the prompt that is asked at evaluation, and none of those is a target;
    `templated`, so do the ids of the whole chat as the template renders it (where not, the reply follows the prompt
    directly).
    """

    kind: Kind
    encoded: Encoded
    dropped: str
    weight: float
    ended: bool
    asked: bool = True
    templated: bool = True

    @property
    def id(self) -> str:
        return self.encoded.id

    @property
    def tokens(self) -> int:
        return len(self.encoded.ids)

    @property
    def trained(self) -> int:
        """Target tokens; 0 of what is dropped."""
        return 0 if self.dropped else int(self.encoded.mask.sum())


@dataclass(frozen=True)
class Summary:
    """Counts over examples. Tokens are those of one pass over what is trained.

    lengths: percentile -> tokens of an example, over all, dropped ones too. `empty`: not dropped, but without a target.
    `ended`, `asked`, `templated`: how many of the trained ones (see Example).
    """

    examples: int
    trained: int
    dropped: Mapping[str, int]
    empty: int
    tokens: int
    trained_tokens: int
    lengths: Mapping[int, int]
    ended: int
    asked: int
    templated: int

    @property
    def share(self) -> float:
        """Trained tokens as a share of all tokens of the trained examples; 0 where there are none."""
        return self.trained_tokens / self.tokens if self.tokens else 0.0


@dataclass(frozen=True)
class Reader:
    """Encodes as the training stages do. `row_tokens`, `max_tokens`: the longest passage and chat that is trained."""

    tokenizer: Tokenizer
    row_tokens: int
    max_tokens: int

    @classmethod
    def of(cls, tokenizer: Tokenizer, config: Config, context_tokens: int) -> Reader:
        """context_tokens: the longest sequence the student takes."""
        longest = min(config.pretrain.row_tokens, context_tokens), min(config.student.max_tokens, context_tokens)
        return cls(tokenizer, *longest)

    def passage(self, id: str, text: str, *, dropped: str = "") -> Example:
        """A plain text; `dropped`: why it is not trained whatever its length."""
        encoded = encode_text(self.tokenizer, id, text)
        dropped = dropped or (TOO_LONG if len(encoded.ids) > self.row_tokens else "")
        return Example("textbook", encoded, dropped, 1.0, _ends(encoded, self.tokenizer.eos_id))

    def chat(
        self, kind: Kind, id: str, problem: str, target: str, *, weight: float = 1.0, dropped: str = ""
    ) -> Example:
        """A problem and what is to be written for it. Raises ValueError for an empty target, as training does."""
        encoded = encode_exercise(self.tokenizer, id, problem, target)
        dropped = dropped or (TOO_LONG if len(encoded.ids) > self.max_tokens else "")
        prompt = encode_prompt(self.tokenizer, problem)
        return Example(
            kind, encoded, dropped, weight, _ends(encoded, end_token(self.tokenizer)),
            asked=_begins(encoded.ids.tolist(), prompt) and not encoded.mask[: len(prompt)].any(),
            templated=_begins(self._whole(problem, target), prompt),
        )  # fmt: skip

    def _whole(self, problem: str, target: str) -> list[int]:
        """Ids of the finished chat, by the template alone."""
        chat = [Message(role="user", content=problem), Message(role="assistant", content=target.strip())]
        template, special = self.tokenizer.chat_template or PLAIN_TEMPLATE, self.tokenizer.special_tokens
        return self.tokenizer.encode(render(template, chat, special_tokens=special, add_generation_prompt=False))


def summary(examples: Sequence[Example]) -> Summary:
    """Counts over examples, also over none."""
    kept = [e for e in examples if not e.dropped]
    trained = [e for e in kept if e.trained]
    lengths = [e.tokens for e in examples]
    # Lengths that occur, not values between two of them.
    found = np.percentile(lengths, PERCENTILES, method="inverted_cdf") if lengths else [0] * len(PERCENTILES)
    return Summary(
        examples=len(examples),
        trained=len(trained),
        dropped=dict(Counter(e.dropped for e in examples if e.dropped)),
        empty=len(kept) - len(trained),
        tokens=sum(e.tokens for e in trained),
        trained_tokens=sum(e.trained for e in trained),
        lengths={p: int(length) for p, length in zip(PERCENTILES, found, strict=True)},
        ended=sum(e.ended for e in trained),
        asked=sum(e.asked for e in trained),
        templated=sum(e.templated for e in trained),
    )


def spans(encoded: Encoded, spell: Callable[[Sequence[int]], str]) -> list[tuple[str, bool]]:
    """The text in pieces, each with whether its tokens are targets. `spell`: ids to text, special tokens shown."""
    borders = [0, *(np.flatnonzero(np.diff(encoded.mask)) + 1).tolist(), len(encoded.ids)]
    ids, pieces, before = encoded.ids.tolist(), [], ""
    for start, end in pairwise(borders):
        # Decoders drop a blank at the start: each piece is what a longer text has more than a shorter one.
        text = spell(ids[:end])
        piece = text[len(before) :] if text.startswith(before) else spell(ids[start:end])
        if end > start:
            pieces.append((piece, bool(encoded.mask[start])))
        before = text
    return pieces


def _ends(encoded: Encoded, end: int) -> bool:
    return bool(len(encoded.ids) and encoded.mask[-1] and encoded.ids[-1] == end)


def _begins(ids: Sequence[int], prompt: Sequence[int]) -> bool:
    return list(ids[: len(prompt)]) == list(prompt)
