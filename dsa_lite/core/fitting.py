"""A run made to fit a time: fewer or more exercises, then fewer epochs, then fewer rounds. The rules are ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from dsa_lite.config import Config

Layer: TypeAlias = tuple[str, Mapping[str, Any]]

FILL = 0.9  # share of the budget that is planned for: estimates are off by some
FEWEST = 4  # exercises per skill below which a region or a score says nothing
MOST = 4  # times as many exercises as configured, at most

SINGLE, COMPOSED = "exercises.single_per_skill", "exercises.composed_per_skill"
ROUNDS, EPOCHS = "tune.rounds", "tune.epochs"
#: What may be chosen.
FREE = (SINGLE, COMPOSED, ROUNDS, EPOCHS)


@dataclass(frozen=True)
class Setting:
    """The four numbers, and the seconds that a run with them takes."""

    single: int
    composed: int
    rounds: int
    epochs: int
    seconds: float = 0.0

    def sections(self, fixed: Collection[str] = ()) -> dict[str, dict[str, int]]:
        """As a layer of settings, without those that were fixed."""
        values = {SINGLE: self.single, COMPOSED: self.composed, ROUNDS: self.rounds, EPOCHS: self.epochs}
        layer: dict[str, dict[str, int]] = {}
        for name, value in values.items():
            section, _, field = name.partition(".")
            if name not in fixed:
                layer.setdefault(section, {})[field] = value
        return layer

    def applied_to(self, config: Config) -> Config:
        """The config with these four."""
        changed = {name: getattr(config, name).model_copy(update=part) for name, part in self.sections().items()}
        return config.model_copy(update=changed)


@dataclass(frozen=True)
class Fitted:
    """`chosen` is the largest setting that fits, or the smallest there is where `fits` is False.

    `passed`: settings that were preferred and take too long.
    """

    chosen: Setting
    fits: bool
    passed: tuple[Setting, ...] = ()


def fit(config: Config, fixed: Collection[str], budget: float, seconds: Callable[[Config], float]) -> Fitted:
    """The setting for a budget in s. `fixed`: names of `FREE` that stay; `seconds`: what a run with a config takes.

    First the configured rounds and epochs with up to `MOST` times the exercises, down to half of them; then fewer
    epochs, then fewer rounds, with up to the configured number. Two rounds, the fewest in which something is done about
    what was seen, are given up last: before a single one comes `FEWEST` per skill.
    """
    aim, usual = FILL * budget, config.exercises.single_per_skill
    half, few = math.ceil(usual / 2), min(usual, FEWEST)
    levels = list(_levels(config, fixed))
    passed: list[Setting] = []

    def at(single: int, rounds: int, epochs: int) -> Setting:
        composed = config.exercises.composed_per_skill
        if COMPOSED not in fixed and usual:
            composed = round(composed * single / usual)
        tried = Setting(single, composed, rounds, epochs)
        return replace(tried, seconds=seconds(tried.applied_to(config)))

    for number, (rounds, epochs) in enumerate(levels):
        last = number == len(levels) - 1 or levels[number + 1][0] == 1 < rounds
        low = usual if SINGLE in fixed else few if last else half
        high = usual if SINGLE in fixed or number else MOST * usual
        smallest = at(low, rounds, epochs)
        if smallest.seconds <= aim:
            chosen = _largest(partial(at, rounds=rounds, epochs=epochs), smallest, high, aim)
            return Fitted(chosen, True, tuple(passed))
        passed.append(smallest)
    return Fitted(passed.pop(), False, tuple(passed))


def _levels(config: Config, fixed: Collection[str]) -> Iterator[tuple[int, int]]:
    """(rounds, epochs), the preferred first."""
    rounds, epochs = config.tune.rounds, config.tune.epochs
    yield rounds, epochs
    while epochs > 1 and EPOCHS not in fixed:
        epochs -= 1
        yield rounds, epochs
    while rounds > 1 and ROUNDS not in fixed:
        rounds -= 1
        yield rounds, epochs


def _largest(at: Callable[[int], Setting], low: Setting, high: int, aim: float) -> Setting:
    """The setting with the most exercises that takes at most `aim` s, by bisection; `low` is known to."""
    best, above = low, high + 1
    while above - best.single > 1:
        middle = at((best.single + above) // 2)
        if middle.seconds <= aim:
            best = middle
        else:
            above = middle.single
    return best


def with_budget(layers: Sequence[Layer], within: Mapping[str, Any]) -> list[Layer]:
    """Layers of settings with those chosen for a time budget: over a preset, under what the user set one by one."""
    chosen = within.get("settings")
    if not chosen:
        return list(layers)
    presets = sum(is_preset(label) for label, _ in layers)
    return [*layers[:presets], ("the time budget", chosen), *layers[presets:]]


def is_preset(label: str) -> bool:
    return label.startswith("preset ")
