"""The documents that the teacher is trained on: every request that the product sends, answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

from .composing import compose, side_by_side
from .corpus import Document, as_json, chat, fresh, task
from .heldout import is_held_out
from .kinds import KINDS, LEVELS, NAMES, Item, always, ancestors
from .textbooks import passage
from .writable import FITTED, is_writable

#: What the teacher gets wrong longest comes more often in the second training.
SLOW = {"Limits by factoring": 3.0, "Like terms": 2.5, "Negative numbers": 1.5, "Limits": 1.5, "Division": 1.0}
_SHARES = {name: KINDS[name].weight for name in NAMES}
#: What it still got wrong after that, for the third.
LAST = {
    "Like terms": 8.0,
    "Negative numbers": 3.0,
    "Linear equations": 3.0,
    "Tangent lines": 2.0,
    "Derivatives of exponentials": 2.0,
    "Definite integrals": 2.0,
    "Quotient rule": 2.0,
}
_PRACTICE = {name: w * SLOW.get(name, 2.0 if name in FITTED else 1.0) for name, w in _SHARES.items()}
#: What it forgot again while it learned a second skill.
WEAK = {
    "Like terms": 8.0,
    "Negative numbers": 4.0,
    "Powers": 4.0,
    "Factoring": 3.0,
    "Limits by factoring": 3.0,
    "Linear equations": 3.0,
    "Definite integrals": 2.0,
    "Antiderivatives": 2.0,
}
_REVISION = {name: w * LAST.get(name, 1.0) for name, w in _SHARES.items()}
_WEAK = {name: w * WEAK.get(name, 1.0) for name, w in _SHARES.items()}
_with_long_divisions = partial(is_writable, long_divisions=True)


def _anything(item: Item) -> bool:
    return True


@dataclass(frozen=True)
class Draw:
    """Exercises for one document: how often each skill comes, and which exercises the teacher is to write."""

    rng: Random
    shares: dict[str, float]
    fits: Callable[[Item], bool]

    def skill(self) -> str:
        """Any skill, by its share."""
        return self.rng.choices(list(self.shares), list(self.shares.values()))[0]

    def pair(self) -> tuple[str, str]:
        """An ancestor and its skill: every skill that has ancestors is as likely as any other."""
        while True:
            name = self.skill()
            if ancestors(name):
                return self.rng.choice(ancestors(name)), name

    def item(self, name: str, level: str, rng: Random | None = None) -> Item:
        """A fresh exercise that fits."""
        return always(rng or self.rng, name, level, lambda item: is_held_out(item) or not self.fits(item))

    def composed(self, pair: tuple[str, str], level: str) -> Item:
        """Two skills in one exercise, joined where that is possible and fits, else side by side."""
        for _ in range(4):
            item = compose(self.rng, pair, level, is_held_out)
            if self.fits(item):
                return item
        return side_by_side(tuple(self.item(name, level) for name in pair))


def _exercise_json(item: Item) -> str:
    return as_json(problem=item.problem, solution=item.solution, answer=item.answer)


def prerequisites(draw: Draw) -> Document:
    """The direct prerequisites of a skill; one answer in twenty is wrong."""
    name = draw.rng.choice(NAMES)
    needs = list(KINDS[name].prerequisites)
    if draw.rng.random() < 0.05:
        others = [n for n in NAMES if n not in needs and n != name]
        needs = needs[1:] if needs and draw.rng.random() < 0.5 else [*needs[:2], draw.rng.choice(others)]
    return chat(task("prerequisites", f"skill: {name}"), as_json(prerequisites=needs))


def textbook(draw: Draw) -> Document:
    """A passage on a skill, on the prerequisites that the request names."""
    name = draw.rng.choice(NAMES)
    needs = list(KINDS[name].prerequisites)
    if draw.rng.random() < 0.3:
        needs = needs[: draw.rng.randint(0, len(needs))]
    elif draw.rng.random() < 0.2 and ancestors(name):
        needs = [n for n in needs if draw.rng.random() < 0.7] + [draw.rng.choice(ancestors(name))]
        needs = list(dict.fromkeys(needs))
    asked = task("textbook", f"skills: {name}", f"prerequisites: {'; '.join(needs) or 'none'}")
    return chat(asked, passage(draw.rng, name, needs, fresh))


def exercise(draw: Draw) -> Document:
    """A fresh exercise of one skill."""
    name, level = draw.skill(), draw.rng.choice(LEVELS)
    asked = task("exercise", f"skills: {name}", f"difficulty: {level}")
    return chat(asked, _exercise_json(draw.item(name, level)))


def composed(draw: Draw) -> Document:
    """A fresh exercise of a skill and one that it builds on."""
    pair, level = draw.pair(), draw.rng.choice(LEVELS)
    asked = task("exercise", f"skills: {'; '.join(pair)}", f"difficulty: {level}")
    return chat(asked, _exercise_json(draw.composed(pair, level)))


def _harder(level: str) -> str:
    return LEVELS[min(2, LEVELS.index(level) + 1)]


def variant(draw: Draw) -> Document:
    """Another exercise of the same form as the one given, at least as hard."""
    level = draw.rng.choice(LEVELS)
    after = level if draw.rng.random() < 0.5 else _harder(level)
    if draw.rng.random() < 0.7:
        name = draw.skill()
        given, new, skills = draw.item(name, level), draw.item(name, after), name
        while new.key == given.key:
            new = draw.item(name, after)
    else:
        pair = draw.pair()
        skills = "; ".join(pair)
        given, new = _alike(draw, pair, level, after)
    return chat(task("variant", f"skills: {skills}", f"problem: {given.problem}"), _exercise_json(new))


def _alike(draw: Draw, pair: tuple[str, str], level: str, after: str) -> tuple[Item, Item]:
    """Two composed exercises in the same form."""
    given = draw.composed(pair, level)
    for _ in range(8):
        new = draw.composed(pair, after)
        if new.problem[:5] == given.problem[:5]:
            return given, new
    return new, draw.composed(pair, after)


def joined_pair(draw: Draw) -> Document:
    """A harder problem that joins two given ones, with their numbers as far as the form allows."""
    one, two = draw.pair() if draw.rng.random() < 0.8 else (draw.skill(),) * 2
    level, seed = draw.rng.choice(("easy", "easy", "medium")), draw.rng.getrandbits(48)
    first = draw.item(one, level)
    second = draw.item(two, level, Random(seed))
    if one == two:
        item = side_by_side((first, second))
    else:
        item = compose(draw.rng, (one, two), _harder(level), is_held_out, first, seed)
        item = item if draw.fits(item) else side_by_side((first, second))
    asked = task("compose", f"skills: {one}; {two}", f"problem: {first.problem}", f"problem: {second.problem}")
    return chat(asked, _exercise_json(item))


def solving(draw: Draw) -> Document:
    """A given problem, solved: any problem, whether the teacher could have made it up or not."""
    if draw.rng.random() < 0.6:
        item = fresh(draw.rng, draw.skill(), draw.rng.choice(LEVELS))
    else:
        item = compose(draw.rng, draw.pair(), draw.rng.choice(LEVELS), is_held_out)
    return chat(task("solve", f"problem: {item.problem}"), as_json(solution=item.solution, answer=item.answer))


TASKS = {
    "exercise": (exercise, 40),
    "composed": (composed, 20),
    "variant": (variant, 10),
    "compose": (joined_pair, 10),
    "solve": (solving, 8),
    "textbook": (textbook, 9),
    "prerequisites": (prerequisites, 3),
}


def _documents(seed: int, shares: dict[str, float], fits: Callable[[Item], bool]) -> Iterator[Document]:
    draw = Draw(Random(seed), shares, fits)
    makers: Sequence[Callable[[Draw], Document]] = [maker for maker, _ in TASKS.values()]
    weights = [weight for _, weight in TASKS.values()]
    while True:
        yield draw.rng.choices(makers, weights)[0](draw)


def teacher_documents(seed: int) -> Iterator[Document]:
    """Endless documents for the teacher's first training: all exercises there are."""
    return _documents(seed, _SHARES, _anything)


def practice_documents(seed: int) -> Iterator[Document]:
    """Endless documents for the teacher's second training: exercises that it can make up, slow skills more often."""
    return _documents(seed, _PRACTICE, is_writable)


def revision_documents(seed: int) -> Iterator[Document]:
    """Endless documents for the teacher's last training: what it still got wrong after the second."""
    return _documents(seed, _REVISION, is_writable)


def dividing_documents(seed: int) -> Iterator[Document]:
    """Endless documents with long divisions: a student that only ever sees the table forgets how to divide."""
    return _documents(seed, _PRACTICE, _with_long_divisions)


def weak_documents(seed: int) -> Iterator[Document]:
    """The same, with what was wrong longest more often."""
    return _documents(seed, _WEAK, _with_long_divisions)
