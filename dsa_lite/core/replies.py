"""How the teacher's replies are read: the JSON schema each kind is held to, and its parts or why it is malformed.

Exercises and solutions come as labelled text or as JSON, whichever form was asked for: a reply is read as what it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from dsa_lite.core.escapes import BrokenText, load_json
from dsa_lite.core.labelled import Part, Worked, items, parts, worked

M = TypeVar("M", bound=BaseModel)

_NOT_IN_NAMES = re.compile(r"[=:;{}\[\]<>|\"\\\n]|[.!?](\s|$)")

EXERCISE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "problem": {"type": "string", "minLength": 1},
        "solution": {"type": "string", "minLength": 1},
        "answer": {"type": "string", "minLength": 1},
    },
    "required": ["problem", "solution", "answer"],
    "additionalProperties": False,
}

SOLUTION_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {name: EXERCISE_SCHEMA["properties"][name] for name in ("solution", "answer")},
    "required": ["solution", "answer"],
    "additionalProperties": False,
}

SYLLABUS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "description": {"type": "string", "minLength": 1, "maxLength": 300},
        "checker": {"enum": ["math", "exact"]},
        "topics": {
            "type": "array",
            "minItems": 3,
            "maxItems": 32,
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "minLength": 1, "maxLength": 60},
                    "description": {"type": "string", "minLength": 1, "maxLength": 300},
                    "prerequisites": {
                        "type": "array",
                        "items": {"type": "string", "minLength": 1, "maxLength": 60},
                        "maxItems": 6,
                    },
                },
                "required": ["name", "description", "prerequisites"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["description", "checker", "topics"],
    "additionalProperties": False,
}


def prerequisites_schema(limit: int) -> dict[str, Any]:
    """Schema of a decomposition reply: at most `limit` names."""
    names = {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": limit}
    return {"type": "object", "properties": {"prerequisites": names}, "required": ["prerequisites"],
            "additionalProperties": False}  # fmt: skip


class ExerciseReply(BaseModel):
    """The three parts of a written exercise, blanks stripped, none empty."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, str_min_length=1)

    problem: str
    solution: str
    answer: str


class SolutionReply(BaseModel):
    """A solution on its own."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, str_min_length=1)

    solution: str
    answer: str


class PrerequisitesReply(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    prerequisites: list[str]


class TopicReply(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: str
    description: str
    prerequisites: list[str]


class SyllabusReply(BaseModel):
    """A proposed syllabus as the teacher wrote it: names may repeat, prerequisites may be unknown or form cycles."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    description: str
    checker: Literal["math", "exact"]
    topics: list[TopicReply]


def plausible_name(name: str) -> bool:
    """Whether a text can be the name of a skill: a few words, no sentence, no formula."""
    letters = sum(c.isalpha() for c in name)
    return letters >= 2 and len(name) <= 60 and len(name.split()) <= 8 and not _NOT_IN_NAMES.search(name)


def read_exercise(text: str) -> ExerciseReply | str:
    """The parsed reply, JSON or labelled text, or the reason it is malformed."""
    if _is_json(text):
        return _parse(ExerciseReply, text)
    found = parts(text)
    if found and not found[0].kind and "problem" not in {part.kind for part in found}:
        found[0] = found[0]._replace(kind="problem")  # the label may stand in what the teacher was shown
    for problem, solution, answer in worked(found):
        return ExerciseReply(problem=problem, solution=solution, answer=answer)
    return _missing(found, ("problem", "solution", "answer"))


def read_solution(text: str) -> SolutionReply | str:
    """The parsed reply, JSON or labelled text, or the reason it is malformed."""
    if _is_json(text):
        return _parse(SolutionReply, text)
    found = {part.kind: part.text for part in parts(text)}
    if "answer" not in found:
        return _missing(parts(text), ("answer",))
    solution = found.get("solution") or found.get("") or found["answer"]
    return SolutionReply(solution=solution, answer=found["answer"].splitlines()[0])


def read_procedure(text: str) -> tuple[tuple[str, ...], list[Worked]] | str:
    """The steps of a procedure and its worked cases, at least one of each, or the reason it is malformed."""
    found = parts(text)
    steps = next((items(part.text) for part in found if part.kind == "procedure"), [])
    if not steps and found and not found[0].kind:
        steps = items(found[0].text)
    cases = list(worked(found))
    if not steps or not cases:
        return _missing(found, ("procedure", "problem", "solution", "answer"))
    return tuple(steps), cases


def _missing(found: Sequence[Part], wanted: Sequence[str]) -> str:
    lacking = [kind for kind in wanted if kind not in {part.kind for part in found}]
    return "no part " + ", ".join(f'"{kind.capitalize()}:"' for kind in lacking) if lacking else "parts out of order"


def _is_json(text: str) -> bool:
    return _unfenced(text).lstrip().startswith("{")


def read_prerequisites(text: str) -> PrerequisitesReply | str:
    """The parsed reply, or the reason it is malformed."""
    return _parse(PrerequisitesReply, text, drop=True)


def read_syllabus(text: str) -> SyllabusReply | str:
    """The parsed reply, or the reason it is malformed."""
    return _parse(SyllabusReply, text, drop=True)


def _parse(model: type[M], text: str, *, drop: bool = False) -> M | str:
    try:
        return model.model_validate(load_json(_unfenced(text), drop=drop))
    except json.JSONDecodeError as error:
        return f"no JSON: {error.msg} at character {error.pos}"
    except BrokenText as error:
        return str(error)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(str(p) for p in first['loc'])}: {first['msg']}"


def _unfenced(text: str) -> str:
    """Servers without a grammar often wrap JSON in a Markdown fence."""
    text = text.strip()
    if text.startswith("```"):
        text = text.split("\n", 1)[-1].rsplit("```", 1)[0]
    return text
