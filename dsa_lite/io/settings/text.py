"""Settings as a commented TOML file that a person can edit."""

from __future__ import annotations

import textwrap
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dsa_lite.io.toml import to_toml

_LIMITS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


def as_toml(config: BaseModel, *, only_changed: bool = False) -> str:
    """All settings with their present values; each with its type, limits, default and description.

    `only_changed`: settings at their default are commented out, so that they do not override what a model asks for.
    """
    text = "Every setting of a run with its type, default and meaning."
    if only_changed:
        text += " Take the # away before a line to set it; what is left commented out is up to the models in use."
    top = [*_comment(text), ""]
    sections = []
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            sections += ["", *_comment(_own_words(value)), f"[{name}]", *_settings(value, only_changed)]
        else:
            top += _setting(name, field, value, only_changed)
    return "\n".join(top + sections) + "\n"


def _settings(section: BaseModel, only_changed: bool) -> list[str]:
    lines: list[str] = []
    for name, field in type(section).model_fields.items():
        lines += _setting(name, field, getattr(section, name), only_changed)
    return lines


def _setting(name: str, field: FieldInfo, value: Any, only_changed: bool) -> list[str]:
    described = f"{_type(field)}, default {_written(field.default)}"
    if field.description:
        described += f"; {field.description}"
    silent = value is None or (only_changed and value == field.default)
    line = f"{'#' if silent else ''}{name} = {_written(value)}"
    if len(line) < 30 and len(described) < 86:
        return [f"{line:<30}# {described}"]
    return [*_comment(described), line]


def _written(value: Any) -> str:
    return "none" if value is None else to_toml({"x": value}).removeprefix("x = ").strip()


def _type(field: FieldInfo) -> str:
    """E.g. `int >= 0`, or the allowed words."""
    annotation = field.annotation
    words = getattr(annotation, "__args__", None)
    if words is not None and all(isinstance(word, str) for word in words):
        return " | ".join(map(_written, words))
    limits = [
        f"{sign} {getattr(rule, key):g}" if getattr(rule, key) < 1e5 else f"{sign} {getattr(rule, key)}"
        for rule in field.metadata
        for key, sign in _LIMITS.items()
        if hasattr(rule, key)
    ]
    name = str(annotation) if words is not None else getattr(annotation, "__name__", str(annotation))
    return " ".join([name, " and ".join(limits)]).strip()


def _own_words(section: BaseModel) -> str:
    return " ".join((type(section).__doc__ or "").split())


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, 116)]
