"""Exercises the skill brings itself: the same checks as for the teacher's, then they are exercises like any other."""

from __future__ import annotations

from collections.abc import Sequence

from dsa_lite.core.overlap import plain_text
from dsa_lite.core.steps import arithmetic_steps
from dsa_lite.io.answers.checker import AnswerChecker
from dsa_lite.records import Exercise, Rejected
from dsa_lite.stages.context import Context
from dsa_lite.stages.held_out import HeldOutGuard
from dsa_lite.stages.writing import SAMPLE_CHARS

STAGE = "exercises"
_LONG = 8  # words; fewer shared ones make no two problems near-duplicates


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
    with AnswerChecker(context.job.skill.checker) as checker:
        readable = checker.readable([e.answer for e in given])
        readable = [can or not e.graded for can, e in zip(readable, given, strict=True)]
    guard, kept = HeldOutGuard(context, _instruction([e.problem for e in given])), []
    seen: dict[str, str] = {}
    for exercise, checkable in zip(given, readable, strict=True):
        # Only the same text is the same question: questions with one long instruction are alike in most words.
        twin = seen.get(text := plain_text(exercise.problem))
        reason, detail = _fault(exercise, checkable, guard.clash(exercise.problem, exercise.solution), twin)
        if not reason:
            seen[text] = exercise.id
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


def _instruction(problems: Sequence[str]) -> str:
    """The long beginning that all problems share, whole words of it; "" where there is none."""
    first, last = min(problems), max(problems)  # in the alphabet: what these two share, all share
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)
    shared = first[: max(first.rfind(" ", 0, length), first.rfind("\n", 0, length)) + 1]
    return shared if len(shared.split()) >= _LONG else ""


def _fault(exercise: Exercise, checkable: bool, clash: str, twin: str | None) -> tuple[str, str]:
    """(reason, detail) why an exercise is not used; two empty texts if it is."""
    if not checkable:
        return "answer cannot be checked", exercise.answer[:SAMPLE_CHARS]
    if clash:
        return "held out", clash
    return ("duplicate", f"the same problem as {twin}") if twin else ("", "")


def _with_steps(exercise: Exercise) -> Exercise:
    return exercise.model_copy(update={"steps_right": arithmetic_steps(exercise.solution).all_right})
