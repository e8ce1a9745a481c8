"""`dsa-lite config schema`: every setting, as a file one can edit."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

import click

from dsa_lite.cli.failure import debug_option

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

_LIMITS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


@click.group("config")
def config_group() -> None:
    """Look at the settings of a run."""


@config_group.command(
    "schema", epilog="\b\nExample:\n  dsa-lite config schema > my.toml\n  dsa-lite run calculus --config my.toml"
)
@click.option("--json", "as_json", is_flag=True, help="Print the JSON schema of a settings file instead.")
@debug_option
def schema_command(as_json: bool) -> None:
    """Print every setting with its type, meaning and default.

    The output is a settings file itself: keep the lines you change and give it to run with --config.
    """
    from dsa_lite.config import Config

    click.echo(json.dumps(Config.model_json_schema(), indent=2) if as_json else as_toml(Config()))


def as_toml(config: BaseModel) -> str:
    """The settings as a commented TOML file with their present values."""
    from pydantic import BaseModel

    top = ["# Every setting of a run with its default. A model folder may carry a dsa-lite.toml with its own.", ""]
    sections = []
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            sections += ["", *_comment(_own_words(value)), f"[{name}]", *_settings(value)]
        else:
            top += _setting(name, field, value)
    return "\n".join(top + sections)


def _settings(section: BaseModel) -> list[str]:
    lines: list[str] = []
    for name, field in type(section).model_fields.items():
        lines += _setting(name, field, getattr(section, name))
    return lines


def _setting(name: str, field: FieldInfo, value: Any) -> list[str]:
    described = f"{_type(field)}; {field.description}" if field.description else _type(field)
    line = f"{name} = {json.dumps(value)}"
    if len(line) < 30 and len(described) < 86:
        return [f"{line:<30}# {described}"]
    return [*_comment(described), line]


def _type(field: FieldInfo) -> str:
    """E.g. `int >= 0`, or the allowed words."""
    annotation = field.annotation
    words = getattr(annotation, "__args__", None)
    if words is not None:
        return " | ".join(json.dumps(w) for w in words)
    limits = [
        f"{sign} {getattr(rule, key):g}" if getattr(rule, key) < 1e5 else f"{sign} {getattr(rule, key)}"
        for rule in field.metadata
        for key, sign in _LIMITS.items()
        if hasattr(rule, key)
    ]
    return " ".join([getattr(annotation, "__name__", str(annotation)), " and ".join(limits)]).strip()


def _own_words(section: BaseModel) -> str:
    return (type(section).__doc__ or "").strip()


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, 116)]
