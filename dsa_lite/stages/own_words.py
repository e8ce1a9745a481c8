"""Exercises that the base already solves are trained on in its own words, not in the teacher's.

Self-distillation (arXiv 2402.13669): another's way of writing what the student can do anyway teaches it nothing and
makes it forget its own. Whole skills are found out by a few of their exercises; a solution is taken over only where its
answer is the teacher's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from dsa_lite.core.estimates import FIRST
from dsa_lite.core.grading import before_answer
from dsa_lite.io.answers.checker import AnswerChecker
from dsa_lite.records import Exercise, Graded, HeldOutItem
from dsa_lite.stages import answering
from dsa_lite.stages import exercises as exercise_stage
from dsa_lite.stages.context import Context


def write(context: Context, stage: str) -> int:
    """Have the base solve some exercises of every skill, and all of those it knows. Returns how many it solved."""
    if not context.config.rehearsal.own_words:
        return 0
    exercises, log = exercise_stage.load(context), context.folder.own_words()

    def solve(chosen: Sequence[Exercise], label: str) -> None:
        items = [HeldOutItem(id=e.id, problem=e.problem, answer=e.answer, topic=e.skill) for e in chosen]
        answering.answer(
            context, checker, items, log, lambda done, n: context.progress(stage, done, len(items), n, label),
            adapter=False,
        )  # fmt: skip

    with AnswerChecker(context.job.skill.checker) as checker:
        solve(_first(context, exercises), "what it knows")
        known = _known(context, exercises)
        solve([e for e in exercises if e.skill in known], "its own words")
    return len(load(context))


def load(context: Context) -> dict[str, Graded]:
    """What the base solved of the skills it knows, by the exercise's id."""
    known = _known(context, exercise_stage.load(context))
    return {g.id: g for g in context.folder.own_words().read() if g.correct and g.topic in known}


def in_own_words(exercises: Iterable[Exercise], solved: Mapping[str, Graded]) -> list[Exercise]:
    """The exercises, with the base's solution where it has one."""
    return [_reworded(e, solved[e.id]) if e.id in solved else e for e in exercises]


def _reworded(exercise: Exercise, own: Graded) -> Exercise:
    return exercise.model_copy(update={"solution": before_answer(own.reply), "answer": own.answer})


def _first(context: Context, exercises: Sequence[Exercise]) -> list[Exercise]:
    by_skill: dict[str, list[Exercise]] = defaultdict(list)
    for exercise in exercises:
        by_skill[exercise.skill].append(exercise)
    return [
        same[i]
        for skill, same in sorted(by_skill.items())
        for i in context.rng("own words", skill).permutation(len(same))[:FIRST]
    ]


def _known(context: Context, exercises: Sequence[Exercise]) -> set[str]:
    """The skills of which the base solves the share that the settings ask for."""
    first = {e.id for e in _first(context, exercises)}
    right: dict[str, list[bool]] = defaultdict(list)
    for graded in context.folder.own_words().read():
        if graded.id in first:
            right[graded.topic].append(graded.correct)
    share = context.config.rehearsal.own_words
    return {skill for skill, each in right.items() if sum(each) >= share * len(each)}
