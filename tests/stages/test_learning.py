"""The loop of the training stages: what it tries before it begins, and that trying leaves no trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsa_lite.config import Config
from dsa_lite.errors import TrainingError
from dsa_lite.io.models.choosing import ModelChoice
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.io.skills import load_skill
from dsa_lite.stages.context import Context, Job
from dsa_lite.stages.learning import Epoch, Trainer, largest
from dsa_lite.student import Batch, Observation, StudentOptions
from dsa_lite.testing import make_batch

pytest.importorskip("torch")

RATE = 1e-2


def batches(*shapes: tuple[int, int]) -> list[Batch]:
    """One batch for each number of rows and their length."""
    draw = np.random.default_rng(0)
    return [
        make_batch({f"{n}-{i}": (draw.integers(1, 260, width).tolist(), range(1, width)) for i in range(rows)})
        for n, (rows, width) in enumerate(shapes)
    ]


def always(batch: Batch) -> Callable[[], Batch]:
    return lambda: batch


@pytest.fixture
def student(tiny_model_folder: Path) -> Any:
    from dsa_lite_torch import open_student

    opened = open_student(
        str(tiny_model_folder), StudentOptions(lora_rank=4, lora_dropout=0.2, device="cpu", threads=1)
    )
    yield opened
    opened.close()


def train(student: Any, folder: Path, made: Sequence[Batch]) -> list[Observation]:
    """One epoch of batches through the loop."""
    seen: list[Observation] = []
    rows = [[int(b.ids.shape[1])] * len(b.example_ids) for b in made]

    def observe(observations: Sequence[Observation]) -> int:
        seen.extend(observations)
        return len(observations)

    with RunDir.open(folder / "run", {}, {}) as run:
        choice = ModelChoice("student", "torch", "x", "", False)
        job = Job(load_skill("calculus"), choice, choice, Config(), run.path)
        trainer = Trainer(Context(job, run, lambda event: None, None, student), "tune", 1)
        epoch = Epoch([always(b) for b in made], [RATE] * len(made), "", len(made), largest(rows))
        trainer.run(epoch, observe, lambda: None)
    return seen


def test_trying_the_largest_batch_changes_nothing(student: Any, tmp_path: Path) -> None:
    made = batches((2, 8), (3, 20), (1, 12))
    by_hand = student.fork()
    expected = [o for b in made for o in by_hand.step(b, RATE)]
    assert train(student, tmp_path, made) == expected  # with dropout: its random numbers, too


def test_the_largest_batch_is_tried_before_anything_is_trained(
    student: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[tuple[int, ...], float]] = []
    step = type(student).step

    def limited(self: Any, batch: Batch, lr: float) -> list[Observation]:
        steps.append((batch.ids.shape, lr))
        if batch.ids.size > 50:
            raise TrainingError("out of memory on cpu: 20 tokens at a time do not fit")
        return list(step(self, batch, lr))

    monkeypatch.setattr(type(student), "step", limited)
    with pytest.raises(TrainingError, match="out of memory"):
        train(student, tmp_path / "large", batches((2, 8), (3, 20), (1, 12)))
    assert steps == [((3, 20), 0.0)]
    steps.clear()
    train(student, tmp_path / "small", batches((2, 8), (2, 20)))
    assert steps == [((2, 20), 0.0), ((2, 8), RATE), ((2, 20), RATE)]


@given(st.lists(st.lists(st.integers(1, 50), min_size=1, max_size=5), min_size=1, max_size=6))
def test_the_largest_is_the_batch_with_most_padded_tokens(rows: list[list[int]]) -> None:
    assert max(rows[largest(rows)]) * len(rows[largest(rows)]) == max(max(row) * len(row) for row in rows)
