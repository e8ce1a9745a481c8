"""Rows to questions: problem, worked solution and final answer, whatever the layout."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from dsa_lite.io.imports.choices import CountFrom, counted_from, read_choices, right_letter
from dsa_lite.io.imports.final_answer import MARK, closed_by_mark, split_reply
from dsa_lite.io.imports.layouts import Binding, Part
from dsa_lite.io.imports.rows import Row
from dsa_lite.io.imports.turns import Exchange, Fault, Turns, exchanges
from dsa_lite.io.jsonl import short


class Item(NamedTuple):
    """One question. `solution` is empty where the file has none; `topic` and `id` where no column says them.

    earlier: how many turns of a chat stand before its question. An open-ended one has no answer, and its whole reply
    as the solution.
    """

    where: str
    problem: str
    solution: str
    answer: str
    topic: str = ""
    id: str = ""
    earlier: int = 0


@dataclass(frozen=True)
class ItemReader:
    """Reads the rows of one file. turns: which replies of a chat are taken; count_from: None to find it out."""

    binding: Binding
    turns: Turns = "last"
    count_from: CountFrom | None = None

    def read(self, path: Path, rows: Sequence[Row], problems: list[str]) -> list[Item]:
        """Every row as an item, or several; the faults of others are added to `problems`, with place and field."""
        base = self.count_from
        if base is None:
            base = counted_from(path, rows, self.binding, problems) if self.binding.layout == "choice" else 0
        items: list[Item] = []
        for row in rows:
            try:
                items += self._items(row, base)
            except Fault as fault:
                problems.append(f"{row.where}: {fault}")
        return items

    def _items(self, row: Row, base: CountFrom) -> Iterator[Item]:
        topic, id = self._text(row, "topic", needed=False), self._text(row, "id", needed=False)
        if self.binding.layout == "choice":
            choices = read_choices(row, self.binding)
            letter = right_letter(row, choices, self.binding.columns["answer"], base)
            problem = f"{self._problem(row)}\n{choices.listed()}"
            yield Item(row.where, problem, self._text(row, "solution", needed=False), letter, topic, id)
            return
        column, found = self._chat(row)
        if found is None:
            problem, solution, answer = self._plain(row)
            yield Item(row.where, problem, solution, answer, topic, id)
            return
        for number, exchange in enumerate(found, start=1):
            solution, answer = final_answer(exchange.reply, column)
            solution = "\n".join(text for text in (exchange.thought, solution) if text)
            own = f"{id}-{number}" if id and len(found) > 1 else id
            yield Item(row.where, exchange.problem, solution, answer, topic, own, exchange.earlier)

    def _chat(self, row: Row) -> tuple[str, list[Exchange] | None]:
        """The column and the exchanges of a chat; None where the row is none."""
        columns, system = self.binding.columns, self._text(row, "system", needed=False)
        if "messages" in columns:
            column = columns["messages"]
            return column, exchanges(row.values.get(column), column, self.turns, system)
        asked, reply = row.values.get(columns["problem"]), row.values.get(columns["answer"])
        if _is_turns(asked) or _is_turns(reply):  # TRL's conversational form
            turns = [*_as_turns(asked, "user"), *_as_turns(reply, "assistant")]
            column = f"{columns['problem']} and {columns['answer']}"
            return column, exchanges(turns, column, self.turns, system)
        return "", None

    def _plain(self, row: Row) -> tuple[str, str, str]:
        problem, reply = self._problem(row), self._text(row, "answer")
        column = self.binding.columns["answer"]
        if self.binding.layout == "gsm8k" and not closed_by_mark(reply):
            what = f"nothing follows {MARK}" if reply.endswith(MARK) else f"has no {MARK} before the final answer"
            raise Fault(f"{column}: {what}")
        thought = self._text(row, "solution", needed=False)
        if "solution" in self.binding.columns:
            solution, answer = split_reply(reply) or ("", reply)
        else:
            solution, answer = final_answer(reply, column)
        return problem, "\n".join(text for text in (thought, solution) if text), answer

    def _problem(self, row: Row) -> str:
        """The question with what it is asked about: a system prompt before it, an input or a context after it."""
        system, more = self._text(row, "system", needed=False), self._text(row, "input", needed=False)
        return "\n\n".join(text for text in (system, self._text(row, "problem"), more) if text)

    def _text(self, row: Row, part: Part, *, needed: bool = True) -> str:
        column = self.binding.columns.get(part)
        if column is None:
            return ""
        value = row.values.get(column)
        if isinstance(value, float) and math.isnan(value):
            value = None
        if isinstance(value, bool | list | dict) or not (value is None or isinstance(value, str | int | float)):
            raise Fault(f"{column}: got {short(value)}, allowed: a text or a number")
        text = "" if value is None else str(value).strip()
        if needed and not text:
            raise Fault(f"{column}: is {'empty' if value is not None else 'missing'}")
        return text


def _is_turns(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(turn, dict) for turn in value)


def _as_turns(value: object, role: str) -> list[object]:
    return value if isinstance(value, list) else [{"role": role, "content": value}]


def final_answer(reply: str, field: str) -> tuple[str, str]:
    """(solution, answer) of a whole reply, which is all solution where it gives no answer. Raises Fault."""
    if reply.endswith(MARK):
        raise Fault(f"{field}: nothing follows {MARK}")
    return split_reply(reply) or (reply, "")
