"""The targets that were set beforehand, and whether the figures reach them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import arms
from .errors import SECOND_LOOK
from .figures import Estimate, estimate
from .results import Results, accuracy, over_seeds, paired, percent, table

PAPER_GAIN, PLANTED, LEAST = 3.04, "planted-15", 0.9
Row = tuple[str, str, bool | None]  # target, what was found, reached (None: not measured, or no such figure)


def targets(results: Results, runs: Sequence[Mapping[str, Any]] | None) -> Iterator[str]:
    """The Markdown list, target by target. `runs`: the lines of errors.json; None: not measured."""
    yield "## Targets\n"
    words = {True: "reached", False: "not reached", None: "–"}
    rows = [*_gains(results), *_half(results), _order(results), _found(runs), _base(results), _kept(results)]
    yield from table(["target", "found", ""], [[target, found, words[reached]] for target, found, reached in rows])


def _gains(results: Results) -> list[Row]:
    rows: list[Row] = []
    for split in ("eval", "transfer"):
        e = paired(results, "dsa", arms.SOURCE, accuracy(split))
        target = f"dsa above static on {split}, same budget, interval above zero (points)"
        rows.append((target, percent(e, signed=True), e.positive if e.n > 1 else None))
    return rows


def _half(results: Results) -> list[Row]:
    """On half of the budget against all of it, and on all of it against twice as much."""
    rows: list[Row] = []
    for ours, theirs, tokens in (("dsa-50", arms.SOURCE, "the budget"), ("dsa", "static-200", "twice the budget")):
        e = paired(results, ours, theirs, accuracy("eval"))
        target = f"dsa at least as good on eval as static on {tokens}, on half of that (mean difference, points)"
        rows.append((target, percent(e, signed=True), e.mean >= 0 if e.n else None))
    return rows


def _order(results: Results) -> Row:
    e = paired(results, "graph-order", "reverse-order", accuracy("eval"))
    target = "graph order above reverse order on eval, interval above zero (points)"
    return target, percent(e, signed=True), e.positive if e.n > 1 else None


def _found(runs: Sequence[Mapping[str, Any]] | None) -> Row:
    """Precision of a seed in which nothing was removed counts as 0: nothing was found."""
    own = [r["presets"][SECOND_LOOK] for r in runs or () if r["arm"] == PLANTED]
    target = (
        f"15 % planted errors found with precision and recall of at least {100 * LEAST:.0f} %, as tuning finds them"
    )
    if not own:
        return target, "–", None
    precision = estimate([f["precision"] if f["removed"] else 0.0 for f in own])
    recall = estimate([f["recall"] for f in own])
    reached = min(precision.mean, recall.mean) >= LEAST
    return target, f"precision {percent(precision)}, recall {percent(recall)}", reached


def _base(results: Results) -> Row:
    """The ratio of means; a base that answers nothing right has none."""
    before = over_seeds(results, "dsa", accuracy("eval", "before"))
    after = over_seeds(results, "dsa", accuracy("eval"))
    target = f"relative gain of dsa over the base on eval above the paper's +{100 * PAPER_GAIN:.0f} %"
    if not before.n:
        return target, "–", None
    if before.mean == 0:
        return target, f"the base answers none right, dsa {percent(after)}: no ratio", None
    gain = after.mean / before.mean - 1
    return target, f"{100 * gain:+.0f} % (from {percent(before)} to {percent(after)})", gain > PAPER_GAIN


def _kept(results: Results) -> Row:
    """General knowledge counts as kept where the interval of the change does not lie below zero."""
    values = [accuracy("general")(o) - accuracy("general", "before")(o) for o in results.get("dsa", {}).values()]
    e: Estimate = estimate(values)
    target = "nothing lost on general: interval of dsa minus base not below zero (points)"
    return target, percent(e, signed=True), e.high >= 0 if e.n > 1 else None
