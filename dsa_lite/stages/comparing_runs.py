"""Finished runs side by side: scores, paired tests, cost, and the settings that set them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dsa_lite.core.compared import Answers, differing, paired
from dsa_lite.errors import UsageError
from dsa_lite.io.jsonl import Warn, silent
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.records import Split
from dsa_lite.stages.evaluate import SPLITS

#: What of a summary is the same kind of figure in every run.
FIGURES = ("skill", "teacher", "student", "backend", "seed", "exercises", "teacher_tokens", "trained_tokens", "seconds",
           "before", "after", "regions")  # fmt: skip


def compare(folders: Sequence[Path], warn: Warn = silent) -> dict[str, Any]:
    """The runs' figures, each run against the first on the questions they share, and what differs in their settings.

    `warn` is told what a run does not hold any more. Raises UsageError for one that is not finished or was named twice.
    """
    runs = _named(folders, warn)
    first, *others = runs
    return {
        "runs": {name: _summary(run) for name, run in runs.items()},
        "against": first,
        "paired": {name: _paired(runs[first], runs[name]) for name in others},
        "differing": differing({name: _flat(run.settings().get("config", {})) for name, run in runs.items()}),
    }


def _named(folders: Sequence[Path], warn: Warn) -> dict[str, RunDir]:
    """The runs by the shortest name that tells them apart: the folder's own, or its whole path."""
    paths = [folder.expanduser().resolve() for folder in folders]
    if len(set(paths)) < len(paths):
        raise UsageError("the same run was named twice", hint="name each run once")
    names = [path.name for path in paths]
    labels = names if len(set(names)) == len(names) else [str(folder) for folder in folders]
    return {label: RunDir.read(path, warn) for label, path in zip(labels, paths, strict=True)}


def _summary(run: RunDir) -> dict[str, Any]:
    summary = run.read_summary()
    if summary is None:
        raise UsageError(f"{run.path} is not finished: it has no scores yet", hint=run.goes_on())
    return {field: summary.get(field) for field in FIGURES}


def _paired(first: RunDir, other: RunDir) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for split in SPLITS:
        result = paired(_answers(first, split), _answers(other, split))
        found[split] = {**asdict(result), "difference": result.difference}
    return found


def _answers(run: RunDir, split: Split) -> Answers:
    right = {g.id: g.correct for g in run.graded("after", split).read()}
    return {i.id: (i.problem, right[i.id]) for i in run.held_out(split).read() if i.id in right}


def _flat(tree: Mapping[str, Any], above: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in tree.items():
        flat |= _flat(value, f"{above}{name}.") if isinstance(value, Mapping) else {above + name: value}
    return flat
