"""From the body of a chat completion to a reply."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from dsa_lite.teacher import Finish, Reply, Request
from dsa_lite_openai.formats import NOT_JSON, embedded, json_problem, unfenced

#: Every server's words for the same, as `_reason` writes them.
_STOPPED = {"stop", "stop_sequence", "stop_token", "eos", "eos_token", "eot", "end", "end_turn", "end_of_turn",
            "complete", "completed", "done", "finished"}  # fmt: skip
_CUT_OFF = {"length", "max_length", "max_tokens", "max_new_tokens", "max_output_tokens", "model_length", "token_limit",
            "context_length_exceeded", "model_context_window_exceeded"}  # fmt: skip
_UNSAID = {"", "null", "none", "unspecified", "finish_reason_unspecified"}


class _Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Message(BaseModel):
    """Contents are a text or a list of parts; thoughts stand beside them under one of two names."""

    content: str | list[Any] | None = None
    refusal: str | None = None
    reasoning_content: Any = None
    reasoning: Any = None

    @property
    def text(self) -> str:
        if not isinstance(self.content, list):
            return self.content or ""
        texts = [part.get("text") for part in self.content if isinstance(part, dict) and part.get("type") == "text"]
        return "".join(text for text in texts if isinstance(text, str))

    @property
    def thoughts(self) -> tuple[str, str]:
        """What the field is called, and what it holds; ("", "") without one."""
        fields = {"reasoning_content": self.reasoning_content, "reasoning": self.reasoning}
        return next(((n, t) for n, t in fields.items() if isinstance(t, str) and t.strip()), ("", ""))


class _Choice(BaseModel):
    message: _Message
    finish_reason: Any = None


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
    finish, error = _finish(request, choice, tokens_out)
    text = choice.message.text
    if finish == "stop":
        text, error = _read_text(choice.message, request.json_schema)
        finish = "error" if error else "stop"
    elif request.json_schema is None:
        text = without_thinking(text)
    tokens_in = max(0, usage.prompt_tokens or 0)
    settled: dict[str, Any] = {"finish": finish, "error": error, "tokens_in": tokens_in, "tokens_out": tokens_out}
    return Reply(id=request.id, text=text, seconds=seconds, **settled)


def holds_no_json(reply: Reply) -> bool:
    """Whether JSON was asked for and nothing of the kind came: the server may not know the format it was asked in."""
    return reply.finish == "error" and reply.error.startswith(NOT_JSON)


def _read_text(message: _Message, schema: Mapping[str, Any] | None) -> tuple[str, str]:
    """What a finished reply says, and what is wrong with it.

    Some servers put the whole JSON where thoughts belong. Thoughts themselves are no answer, whatever they hold.
    """
    field, thoughts = message.thoughts
    if message.text.strip() or not thoughts:
        return (without_thinking(message.text), "") if schema is None else _read_json(message.text, schema)
    if schema is not None:
        bare = unfenced(thoughts)
        if not json_problem(bare, schema):
            return bare, ""
    where = f"the server put {len(thoughts)} characters into {field}"
    return "", f"the reply is empty; {where}" if schema is None else f"{NOT_JSON}: it is empty; {where}"


def _read_json(text: str, schema: Mapping[str, Any]) -> tuple[str, str]:
    """The JSON in a reply, freed from thoughts, fence and prose where it has them, and what is wrong with it."""
    problem = json_problem(text, schema)
    if not problem:
        return text, ""
    said = without_thinking(text)
    bare = unfenced(said)
    problem = json_problem(bare, schema) if bare != text else problem
    if not problem.startswith(NOT_JSON) or said.lstrip().startswith("<think>"):
        return bare, problem
    found = embedded(said, schema)
    if len(found) > 1:
        return text, f"the reply holds {len(found)} different JSON values of its schema"
    return (found[0], "") if found else (text, problem)


def _finish(request: Request, choice: _Choice, tokens_out: int) -> tuple[Finish, str]:
    if choice.message.refusal:
        return "error", f"the model refused: {choice.message.refusal}"[:300]
    reason = _reason(choice.finish_reason)
    if reason in _CUT_OFF or (reason in _UNSAID and tokens_out >= request.max_tokens):
        return "length", ""
    if reason in _UNSAID or reason in _STOPPED:
        return "stop", ""
    return "error", f"the server ended the reply with {choice.finish_reason!r}"[:300]


def _reason(given: Any) -> str:
    """STOP, FinishReason.STOP, end-turn: one spelling."""
    return (
        given.rpartition(".")[2].strip().lower().replace("-", "_").replace(" ", "_") if isinstance(given, str) else ""
    )


def without_thinking(text: str) -> str:
    """The reply without a leading <think>…</think>; the opening may stand in the prompt, and is missing then."""
    thought, end, reply = text.partition("</think>")
    if end and ("<think>" not in thought or thought.lstrip().startswith("<think>")):
        return reply.lstrip()
    return text
