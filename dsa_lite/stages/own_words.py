"""The base solves exercises: some of every skill, and all of the skills it turns out to know; see `core.own_words`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from dsa_lite.core.encoding import encode_prompt
from dsa_lite.core.own_words import FIRST, known_skills, taken_over
from dsa_lite.io.answers.checker import AnswerChecker
from dsa_lite.records import Exercise, HeldOutItem
from dsa_lite.stages import exercises as exercise_stage
from dsa_lite.stages.answering import answer
from dsa_lite.stages.context import Context
from dsa_lite.stages.learning import longest

BATCH = 128  # exercises solved at a time


def write(context: Context, stage: str) -> tuple[int, int]:
    """Have the base solve what it can, and keep its solutions. Returns how many those are, and how many exercises are
    left out because its answer is another."""
    settings, folder = context.config.rehearsal, context.folder
    if not settings.own_words:
        return 0, 0
    limit = longest(context)
    tokenizer = context.student.tokenizer
    exercises = [e for e in exercise_stage.load(context) if len(encode_prompt(tokenizer, e.problem)) < limit]
    first = first_of(context, exercises)

    def solve(chosen: Sequence[Exercise], label: str) -> None:
        items = [HeldOutItem(id=e.id, problem=e.problem, answer=e.answer, topic=e.skill) for e in chosen]
        answer(
            context, checker, items, folder.own_answers(),
            lambda done, tokens: context.progress(stage, done, len(items), tokens, label),
            max_tokens=settings.max_tokens, batch_size=BATCH, limit=limit, adapter=False, whole=True,
        )  # fmt: skip

    with AnswerChecker(context.job.skill.checker) as checker:
        solve(first, "exercises, to see what it knows")
        known = known_skills(folder.own_answers().read(), {e.id for e in first}, settings.own_words)
        solve([e for e in exercises if e.skill in known], "exercises of what it knows")
    check_steps = context.config.exercises.verify != "none"
    answers = sorted((g for g in folder.own_answers().read() if g.topic in known), key=lambda g: g.id)
    single = {e.id for e in exercises if len(e.skills) == 1}
    words = [taken_over(g, single=g.id in single, check_steps=check_steps) for g in answers]
    found = [own for own in words if own is not None]
    folder.write_own_words(found)
    solved = sum(own.solution is not None for own in found)
    return solved, len(found) - solved


def first_of(context: Context, exercises: Sequence[Exercise]) -> list[Exercise]:
    """The exercises by which the skills are judged."""
    by_skill: dict[str, list[Exercise]] = defaultdict(list)
    for exercise in exercises:
        by_skill[exercise.skill].append(exercise)
    return [
        same[i]
        for skill, same in sorted(by_skill.items())
        for i in context.rng("own words", skill).permutation(len(same))[:FIRST]
    ]
