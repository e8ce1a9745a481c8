"""The training benchmark: everyone trains the same rows, and what it says about them is what happened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "benchmarks"
sys.path.insert(0, str(FOLDER))

import training  # noqa: E402
from training_data import Data, make_data  # noqa: E402


def rows(batches: list[list[object]]) -> Counter[str]:
    return Counter(repr(row) for batch in batches for row in batch)


def padding(data: Data, order: str) -> int:
    """Tokens that are not there."""
    return sum(max(len(r.ids) for r in batch) - len(row.ids) for batch in data.batches[order] for row in batch)


def test_both_orders_hold_the_same_rows_and_grouping_saves_padding(tmp_path: Path) -> None:
    data = make_data(16, 8, warm=2, exercises=None)
    data.save(tmp_path / "data.json")
    assert Data.load(tmp_path / "data.json") == data
    assert [len(batch) for batch in data.warm] == [8, 8]
    assert [len(batch) for batch in data.batches["mixed"]] == [8] * 16
    assert rows(data.batches["mixed"]) == rows(data.batches["grouped"])
    assert padding(data, "grouped") < 0.5 * padding(data, "mixed")
    lengths = [len(row.ids) for batch in data.batches["mixed"] for row in batch]
    assert max(lengths) > 5 * min(lengths)


def test_exercises_of_a_run_are_taken_or_refused(tmp_path: Path) -> None:
    file = tmp_path / "exercises.jsonl"
    lines = [{"problem": f"Compute {i}+1.", "solution": f"{i}+1={i + 1}.", "answer": str(i + 1)} for i in range(6)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert len(make_data(2, 2, warm=1, exercises=file).batches["mixed"]) == 2
    with pytest.raises(SystemExit, match="6 exercises, 8 are needed"):
        make_data(3, 2, warm=1, exercises=file)


def test_who_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(training, "NEEDED", {"trl": ("no_such_package",)})
    assert training._present(None) == [name for name in training.RUN if name != "trl"]
    assert "trl: needs no_such_package" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        training._present(["torch", "trl"])


def test_everyone_trains_the_same(tmp_path: Path) -> None:
    for needed in ("torch", "transformers", "peft", "accelerate", "mlx.core", "mlx_lm"):
        pytest.importorskip(needed)
    contestants = ["torch", "engine", "hf", "mlx", "mlx-lm"]
    command = [sys.executable, str(FOLDER / "training.py"), "--trial", "--steps", "2", "--batch-size", "2"]
    command += ["--threads", "1", "--orders", "mixed", "--folder", str(tmp_path), "--json", str(tmp_path / "all.json")]
    env = {**os.environ, "MLX_DISABLE_COMPILE": "1"}  # on a CPU, MLX compiles with a compiler that may not be there
    command += ["--contestants", *contestants]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    lines = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert [line["contestant"] for line in lines] == contestants
    found = [line["results"][0] for line in lines]
    assert {r["steps"] for r in found} == {2}
    assert len({r["tokens"] for r in found}) == 1
    for r in found:
        assert r["before"] == pytest.approx(found[0]["before"], rel=1e-4)
        assert r["after"] < r["before"]
        assert r["seconds"] > 0 < r["peak"]
    for r in found[:-1]:  # mlx-lm gets warm on more batches
        # the adapters start at different values, so they end at about the same loss
        assert r["before"] - r["after"] == pytest.approx(found[0]["before"] - found[0]["after"], rel=0.3)
    parts = found[contestants.index("engine")]["parts"]
    assert 0 < parts["seen"] < parts["step"]
    assert 0 < parts["record"] < found[1]["seconds"] - parts["step"]
    assert "to record the dynamics" in done.stdout
