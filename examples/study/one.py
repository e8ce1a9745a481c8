"""One arm of one seed: `python -m examples.study.one --out runs/study --seed 0 --arm dsa`. Goes on where it stopped."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from dsa_lite.errors import DsaError
from dsa_lite.events import Emit, Event, Note, StageFinished
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.records import Exercise
from dsa_lite.stages import pipeline
from dsa_lite.stages.context import Job
from dsa_lite.stages.static_arm import SHARED, take_over_answers

from . import arms
from .planting import exercises, first_exercises, plant
from .study import Study, folder, load


def train(out: Path, study: Study, seed: int, arm: str, emit: Emit) -> dict[str, Any]:
    """Train and evaluate one arm on what the source arm of the seed has written; its summary.

    Raises a DsaError, among them that the source arm has written nothing yet.
    """
    job = study.job(out, seed, arm)
    if arm != arms.SOURCE:
        _take_over(job, RunDir.read(folder(out, seed, arms.SOURCE)), arm)
    return pipeline.run(job, emit)


def _take_over(job: Job, source: RunDir, arm: str) -> None:
    planted, writer = arms.ARMS[arm].planted, arms.ARMS[arm].of
    with RunDir.open(job.out, pipeline.identity(job), job.config.model_dump()) as run:
        # what is rehearsed depends on the exercises, which these arms have others of
        run.take_over(source, SHARED[:3] if writer or arm in arms.GROUPS["errors"] else SHARED)
        if planted:
            wrong = plant(first_exercises(source), planted, np.random.default_rng([job.config.seed, 1]))
            _replace_exercises(run, wrong)
        if writer:
            written = exercises(RunDir.read(folder(job.out.parent.parent, job.config.seed, writer)))
            _replace_exercises(run, [e.model_copy(update={"round": 0}) for e in written])
        take_over_answers(job, source, run)


def _replace_exercises(run: RunDir, exercises: list[Exercise]) -> None:
    if run.exercises().read() != exercises:
        run.exercises().truncate(0)
        for exercise in exercises:
            run.exercises().append(exercise)
        run.finish("exercises")  # counted anew: these are what the stage left behind


def _say(event: Event) -> None:
    if isinstance(event, StageFinished):
        print(f"{time.strftime('%H:%M:%S')} {event.stage}: {event.status}, {event.seconds:.0f} s {event.summary}")
    elif isinstance(event, Note):
        print(f"{time.strftime('%H:%M:%S')} {event.stage}: {event.level}: {event.text}")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--arm", choices=arms.ARMS, required=True)
    asked = parser.parse_args()
    try:
        train(asked.out, load(asked.out)[0], asked.seed, asked.arm, _say)
    except DsaError as error:
        raise SystemExit(f"{type(error).__name__}: {error}\n{error.hint}") from error


if __name__ == "__main__":
    main()
