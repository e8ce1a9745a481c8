"""What of a stage's inputs counts when it is decided whether a finished stage has to be done again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from dsa_lite.config import Config

_DEFAULTS = Config()


def what_counts(inputs: Mapping[str, object]) -> dict[str, Any]:
    """The inputs without what says nothing: settings at their default, and fields that are empty.

    So a version that adds a setting or a field leaves finished runs alone until somebody uses it. The price: one that
    changes a default leaves the stages alone, too, that were done with the old one. A section of settings stands
    under its own name.
    """
    return {name: _counted(value, getattr(_DEFAULTS, name, None)) for name, value in inputs.items()}


def _counted(value: object, section: object = None) -> Any:
    if isinstance(value, Mapping):
        usual = section.model_dump() if isinstance(section, BaseModel) else {}
        return {
            key: _counted(inner)
            for key, inner in value.items()
            if not (_empty(inner) or (key in usual and usual[key] == inner))
        }
    return [_counted(inner) for inner in value] if isinstance(value, list | tuple) else value


def _empty(value: object) -> bool:
    return value is None or (isinstance(value, str | list | tuple | Mapping) and not value)
