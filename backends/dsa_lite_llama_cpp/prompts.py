"""Messages to prompt text, and reply text without its thinking."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import takewhile

from dsa_lite.chat import PLAIN_TEMPLATE, render
from dsa_lite.records import Message

#: The opening tag may stand in the prompt.
_THINKING = re.compile(r"\s*(?:<think>.*?|(?:(?!<think>).)*?)</think>\s*", re.DOTALL)


class Prompter:
    """Renders a model's chat template."""

    def __init__(self, template: str | None, special_tokens: Mapping[str, str]) -> None:
        self._template = template or PLAIN_TEMPLATE
        self._tokens = dict(special_tokens)
        self._shared = lru_cache(maxsize=256)(self._common_start)

    def prompt(self, messages: tuple[Message, ...]) -> tuple[str, str]:
        """The whole text, and the start of it that every chat with the same earlier messages has.

        The second follows from the earlier messages alone, so where a prompt is cut never depends on other requests.
        Raises ModelError when the template fails.
        """
        earlier, last = messages[:-1], messages[-1:]
        shared = self._shared(earlier, last[0].role) if earlier else ""
        return self._render(messages), shared

    def _common_start(self, earlier: tuple[Message, ...], role: str) -> str:
        texts = [self._render((*earlier, Message.model_validate({"role": role, "content": c}))) for c in ("a", "z")]
        same = takewhile(lambda pair: pair[0] == pair[1], zip(*texts, strict=False))
        return "".join(character for character, _ in same)

    def _render(self, messages: tuple[Message, ...]) -> str:
        return render(self._template, messages, special_tokens=self._tokens, add_generation_prompt=True)


def without_thinking(text: str) -> str:
    """The reply without a leading <think>…</think>."""
    match = _THINKING.match(text)
    return text[match.end() :] if match else text
