"""The tables of `dsa-lite compare`: one row per run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from dsa_lite.cli.tables import REGION_STYLE, SPLITS, accuracy, empty_table
from dsa_lite.cli.text import clean, duration, points

Rows = Mapping[str, Mapping[str, Any]]


def scores_by_run(runs: Rows) -> Table:
    """Accuracy with its interval on each held-out set; the bases' come first, once where they are the same."""
    used = [split for split in SPLITS if any(_of(run, "after", split).get("n") for run in runs.values())]
    found = empty_table(("run", "left"), *((SPLITS[split][0], "right") for split in used))
    bases = {name: run["before"] for name, run in runs.items()}
    same = all(base == next(iter(bases.values())) for base in bases.values())
    for name, run in runs.items():
        if not same or name == next(iter(runs)):
            label = "base" if same else f"base of {clean(name)}"
            found.add_row(Text(label, style="dim"), *(accuracy(_of(run, "before", split), 1) for split in used))
    for name, run in runs.items():
        found.add_row(Text(clean(name)), *(accuracy(_of(run, "after", split), 1) for split in used))
    return found


def _of(run: Mapping[str, Any], when: str, split: str) -> Mapping[str, Any]:
    """A figure; empty where the run has no such questions."""
    return (run[when] or {}).get(split) or {}


def paired_table(paired: Mapping[str, Rows]) -> Table:
    """For each run and held-out set: questions gained and lost against the first run, and the test."""
    found = empty_table(
        ("run", "left"), ("set", "left"), *((n, "right") for n in ("items", "gained", "lost", "points", "p"))
    )
    for name, splits in paired.items():
        for split, row in splits.items():
            if row["n"]:
                p = "< 0.001" if row["p"] < 0.001 else f"{row['p']:.3f}"
                figures = (f"{row['n']:,}", str(row["gained"]), str(row["lost"]), points(row["difference"], 1), p)
                found.add_row(Text(clean(name)), SPLITS[split][0], *figures)
    return found


def cost_table(runs: Rows) -> Table:
    """Time, tokens written by the teacher and trained on, exercises and regions of each run."""
    regions = [r for r in REGION_STYLE if any((run["regions"] or {}).get(r) for run in runs.values())]
    columns = ("time", "written", "trained", "exercises", *regions)
    found = empty_table(("run", "left"), *((name, "right") for name in columns))
    for name, run in runs.items():
        counts = [
            run["teacher_tokens"],
            run["trained_tokens"],
            run["exercises"],
            *((run["regions"] or {}).get(r, 0) for r in regions),
        ]
        found.add_row(Text(clean(name)), duration(run["seconds"] or 0), *(f"{count or 0:,}" for count in counts))
    return found


def settings_by_run(differing: Mapping[str, Mapping[str, object]]) -> Table:
    """Setting x run."""
    names = list(next(iter(differing.values())))
    found = empty_table(("setting", "left"), *((clean(name), "left") for name in names))
    for setting, values in differing.items():
        found.add_row(Text(clean(setting)), *("-" if values[n] is None else clean(str(values[n]), 40) for n in names))
    return found
