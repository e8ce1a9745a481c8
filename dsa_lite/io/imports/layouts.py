"""The field's layouts of questions and answers: which columns of a file mean what."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dsa_lite.io.imports.final_answer import closed_by_mark
from dsa_lite.io.imports.rows import Row

Layout = Literal["messages", "prompt_completion", "alpaca", "gsm8k", "question_answer", "choice"]
Part = Literal["problem", "answer", "solution", "choices", "input", "messages", "system", "topic", "id"]

LETTERS = "ABCDEFGHIJ"

_PROBLEM = ("problem", "question", "question_stem", "query", "prompt", "instruction", "input")
_ANSWER = ("answer", "answerKey", "answer_key", "label", "target", "completion", "output", "response",
           "expected_answer", "final_answer", "correct_answer", "correct", "solution")  # fmt: skip
_NAMES: dict[Part, tuple[str, ...]] = {
    "problem": _PROBLEM,
    "answer": _ANSWER,
    "solution": ("solution", "rationale", "explanation", "reasoning", "reasoning_content", "thinking",
                 "chain_of_thought", "generated_solution"),
    "choices": ("choices", "options"),
    "input": ("input", "context", "passage", "article"),
    "messages": ("messages", "conversations", "conversation", "dialogue", "dialog"),
    "system": ("system", "system_prompt"),
    "topic": ("topic", "skill", "subject", "category"),
    "id": ("id",),
}  # fmt: skip
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
_MAY: dict[Layout, tuple[Part, ...]] = {"messages": ("system",)}
_OTHERS: tuple[Part, ...] = ("solution", "input", "system")


@dataclass(frozen=True)
class Binding:
    """How one file is read: its layout, and for each part the column that holds it.

    `letters`: columns A, B, … that hold the choices; empty where one column holds all of them.
    """

    layout: Layout
    columns: Mapping[Part, str]
    letters: tuple[str, ...] = ()

    def unread(self, rows: Sequence[Row], but: Sequence[Part] = ()) -> list[str]:
        """The columns of these rows that nothing is taken from. `but`: parts that are not used."""
        read = {*(column for part, column in self.columns.items() if part not in but), *self.letters}
        return [name for name in _names(rows) if name not in read]


def unnested(rows: Sequence[Row]) -> list[Row]:
    """A row for each of self-instruct's `instances`; a question that holds its choices (`stem`) beside them."""
    found: list[Row] = []
    for row in rows:
        values = row.values
        question, instances = values.get("question"), values.get("instances")
        if isinstance(question, Mapping) and "stem" in question:
            found.append(Row(row.where, {**values, "question": question["stem"], **_without(question, "stem")}))
        elif isinstance(instances, list) and instances and all(isinstance(one, Mapping) for one in instances):
            found += [Row(row.where, {**_without(values, "instances"), **one}) for one in instances]
        else:
            found.append(row)
    return found


def _without(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


def _names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row.values))


def bind(
    path: Path, rows: Sequence[Row], layout: Layout | None, named: Mapping[Part, str], problems: list[str]
) -> Binding | None:
    """Find out what the columns of `rows` mean; None, and `problems` say why, when they cannot be made out.

    named: part -> column, what the user said; it wins over the usual names. layout: None to detect it.
    """
    there = _names(rows)
    wrong = [_unknown_column(path, part, column, there) for part, column in named.items() if column not in there]
    if wrong or not rows:
        problems += wrong
        return None
    letters = _letter_columns(there)
    found: Layout = layout or _detected(rows, there, letters, named)
    columns: dict[Part, str] = {}
    fixed = _FIXED.get(found, {})
    parts: tuple[Part, ...] = (*_NEEDS[found], *_MAY.get(found, _OTHERS), "topic", "id")
    for part in parts:
        usual = (fixed[part],) if part in fixed else _NAMES[part]
        free = [name for name in usual if name in there and name not in columns.values()]
        if part in named or free:
            columns[part] = named[part] if part in named else free[0]
    split = letters if "choices" not in columns else ()
    missing = [part for part in _NEEDS[found] if part not in columns and not (part == "choices" and split)]
    if missing:
        free_one = next((name for name in there if name not in columns.values()), "...")
        problems.append(
            f"{path}: no column for {' and '.join(missing)} in the layout {found} (columns: {', '.join(there)}); "
            f'name it, as in columns = {{{missing[0]} = "{free_one}"}}'
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
    if "messages" in named or ("problem" not in named and any(name in there for name in _NAMES["messages"])):
        return "messages"
    if letters or "choices" in named or any(name in there for name in _NAMES["choices"]):
        return "choice"
    if "problem" not in named and "answer" not in named:
        for layout, fixed in _FIXED.items():
            if all(column in there for column in fixed.values()):
                return layout
    answer = named.get("answer", "answer")
    marked = any(closed_by_mark(str(row.values.get(answer, ""))) for row in rows)
    return "gsm8k" if marked else "question_answer"
