"""Settings from environment variables: DSA_LITE_TUNE_EPOCHS=2 is tune.epochs = 2.

A variable's name is DSA_LITE_, the section, _, the setting, all in capitals; DSA_LITE_SEED has no section. Its value is
written as in a settings file, but a text needs no quotes. An empty value is as good as none.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Mapping
from typing import Any

from dsa_lite.config import Config
from dsa_lite.errors import ConfigError
from dsa_lite.io.settings.files import Layer, setting_names

PREFIX = "DSA_LITE_"
_CLOSE = 0.9  # so like a setting's name that it is one misspelt


def variable(setting: str) -> str:
    """tune.epochs -> DSA_LITE_TUNE_EPOCHS"""
    return PREFIX + setting.replace(".", "_").upper()


def environment_layers(environment: Mapping[str, str], others: Collection[str] = ()) -> list[Layer]:
    """One layer per variable that sets something, labelled with its name, in the order of the settings.

    `others`: variables of the same prefix that mean something else. A name that looks like a setting and is none
    raises ConfigError; all such names are listed, with close ones.
    """
    known = {variable(name): name for name in setting_names()}
    given = {name for name, value in environment.items() if name.startswith(PREFIX) and value}
    problems = [
        _problem(name, list(known)) for name in sorted(given - known.keys() - set(others)) if _looks_meant(name)
    ]
    if problems:
        raise ConfigError(
            "environment variables that are no settings", problems=tuple(problems), hint="all: dsa-lite config show"
        )
    return [(name, {setting: _value(environment[name])}) for name, setting in known.items() if name in given]


def _looks_meant(name: str) -> bool:
    sections = [variable(section) for section in Config.model_fields if section != "seed"]
    if any(name.startswith(f"{section}_") for section in sections):
        return True
    return bool(difflib.get_close_matches(name, [variable(s) for s in setting_names()], n=1, cutoff=_CLOSE))


def _problem(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=2, cutoff=0.7)
    return f"{name}: unknown setting" + (f"; did you mean {' or '.join(close)}?" if close else "")


def _value(text: str) -> Any:
    """The text itself, which the settings' types read; a list in brackets as TOML has it."""
    if text.strip().startswith("["):
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return text
    return text.strip()
