"""A run's examples as a data set that `datasets`, TRL, mlx-lm and LLaMA-Factory take as it is: chats as JSON lines."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dsa_lite.core.encoding import target_text
from dsa_lite.core.in_use import in_use
from dsa_lite.errors import UsageError
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.records import Decision, Exercise

_ONE_IN = 20  # examples kept for validation

Files = dict[str, list[dict[str, Any]]]


def training_data(run: RunDir) -> Files:
    """File name -> rows: the exercises in use, and the textbooks. Raises UsageError when the run has none yet."""
    exercises = in_use(run.lessons(), run.rejected().read())
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


def write_training_data(files: Files, folder: Path, name: str) -> list[str]:
    """Fill `folder`; returns notes. `name`: of the skill, which LLaMA-Factory asks for. Raises OSError."""
    for file, rows in files.items():
        (folder / file).write_bytes("".join(_line(row) for row in rows).encode())
    (folder / "dataset_info.json").write_text(json.dumps(_llama_factory(files, name), indent=2) + "\n", "utf-8")
    return _write_parquet(files, folder)


def _line(row: Mapping[str, Any]) -> str:
    """One JSON line; half a surrogate pair, which no file format holds, becomes a question mark."""
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "replace").decode() + "\n"


def _llama_factory(files: Files, name: str) -> dict[str, Any]:
    """What LLaMA-Factory must be told of a folder given as `dataset_dir`."""
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    named = {"train.jsonl": name, "valid.jsonl": f"{name}_valid"}
    return {
        named[file]: {"file_name": file, "formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": tags}
        for file in files
        if file in named
    }


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


def _write_parquet(files: Files, folder: Path) -> list[str]:
    """The same rows as parquet/*.parquet, where pyarrow is installed."""
    if find_spec("pyarrow") is None:
        return ["no Parquet files: pyarrow is not installed (pip install 'dsa-lite[dataset]')"]
    arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    (folder / "parquet").mkdir()
    for file, rows in files.items():
        table = arrow.Table.from_pylist([json.loads(_line(row)) for row in rows])
        parquet.write_table(table, folder / "parquet" / f"{Path(file).stem}.parquet")
    return []
