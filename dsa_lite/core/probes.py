"""Probes: exercises that are wrong by construction, to measure what an error's loss looks like.

DSA (arXiv 2412.19361) measures a baseline on constructed error examples and does not say how they are made: ours.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction

import numpy as np

from dsa_lite.records import Exercise

NUMBER = re.compile(r"\d{1,18}(?:\.\d{1,9})?")
FRACTION = re.compile(r"-?\d{1,18}(?:\.\d{1,9}|/\d{1,18})?")
Wrong = tuple[str, str, tuple[str, ...]]  # solution, answer, ids of the exercises it was made from


def make_probes(exercises: Sequence[Exercise], n: int, rng: np.random.Generator) -> list[Exercise]:
    """At most n wrong exercises "probe-0001", …, spread over the skills; `parents` says what they were made from.

    Half have another exercise's solution and answer (of the same skill where one differs), half one number changed, in
    the answer and at the end of the solution. Where one kind cannot be made the other is; every exercise gives at most
    one of each. An answer is never one that is right for the same problem, as far as its writing shows.
    """
    ordered = sorted(exercises, key=lambda e: e.id)
    right: dict[str, set[str]] = defaultdict(set)
    for exercise in ordered:
        right[_squeezed(exercise.problem)].add(_said(exercise))
    turns = list(_turns(ordered, rng))
    by_skill = _by_skill(ordered)
    probes: list[Exercise] = []
    made: set[tuple[object, ...]] = set()  # texts, and which kinds an exercise has given
    for turn, exercise in [*turns, *((turn + 1, exercise) for turn, exercise in turns)]:
        known = right[_squeezed(exercise.problem)]
        for swap in (turn % 2 == 0, turn % 2 == 1):
            if len(probes) == n:
                return probes
            found = _swapped(exercise, by_skill, ordered, known, rng) if swap else _perturbed(exercise, known, rng)
            text = (exercise.problem, *found[:2]) if found else ()
            if found and text not in made and (exercise.id, swap) not in made:
                made |= {text, (exercise.id, swap)}
                probes.append(_probe(len(probes) + 1, exercise, found))
                break
    return probes


def _probe(number: int, exercise: Exercise, wrong: Wrong) -> Exercise:
    solution, answer, parents = wrong
    return Exercise(
        id=f"probe-{number:04d}", problem=exercise.problem, solution=solution, answer=answer, skills=exercise.skills,
        origin=exercise.origin, round=exercise.round, parents=parents, difficulty=exercise.difficulty,
    )  # fmt: skip


def _by_skill(exercises: Sequence[Exercise]) -> dict[str, list[Exercise]]:
    groups: dict[str, list[Exercise]] = defaultdict(list)
    for exercise in exercises:
        groups[exercise.skill].append(exercise)
    return groups


def _turns(exercises: Sequence[Exercise], rng: np.random.Generator) -> Iterator[tuple[int, Exercise]]:
    """(number, exercise): one of each skill, then a second of each, and so on, in random order."""
    groups = _by_skill(exercises)
    skills = sorted(groups)
    skills = [skills[i] for i in rng.permutation(len(skills))]
    shuffled = [[groups[s][i] for i in rng.permutation(len(groups[s]))] for s in skills]
    for lap in range(max(map(len, shuffled), default=0)):
        for place, group in enumerate(shuffled):
            if lap < len(group):
                yield lap + place, group[lap]


def _swapped(
    exercise: Exercise, by_skill: Mapping[str, Sequence[Exercise]], everything: Sequence[Exercise], right: set[str],
    rng: np.random.Generator,
) -> Wrong | None:  # fmt: skip
    """Another exercise's solution and answer."""
    for pool in (by_skill[exercise.skill], everything):
        start = int(rng.integers(len(pool)))
        for other in (*pool[start:], *pool[:start]):
            if _said(other) not in right and other.solution != exercise.solution:
                return other.solution, other.answer, (exercise.id, other.id)
    return None


def _perturbed(exercise: Exercise, right: set[str], rng: np.random.Generator) -> Wrong | None:
    """One number of the answer changed, and with it the last place in the solution that says the same."""
    numbers = list(NUMBER.finditer(exercise.answer))
    for i in rng.permutation(len(numbers)):
        old, (start, end) = numbers[i].group(), numbers[i].span()
        new = _other_number(old, rng)
        answer = exercise.answer[:start] + new + exercise.answer[end:]
        if _value(answer) in right:
            continue
        said = re.compile(rf"(?<![\w.]){re.escape(exercise.answer)}(?!\w|\.\d)")
        solution = _replace_last(exercise.solution, list(said.finditer(exercise.solution)), answer)
        if solution == exercise.solution:
            same = [m for m in NUMBER.finditer(solution) if m.group() == old]
            solution = _replace_last(solution, same, new)
        return solution, answer, (exercise.id,)
    return None


def _replace_last(text: str, found: Sequence[re.Match[str]], new: str) -> str:
    return text[: found[-1].start()] + new + text[found[-1].end() :] if found else text


def _other_number(text: str, rng: np.random.Generator) -> str:
    """Another number of the same form, 1 to 5 units of the last digit away and above zero."""
    whole, _, decimals = text.partition(".")
    value, step = int(whole + decimals), int(rng.integers(1, 6))
    value += step if value <= step or rng.random() < 0.5 else -step
    digits = str(value).zfill(len(decimals) + 1)
    return f"{digits[: -len(decimals)]}.{digits[-len(decimals) :]}" if decimals else digits


def _said(exercise: Exercise) -> str:
    """What is right for its problem: the answer's key; of an open-ended one its whole reply."""
    return _value(exercise.answer) if exercise.graded else _squeezed(exercise.solution)


def _squeezed(text: str) -> str:
    return "".join(text.split()).casefold()


def _value(answer: str) -> str:
    """A key that is the same for answers that may be equal: numbers by value, anything else by the characters in it."""
    text = _squeezed(answer).replace("$", "").replace("−", "-")
    if FRACTION.fullmatch(text):
        with suppress(ZeroDivisionError):
            return str(Fraction(text))
    return "".join(sorted(text))
