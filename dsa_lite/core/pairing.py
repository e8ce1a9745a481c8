"""Which easy exercises are joined into a harder one (DSA, arXiv 2412.19361, "Compose"); the choice of pairs is ours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from dsa_lite.core.graph import SkillGraph
from dsa_lite.records import Exercise

Waiting = dict[str, dict[str, Exercise]]  # skill -> id -> exercise still free, in random order


def joint_skills(a: Exercise, b: Exercise, graph: SkillGraph) -> tuple[str, ...]:
    """Skills of both, prerequisite first; the higher of the two taught stands last, for that is what is taught."""
    last = max(a.skill, b.skill, key=graph.sort_key)
    return (*sorted({*a.skills, *b.skills} - {last}, key=graph.sort_key), last)


def pair(
    exercises: Sequence[Exercise], graph: SkillGraph, most: int, rng: np.random.Generator, max_skills: int = 3
) -> list[tuple[Exercise, Exercise]]:
    """At most `most` pairs (lower skill first), each exercise in at most one.

    The skill taught by one is an ancestor of the other's, or the same; their problems differ; together they use at
    most `max_skills` skills. The nearest ancestors are tried first, the same skill last. Skills take turns, in random
    order.
    """
    waiting: Waiting = defaultdict(dict)
    for i in rng.permutation(len(exercises)):
        waiting[exercises[i].skill][exercises[i].id] = exercises[i]
    skills = sorted(waiting, key=graph.sort_key)
    turns = {skills[i]: _pairs_of(skills[i], waiting, graph, max_skills) for i in rng.permutation(len(skills))}
    pairs: list[tuple[Exercise, Exercise]] = []
    while turns:
        for skill in list(turns):
            if len(pairs) == most:
                return pairs
            found = next(turns[skill], None)
            if found is None:
                del turns[skill]
            else:
                pairs.append(found)
    return pairs


def _pairs_of(skill: str, waiting: Waiting, graph: SkillGraph, max_skills: int) -> Iterator[tuple[Exercise, Exercise]]:
    """Pairs whose higher skill is this one. A yielded pair is no longer waiting."""
    related = [*(s for s in reversed(graph.ancestors(skill)) if s in waiting), skill]
    for id, exercise in list(waiting[skill].items()):
        if id not in waiting[skill]:  # taken by another skill meanwhile
            continue
        partner = _partner(exercise, related, waiting, max_skills)
        if partner is not None:
            del waiting[skill][id], waiting[partner.skill][partner.id]
            yield partner, exercise


def _partner(exercise: Exercise, related: Sequence[str], waiting: Waiting, max_skills: int) -> Exercise | None:
    text = " ".join(exercise.problem.split()).casefold()
    for skill in related:
        for other in waiting[skill].values():
            fits = len({*exercise.skills, *other.skills}) <= max_skills
            if fits and " ".join(other.problem.split()).casefold() != text:
                return other
    return None
