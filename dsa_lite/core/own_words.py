"""Exercises that the base solves already, in its own words instead of the teacher's.

Self-distillation (arXiv 2402.13669): another's way of writing what the student can do anyway teaches it nothing and
makes it forget its own. That whole skills are judged by a few exercises first, and all figures, are ours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from dsa_lite.core.grading import before_answer
from dsa_lite.core.steps import arithmetic_steps
from dsa_lite.records import Exercise, Graded, OwnWords

#: Exercises by which it is judged whether the base knows a skill.
FIRST = 12


def known_skills(answers: Iterable[Graded], first: Collection[str], share: float) -> set[str]:
    """The skills of which the base solved at least `share` of those among the ids `first`."""
    right: dict[str, list[bool]] = defaultdict(list)
    for answer in answers:
        if answer.id in first:
            right[answer.topic].append(answer.correct)
    return {skill for skill, each in right.items() if sum(each) >= share * len(each)}


def taken_over(answer: Graded, *, check_steps: bool) -> OwnWords | None:
    """The base's solution of an exercise; None where it is wrong, says its answer twice, or calculates wrongly."""
    solution = before_answer(answer.reply)
    if not answer.correct or answer.answer is None or solution is None:
        return None
    steps = arithmetic_steps(solution)
    if check_steps and steps.all_right is False:
        return None
    return OwnWords(id=answer.id, solution=solution, answer=answer.answer, steps_right=steps.all_right)


def in_own_words(exercises: Iterable[Exercise], own: Sequence[OwnWords]) -> list[Exercise]:
    """The exercises as they are trained on: with the base's solution where it has one."""
    words = {w.id: w.model_dump(exclude={"id"}) for w in own}
    return [e.model_copy(update=words[e.id]) if e.id in words else e for e in exercises]
