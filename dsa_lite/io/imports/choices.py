"""Multiple choice: the choices as the field writes them, and which one is right."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dsa_lite.io.imports.layouts import LETTERS, Binding
from dsa_lite.io.imports.rows import Row
from dsa_lite.io.imports.turns import Fault
from dsa_lite.io.jsonl import short

CountFrom = Literal[0, 1]


@dataclass(frozen=True)
class Choices:
    """The choices of one question: how the file labels them, and their texts."""

    labels: tuple[str, ...]
    texts: tuple[str, ...]

    def listed(self) -> str:
        return "\n".join(f"{LETTERS[i]}) {text}" for i, text in enumerate(self.texts))

    def named(self, answer: Any) -> set[int]:
        """Which choices `answer` is the label or the text of."""
        if isinstance(answer, int) and not isinstance(answer, bool):
            return {i for i, label in enumerate(self.labels) if label == str(answer)}
        text = str(answer).strip() if isinstance(answer, str) else ""
        bare = text.strip("().").upper()
        return {i for i, label in enumerate(self.labels) if label.upper() == bare or self.texts[i] == text}

    def number(self, answer: Any) -> int | None:
        """The number that `answer` is, where the labels are no numbers themselves."""
        return _number(answer) if "A" in self.labels else None


def _number(answer: Any) -> int | None:
    if isinstance(answer, float) and answer.is_integer():  # a column of a table with gaps
        return int(answer)
    text = str(answer).strip() if isinstance(answer, str | int) and not isinstance(answer, bool) else ""
    return int(text) if text.isascii() and text.isdigit() else None


def counted_from(path: Path, rows: Sequence[Row], binding: Binding, problems: list[str]) -> CountFrom:
    """Whether answers that are numbers count the choices from 0 or from 1: what all rows together say.

    A 0 says from 0, the number of choices says from 1; neither or both is a fault.
    """
    zeros, tops, doubt = [], [], ""
    column = binding.columns["answer"]
    for row in rows:
        answer = row.values.get(column)
        if _number(answer) is None:
            continue
        try:
            choices = read_choices(row, binding)
        except Fault:
            continue
        number = choices.number(answer)
        if number is None or (isinstance(answer, str) and choices.named(answer)):
            continue
        doubt = doubt or row.where
        zeros += [row.where] * (number == 0)
        tops += [row.where] * (number == len(choices.texts))
    if zeros and tops:
        problems.append(
            f"{path}: {column}: the choices are counted from 0 at {zeros[0]} and from 1 at {tops[0]}; write letters"
        )
    elif doubt and not zeros and not tops:
        problems.append(
            f"{doubt}: {column}: no number says whether choices are counted from 0 or from 1; say it: count_from = 0"
        )
    return 1 if tops and not zeros else 0


def right_letter(row: Row, choices: Choices, column: str, base: CountFrom) -> str:
    """The letter of the right choice, given as a label, as the choice's own text, or as a number. Raises Fault."""
    value = row.values.get(column)
    meant = choices.named(value)
    number = choices.number(value)
    if number is not None:
        by_number = number - base
        if 0 <= by_number < len(choices.texts):
            meant = meant | {by_number} if isinstance(value, str) else {by_number}
    allowed = f"one of {', '.join(choices.labels)}, the text of a choice, or its number from {base}"
    if len(meant) > 1:
        named = " or ".join(choices.labels[i] for i in sorted(meant))
        raise Fault(
            f"{column}: {short(value)} may mean choice {named} (a text or a number from {base}); write the letter"
        )
    if not meant:
        raise Fault(f"{column}: got {short(value)}, allowed: {allowed}")
    return LETTERS[min(meant)]


def read_choices(row: Row, binding: Binding) -> Choices:
    """A list, {"A": …}, {"label": […], "text": […]}, [{"label": …, "text": …}], one of these as JSON text, or columns
    A, B, … Raises Fault."""
    if binding.letters:
        given = [letter for letter in binding.letters if letter in row.values]
        return _choices({letter: row.values[letter] for letter in given}, "A, B, …")
    field = binding.columns["choices"]
    value = row.values.get(field)
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise Fault(f"{field}: got {short(value)}, allowed: a JSON list") from error
    return _choices(value, field)


def _choices(value: Any, field: str) -> Choices:
    fault = Fault(f"{field}: got {short(value)}, allowed: a list of 2-{len(LETTERS)} texts")
    labels: Iterable[Any]
    texts: Iterable[Any]
    if isinstance(value, Mapping) and isinstance(value.get("text"), list) and isinstance(value.get("label"), list):
        labels, texts = value["label"], value["text"]
    elif isinstance(value, Mapping):
        labels, texts = value.keys(), value.values()
    elif (
        isinstance(value, list)
        and value
        and all(isinstance(v, Mapping) and {"label", "text"} <= v.keys() for v in value)
    ):
        labels, texts = [v["label"] for v in value], [v["text"] for v in value]
    elif isinstance(value, list):
        labels, texts = LETTERS[: len(value)], value
    else:
        raise fault
    names, found = tuple(map(str, labels)), tuple(texts)
    if not all(isinstance(text, str | int | float) and str(text).strip() for text in found):
        raise fault
    if not 2 <= len(found) <= len(LETTERS):
        raise Fault(f"{field}: got {len(found)} choices, allowed: 2-{len(LETTERS)}")
    if len(set(names)) < len(found) or len(names) != len(found):
        raise Fault(f"{field}: got {len(found)} texts and the labels {', '.join(names)}, allowed: one label for each")
    return Choices(names, _unlettered([str(text).strip() for text in found]))


def _unlettered(texts: Sequence[str]) -> tuple[str, ...]:
    """["A) 3", "B) 9"] without the letters, where all have their own."""
    if not texts[0].startswith(("A", "(A")):
        return tuple(texts)
    found = [re.match(rf"\(?{LETTERS[i]}[).:]\s*(?=\S)", text) for i, text in enumerate(texts)]
    if all(found):
        return tuple(text[match.end() :] for text, match in zip(texts, found, strict=True) if match)
    return tuple(texts)
