"""The teacher's documents on social studies: every request that the product sends, answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random

from . import teaching
from .corpus import Document, as_json, chat
from .corpus import task as request
from .kinds import LEVELS
from .social_composing import compose, join
from .social_kinds import NAMES, SUBJECT, ancestors, make, question
from .social_textbooks import passage
from .social_wordings import TOPICS
from .steps import Item

#: Share of social studies in the teacher's last training; the rest repeats the two before it, half and half.
SHARE = 0.35
#: What it still got wrong after that.
WEAK = ("Books", "Continents", "Currencies", "Forms of government", "Landmarks", "Order of events")
#: Topics with composed exercises, each as likely as another.
_JOINED = [name for name in NAMES if ancestors(name)]


def _task(name: str, *lines: str) -> str:
    return request(name, *lines, subject=SUBJECT)


def _json(item: Item) -> str:
    return as_json(problem=item.problem, solution=item.solution, answer=item.answer)


def _pair(rng: Random) -> tuple[str, str]:
    name = rng.choice(_JOINED)
    return rng.choice(ancestors(name)), name


def prerequisites(rng: Random) -> Document:
    """The direct prerequisites of a topic."""
    name = rng.choice(NAMES)
    return chat(_task("prerequisites", f"skill: {name}"), as_json(prerequisites=list(TOPICS[name].needs)))


def textbook(rng: Random) -> Document:
    """A passage on a topic, on the prerequisites that the request names."""
    name = rng.choice(NAMES)
    needs = list(TOPICS[name].needs)
    if rng.random() < 0.2:
        needs = needs[: rng.randint(0, len(needs))]
    asked = _task("textbook", f"skills: {name}", f"prerequisites: {'; '.join(needs) or 'none'}")
    return chat(asked, passage(rng, name, needs))


def exercise(rng: Random, topics: Sequence[str] = NAMES) -> Document:
    """An exercise of one of the topics."""
    name, level = rng.choice(topics), rng.choice(LEVELS)
    return chat(_task("exercise", f"skills: {name}", f"difficulty: {level}"), _json(make(rng, name, level)))


def composed(rng: Random) -> Document:
    """An exercise of a topic and one that it builds on."""
    pair, level = _pair(rng), rng.choice(LEVELS)
    return chat(_task("exercise", f"skills: {'; '.join(pair)}", f"difficulty: {level}"), _json(compose(rng, pair)))


def variant(rng: Random) -> Document:
    """Another exercise of the topic, or of the two topics, of the one given; mostly in the same form."""
    if rng.random() < 0.7:
        skills, level = rng.choice(NAMES), rng.choice(LEVELS)
        form = rng.choice((0, 0, 0, 1, 1, 2, 3))
        given, new = (make(rng, skills, level, form=form) for _ in range(2))
        while new.problem == given.problem:
            new = make(rng, skills, level, form=form)
    else:
        pair = _pair(rng)
        skills = "; ".join(pair)
        given, new = compose(rng, pair), compose(rng, pair)
        while new.problem == given.problem:
            new = compose(rng, pair)
    return chat(_task("variant", f"skills: {skills}", f"problem: {given.problem}"), _json(new))


def joined(rng: Random) -> Document:
    """One problem that joins two given ones."""
    one, two = _pair(rng) if rng.random() < 0.8 else (rng.choice(NAMES),) * 2
    first, second = question(rng, one), question(rng, two)
    asked = _task(
        "compose", f"skills: {one}; {two}", f"problem: {first.item.problem}", f"problem: {second.item.problem}"
    )
    return chat(asked, _json(join(rng, first, second)))


def solving(rng: Random) -> Document:
    """A given problem, solved."""
    item = make(rng, rng.choice(NAMES), rng.choice(LEVELS)) if rng.random() < 0.6 else compose(rng, _pair(rng))
    return chat(_task("solve", f"problem: {item.problem}"), as_json(solution=item.solution, answer=item.answer))


TASKS: dict[str, tuple[Callable[[Random], Document], float]] = {
    "exercise": (exercise, 44),
    "composed": (composed, 18),
    "variant": (variant, 10),
    "compose": (joined, 8),
    "solve": (solving, 8),
    "textbook": (textbook, 9),
    "prerequisites": (prerequisites, 3),
}


def social_documents(seed: int) -> Iterator[Document]:
    """Endless documents of social studies alone."""
    rng = Random(seed)
    makers: Sequence[Callable[[Random], Document]] = [maker for maker, _ in TASKS.values()]
    weights = [weight for _, weight in TASKS.values()]
    while True:
        yield rng.choices(makers, weights)[0](rng)


def both_documents(seed: int) -> Iterator[Document]:
    """Endless documents for the teacher's training on both skills."""
    rng = Random(seed)
    known = [teaching.practice_documents(seed), teaching.revision_documents(seed + 1)]
    new = social_documents(seed)
    while True:
        yield next(new) if rng.random() < SHARE else next(rng.choice(known))


def last_documents(seed: int) -> Iterator[Document]:
    """Endless documents for the teacher's last training: as many of one skill as of the other."""
    rng = Random(seed)
    known, new = teaching.last_documents(seed), social_documents(seed)
    while True:
        kind = rng.random()
        yield next(known) if kind < 0.5 else exercise(rng, WEAK) if kind < 0.62 else next(new)
