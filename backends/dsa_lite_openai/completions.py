"""From the body of a chat completion to a reply."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from dsa_lite.teacher import Finish, Reply, Request
from dsa_lite_openai.formats import json_problem, unfenced

_STOPPED = {"stop", "eos", "eos_token", "end_turn", "stop_sequence"}
_CUT_OFF = {"length", "max_tokens", "model_length"}


class _Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


def failed(request: Request, why: str, *, seconds: float = 0.0) -> Reply:
    """A reply that says why there is none."""
    return Reply(id=request.id, text="", finish="error", tokens_in=0, tokens_out=0, seconds=seconds, error=why)


def read_completion(request: Request, body: bytes, seconds: float) -> Reply | None:
    """The reply, checked against its schema. None: the body is no chat completion."""
    try:
        # Half a character escaped as \ud83d is JSON, but no text: it becomes a question mark.
        written = json.dumps(json.loads(body), ensure_ascii=False).encode(errors="replace")
        completion = _Completion.model_validate_json(written)
    except (ValueError, RecursionError):
        return None
    choice, usage = completion.choices[0], completion.usage or _Usage()
    tokens_out = max(0, usage.completion_tokens or 0)
    text = choice.message.content or ""
    finish, error = _finish(request, choice, tokens_out)
    if request.json_schema is None:
        text = without_thinking(text)
    elif finish == "stop":
        text, error = _read_json(text, request.json_schema)
        finish = "error" if error else "stop"
    tokens_in = max(0, usage.prompt_tokens or 0)
    settled: dict[str, Any] = {"finish": finish, "error": error, "tokens_in": tokens_in, "tokens_out": tokens_out}
    return Reply(id=request.id, text=text, seconds=seconds, **settled)


def _read_json(text: str, schema: Mapping[str, Any]) -> tuple[str, str]:
    """The JSON in a reply, freed from thoughts and fence where it has them, and what is wrong with it."""
    problem = json_problem(text, schema)
    bare = unfenced(without_thinking(text)) if problem else text
    return (bare, json_problem(bare, schema)) if bare != text else (text, problem)


def _finish(request: Request, choice: _Choice, tokens_out: int) -> tuple[Finish, str]:
    if choice.message.refusal:
        return "error", f"the model refused: {choice.message.refusal}"[:300]
    reason = choice.finish_reason
    if reason in _CUT_OFF or (reason is None and tokens_out >= request.max_tokens):
        return "length", ""
    if reason is None or reason in _STOPPED:
        return "stop", ""
    return "error", f"the server ended the reply with {reason!r}"[:300]


def without_thinking(text: str) -> str:
    """The reply without a leading <think>…</think>; the opening may stand in the prompt, and is missing then."""
    thought, end, reply = text.partition("</think>")
    if end and ("<think>" not in thought or thought.lstrip().startswith("<think>")):
        return reply.lstrip()
    return text
