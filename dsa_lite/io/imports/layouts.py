"""The field's layouts of questions and answers: which columns of a file mean what."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dsa_lite.io.imports.rows import Row

Layout = Literal["messages", "prompt_completion", "alpaca", "gsm8k", "question_answer", "choice"]
Part = Literal["problem", "answer", "solution", "choices", "input", "messages", "topic", "id"]

GSM8K_MARK = "####"
LETTERS = "ABCDEFGHIJ"

_PROBLEM = ("problem", "question", "query", "prompt", "instruction", "input")
_ANSWER = ("answer", "answerKey", "label", "target", "completion", "output", "response")
_NAMES: dict[Part, tuple[str, ...]] = {
    "problem": _PROBLEM,
    "answer": _ANSWER,
    "solution": ("solution", "rationale", "explanation", "reasoning"),
    "choices": ("choices", "options"),
    "input": ("input",),
    "messages": ("messages",),
    "topic": ("topic", "skill", "subject", "category"),
    "id": ("id",),
}
_NEEDS: dict[Layout, tuple[Part, ...]] = {
    "messages": ("messages",),
    "prompt_completion": ("problem", "answer"),
    "alpaca": ("problem", "answer"),
    "gsm8k": ("problem", "answer"),
    "question_answer": ("problem", "answer"),
    "choice": ("problem", "choices", "answer"),
}
_FIXED: dict[Layout, dict[Part, str]] = {
    "prompt_completion": {"problem": "prompt", "answer": "completion"},
    "alpaca": {"problem": "instruction", "answer": "output"},
}
#: Layout -> parts that may be there and are read then.
_MAY: dict[Layout, tuple[Part, ...]] = {
    "alpaca": ("input",),
    "question_answer": ("solution",),
    "choice": ("solution",),
}


@dataclass(frozen=True)
class Binding:
    """How one file is read: its layout, and for each part the column that holds it.

    `letters`: columns A, B, … that hold the choices; empty where one column holds all of them.
    """

    layout: Layout
    columns: Mapping[Part, str]
    letters: tuple[str, ...] = ()


def bind(
    path: Path, rows: Sequence[Row], layout: Layout | None, named: Mapping[Part, str], problems: list[str]
) -> Binding | None:
    """Find out what the columns of `rows` mean; None, and `problems` say why, when they cannot be made out.

    named: part -> column, what the user said; it wins over the usual names. layout: None to detect it.
    """
    there = list(dict.fromkeys(name for row in rows for name in row.values))
    wrong = [_unknown_column(path, part, column, there) for part, column in named.items() if column not in there]
    if wrong or not rows:
        problems += wrong
        return None
    letters = _letter_columns(there)
    found: Layout = layout or _detected(rows, there, letters, named)
    columns: dict[Part, str] = {}
    fixed = _FIXED.get(found, {})
    parts: tuple[Part, ...] = (*_NEEDS[found], *_MAY.get(found, ()), "topic", "id")
    for part in parts:
        usual = (fixed[part],) if part in fixed else _NAMES[part]
        free = [name for name in usual if name in there and name not in columns.values()]
        if part in named or free:
            columns[part] = named[part] if part in named else free[0]
    split = letters if "choices" not in columns else ()
    missing = [part for part in _NEEDS[found] if part not in columns and not (part == "choices" and split)]
    if missing:
        problems.append(
            f"{path}: no column for {' and '.join(missing)} in the layout {found} (columns: {', '.join(there)}); "
            f'name it, as in columns = {{{missing[0]} = "{there[0] if there else "..."}"}}'
        )
        return None
    return Binding(found, columns, split if found == "choice" else ())


def _unknown_column(path: Path, part: str, column: str, there: Sequence[str]) -> str:
    close = difflib.get_close_matches(column, there, n=1)
    meant = f"; did you mean {close[0]!r}?" if close else ""
    return f"{path}: columns.{part}: there is no column {column!r}{meant} (columns: {', '.join(there)})"


def _letter_columns(there: Sequence[str]) -> tuple[str, ...]:
    """A, B, C, … as far as they go; at least two."""
    found = []
    for letter in LETTERS:
        if letter not in there:
            break
        found.append(letter)
    return tuple(found) if len(found) > 1 else ()


def _detected(rows: Sequence[Row], there: Sequence[str], letters: Sequence[str], named: Mapping[Part, str]) -> Layout:
    if "messages" in there or "messages" in named:
        return "messages"
    if letters or "choices" in named or any(name in there for name in _NAMES["choices"]):
        return "choice"
    if "problem" not in named and "answer" not in named:
        for layout, fixed in _FIXED.items():
            if all(column in there for column in fixed.values()):
                return layout
    answer = named.get("answer", "answer")
    marked = any(GSM8K_MARK in str(row.values.get(answer, "")) for row in rows)
    return "gsm8k" if marked else "question_answer"
