"""Rows to questions: problem, worked solution and final answer, whatever the layout."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dsa_lite.core.grading import extract_answer
from dsa_lite.io.imports.layouts import GSM8K_MARK, LETTERS, Binding, Part
from dsa_lite.io.imports.rows import Row
from dsa_lite.io.jsonl import short

#: Characters up to which a reply without any mark is taken for the answer itself.
ANSWER_CHARS = 300

_CALCULATION = re.compile(r"<<[^<>\n]*>>")  # GSM8K's calculator notes
_ANSWER_LINE = re.compile(r"\W*(?:so\W+)?(?:the\W+)?(?:final\W+)?answer\b", re.IGNORECASE)


@dataclass(frozen=True)
class Item:
    """One question. `solution` is empty where the file has none; `topic` and `id` where no column says them."""

    where: str
    problem: str
    solution: str
    answer: str
    topic: str = ""
    id: str = ""


class _Fault(Exception):
    """What is wrong with one row: the field and why."""


def read_items(rows: Sequence[Row], binding: Binding, problems: list[str]) -> list[Item]:
    """Every row as an item; the faults of the others are added to `problems`, with place and field."""
    items = []
    for row in rows:
        try:
            items.append(_item(row, binding))
        except _Fault as fault:
            problems.append(f"{row.where}: {fault}")
    return items


def _item(row: Row, binding: Binding) -> Item:
    if binding.layout == "messages":
        problem, reply = _turns(row, binding)
        solution, answer = final_answer(reply, binding.columns["messages"])
    elif binding.layout == "choice":
        problem, answer = _choice(row, binding)
        solution = _text(row, binding, "solution", needed=False)
    else:
        problem, solution, answer = _plain(row, binding)
    topic = _text(row, binding, "topic", needed=False)
    return Item(row.where, problem, solution, answer, topic, _text(row, binding, "id", needed=False))


def _plain(row: Row, binding: Binding) -> tuple[str, str, str]:
    problem, reply = _text(row, binding, "problem"), _text(row, binding, "answer")
    more = _text(row, binding, "input", needed=False)
    problem = f"{problem}\n\n{more}" if more else problem
    if binding.layout == "gsm8k" and GSM8K_MARK not in reply:
        raise _Fault(f"{binding.columns['answer']}: has no {GSM8K_MARK} before the final answer")
    if "solution" in binding.columns:
        return problem, _text(row, binding, "solution", needed=False), reply
    return problem, *final_answer(reply, binding.columns["answer"])


def _text(row: Row, binding: Binding, part: Part, *, needed: bool = True) -> str:
    column = binding.columns.get(part)
    value = row.values.get(column) if column is not None else None
    if isinstance(value, float) and math.isnan(value):
        value = None
    if isinstance(value, bool | list | dict) or not (value is None or isinstance(value, str | int | float)):
        raise _Fault(f"{column}: got {short(value)}, allowed: a text or a number")
    text = "" if value is None else str(value).strip()
    if needed and not text:
        raise _Fault(f"{column}: is {'empty' if value is not None else 'missing'}")
    return text


def final_answer(reply: str, field: str) -> tuple[str, str]:
    r"""(solution, answer) of a whole reply: split at "####", "Answer:" or \boxed; a short line alone is the answer."""
    if GSM8K_MARK in reply:
        solution, _, answer = reply.rpartition(GSM8K_MARK)
        if not answer.strip():
            raise _Fault(f"{field}: nothing follows {GSM8K_MARK}")
        return _CALCULATION.sub("", solution).strip(), answer.strip()
    found = extract_answer(reply)
    if found is not None:
        lines = reply.splitlines()
        last = max((i for i, line in enumerate(lines) if _ANSWER_LINE.match(line)), default=len(lines))
        return "\n".join(lines[:last]).strip(), found
    if "\n" not in reply and len(reply) <= ANSWER_CHARS:
        return "", reply
    raise _Fault(rf'{field}: no final answer found; mark it with "Answer: …" on the last line, \boxed{{…}} or ####')


def _turns(row: Row, binding: Binding) -> tuple[str, str]:
    """(problem, reply) of one exchange; a system message is put before the problem."""
    field = binding.columns["messages"]
    turns = row.values.get(field)
    if not isinstance(turns, list) or not all(_is_turn(t) for t in turns):
        raise _Fault(f"{field}: got {short(turns)}, allowed: a list of role and content")
    roles = [turn["role"] for turn in turns]
    if roles[-2:] != ["user", "assistant"] or roles[:-2] not in ([], ["system"]):
        raise _Fault(
            f"{field}: the turns are {', '.join(map(str, roles)) or 'none'}, allowed: (system,) user, assistant"
        )
    *before, reply = (turn["content"].strip() for turn in turns)
    if not before[-1] or not reply:
        raise _Fault(f"{field}: a turn is empty")
    return "\n\n".join(text for text in before if text), reply


def _is_turn(turn: Any) -> bool:
    return isinstance(turn, dict) and isinstance(turn.get("role"), str) and isinstance(turn.get("content"), str)


def _choice(row: Row, binding: Binding) -> tuple[str, str]:
    """(problem with its lettered choices, letter of the right one)."""
    labels, texts = _choices(row, binding)
    if not 2 <= len(texts) <= len(LETTERS):
        raise _Fault(
            f"{binding.columns.get('choices', 'A, B, …')}: got {len(texts)} choices, allowed: 2-{len(LETTERS)}"
        )
    letter = _letter(row.values.get(binding.columns["answer"]), labels, texts, binding.columns["answer"])
    listed = "\n".join(f"{LETTERS[i]}) {text}" for i, text in enumerate(texts))
    return f"{_text(row, binding, 'problem')}\n{listed}", letter


def _choices(row: Row, binding: Binding) -> tuple[list[str], list[str]]:
    """(labels, texts): a list, {"A": …}, {"label": […], "text": […]}, such a thing as JSON text, or columns A, B, …"""
    if binding.letters:
        given = [letter for letter in binding.letters if letter in row.values]
        value: Any = {letter: row.values[letter] for letter in given}
        field = "A, B, …"
    else:
        field = binding.columns["choices"]
        value = row.values.get(field)
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise _Fault(f"{field}: got {short(value)}, allowed: a JSON list") from error
    if isinstance(value, Mapping) and isinstance(value.get("text"), list) and isinstance(value.get("label"), list):
        value = dict(zip(map(str, value["label"]), value["text"], strict=False))
    if isinstance(value, list):
        value = dict(zip(LETTERS, value, strict=False)) if len(value) <= len(LETTERS) else None
    if not isinstance(value, Mapping) or not all(
        isinstance(v, str | int | float) and str(v).strip() for v in value.values()
    ):
        raise _Fault(f"{field}: got {short(value)}, allowed: a list of 2-{len(LETTERS)} texts")
    return [str(k) for k in value], [str(v).strip() for v in value.values()]


def _letter(value: Any, labels: Sequence[str], texts: Sequence[str], field: str) -> str:
    """The letter of the right choice, given as a label, as the choice's own text, or as a number from 0."""
    if isinstance(value, int) and not isinstance(value, bool):
        meant = {value} if "A" in labels else {labels.index(str(value))} if str(value) in labels else set()
    else:
        text = str(value).strip() if isinstance(value, str) else ""
        bare = text.strip("().").upper()
        meant = {i for i, label in enumerate(labels) if label.upper() == bare}
        meant |= {i for i, choice in enumerate(texts) if choice == text}
        if text.isdecimal() and "A" in labels:
            meant |= {int(text)} if int(text) < len(texts) or not meant else set()
    allowed = f"one of {', '.join(labels)}, the text of a choice, or its number from 0"
    if len(meant) > 1:
        named = " or ".join(labels[i] for i in sorted(meant))
        raise _Fault(f"{field}: {short(value)} may mean choice {named} (a text or a number from 0); write the letter")
    if not meant or not 0 <= min(meant) < len(texts):
        raise _Fault(f"{field}: got {short(value)}, allowed: {allowed}")
    return LETTERS[min(meant)]
