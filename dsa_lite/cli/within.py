"""`dsa-lite run --within 2h`: settings that fit a time, and why these."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from dsa_lite.core.fitting import Fitted, Setting
    from dsa_lite.stages.context import Job
    from dsa_lite.stages.planning import Survey

Layers = Sequence[tuple[str, Mapping[str, Any]]]
_TIME = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?:in)?)?(?:(\d+(?:\.\d+)?)s)?")


def seconds_of(text: str) -> float:
    """The type of --within: 2h, 45m, 90s, 1h30m. A usage error for anything else, and for no time at all."""
    found = _TIME.fullmatch(text.replace(" ", "").lower())
    parts = [float(part or 0) for part in found.groups()] if found else []
    total = sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if not total:
        raise click.BadParameter(f"{text!r} is no time; write it as 2h, 45m, 90s or 1h30m")
    return total


def fit_job(
    found: Survey, layers: Layers, budget: float, again: Callable[[Mapping[str, Any]], Job]
) -> tuple[Survey, list[str]]:
    """Choose from what was measured, and resolve the job anew by `again`; sentences on what was chosen.

    Raises UsageError where nothing fits.
    """
    from dsa_lite.core.fitting import FREE, is_preset
    from dsa_lite.io.settings.files import settings_with_sources
    from dsa_lite.stages import planning

    job = found.job
    sources = {key: label for key, _, _, label in settings_with_sources(job.config, layers)}
    fixed = {name for name in FREE if sources[name] and not is_preset(sources[name])}
    fitted, held = planning.fitted(found, fixed, budget)
    if not fitted.fits:
        raise _too_long(found, fitted, held, budget)
    found.job = again({"seconds": budget, "settings": fitted.chosen.sections(held)})
    return found, _reasons(job, fitted, held, budget)


def kept(job: Job) -> str:
    """What is said when a run that has been fitted is gone on with."""
    from dsa_lite.cli.text import duration

    return (
        f"The settings chosen for {duration(float(job.within['seconds']))} when this run began are kept; "
        "another --out chooses anew."
    )


def _reasons(job: Job, fitted: Fitted, held: set[str], budget: float) -> list[str]:
    from dsa_lite.cli.text import duration

    chosen, config = fitted.chosen, job.config
    before = _words(config.exercises.single_per_skill, config.exercises.composed_per_skill, config.tune)
    now = _words(chosen.single, chosen.composed, chosen)
    told = f" instead of {before}" if now != before else ", as set"
    lines = [f"For {duration(budget)}: {now}{told}. That takes about {duration(chosen.seconds)}."]
    lines += [f"{_of(passed)} would take about {duration(passed.seconds)}." for passed in fitted.passed]
    if held:
        lines.append(f"Not changed, because they were set or begun: {', '.join(sorted(held))}.")
    return lines


def _too_long(found: Survey, fitted: Fitted, held: set[str], budget: float) -> Exception:
    from dsa_lite.cli.text import duration
    from dsa_lite.errors import UsageError

    smallest = fitted.chosen.applied_to(found.job.config)
    longest = sorted(found.plan(smallest), key=lambda stage: -(stage.seconds or 0.0))[:3]
    parts = ", ".join(f"{stage.stage} {duration(stage.seconds or 0.0)}" for stage in longest)
    fixed = f"; set by you or begun: {', '.join(sorted(held))}" if held else ""
    return UsageError(
        f"{found.job.skill.name} does not fit into {duration(budget)}: even {_of(fitted.chosen)} would take about "
        f"{duration(fitted.chosen.seconds)} ({parts})",
        hint=f"give it more time, a smaller teacher or student, or lower evaluate.limit, rehearsal.share, "
        f"textbooks.per_skill, graph.expand{fixed}",
    )


def _words(single: int, composed: int, tune: Any) -> str:
    rounds = f"{tune.rounds} round{'s' * (tune.rounds > 1)} of {tune.epochs} epoch{'s' * (tune.epochs > 1)}"
    return f"{single} single and {composed} composed exercises per skill in {rounds}"


def _of(setting: Setting) -> str:
    return _words(setting.single, setting.composed, setting)
