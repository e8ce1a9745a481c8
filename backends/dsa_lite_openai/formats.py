"""Asking for JSON in the way the server knows, and checking that it came."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from jsonschema.validators import validator_for
from referencing import Registry

_ABOUT_FORMAT = re.compile(r"response_format|json_schema|json_object|grammar|guided|structured", re.IGNORECASE)
_FENCED = re.compile(r"^```(?:json)?[ \t]*\n(.*?)\n?```$", re.DOTALL | re.IGNORECASE)

#: What a problem begins with where there is no JSON value at all.
NOT_JSON = "the reply is not JSON"
#: Places in a reply at which a JSON value is looked for.
_MOST_STARTS = 200
#: From the strictest to none at all. llama.cpp's servers take the second, which others refuse or read as the third.
RUNGS = 4


class Formats:
    """Remembers, for each schema, the strictest `response_format` the server accepted."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def known(self, schema: Mapping[str, Any] | None) -> int | None:
        """The rung that works, None as long as no request with this schema was answered."""
        return self._known.get(json.dumps(schema, sort_keys=True)) if schema is not None else RUNGS - 1

    def works(self, schema: Mapping[str, Any] | None, rung: int) -> None:
        """The server answered a request with this schema on this rung. The first to say so wins."""
        if schema is not None:
            self._known.setdefault(json.dumps(schema, sort_keys=True), rung)


def response_format(schema: Mapping[str, Any] | None, rung: int) -> dict[str, Any]:
    """The value to send; empty: none."""
    if schema is None:
        return {}
    ladder: tuple[dict[str, Any], ...] = (
        {"type": "json_schema", "json_schema": {"name": "reply", "schema": dict(schema), "strict": True}},
        {"type": "json_object", "schema": dict(schema)},
        {"type": "json_object"},
        {},
    )
    return ladder[rung]


def about_format(said: str) -> bool:
    """Whether an error speaks of the response format. llama-cpp-python's server answers 500 to one it cannot do."""
    return bool(_ABOUT_FORMAT.search(said))


def unfenced(text: str) -> str:
    """The text without the Markdown fence that models like to put around JSON."""
    fenced = _FENCED.match(text.strip())
    return fenced[1] if fenced else text


def embedded(text: str, schema: Mapping[str, Any]) -> list[str]:
    """The different JSON objects of the schema that stand in a text, each as it is written there first."""
    decoder, found = json.JSONDecoder(), dict[str, str]()
    at = text.find("{")
    for _ in range(_MOST_STARTS):
        if at < 0:
            break
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            written = text[at:end]
            if not json_problem(written, schema):
                found.setdefault(json.dumps(value, sort_keys=True), written)
        at = text.find("{", end)
    return list(found.values())


def schema_problem(schema: Mapping[str, Any]) -> str:
    """What is wrong with the schema itself, "" if nothing."""
    try:
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        return f"the JSON schema is not one: {error.message}"[:300]
    return ""


def json_problem(text: str, schema: Mapping[str, Any]) -> str:
    """Why a reply is not one JSON value of the schema, "" if it is."""
    try:
        value = json.loads(text, parse_constant=_no_json)
        json.dumps(value, ensure_ascii=False).encode()  # half a character escaped as \ud83d cannot be written down
    except (ValueError, RecursionError) as error:
        return f"{NOT_JSON}: {error}"[:300]
    # An empty registry: a $ref is never fetched from the network.
    validator = validator_for(schema, default=Draft202012Validator)(schema, registry=Registry())
    try:
        breach = next(iter(validator.iter_errors(value)), None)
    except Exception as broken:  # an unresolvable $ref or a pattern that is no regular expression
        return f"the JSON schema cannot be used: {broken}"[:300]
    return "" if breach is None else f"the reply breaks its schema at {breach.json_path}: {breach.message}"[:300]


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")
