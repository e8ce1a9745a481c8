"""Exercises of social studies: short questions in both directions, claims, four choices, two events, centuries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from random import Random

from .social_facts import EVENT_YEARS, short, started
from .social_wordings import (
    BEFORE,
    CENTURY,
    CLAIMS,
    EARLIER,
    HELD_BEFORE,
    HELD_CENTURY,
    HELD_CLAIM,
    HELD_EARLIER,
    HELD_LATER,
    LATER,
    TOPICS,
    Topic,
)
from .steps import Item

SUBJECT = "Social studies"
NAMES = list(TOPICS)
LETTERS = "ABCD"
CHOICES = len(LETTERS)
ORDER, CENTURIES = "Order of events", "Centuries"
YEARS = dict(EVENT_YEARS)
#: How often each form comes, by difficulty: ask, back, claim, choice.
FORMS = {"easy": (6, 3, 1, 0), "medium": (4, 3, 1.5, 1.5), "hard": (3, 3, 1.5, 2.5)}


@dataclass(frozen=True)
class Asked:
    """A short question: an item, the name that its text mentions, and the name that it asks for."""

    item: Item
    known: str
    wanted: str


@cache
def ancestors(name: str) -> tuple[str, ...]:
    """Every topic that the named one builds on, directly or not, in the registry's order."""
    found: set[str] = set()
    for needed in TOPICS[name].needs:
        found |= {needed, *ancestors(needed)}
    return tuple(n for n in NAMES if n in found)


def item_of(topic: str, problem: str, told: str, answer: str) -> Item:
    """An exercise of one topic; `told` is its worked solution without the topic's name."""
    return Item((topic,), problem, f"{topic}: {told}", answer, f"{topic}|{problem}")


def filled(wording: str, x: str, y: str) -> str:
    """A wording with its names, begun with a capital."""
    return started(wording.format(x=x, y=y))


def asked(rng: Random, topic: Topic, fact: tuple[str, str], back: bool, held: bool = False) -> Asked:
    """A short question about one fact, from y to x when `back`."""
    x, y = fact
    if back:
        wording = rng.choice(topic.held_back if held else topic.back)
        told, known, wanted = topic.turned or topic.says, y, x
    else:
        wording = rng.choice(topic.held_ask if held else topic.ask)
        told, known, wanted = topic.says, x, y
    item = item_of(topic.name, filled(wording, x, y), filled(told, x, y), short(wanted))
    return Asked(item, known, wanted)


def choice(
    rng: Random, topic: Topic, fact: tuple[str, str], back: bool, held: bool = False, choices: int = CHOICES
) -> Item:
    """A question with choices, one of them right."""
    question = asked(rng, topic, fact, back, held)
    y = fact[1]
    pool = {short(a) for a, b in topic.facts if b != y} if back else {short(b) for _, b in topic.facts if b != y}
    options = rng.sample(sorted(pool), choices - 1)
    at = rng.randrange(choices)
    options.insert(at, question.item.answer)
    lettered = [f"{letter}) {option}" for letter, option in zip(LETTERS, options, strict=False)]
    told = question.item.solution.removeprefix(f"{topic.name}: ")
    # Going through the choices up to the right one makes the letter the last one written.
    told = f"{told} {' '.join(lettered[: at + 1])}. That is {LETTERS[at]}."
    return item_of(topic.name, f"{question.item.problem} {' '.join(lettered)}", told, LETTERS[at])


def claim(rng: Random, topic: Topic, fact: tuple[str, str], held: bool = False) -> Item:
    """A claim that is true or false."""
    x, y = fact
    right = rng.random() < 0.5
    told = y if right else rng.choice(sorted({b for _, b in topic.facts if b != y}))
    wording = topic.held_claim if held else rng.choice([topic.says, topic.turned or topic.says])
    frame = HELD_CLAIM if held else rng.choice(CLAIMS)
    verdict, found = ("true", "same") if right else ("false", "different")
    compared = f"{filled(topic.says, x, y)} {short(y)}, {short(told)}: {found}."
    return item_of(topic.name, frame.format(filled(wording, x, told)), compared, verdict)


def order(
    rng: Random, level: str, held: bool = False, given: str | None = None, years: Mapping[str, str] = YEARS,
    spelled: bool = True,
) -> Asked:  # fmt: skip
    """Two events: which came first, which later, or whether a claim about them is true.

    `spelled`: the solution also names the two in their order; one who writes from left to right needs that.
    """
    a, b = rng.sample(list(years), 2)
    if given is not None:
        a, b = given, b if b != given else a
    told = " ".join(f"{started(event)} was in {years[event]}." for event in (a, b))
    early, late = (a, b) if int(years[a]) < int(years[b]) else (b, a)
    compared = f"{years[early]} is before {years[late]}"
    named = f": {short(early)}, then {short(late)}" if spelled else ""
    if given is None and rng.random() < (0.1 if level == "easy" else 0.25):
        verdict = "true" if early == a else "false"
        said = started((HELD_BEFORE if held else BEFORE).format(a=a, b=b))
        problem = (HELD_CLAIM if held else rng.choice(CLAIMS)).format(said)
        return Asked(item_of(ORDER, problem, f"{told} {compared}.", verdict), a, verdict)
    first = rng.random() < 0.5
    wordings = (HELD_EARLIER if first else HELD_LATER) if held else EARLIER if first else LATER
    problem = started(rng.choice(wordings).format(a=a, b=b))
    wanted = early if first else late
    solution = f"{told} {compared}{named}, so {short(wanted)}."
    return Asked(item_of(ORDER, problem, solution, short(wanted)), a, wanted)


def century(rng: Random, held: bool = False, given: str | None = None, years: Mapping[str, str] = YEARS) -> Asked:
    """The century of an event: the hundreds of its year and one more."""
    event = given or rng.choice(list(years))
    hundreds = int(years[event]) // 100
    answer = str(hundreds + 1)
    problem = started(rng.choice(HELD_CENTURY if held else CENTURY).format(x=event))
    told = f"{started(event)} was in {years[event]}. {hundreds}+1={answer}, so {answer}."
    return Asked(item_of(CENTURIES, problem, told, answer), event, answer)


def question(rng: Random, name: str, held: bool = False) -> Asked:
    """A short question of the named topic whose answer is a name or a number."""
    if name == ORDER:
        return order(rng, "easy", held, rng.choice(list(YEARS)))
    if name == CENTURIES:
        return century(rng, held)
    topic = TOPICS[name]
    return asked(rng, topic, rng.choice(topic.facts), topic.both_ways and rng.random() < 0.4, held)


def make(
    rng: Random, name: str, level: str, held: bool = False, form: int | None = None, choices: int = CHOICES
) -> Item:
    """An exercise of the named topic; the form (0 ask, 1 back, 2 claim, 3 choice) is drawn where none is given."""
    if name == ORDER:
        return order(rng, level, held).item
    if name == CENTURIES:
        return century(rng, held).item
    topic = TOPICS[name]
    fact = rng.choice(topic.facts)
    form = rng.choices(range(4), FORMS[level])[0] if form is None else form
    if form == 1 and not topic.both_ways:
        # From y to x there are more answers than one: only choices settle which is meant.
        return choice(rng, topic, fact, True, held, choices)
    if form < 2:
        return asked(rng, topic, fact, form == 1, held).item
    if form == 2:
        return claim(rng, topic, fact, held)
    return choice(rng, topic, fact, rng.random() < 0.5, held, choices)
