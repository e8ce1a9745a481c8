"""Regions: every example is error, hard, easy, ambiguous or unclassified.

The four sets are DSA's (arXiv 2412.19361); its inequalities are not public, so both rules and the guards are ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsa_lite.config import DynamicsSettings

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

REGIONS = np.array(["unclassified", "ambiguous", "easy", "hard", "error"])
UNCLASSIFIED, AMBIGUOUS, EASY, HARD, ERROR = range(5)


@dataclass(frozen=True)
class Baseline:
    """Loss and mean deviation of constructed error examples, in the scale the rule compares in."""

    loss: float
    deviation: float

    @classmethod
    def of(cls, losses: Floats, preset: str) -> Baseline:
        """From losses (N, epochs), N >= 1: their mean, as in DSA; of the preset "skill", whose scores have a long
        tail, what half of the examples reach (median over them of the mean over the epochs)."""
        means = losses.mean(axis=1)
        middle = np.median(means) if preset == "skill" else means.mean()
        return cls(float(middle), float(losses.std(axis=1).mean()))


def classify(
    mean: Floats, deviation: Floats, seen: NDArray[np.integer], baseline: Baseline | None, settings: DynamicsSettings,
    right: Flags | None = None,
) -> tuple[NDArray[np.str_], list[str]]:  # fmt: skip
    """Region (N,) of each example, and warnings as sentences.

    mean, deviation (N,): over the window, nats or scores (NaN: not seen); seen (N,): epochs seen; right (N,): whether
    every target token was predicted right whenever it was looked at. First match wins:

    0. easy: right (R3 alone: what is above the average of a well-known skill is not hard for that);
    1. error: mean >= the baseline's (R1, preset "cartography": and deviation <= the baseline's);
    2. hard: mean >= the average (R1: mean > and deviation < the averages);
    3. easy: mean < and deviation < the averages;
    4. ambiguous.

    R3, presets "skill" and "global", has switches error_sigma and hard_sigma. Averages are over the examples judged,
    those seen in min_epochs or more; the rest are unclassified. No baseline: no error region. At most
    max_error_fraction of the judged become errors, highest mean first; the others of them are ambiguous.
    """
    judged = (seen >= settings.min_epochs) & np.isfinite(mean) & np.isfinite(deviation)
    if not judged.any():
        return REGIONS[np.zeros(len(mean), dtype=np.int64)], (
            [f"No example was seen in {settings.min_epochs} epochs or more: none is classified."] if len(mean) else []
        )
    average = Baseline(_average(mean[judged]), _average(deviation[judged]))
    warnings: list[str] = []
    sure = judged & right if right is not None and settings.preset != "cartography" else np.zeros_like(judged)
    error, spared = _errors(mean, deviation, judged, sure, average, baseline, settings, warnings)
    hard = judged & _hard(mean, deviation, average, settings)
    easy = judged & (mean < average.loss) & (deviation < average.deviation)
    easy, hard = easy | sure, hard & ~sure
    codes = np.where(judged, AMBIGUOUS, UNCLASSIFIED)
    codes[easy], codes[hard], codes[spared], codes[error] = EASY, HARD, AMBIGUOUS, ERROR
    return REGIONS[codes], warnings


def _average(values: Floats) -> float:
    """Mean, kept inside the values' range so that equal values are equal to their mean."""
    return float(np.clip(values.mean(), values.min(), values.max()))


def _errors(
    mean: Floats, deviation: Floats, judged: Flags, sure: Flags, average: Baseline, baseline: Baseline | None,
    settings: DynamicsSettings, warnings: list[str],
) -> tuple[Flags, Flags]:  # fmt: skip
    """Error examples (N,), and those that look like errors but are spared by the guard (N,)."""
    none = np.zeros(len(mean), dtype=np.bool_)
    if baseline is None:
        return none, none
    if not baseline.loss > average.loss:
        warnings.append(
            f"The constructed errors have a loss of {baseline.loss:.3g}, the examples one of {average.loss:.3g}: "
            "they cannot be told apart, so no example is called an error."
        )
        return none, none
    suspect = judged & ~sure & (mean >= baseline.loss)
    clause = "le" if settings.preset == "cartography" else settings.error_sigma
    if clause != "ignore":
        suspect &= deviation <= baseline.deviation if clause == "le" else deviation >= baseline.deviation
    error = _at_most(suspect, mean, judged, settings, warnings)
    return error, suspect & ~error


def _at_most(
    suspect: Flags, mean: Floats, judged: Flags, settings: DynamicsSettings, warnings: list[str]
) -> Flags:  # fmt: skip
    """Of the suspects (N,) those with the highest mean, as many as may be removed in one round (N,)."""
    most = math.floor(settings.max_error_fraction * int(judged.sum()) + 1e-9)
    found = np.flatnonzero(suspect)
    if len(found) > most:
        warnings.append(
            f"{len(found)} of {int(judged.sum())} examples look like errors; at most {most} are removed in one round, "
            "the others stay at full weight."
        )
    error = np.zeros_like(suspect)
    error[found[np.argsort(-mean[found], kind="stable")][:most]] = True
    return error


def doubtful(regions: NDArray[np.str_], mean: Floats, right: Flags, settings: DynamicsSettings) -> Flags:
    """(N,): what is worth a second look (ours, not DSA's): the errors, and of all that are not `right` (N,) the highest
    means, up to a share of second_look of the judged."""
    judged = regions != "unclassified"
    most = math.floor(settings.second_look * int(judged.sum()) + 1e-9)
    if not settings.second_look:
        return np.zeros_like(judged)
    unsure = judged & ~right
    found = np.zeros_like(judged)
    found[np.argsort(-np.where(unsure, mean, -np.inf), kind="stable")[:most]] = True
    return np.asarray((found & unsure) | (regions == "error"))


def looked_at_again(
    regions: NDArray[np.str_], mean: Floats, confirmed: Flags, refuted: Flags, settings: DynamicsSettings
) -> tuple[NDArray[np.str_], list[str]]:
    """Regions (N,) once the teacher has solved some examples again, and warnings as sentences (ours, not DSA's).

    mean (N,): as in `classify`. What it confirms (N,) is no error but hard; what it refutes (N,) is an error; others
    stay what they are. At most max_error_fraction of the judged are errors, highest mean first, the rest ambiguous.
    """
    warnings: list[str] = []
    wrong = ((regions == "error") & ~confirmed) | refuted
    error = _at_most(wrong, mean, regions != "unclassified", settings, warnings)
    found = np.where((regions == "error") & confirmed, "hard", regions)
    return np.where(error, "error", np.where(wrong, "ambiguous", found)), warnings


def _hard(mean: Floats, deviation: Floats, average: Baseline, settings: DynamicsSettings) -> Flags:
    if settings.preset == "cartography":
        return (mean > average.loss) & (deviation < average.deviation)
    if settings.hard_sigma == "lt":
        return (mean >= average.loss) & (deviation < average.deviation)
    if settings.hard_sigma == "ge":
        return (mean >= average.loss) & (deviation >= average.deviation)
    return mean >= average.loss
