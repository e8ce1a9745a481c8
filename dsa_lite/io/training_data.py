"""A run's examples as a data set that `datasets`, TRL and mlx-lm take as it is: chats as JSON lines."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dsa_lite.core.encoding import target_text
from dsa_lite.core.in_use import in_use
from dsa_lite.errors import UsageError
from dsa_lite.io.rundir import RunDir
from dsa_lite.records import Decision, Exercise

_ONE_IN = 20  # examples kept for validation

Files = dict[str, list[dict[str, Any]]]


def training_data(run: RunDir) -> Files:
    """File name -> rows: the exercises in use, and the textbooks. Raises UsageError when the run has none yet."""
    exercises = in_use(run.exercises().read(), run.rejected().read())
    if not exercises:
        raise UsageError(f"{run.path} has no exercises yet", hint="go on with the run first")
    decisions = {d.example: d for number in run.rounds() for d in run.decisions(number).read()}
    files: Files = {"train.jsonl": [], "valid.jsonl": [], "removed.jsonl": []}
    for exercise in exercises:
        decision = decisions.get(exercise.id)
        files[_file(exercise, decision)].append(_row(exercise, decision))
    texts = sorted(run.textbooks().read(), key=lambda t: t.id)
    files["textbooks.jsonl"] = [{"text": t.text, "id": t.id, "skill": t.skill} for t in texts]
    return {name: rows for name, rows in files.items() if rows}


def write_training_data(files: Files, folder: Path) -> list[str]:
    """Fill `folder`; returns notes. Raises OSError."""
    for name, rows in files.items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / name).write_bytes(text.encode("utf-8", "replace"))
    return _write_parquet(files, folder)


def _file(exercise: Exercise, decision: Decision | None) -> str:
    if decision is not None and decision.action == "remove":
        return "removed.jsonl"
    number = int.from_bytes(hashlib.sha256(exercise.id.encode()).digest()[:8], "big")
    return "valid.jsonl" if number % _ONE_IN == 0 else "train.jsonl"


def _row(exercise: Exercise, decision: Decision | None) -> dict[str, Any]:
    return {
        "messages": [
            {"role": "user", "content": exercise.problem},
            {"role": "assistant", "content": target_text(exercise.solution, exercise.answer)},
        ],
        "id": exercise.id,
        "skill": exercise.skill,
        "skills": list(exercise.skills),
        "origin": exercise.origin,
        "round": exercise.round,
        "region": decision.region if decision else "unclassified",
        "weight": decision.weight if decision else 1.0,
    }


def _write_parquet(files: Mapping[str, Sequence[Mapping[str, Any]]], folder: Path) -> list[str]:
    """The same as parquet/*.parquet, where pyarrow is installed."""
    if find_spec("pyarrow") is None:
        return ["no Parquet files: pyarrow is not installed (pip install pyarrow)"]
    arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    (folder / "parquet").mkdir()
    for name, rows in files.items():
        parquet.write_table(arrow.Table.from_pylist(list(rows)), folder / "parquet" / f"{Path(name).stem}.parquet")
    return []
