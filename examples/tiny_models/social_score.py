"""How good the two models are at social studies, by the recipe's own reading of their words; see `score`."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Sequence
from random import Random
from typing import Any

from dsa_lite.config import TeacherSettings
from dsa_lite.core.prompts import Prompts
from dsa_lite.io.skills import load_skill
from dsa_lite.records import Exercise, HeldOutItem, Skill
from dsa_lite.student import Student
from dsa_lite.teacher import Request, Teacher

from .kinds import LEVELS
from .score import SETTINGS, answers_right, names_skills, score_exercises, share, solved
from .social_composing import compose
from .social_heldout import FOLDER
from .social_kinds import NAMES, ancestors, make, question
from .social_reading import reading
from .social_solver import same, solve
from .steps import Item


def score_social_student(student: Student) -> dict[str, Any]:
    """Shares right on exercises whose (untrue) facts stand in their text, and on the skill's own questions."""
    rng = Random(4321)
    read = [reading(rng) for _ in range(300)]
    forms = [
        HeldOutItem(id=f"read-{i}", problem=item.problem, answer=item.answer, topic="Reading")
        for i, item in enumerate(read)
    ]
    held_out = load_skill(str(FOLDER)).held_out
    sets: dict[str, Sequence[HeldOutItem]] = {"forms": forms, **{n: held_out[n] for n in ("eval", "transfer")}}
    scores: dict[str, Any] = {}
    for name, items in sets.items():
        by_topic: dict[str, list[bool]] = defaultdict(list)
        for item, right in zip(items, answers_right(student, items, same), strict=True):
            by_topic[item.topic].append(right)
        scores[name] = share([r for results in by_topic.values() for r in results])
        scores[f"{name} by topic"] = {topic: share(results) for topic, results in by_topic.items()}
    return scores


def score_social_teacher(teacher: Teacher, per_topic: int, seed: int = 0) -> dict[str, Any]:
    """Shares of each kind of request that come back well-formed, and of the exercises that are right."""
    settings = TeacherSettings.model_validate(tomllib.loads(SETTINGS.read_text(encoding="utf-8"))["teacher"])
    prompts, rng = Prompts(load_skill(str(FOLDER)), settings, seed), Random(seed)
    scores: dict[str, Any] = {}
    for task, requests in _requests(prompts, rng, per_topic).items():
        scores[task] = score_exercises(teacher.write(requests.values()), solve, same)
    problems = {f"solve-{i}": _problem(rng).problem for i in range(per_topic * len(NAMES) // 2)}
    asked = [prompts.solve(id, [_skill(NAMES[0])], problem, max_tokens=300) for id, problem in problems.items()]
    scores["solve"] = share([solved(r, solve(problems[r.id]), same) for r in teacher.write(asked)])
    needs = [prompts.prerequisites(f"need-{n}", _skill(n), NAMES, limit=4, max_tokens=96) for n in NAMES]
    scores["prerequisites"] = share([names_skills(r, NAMES) for r in teacher.write(needs)])
    books = [prompts.textbook(f"text-{n}-{i}", _skill(n), [], max_tokens=384) for n in NAMES for i in range(4)]
    scores["textbook"] = share([r.finish == "stop" and "xample" in r.text for r in teacher.write(books)])
    return scores


def _skill(name: str) -> Skill:
    return Skill(id=name, name=name)


def _problem(rng: Random) -> Item:
    name = rng.choice(NAMES)
    if rng.random() < 0.7 or not ancestors(name):
        return make(rng, name, rng.choice(LEVELS))
    return compose(rng, (rng.choice(ancestors(name)), name))


def _exercise(item: Item) -> Exercise:
    return Exercise(id=item.key, problem=item.problem, solution=item.solution, answer=item.answer,
                    skills=item.skills, origin="single")  # fmt: skip


def _requests(prompts: Prompts, rng: Random, per_topic: int) -> dict[str, dict[str, Request]]:
    requests: dict[str, dict[str, Request]] = {"single": {}, "composed": {}, "variant": {}, "compose": {}}
    for name in NAMES:
        for i in range(per_topic):
            id, parent = f"{name}-{i}", _exercise(make(rng, name, LEVELS[i % 3]))
            requests["single"][id] = prompts.exercise(id, [_skill(name)], LEVELS[i % 3], max_tokens=300)
            requests["variant"][id] = prompts.remake(id, [_skill(name)], [parent], max_tokens=300)
            if ancestors(name):
                old = rng.choice(ancestors(name))
                pair = [_skill(old), _skill(name)]
                parents = [_exercise(question(rng, n).item) for n in (old, name)]
                requests["composed"][id] = prompts.exercise(id, pair, LEVELS[i % 3], max_tokens=300)
                requests["compose"][id] = prompts.remake(id, pair, parents, max_tokens=300)
    return requests
