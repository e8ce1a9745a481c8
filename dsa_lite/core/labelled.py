"""Replies in plain text whose parts begin with a label: "Procedure:", "Problem:", "Solution:", "Answer:"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import NamedTuple

_LABEL = re.compile(
    r"^[ \t>#*_]*(?:worked |final )?(procedure|facts|problem|question|solution|answer)(?:[ \t]*\d+)?"
    r"[ \t]*[*_]*:[ \t]*[*_]*",
    re.IGNORECASE | re.MULTILINE,
)
_ITEM = re.compile(r"^[ \t]*(?:\d{1,2}[.)]|[-*•]|step \d{1,2}[:.)])[ \t]+", re.IGNORECASE)
#: Of words; a power (2**3) is none.
_EMPHASIS = re.compile(r"(?<![\w*)])\*\*(?=\S)([^*\n]+?)(?<=\S)\*\*(?![\w*(])")
_KINDS = {"question": "problem", "facts": "procedure"}


class Part(NamedTuple):
    """`kind`: procedure, problem, solution or answer; "" for what stands before the first label."""

    kind: str
    text: str


class Worked(NamedTuple):
    """A problem with its solution, one step a line without item marks, and its answer, one line."""

    problem: str
    solution: str
    answer: str


def parts(text: str) -> list[Part]:
    """The labelled parts in order; emphasis around labels and blank ends are dropped, empty parts too."""
    marks = list(_LABEL.finditer(text))
    found = [Part("", text[: marks[0].start()] if marks else text)]
    for mark, following in zip_longest(marks, marks[1:]):
        kind, end = mark[1].lower(), following.start() if following else len(text)
        found.append(Part(_KINDS.get(kind, kind), text[mark.end() : end]))
    return [Part(kind, plain) for kind, body in found if (plain := _plain(body))]


def worked(found: list[Part]) -> Iterator[Worked]:
    """Every problem that is followed by a solution and an answer."""
    for problem, solution, answer in zip(found, found[1:], found[2:], strict=False):
        if (problem.kind, solution.kind, answer.kind) == ("problem", "solution", "answer"):
            yield Worked(" ".join(problem.text.split()), "\n".join(items(solution.text)), answer.text.splitlines()[0])


def items(text: str) -> list[str]:
    """The lines of a list, without their numbers or dashes."""
    return [line for raw in text.splitlines() if (line := _ITEM.sub("", raw).strip())]


def _plain(text: str) -> str:
    text = re.sub(r"^[ \t]*(?:#+|-{3,}|\*{3,})[ \t]*$", "", text, flags=re.MULTILINE)
    text = _EMPHASIS.sub(r"\1", text).strip()
    return text.removeprefix("**").removesuffix("**").strip()
