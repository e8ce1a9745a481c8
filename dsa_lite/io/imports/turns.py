"""Chats in the field's dialects: OpenAI's messages, ShareGPT's conversations, contents in parts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from dsa_lite.io.jsonl import short

#: Which of a chat's replies are trained: the last, or each with all that came before it.
Turns = Literal["last", "all"]

_ROLES = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user", "prompter": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "model": "assistant", "bot": "assistant",
    "bing": "assistant", "bard": "assistant", "claude": "assistant", "ai": "assistant",
}  # fmt: skip
_TOOLS = ("tool", "function", "function_call", "function_response", "tool_call", "tool_response", "observation",
          "ipython", "environment")  # fmt: skip
_SPEAKER, _WORDS = ("role", "from", "speaker", "author"), ("content", "value", "text")
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")
_MEDIA = ("image", "audio", "video", "file")
_ALLOWED = "allowed: a list of role and content, or of from and value"


class Fault(Exception):
    """What is wrong with one row: the field and why."""


class Exchange(NamedTuple):
    """One reply and what it answers. `thought`: what a field of its own says the reply rests on.

    earlier: how many turns of the chat stand in the problem before its last one.
    """

    problem: str
    thought: str
    reply: str
    earlier: int = 0


class _Turn(NamedTuple):
    role: str
    text: str
    thought: str = ""
    weight: bool = True


def exchanges(value: Any, field: str, which: Turns, system: str = "") -> list[Exchange]:
    """The replies of a chat that are to be trained. Raises Fault.

    A system turn and earlier turns are put before the problem, the latter with who says them. `system`: what a column
    of its own says.
    """
    turns = _turns(value, field)
    if turns and turns[0].role == "system":
        system, turns = "\n\n".join(text for text in (system, turns[0].text) if text), turns[1:]
    roles = [turn.role for turn in turns]
    begin = 1 if roles[:1] == ["assistant"] else 0
    if roles[begin:] != ["user", "assistant"] * (len(roles[begin:]) // 2) or len(roles) < 2:
        named = ["system"] * bool(system) + roles
        raise Fault(f"{field}: the turns are {', '.join(named) or 'none'}, allowed: (system,) user, assistant, …")
    if not all(turn.text for turn in turns):
        raise Fault(f"{field}: a turn is empty")
    replies = [n for n in range(begin + 1, len(turns), 2) if turns[n].weight]
    if not replies:
        raise Fault(f"{field}: no reply has a weight")
    return [_exchange(turns[: n + 1], system) for n in (replies if which == "all" else replies[-1:])]


def _exchange(turns: Sequence[_Turn], system: str) -> Exchange:
    *earlier, asked, reply = turns
    told = [f"{turn.role.capitalize()}: {turn.text}" for turn in earlier]
    problem = [system] * bool(system) + told + [f"User: {asked.text}" if told else asked.text]
    return Exchange("\n\n".join(problem), reply.thought, reply.text, len(earlier))


def _turns(value: Any, field: str) -> list[_Turn]:
    raw = _loaded(value)
    if not isinstance(raw, list) or not all(isinstance(turn, Mapping) for turn in raw):
        raise Fault(f"{field}: got {short(value)}, {_ALLOWED}")
    turns: list[_Turn] = []
    for number, one in enumerate(raw, start=1):
        role, words = one.get("role"), one.get("content")
        if len(one) == 2 and role in ("user", "assistant", "system") and isinstance(words, str):
            turns.append(_Turn(role, words.strip()))  # nearly all are
        else:
            turns += _said(one, f"{field}: turn {number}")
    return turns


def _loaded(value: Any) -> Any:
    """A chat in a CSV cell is JSON."""
    if isinstance(value, str) and value.lstrip()[:1] == "[":
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _said(turn: Mapping[str, Any], where: str) -> list[_Turn]:
    speaker = next((key for key in _SPEAKER if isinstance(turn.get(key), str)), None)
    if speaker is None and turn and all(str(key).casefold() in _ROLES for key in turn):  # {"human": …, "assistant": …}
        return [_Turn(_ROLES[name.casefold()], _text(words, where)) for name, words in turn.items()]
    if speaker is None:
        raise Fault(f"{where}: got {short(dict(turn))}, {_ALLOWED}")
    said = turn[speaker].strip().casefold()
    called = next((key for key in ("tool_calls", "function_call") if turn.get(key)), None)
    if said in _TOOLS or called:
        raise Fault(f"{where} is {'a call of a tool' if called else f'of a tool ({said})'}: such chats are not read")
    if said not in _ROLES:
        raise Fault(f"{where}: got {short(turn[speaker])} as {speaker}, allowed: system, user, assistant")
    words = next((key for key in _WORDS if turn.get(key) is not None), None)
    if words is None:
        raise Fault(f"{where}: got {short(dict(turn))}, {_ALLOWED}")
    thought = next((turn[key].strip() for key in _THOUGHTS if isinstance(turn.get(key), str)), "")
    weight = turn.get("weight", turn.get("train", True))
    return [_Turn(_ROLES[said], _text(turn[words], where), thought, weight not in (0, False))]


def _text(content: Any, where: str) -> str:
    """A text, or the text parts of a list of parts."""
    if isinstance(content, str):
        return content.strip()
    parts = content if isinstance(content, list) else [content]
    return "\n".join(_part(part, where) for part in parts).strip()


def _part(part: Any, where: str) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping):
        kind = str(part.get("type", "text"))
        if "text" in kind and isinstance(part.get("text"), str):
            return str(part["text"])
        media = next((name for name in _MEDIA if name in kind), "")
        named = f"a part of type {short(kind)}"
        raise Fault(f"{where} holds {f'{media} data' if media else named}, which is not read: only text is")
    raise Fault(f"{where}: got {short(part)}, allowed: a text or a list of parts with text")
