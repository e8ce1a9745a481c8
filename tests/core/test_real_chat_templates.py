"""The templates of real models, against transformers' own rendering of the same chat.

Where ours differs, it does so on purpose; `DIFFERENT` says how. `chat_templates/README.md` says where they are from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from dsa_lite.chat import TODAY, render
from dsa_lite.records import Message

FOLDER = Path(__file__).parent / "chat_templates"
TEMPLATES = {path.name.removesuffix(".jinja"): path for path in sorted(FOLDER.glob("*.jinja"))}
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
SYSTEM = 'You write exercises.\nReply with JSON: {"problem": "…", "answer": "…"} & nothing <else>.'
USER = 'Topic: \'power rule\', {{ difficulty }}: 3\n{"kind": "single"}'


@dataclass(frozen=True)
class Difference:
    """What makes transformers' rendering ours.

    folded: the template refuses or drops the system message, so it begins the user's. given: switches that turn
    thinking off or down. then: the opened thought closed, or the channel of answers chosen.
    """

    folded: bool = False
    given: dict[str, Any] = field(default_factory=dict)
    then: str = ""


FOLDED = Difference(folded=True)
NOT_THINKING = Difference(given={"enable_thinking": False})
CLOSED = Difference(then="\n</think>\n\n")
DIFFERENT = {
    "deepseek-r1-distill-llama": CLOSED,
    "gemma-2": FOLDED,
    "gemma-7b": FOLDED,
    "glm-4.6": NOT_THINKING,
    "gpt-oss": Difference(given={"reasoning_effort": "low"}, then="<|channel|>final<|message|>"),
    "mistral-7b-v0.2-old": FOLDED,
    "nemotron-nano-v2": CLOSED,
    "orion-14b": FOLDED,
    "phi-3-mini": FOLDED,
    "qwen3": NOT_THINKING,
    "qwen3.5": NOT_THINKING,
    "seed-oss": Difference(given={"thinking_budget": 0}),
    "smollm3": NOT_THINKING,
    "solar-open": Difference(given={"reasoning_effort": "low"}),
}


class _TheSameDay(datetime):
    """Today as our renderer has it: a prompt must not change while a run lasts."""

    @classmethod
    def now(cls, tz: Any = None) -> _TheSameDay:
        return cls(TODAY.year, TODAY.month, TODAY.day)


@pytest.fixture
def tokenizer(monkeypatch: pytest.MonkeyPatch) -> PreTrainedTokenizerFast:
    monkeypatch.setattr(chat_template_utils, "datetime", _TheSameDay)
    words = Tokenizer(WordLevel({"x": 0}, unk_token="x"))
    return PreTrainedTokenizerFast(tokenizer_object=words, **TOKENS)


def test_there_are_enough_of_them() -> None:
    assert len(TEMPLATES) >= 20
    assert DIFFERENT.keys() <= TEMPLATES.keys()


@pytest.mark.parametrize("name", TEMPLATES)
def test_our_rendering_is_that_of_transformers(name: str, tokenizer: PreTrainedTokenizerFast) -> None:
    template = TEMPLATES[name].read_text(encoding="utf-8")
    chat = (Message(role="system", content=SYSTEM), Message(role="user", content=USER))
    ours = render(template, chat, special_tokens=TOKENS, add_generation_prompt=True)
    how = DIFFERENT.get(name, Difference())
    plain = [{"role": m.role, "content": m.content} for m in chat]
    folded = [{"role": "user", "content": f"{SYSTEM}\n\n{USER}"}]
    theirs = tokenizer.apply_chat_template(
        folded if how.folded else plain, chat_template=template, tokenize=False, add_generation_prompt=True, **how.given
    )
    assert ours == f"{theirs}{how.then}"
    assert ours.count(SYSTEM) == ours.count(USER) == 1
