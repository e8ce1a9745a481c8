"""Chat templates: rendered in jinja2's sandbox, because a template is data that came with a model.

The environment is that of `transformers.apply_chat_template`, except that today is always the same day: a prompt must
not change while a run lasts.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, NoReturn, cast

from jinja2 import Template, TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from dsa_lite.errors import ModelError
from dsa_lite.records import Message
from dsa_lite.student import Tokenizer

#: Stands for what a model writes while a template is rendered, so that its place is certain.
MARK = "␞target␞"
#: What a template may do for one chat: turns of loops and calls; letters put together.
_STEPS, _LETTERS = 50_000, 20_000_000
#: The budget's name among a template's variables.
_BUDGET = "dsa_lite_budget"
#: Used where a model carries none. Without a blank after the last colon: a token holds the blank before its word.
PLAIN_TEMPLATE = (
    "{% for m in messages %}{{ m['role'].capitalize() + ': ' + m['content'] }}"
    "{{ eos_token if m['role'] == 'assistant' }}{{ '\\n\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
#: A template that holds this comment leaves the system message out on purpose: a model trained on requests alone.
LEAVES_SYSTEM_OUT = "{# leaves the system message out #}"
#: The day Llama 3 templates assume where they are told none.
TODAY = date(2024, 7, 26)
#: Every name under which templates look for a switch of their thinking.
_NO_THINKING = {
    "enable_thinking": False,
    "thinking": False,
    "thinking_budget": 0,
    "thinking_mode": "disabled",
    "reasoning_effort": "low",
}
_OPEN_THOUGHT = re.compile(r"<(?:(?P<tag>(?:\w+:)?think(?:ing)?(?::\w+)?)|\|START_THINKING\|)>(?P<blanks>\s*)\Z")
_FINAL_CHANNEL = "<|channel|>final<|message|>"
#: folded: the system text stands in the first user turn. parts: contents are lists of typed parts. tools: an empty list
#: instead of none.
_Way = tuple[bool, bool, bool]
_WAYS: tuple[_Way, ...] = tuple((f, p, t) for t, p, f in itertools.product((False, True), repeat=3))


def render(
    template: str,
    messages: Sequence[Message],
    *,
    special_tokens: Mapping[str, str],
    add_generation_prompt: bool,
) -> str:
    """Text of a chat. A template that refuses or drops the system role gets it folded into the first user turn, unless
    it says that it does so on purpose (LEAVES_SYSTEM_OUT).

    Thinking is switched off where the template has a switch for it, and closed where the generation prompt opens it.
    Raises ModelError when the template fails or leaves the user's text out.
    """
    roles = tuple(m.role for m in messages)
    way = _way(template, roles, tuple(special_tokens.items()), add_generation_prompt)
    try:
        text = _render(template, messages, special_tokens, add_generation_prompt, way)
    except Exception as error:  # A template is foreign code: it may raise anything.
        raise _failure(error) from error
    return _ready_to_answer(text, template) if add_generation_prompt else text


def end_token(tokenizer: Tokenizer) -> int:
    """The token that ends a turn: the first special one the template puts after what a model writes, else eos.

    A token is special if it decodes to nothing; doubled, so that a lone word-start mark, of which decoders drop the
    space, is not taken for one.
    """
    chat = [Message(role="user", content="?"), Message(role="assistant", content=MARK)]
    template, special = tokenizer.chat_template or PLAIN_TEMPLATE, tokenizer.special_tokens
    text = render(template, chat, special_tokens=special, add_generation_prompt=False)
    closing = text.rpartition(MARK)[2] if MARK in text else ""
    for token in tokenizer.encode(closing.strip()):
        if token == tokenizer.eos_id or not tokenizer.decode([token, token]):
            return token
    return tokenizer.eos_id


@lru_cache(maxsize=64)
def _way(template: str, roles: tuple[str, ...], tokens: tuple[tuple[str, str], ...], generation: bool) -> _Way:
    """How this template must be given chats of these roles: the first way that shows every message, else the user's.

    Tried with marks for contents, so that it does not depend on what is written.
    """
    marked = [Message.model_validate({"role": role, "content": f"␞{n}␞"}) for n, role in enumerate(roles)]
    needed = [m for m in marked if m.role != "system" or LEAVES_SYSTEM_OUT not in template]
    rendered: dict[_Way, str] = {}
    failures = []
    for way in _WAYS:
        try:
            rendered[way] = _render(template, marked, dict(tokens), generation, way)
        except Exception as error:  # See render().
            failures.append(error)
            continue
        if all(m.content in rendered[way] for m in needed):
            return way
    for way, text in rendered.items():
        if all(m.content in text for m in marked if m.role == "user"):
            return way
    raise _failure(failures[0] if failures else ValueError("it leaves out what the user says"))


def _failure(error: Exception) -> ModelError:
    return ModelError(f"the model's chat template fails: {error}"[:500], hint="try another model file")


def _render(template: str, messages: Sequence[Message], tokens: Mapping[str, str], generation: bool, way: _Way) -> str:
    folded, parts, tools = way
    turns: list[dict[str, Any]] = [m.model_dump() for m in messages]
    if folded and [turn["role"] for turn in turns[:2]] == ["system", "user"]:
        turns[:2] = [{"role": "user", "content": f"{turns[0]['content']}\n\n{turns[1]['content']}"}]
    if parts:
        turns = [{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in turns]
    settings = {**_NO_THINKING, "tools": [] if tools else None, "documents": None, **tokens, _BUDGET: _Budget()}
    return _compiled(template).render(messages=turns, add_generation_prompt=generation, **settings)


def _ready_to_answer(text: str, template: str) -> str:
    """The prompt with an opened thought closed, and the channel chosen in which answers stand."""
    if match := _OPEN_THOUGHT.search(text):
        end = f"</{match['tag']}>" if match["tag"] else "<|END_THINKING|>"
        return f"{text}\n{end}\n\n" if match["blanks"] else text + end
    if text.endswith("<|start|>assistant") and _FINAL_CHANNEL in template:
        return text + _FINAL_CHANNEL
    return text


class _Generation(Extension):
    """{% generation %} marks what a model wrote; for rendering it is no more than its contents."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Budget:
    """What one rendering may do: a template is foreign code, and nested loops would take for ever."""

    def __init__(self) -> None:
        self._steps, self._letters = _STEPS, _LETTERS

    def spend(self, steps: int = 1, letters: int = 0) -> None:
        self._steps -= steps
        self._letters -= letters
        if self._steps < 0 or self._letters < 0:
            raise TemplateError(f"it takes more than {_STEPS:,} steps or {_LETTERS:,} letters for one chat")

    def each(self, items: Iterable[Any]) -> Iterator[Any]:
        """What a loop goes over."""
        for item in items:
            self.spend()
            yield item

    def joined(self, *parts: Any) -> str:
        """What ~ makes."""
        text = "".join(map(str, parts))
        self.spend(letters=len(text))
        return text


class _Counted(NodeTransformer):
    """Has every loop and every ~ ask the budget."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = self._asked("each", [cast("nodes.Expr", node.iter)])
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return self._asked("joined", node.nodes)

    def _asked(self, what: str, values: list[nodes.Expr]) -> nodes.Expr:
        return nodes.Call(nodes.Getattr(nodes.Name(_BUDGET, "load"), what, "load"), values, [], None, None)


class _Environment(ImmutableSandboxedEnvironment):
    """Counts loops, calls and what operators make."""

    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = _Counted().visit(super()._parse(source, name, filename))
        return cast("nodes.Template", tree)

    def call(self, context: Context, obj: Any, *args: Any, **named: Any) -> Any:
        context[_BUDGET].spend()
        return super().call(context, obj, *args, **named)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        sizes = [len(side) if isinstance(side, str | list | tuple) else 0 for side in (left, right)]
        if operator == "*" and any(sizes):  # a text so many times
            times = next((side for side in (left, right) if isinstance(side, int)), 1)
            context[_BUDGET].spend(letters=max(sizes) * max(0, times))
        elif operator == "**" or (operator == "%" and isinstance(left, str)):
            raise TemplateError(f"no chat template needs {operator} here")
        else:
            context[_BUDGET].spend(letters=sum(sizes))
        return super().call_binop(context, operator, left, right)


@lru_cache(maxsize=8)
def _compiled(template: str) -> Template:
    extensions: list[type[Extension]] = [_Generation, loopcontrols]
    environment = _Environment(trim_blocks=True, lstrip_blocks=True, extensions=extensions)
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = TODAY.strftime
    environment.filters["tojson"] = _to_json
    return environment.from_string(template)


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)


def _to_json(value: Any, ensure_ascii: bool = False, **style: Any) -> str:
    """jinja2's own filter escapes for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, **style)
