"""Chat templates: rendered in jinja2's sandbox, because a template is data that came with a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NoReturn

from jinja2 import Template, TemplateError
from jinja2.exceptions import SecurityError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from dsa_lite.errors import ModelError
from dsa_lite.records import Message

#: Used where a model carries no template of its own.
PLAIN_TEMPLATE = (
    "{% for m in messages %}{{ m['role'].capitalize() + ': ' + m['content'] }}"
    "{{ eos_token if m['role'] == 'assistant' }}{{ '\\n\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}"
)


def render(
    template: str,
    messages: Sequence[Message],
    *,
    special_tokens: Mapping[str, str],
    add_generation_prompt: bool,
) -> str:
    """Text of a chat. A template that refuses the system role gets it folded into the first user turn.

    Thinking is switched off where the template has a switch for it. Raises ModelError when the template fails.
    """
    turns = [m.model_dump() for m in messages]
    try:
        return _render(template, turns, special_tokens, add_generation_prompt)
    except (TemplateError, SecurityError, TypeError, KeyError, ValueError, AttributeError) as first:
        folded = _fold_system(turns)
        if folded == turns:
            raise ModelError(f"the model's chat template fails: {first}", hint="try another model file") from first
    try:
        return _render(template, folded, special_tokens, add_generation_prompt)
    except (TemplateError, SecurityError, TypeError, KeyError, ValueError, AttributeError) as error:
        raise ModelError(f"the model's chat template fails: {error}", hint="try another model file") from error


def _render(template: str, turns: list[dict[str, Any]], tokens: Mapping[str, str], generation: bool) -> str:
    return _compiled(template).render(
        messages=turns, add_generation_prompt=generation, enable_thinking=False, reasoning_effort="low", tools=None, **tokens
    )


def _fold_system(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(turns) < 2 or turns[0]["role"] != "system" or turns[1]["role"] != "user":
        return turns
    return [{"role": "user", "content": f"{turns[0]['content']}\n\n{turns[1]['content']}"}, *turns[2:]]


@lru_cache(maxsize=8)
def _compiled(template: str) -> Template:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.globals["raise_exception"] = _raise
    return environment.from_string(template)


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)
