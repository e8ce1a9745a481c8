"""The base solves exercises: some of every skill, and all of those it knows in part; see `core.own_words`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from dsa_lite.core.encoding import encode_prompt
from dsa_lite.core.own_words import FIRST, nothing_to_learn, shares_right, taken_over
from dsa_lite.io.answers.checker import AnswerChecker
from dsa_lite.records import Exercise, HeldOutItem, OwnWords
from dsa_lite.stages import exercises as exercise_stage
from dsa_lite.stages.answering import answer
from dsa_lite.stages.context import Context
from dsa_lite.stages.learning import longest

BATCH = 128  # exercises solved at a time


def write(context: Context, stage: str) -> tuple[int, int]:
    """Find out what the base can do, and keep what follows from it.

    Returns the number of exercises in its own words, and of those left out.
    """
    settings, folder = context.config.rehearsal, context.folder
    if not settings.own_words:
        return 0, 0
    limit, tokenizer = longest(context), context.student.tokenizer
    exercises = [e for e in exercise_stage.load(context)
                 if e.graded and len(encode_prompt(tokenizer, e.problem)) < limit]  # fmt: skip
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
        shares = shares_right(folder.own_answers().read(), {e.id for e in first})
        left_out = _left_out(context, stage, exercises, shares)
        gone = {own.id for own in left_out}
        rest = [e for e in exercises if shares.get(e.skill, 0.0) >= settings.own_words and e.id not in gone]
        solve(rest, "exercises of what it knows in part")
    kept, check_steps = {e.id for e in rest}, context.config.exercises.verify != "none"
    answers = [g for g in folder.own_answers().read() if g.id in kept]
    words = [own for g in answers if (own := taken_over(g, check_steps=check_steps)) is not None]
    folder.write_own_words(sorted([*words, *left_out], key=lambda own: own.id))
    return len(words), len(left_out)


def knew(context: Context) -> set[str]:
    """The skills of which exercises are left out, since the base knew them before."""
    left_out = {own.id for own in context.folder.own_words().read() if own.solution is None}
    return {e.skill for e in exercise_stage.load(context) if e.id in left_out}


def _left_out(
    context: Context, stage: str, exercises: Sequence[Exercise], shares: dict[str, float]
) -> list[OwnWords]:  # fmt: skip
    known = {skill for skill, share in shares.items() if share >= context.config.rehearsal.known}
    found = nothing_to_learn(exercises, known)
    if len(found) == len(exercises):
        context.note(stage, "the student knows all of these skills already: nothing is left out", warning=True)
        return []
    return found


def first_of(context: Context, exercises: Sequence[Exercise]) -> list[Exercise]:
    """The exercises by which the skills are judged: single ones where there are any."""
    by_skill: dict[str, list[Exercise]] = defaultdict(list)
    for exercise in exercises:
        by_skill[exercise.skill].append(exercise)
    chosen = []
    for skill, same in sorted(by_skill.items()):
        single = [e for e in same if len(e.skills) == 1] or same
        chosen += [single[i] for i in context.rng("own words", skill).permutation(len(single))[:FIRST]]
    return chosen
