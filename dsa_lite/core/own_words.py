"""Exercises that the base solves already, in its own words instead of the teacher's.

Self-distillation (arXiv 2402.13669): another's way of writing what the student can do anyway teaches it nothing and
makes it forget its own. That whole skills are judged by a few exercises first, what is done where the two disagree, and
all figures, are ours.
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


def taken_over(answer: Graded, *, single: bool, check_steps: bool) -> OwnWords | None:
    """The base's solution of an exercise of a skill it knows. None, the teacher's words stay, where it has no answer,
    says it twice or calculates wrongly.

    Where its answer is another than the teacher's, nobody knows who is right: a `single` exercise has no solution then,
    and one that joins skills, whose form may be new to the base, stays as it is.
    """
    solution = before_answer(answer.reply)
    if answer.answer is None or solution is None:
        return None
    if not answer.correct:
        return OwnWords(id=answer.id, solution=None, answer=answer.answer, steps_right=None) if single else None
    steps = arithmetic_steps(solution)
    if check_steps and steps.all_right is False:
        return None
    return OwnWords(id=answer.id, solution=solution, answer=answer.answer, steps_right=steps.all_right)


def in_own_words(exercises: Iterable[Exercise], own: Sequence[OwnWords]) -> list[Exercise]:
    """The exercises as they are trained on: with the base's solution where it has one, without those left out."""
    words = {w.id: w.model_dump(exclude={"id"}) for w in own if w.solution is not None}
    left_out = {w.id for w in own} - words.keys()
    return [e.model_copy(update=words[e.id]) if e.id in words else e for e in exercises if e.id not in left_out]
