"""Settings from several sources, merged in order into one Config."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from dsa_lite.config import Config
from dsa_lite.errors import ConfigError, UsageError
from dsa_lite.io.jsonl import short
from dsa_lite.io.toml import BACKSLASHES, lost_backslash, read_toml

__all__ = [
    "MODEL_FILE",
    "Layer",
    "changes",
    "chosen_layers",
    "flag_layers",
    "load_config",
    "model_settings",
    "preset",
    "preset_names",
    "read_toml",
    "setting_names",
    "settings_with_sources",
]

Layer = tuple[str, Mapping[str, Any]]
MODEL_FILE = "dsa-lite.toml"


def load_config(layers: Sequence[Layer]) -> Config:
    """Merge (label, settings) layers, the later over the earlier. Keys may be nested or dotted.

    Every problem of every layer is reported at once, with the label of the layer it comes from.
    """
    problems: list[str] = []
    given, labels = _merged(layers, problems)
    tree: dict[str, Any] = {}
    for key, value in given.items():
        *sections, name = key.split(".")
        table = tree
        for section in sections:
            table = table.setdefault(section, {})
        table[name] = value
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        problems += [_described(fault, given, labels) for fault in error.errors(include_url=False)]
    if problems:
        raise ConfigError(
            "the settings do not fit", problems=tuple(problems), hint="all settings: dsa-lite config schema"
        )
    return config


def _merged(layers: Sequence[Layer], problems: list[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Dotted key -> value and dotted key -> label of the last layer that has it; unknown keys become problems."""
    known = _flat(Config())
    given: dict[str, Any] = {}
    labels: dict[str, str] = {}
    for label, settings in layers:
        for key, value in _dotted(settings):
            if key in known:
                given[key], labels[key] = value, label
            elif any(k.startswith(key + ".") for k in known):
                problems.append(f"{label}: {key}: got {short(value)}, allowed: a table [{key}]")
            else:
                close = _closest(key, list(known))
                problems.append(f"{label}: {key}: unknown setting" + (f"; did you mean {close}?" if close else ""))
    problems += [
        f"{labels[key]}: {key}: got {short(value)}; {BACKSLASHES}"
        for key, value in given.items()
        if isinstance(value, str) and lost_backslash(value)
    ]
    return given, labels


def _dotted(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            found += _dotted(value, f"{prefix}{name}.")
        elif not isinstance(value, Mapping):
            found.append((prefix + str(name), value))
    return found


def _flat(section: BaseModel, prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _closest(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if close:
        return close[0]
    last = {k.rpartition(".")[2]: k for k in reversed(known)}
    close = difflib.get_close_matches(key.rpartition(".")[2], list(last), n=1, cutoff=0.7)
    return last[close[0]] if close else ""


def _described(fault: Any, given: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    key = ".".join(map(str, fault["loc"]))
    allowed = str(fault["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{labels.get(key, 'settings')}: {key}: got {short(given.get(key, fault['input']))}, allowed: {allowed}"


def changes(config: Config, layers: Sequence[Layer] = ()) -> list[tuple[str, Any, Any, str]]:
    """(dotted key, value, default, label of the layer it comes from) of every setting that is not at its default."""
    return [row for row in settings_with_sources(config, layers) if row[1] != row[2]]


def settings_with_sources(config: Config, layers: Sequence[Layer] = ()) -> list[tuple[str, Any, Any, str]]:
    """(dotted key, value, default, label of the layer that sets it, "" where none does) of every setting."""
    defaults = _flat(Config())
    labels = _merged(layers, [])[1]
    return [(k, v, defaults[k], labels.get(k, "")) for k, v in _flat(config).items()]


def setting_names() -> list[str]:
    """Every setting, dotted: seed, teacher.context_tokens, …"""
    return list(_flat(Config()))


def preset_names() -> list[str]:
    return sorted(path.stem for path in _presets().glob("*.toml"))


def preset(name: str) -> Mapping[str, Any]:
    """The settings of a preset that comes with the package, a layer for `load_config`. UsageError for another name."""
    names = preset_names()
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        meant = f"did you mean {close[0]}? " if close else ""
        raise UsageError(f"there is no preset called {name!r}", hint=f"{meant}presets: {', '.join(names)}")
    return read_toml(_presets() / f"{name}.toml")


def chosen_layers(name: str | None, file: Path | None) -> list[Layer]:
    """What was chosen by name: the preset, then the file of settings."""
    layers: list[Layer] = []
    if name is not None:
        layers.append((f"preset {name}", preset(name)))
    if file is not None:
        layers.append((str(file), read_toml(file)))
    return layers


def flag_layers(seed: int | None, rounds: int | None, epochs: int | None) -> list[Layer]:
    """The settings that have a flag of their own, as far as they are given: one layer or none."""
    tune = {name: value for name, value in (("rounds", rounds), ("epochs", epochs)) if value is not None}
    flags: dict[str, Any] = ({} if seed is None else {"seed": seed}) | ({"tune": tune} if tune else {})
    return [("flags", flags)] if flags else []


def _presets() -> Path:
    return Path(str(files("dsa_lite"))) / "presets"


def model_settings(model_path: Path) -> dict[str, Any]:
    """What a model asks for: dsa-lite.toml in its folder; for a file, <stem>.dsa-lite.toml beside it comes first."""
    candidates = [model_path / MODEL_FILE]
    if model_path.is_file():
        candidates = [model_path.with_name(f"{model_path.stem}.{MODEL_FILE}"), model_path.with_name(MODEL_FILE)]
    for path in candidates:
        if path.is_file():
            return read_toml(path)
    return {}
