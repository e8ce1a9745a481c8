"""The equal-budget baseline of a run: the same exercises, shuffled, nothing watched and nothing changed.

What everyone does today, on the tokens that the run itself was trained on: its textbooks and later rounds are spent on
further passes over the first exercises (METHODS: the baseline that reviewers of DSA asked for).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dsa_lite.config import Config
from dsa_lite.events import Emit
from dsa_lite.io.run_folder.contents import RUN
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.stages import pipeline
from dsa_lite.stages.context import Job
from dsa_lite.stages.evaluate import SPLITS

NAME, WORK = "static arm", "the same exercises, shuffled, for as many tokens"
SHARED = ("graph", "textbooks", "exercises", "rehearsal")


def static_settings(config: Config, budget_tokens: int) -> Config:
    """The run's settings without textbooks, rounds and actions. `budget_tokens`: target tokens to train on."""
    tune = {"rounds": 1, "epochs": 1, "order": "random", "budget_tokens": budget_tokens}
    return config.model_copy(
        update={
            "pretrain": config.pretrain.model_copy(update={"epochs": 0}),
            "tune": config.tune.model_copy(update=tune),
            "dynamics": config.dynamics.model_copy(update={"probes": 0}),
        }
    )


def run(job: Job, emit: Emit) -> dict[str, Any]:
    """Train and evaluate the static arm of a finished run, in a run folder inside the run's own; its summary.

    Goes on where it was stopped. Raises what `pipeline.run` raises.
    """
    main = RunDir.read(job.out)
    summary = main.read_summary()
    assert summary is not None
    config = static_settings(job.config, int(summary["trained_tokens"]))
    arm = replace(job, out=main.static, config=config, within={})
    with RunDir.open(arm.out, pipeline.identity(arm), config.model_dump()) as folder:
        folder.take_over(main, SHARED)
        take_over_answers(arm, main, folder)
    return pipeline.run(arm, emit)


def finished(main: RunDir) -> bool:
    """Whether the static arm of a run was trained and evaluated."""
    return (main.static / RUN).exists() and RunDir.read(main.static).read_summary() is not None


def take_over_answers(job: Job, source: RunDir, folder: RunDir) -> None:
    """The base's answers, where `source` was asked the same: the evaluation goes on after them as after a stop."""
    for split in SPLITS:
        own = folder.graded("before", split)
        if own.count() == 0 and tuple(source.held_out(split).read()) == job.skill.held_out.get(split, ()):
            for answer in source.graded("before", split).read():
                own.append(answer)
