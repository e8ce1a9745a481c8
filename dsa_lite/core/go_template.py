"""A chat template as Ollama's Modelfile wants it: taken apart by rendering marks, written in Go's template language.

Only what renders the same on several chats is used; a template that does more than put texts around turns is not
turned into something near it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dsa_lite.chat import PLAIN_TEMPLATE, render
from dsa_lite.errors import ModelError
from dsa_lite.records import Message

_S, _U, _A, _V, _B, _W = (f"␞{name}␞" for name in "SUAVBW")
_SYSTEM, _USER, _ASSISTANT = "system", "user", "assistant"


@dataclass(frozen=True)
class Parts:
    """What a template puts around turns. `before`: ahead of a chat without system message; `system`: around the system
    text, None where the template has no place for one; `ask`: what makes the model answer."""

    before: str
    system: tuple[str, str] | None
    user: tuple[str, str]
    assistant: tuple[str, str]
    ask: str

    def render(self, messages: Sequence[Message]) -> str:
        """The prompt of a chat, as Ollama will write it."""
        text = self.before
        for m in messages:
            if m.role == _SYSTEM and self.system is not None:
                text = self.system[0] + m.content + self.system[1]
            elif m.role != _SYSTEM:
                left, right = self.user if m.role == _USER else self.assistant
                text += left + m.content + right
        return text + self.ask

    def go(self) -> str:
        """The same in Go's template language."""
        before = _literal(self.before)
        if self.system is not None:
            left, right = (_literal(part) for part in self.system)
            before = f"{{{{ if .System }}}}{left}{{{{ .System }}}}{right}{{{{ else }}}}{before}{{{{ end }}}}"
        turns = []
        for word, role, (left, right) in (("if", _USER, self.user), ("else if", _ASSISTANT, self.assistant)):
            turns.append(f'{{{{ {word} eq .Role "{role}" }}}}{_literal(left)}{{{{ .Content }}}}{_literal(right)}')
        return f"{before}{{{{ range .Messages }}}}{''.join(turns)}{{{{ end }}}}{{{{ end }}}}{_literal(self.ask)}"


def take_apart(template: str | None, special_tokens: Mapping[str, str]) -> Parts | None:
    """The parts of a chat template; None where they do not give back what it renders.

    The first token is left out: Ollama puts it there itself.
    """
    try:
        return _taken_apart(template or PLAIN_TEMPLATE, special_tokens)
    except (ModelError, ValueError):
        return None


def _taken_apart(template: str, special: Mapping[str, str]) -> Parts | None:
    bos = special.get("bos_token", "")

    def text(*contents: str, generation: bool = True) -> str:
        rendered = render(template, _chat(contents), special_tokens=special, add_generation_prompt=generation)
        return rendered.removeprefix(bos) if bos else rendered

    head, tail = _cut(text(_U), _U)
    _, first, second, last = _cut(text(_U, _A, _V), _U, _A, _V)
    if last != tail:
        return None
    _, _, closing = _cut(text(_U, _A, generation=False), _U, _A)
    shared = _shared_start(closing, second)  # some templates write more after the very last turn
    user_left = next((second[i:] for i in range(len(shared), -1, -1) if head.endswith(second[i:])), None)
    if user_left is None:
        return None
    user_right = _shared_start(first, tail)
    parts = Parts(
        before=head[: len(head) - len(user_left)],
        system=None,
        user=(user_left, user_right),
        assistant=(first[len(user_right) :], second[: len(second) - len(user_left)]),
        ask=tail[len(user_right) :],
    )
    try:
        with_system = _system(text(_S, _U), user_left, parts)
    except ModelError:
        with_system = None
    tests = [(_U,), (_U, _A, _V), (_U, _A, _V, _B, _W)]
    if with_system is not None:
        parts, tests = with_system, [*tests, *((_S, *test) for test in tests)]
    return parts if all(parts.render(_chat(test)) == text(*test) for test in tests) else None


def _system(rendered: str, user_left: str, parts: Parts) -> Parts | None:
    """With a place for the system message, where the template has one of its own."""
    if rendered.count(_S) != 1:
        return None
    left, between, _ = _cut(rendered, _S, _U)
    if not between.endswith(user_left):
        return None
    system = (left, between[: len(between) - len(user_left)])
    return Parts(parts.before, system, parts.user, parts.assistant, parts.ask)


def _chat(contents: Sequence[str]) -> list[Message]:
    roles = {_S: _SYSTEM, _A: _ASSISTANT, _B: _ASSISTANT}
    return [Message.model_validate({"role": roles.get(c, _USER), "content": c}) for c in contents]


def _cut(text: str, *marks: str) -> list[str]:
    """The text between the marks. Raises ValueError where a mark is not there exactly once, in this order."""
    pieces = []
    for mark in marks:
        if text.count(mark) != 1:
            raise ValueError(mark)
        piece, text = text.split(mark)
        pieces.append(piece)
    return [*pieces, text]


def _shared_start(a: str, b: str) -> str:
    size = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return a[:size]


def _literal(text: str) -> str:
    return text.replace("{{", '{{ "{{" }}')


def modelfile(
    weights: str, template: str | None, special_tokens: Mapping[str, str], stops: Sequence[str]
) -> tuple[str, bool]:
    """The text of a Modelfile for the GGUF file `weights` beside it, and whether it has a TEMPLATE."""
    parts = take_apart(template, special_tokens)
    lines = [f"FROM ./{weights}"]
    text = parts.go() if parts else ""
    whole = bool(text) and '"""' not in text and not text.endswith('"')
    if whole:
        lines.append(f'TEMPLATE """{text}"""')
    lines += [f'PARAMETER stop "{stop}"' for stop in stops if not set(stop) & set('"\n\\')]
    lines += ["# as the student was measured; raise it for variety", "PARAMETER temperature 0"]
    return "\n".join(lines) + "\n", whole
