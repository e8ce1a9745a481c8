"""Which calculus exercises are wrong, by the recipe's solver, and sets in which a known share is made wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dsa_lite.core.in_use import in_use
from dsa_lite.core.probes import make_probes
from dsa_lite.errors import UsageError
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.records import Exercise
from examples.tiny_models.solver import same, solve


def right(exercise: Exercise) -> bool:
    """Whether the answer is the problem's true one. An unreadable problem counts as wrong."""
    truth = solve(exercise.problem)
    return truth is not None and same(exercise.answer, truth)


def exercises(run: RunDir) -> list[Exercise]:
    """Those in use of all rounds, sorted by id."""
    return list(in_use(run.exercises().read(), run.rejected().read()))


def first_exercises(run: RunDir) -> list[Exercise]:
    """Those in use that were written before tuning, sorted by id."""
    return [e for e in exercises(run) if e.round == 0]


def plant(exercises: Sequence[Exercise], share: float, rng: np.random.Generator) -> list[Exercise]:
    """The right ones of the exercises, round(share * their number) of them made wrong, in the order given.

    Raises UsageError where none is right.

    Half of these get the solution and answer of another exercise of the skill, which fit each other but not the
    problem; half get one other number in the answer and in the last place of the solution that says it, so that the
    last line agrees with the answer and the steps before it do not (as `make_probes` makes them).
    """
    kept = [e for e in exercises if right(e)]
    if not kept:
        raise UsageError("the recipe's solver finds no exercise right", hint="it reads exercises on calculus only")
    wanted = round(share * len(kept))
    spoilt: dict[str, Exercise] = {}
    by_id = {e.id: e for e in kept}
    for probe in make_probes(kept, 2 * len(kept), rng):
        made = by_id[probe.parents[0]].model_copy(
            update={"solution": probe.solution, "answer": probe.answer, "steps_right": None}
        )
        if len(spoilt) < wanted and made.id not in spoilt and not right(made):
            spoilt[made.id] = made
    return [spoilt.get(e.id, e) for e in kept]
