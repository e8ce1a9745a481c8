"""What the base can do already: skills it has nothing to learn in, and exercises in its own words, not the teacher's.

Self-distillation (arXiv 2402.13669): another's way of writing what the student can do anyway teaches it nothing and
makes it forget its own. That skills are judged by a few exercises first, what is left out, and all figures, are ours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from dsa_lite.core.escapes import BrokenText, restored
from dsa_lite.core.grading import before_answer
from dsa_lite.core.steps import arithmetic_steps
from dsa_lite.records import Exercise, Graded, OwnWords

#: Exercises by which it is judged whether the base knows a skill.
FIRST = 24


def shares_right(answers: Iterable[Graded], first: Collection[str]) -> dict[str, float]:
    """Of each skill, the share that the base solved of the exercises among the ids `first`."""
    right: dict[str, list[bool]] = defaultdict(list)
    for answer in answers:
        if answer.id in first:
            right[answer.topic].append(answer.correct)
    return {skill: sum(each) / len(each) for skill, each in right.items()}


def nothing_to_learn(exercises: Iterable[Exercise], known: Collection[str]) -> list[OwnWords]:
    """The exercises to be left out: single ones that the teacher wrote for skills the base knows.

    One that joins skills may have a form that is new to it, and what the user brings is always trained on.
    """
    return [
        OwnWords(id=e.id, solution=None, answer=e.answer)
        for e in exercises
        if e.skill in known and len(e.skills) == 1 and e.origin != "imported"
    ]


def taken_over(answer: Graded, *, check_steps: bool) -> OwnWords | None:
    """The base's solution of an exercise; None where it or a step is wrong, it says its answer twice or is no text."""
    solution = before_answer(answer.reply)
    if not answer.correct or answer.answer is None or solution is None:
        return None
    try:
        solution, said = restored(solution), restored(answer.answer)
    except BrokenText:
        return None
    steps = arithmetic_steps(solution)
    if check_steps and steps.all_right is False:
        return None
    return OwnWords(id=answer.id, solution=solution, answer=said, steps_right=steps.all_right)


def in_own_words(exercises: Iterable[Exercise], own: Sequence[OwnWords]) -> list[Exercise]:
    """The exercises as they are trained on: with the base's solution where it has one, without those left out."""
    words = {w.id: w.model_dump(exclude={"id"}) for w in own if w.solution is not None}
    left_out = {w.id for w in own} - words.keys()
    return [e.model_copy(update=words[e.id]) if e.id in words else e for e in exercises if e.id not in left_out]
