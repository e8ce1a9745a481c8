"""The teacher's documents on social studies: every request that the product sends, answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from . import teaching
from .corpus import Document, as_json, chat
from .corpus import task as request
from .kinds import LEVELS
from .social_composing import compose, join
from .social_kinds import CHOICES, NAMES, SUBJECT, ancestors, make, question
from .social_textbooks import passage
from .social_wordings import TOPICS
from .steps import Item

#: Share of social studies in the teacher's last training; the rest repeats the two before it, half and half.
SHARE = 0.35
#: What it still got wrong after that, and after the next.
WEAK = ("Books", "Continents", "Currencies", "Forms of government", "Landmarks", "Order of events")
WEAKEST = (*WEAK, "Languages", "Leaders", "Economic terms", "Order of events", "Order of events")
#: It cannot make up four choices, of which one and only one is right; two or three it can.
FEW = (2, 2, 3)
#: Topics with composed exercises, each as likely as another.
_JOINED = [name for name in NAMES if ancestors(name)]


def _task(name: str, *lines: str) -> str:
    return request(name, *lines, subject=SUBJECT)


def _json(item: Item) -> str:
    return as_json(problem=item.problem, solution=item.solution, answer=item.answer)


def _pair(rng: Random) -> tuple[str, str]:
    name = rng.choice(_JOINED)
    return rng.choice(ancestors(name)), name


@dataclass(frozen=True)
class Draw:
    """What documents are drawn from. `choices`: how many a question with choices may have. `short`: exercises are
    short questions alone, without claims and choices."""

    rng: Random
    choices: Sequence[int] = (CHOICES,)
    short: bool = False

    def make(self, name: str, level: str, form: int | None = None) -> Item:
        """An exercise of one topic."""
        if self.short:
            return question(self.rng, name).item
        return make(self.rng, name, level, form=form, choices=self.rng.choice(self.choices))


def prerequisites(draw: Draw) -> Document:
    """The direct prerequisites of a topic."""
    name = draw.rng.choice(NAMES)
    return chat(_task("prerequisites", f"skill: {name}"), as_json(prerequisites=list(TOPICS[name].needs)))


def textbook(draw: Draw) -> Document:
    """A passage on a topic, on the prerequisites that the request names."""
    name = draw.rng.choice(NAMES)
    needs = list(TOPICS[name].needs)
    if draw.rng.random() < 0.2:
        needs = needs[: draw.rng.randint(0, len(needs))]
    asked = _task("textbook", f"skills: {name}", f"prerequisites: {'; '.join(needs) or 'none'}")
    return chat(asked, passage(draw.rng, name, needs))


def exercise(draw: Draw, topics: Sequence[str] = NAMES) -> Document:
    """An exercise of one of the topics."""
    name, level = draw.rng.choice(topics), draw.rng.choice(LEVELS)
    return chat(_task("exercise", f"skills: {name}", f"difficulty: {level}"), _json(draw.make(name, level)))


def composed(draw: Draw) -> Document:
    """An exercise of a topic and one that it builds on."""
    pair, level = _pair(draw.rng), draw.rng.choice(LEVELS)
    return chat(_task("exercise", f"skills: {'; '.join(pair)}", f"difficulty: {level}"), _json(compose(draw.rng, pair)))


def variant(draw: Draw) -> Document:
    """Another exercise of the topic, or of the two topics, of the one given; mostly in the same form."""
    if draw.rng.random() < 0.7:
        skills, level = draw.rng.choice(NAMES), draw.rng.choice(LEVELS)
        form = draw.rng.choice((0, 0, 0, 1, 1, 2, 3))
        given, new = (draw.make(skills, level, form=form) for _ in range(2))
        while new.problem == given.problem:
            new = draw.make(skills, level, form=form)
    else:
        pair = _pair(draw.rng)
        skills = "; ".join(pair)
        given, new = compose(draw.rng, pair), compose(draw.rng, pair)
        while new.problem == given.problem:
            new = compose(draw.rng, pair)
    return chat(_task("variant", f"skills: {skills}", f"problem: {given.problem}"), _json(new))


def joined(draw: Draw) -> Document:
    """One problem that joins two given ones."""
    one, two = _pair(draw.rng) if draw.rng.random() < 0.8 else (draw.rng.choice(NAMES),) * 2
    first, second = question(draw.rng, one), question(draw.rng, two)
    asked = _task(
        "compose", f"skills: {one}; {two}", f"problem: {first.item.problem}", f"problem: {second.item.problem}"
    )
    return chat(asked, _json(join(draw.rng, first, second)))


def solving(draw: Draw) -> Document:
    """A given problem, solved."""
    rng = draw.rng
    item = draw.make(rng.choice(NAMES), rng.choice(LEVELS)) if rng.random() < 0.6 else compose(rng, _pair(rng))
    return chat(_task("solve", f"problem: {item.problem}"), as_json(solution=item.solution, answer=item.answer))


TASKS: dict[str, tuple[Callable[[Draw], Document], float]] = {
    "exercise": (exercise, 44),
    "composed": (composed, 18),
    "variant": (variant, 10),
    "compose": (joined, 8),
    "solve": (solving, 8),
    "textbook": (textbook, 9),
    "prerequisites": (prerequisites, 3),
}


def social_documents(seed: int, choices: Sequence[int] = (CHOICES,), *, short: bool = False) -> Iterator[Document]:
    """Endless documents of social studies alone. `choices`, `short`: see `Draw`."""
    draw = Draw(Random(seed), choices, short)
    makers: Sequence[Callable[[Draw], Document]] = [maker for maker, _ in TASKS.values()]
    weights = [weight for _, weight in TASKS.values()]
    while True:
        yield draw.rng.choices(makers, weights)[0](draw)


def both_documents(seed: int) -> Iterator[Document]:
    """Endless documents for the teacher's training on both skills."""
    rng = Random(seed)
    known = [teaching.practice_documents(seed), teaching.revision_documents(seed + 1)]
    new = social_documents(seed)
    while True:
        yield next(new) if rng.random() < SHARE else next(rng.choice(known))


def equal_documents(seed: int) -> Iterator[Document]:
    """Endless documents for the teacher's fifth training: as many of one skill as of the other."""
    rng = Random(seed)
    known, new = teaching.dividing_documents(seed), social_documents(seed)
    while True:
        kind = rng.random()
        yield next(known) if kind < 0.5 else exercise(Draw(rng), WEAK) if kind < 0.62 else next(new)


def choosing_documents(seed: int) -> Iterator[Document]:
    """Endless documents for the teacher's last training: what it still got wrong, and few choices."""
    rng = Random(seed)
    known, new, draw = teaching.weak_documents(seed), social_documents(seed, FEW), Draw(rng, FEW)
    while True:
        kind = rng.random()
        yield next(known) if kind < 0.5 else exercise(draw, WEAKEST) if kind < 0.65 else next(new)


def few_choice_documents(seed: int) -> Iterator[Document]:
    """Endless documents for a teacher that begins at the student: as many of one skill as of the other, few choices."""
    rng = Random(seed)
    known, new = teaching.dividing_documents(seed), social_documents(seed, FEW)
    while True:
        yield next(known) if rng.random() < 0.5 else next(new)


def short_documents(seed: int) -> Iterator[Document]:
    """Endless documents for the teacher of social studies alone: short questions, which it can make up."""
    return social_documents(seed, short=True)
