"""Exercises the skill brings itself: the same checks as for the teacher's, then they are exercises like any other."""

from __future__ import annotations

from dsa_lite.core.overlap import OverlapIndex
from dsa_lite.core.steps import arithmetic_steps
from dsa_lite.io.checker import AnswerChecker
from dsa_lite.records import Exercise, Rejected
from dsa_lite.stages.context import Context
from dsa_lite.stages.held_out import HeldOutGuard
from dsa_lite.stages.writing import SAMPLE_CHARS

STAGE = "exercises"


def take_over(context: Context) -> list[Exercise]:
    """The usable imported exercises, in the order of their file, each on disk; the others with the reason why not.

    What is on disk already stays as it is: an interrupted stage goes on, and the outcome is the same.
    """
    given = context.job.skill.exercises
    if not given:
        return []
    log, rejections = context.folder.exercises(), context.folder.rejected()
    written = {e.id for e in log.read()}
    refused = {r.id for r in rejections.read() if r.stage == STAGE}
    guard, index = HeldOutGuard(context), OverlapIndex(context.config.exercises.near_duplicate)
    kept = []
    with AnswerChecker(context.job.skill.checker) as checker:
        for exercise in given:
            reason, detail = _fault(exercise, checker, guard, index)
            if not reason:
                index.add(exercise.id, exercise.problem)
                kept.append(_with_steps(exercise))
                if exercise.id not in written:
                    log.append(kept[-1])
            elif exercise.id not in refused:
                sample = exercise.problem[:SAMPLE_CHARS]
                rejections.append(Rejected(id=exercise.id, stage=STAGE, reason=reason, detail=detail, sample=sample))
    log.sync()
    rejections.sync()
    lost = len(given) - len(kept)
    context.note(STAGE, f"{len(kept)} of {len(given)} imported exercises are used", warning=lost > 0)
    return kept


def _fault(exercise: Exercise, checker: AnswerChecker, guard: HeldOutGuard, index: OverlapIndex) -> tuple[str, str]:
    """(reason, detail) why an exercise is not used; two empty texts if it is."""
    if not checker.readable([exercise.answer])[0]:
        return "answer cannot be checked", exercise.answer[:SAMPLE_CHARS]
    if clash := guard.same(exercise.problem):
        return "held out", f"the same problem as {clash}"
    if twin := index.find(exercise.problem):
        return "duplicate", f"the same problem as {twin}"
    return "", ""


def _with_steps(exercise: Exercise) -> Exercise:
    right, wrong = arithmetic_steps(exercise.solution)
    return exercise.model_copy(update={"steps_right": None if right + wrong == 0 else wrong == 0})
