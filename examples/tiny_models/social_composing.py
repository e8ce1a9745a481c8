"""Social-studies exercises that join topics: an answer goes on as k, or the parts stand side by side."""

from __future__ import annotations

import re
from functools import cache
from random import Random

from .composing import side_by_side
from .social_facts import EVENT_YEARS, started
from .social_kinds import CENTURIES, NAMES, ORDER, Asked, ancestors, asked, century, order, question
from .social_wordings import TOPICS
from .steps import Item

_EVENTS = frozenset(event for event, _ in EVENT_YEARS)
_SENTENCE = re.compile(r"(?<=[.?]) ")
LET = "Let k be the answer to: "


@cache
def entries(name: str) -> frozenset[str]:
    """The names that a short question of the topic can be about."""
    if name in (ORDER, CENTURIES):
        return _EVENTS
    topic = TOPICS[name]
    return frozenset(x for x, _ in topic.facts) | frozenset(y for _, y in topic.facts if topic.both_ways)


@cache
def openings(name: str, then: str) -> tuple[tuple[tuple[str, str], bool], ...]:
    """The (fact, back) of a topic whose answer a question of the topic `then` can be about."""
    topic, known = TOPICS[name], entries(then)
    forward = [(fact, False) for fact in topic.facts if fact[1] in known]
    return (*forward, *((fact, True) for fact in topic.facts if topic.both_ways and fact[0] in known))


def leads(name: str, then: str) -> bool:
    """Whether an answer of one topic can be what a question of the other is about."""
    return bool(openings(name, then)) or (name == ORDER and entries(then) >= _EVENTS)


def about(rng: Random, name: str, thing: str) -> Asked | None:
    """A short question of a topic about the thing named."""
    if thing not in entries(name):
        return None
    if name == ORDER:
        return order(rng, "easy", given=thing)
    if name == CENTURIES:
        return century(rng, given=thing)
    topic = TOPICS[name]
    fact, back = rng.choice(
        [(f, i == 1) for f in topic.facts for i in (0, 1) if f[i] == thing and (topic.both_ways or not i)]
    )
    return asked(rng, topic, fact, back)


def chained(rng: Random, first: Asked, second: Asked) -> Item | None:
    """The first question, whose answer the second one is about; None where the second does not name it once."""
    text = second.item.problem
    name = second.known if second.known in text else started(second.known)
    if first.wanted != second.known or text.count(name) != 1:
        return None
    # In a chain only the last sentence still asks something; the ones before it are kept.
    *kept, asks = _SENTENCE.split(first.item.problem)
    problem = " ".join([*kept, f"{LET}{asks}", text.replace(name, "k")])
    solution = f"{first.item.solution} k={first.item.answer}. {second.item.solution}"
    skills = (*first.item.skills, *second.item.skills)
    parts = (*(first.item.parts or (first.item,)), second.item)
    return Item(skills, problem, solution, second.item.answer, f"{' & '.join(p.key for p in parts)} chain", parts)


def chain(rng: Random, names: tuple[str, ...]) -> Item | None:
    """A chain through the topics in the order given; None where this try leads nowhere."""
    ways = openings(names[0], names[1])
    if ways:
        fact, back = rng.choice(ways)
        first = asked(rng, TOPICS[names[0]], fact, back)
    elif names[0] == ORDER:
        first = question(rng, ORDER)
    else:
        return None
    for name in names[1:]:
        second = about(rng, name, first.wanted)
        item = second and chained(rng, first, second)
        if second is None or item is None:
            return None
        first = Asked(item, first.known, second.wanted)
    return first.item


def compose(rng: Random, pair: tuple[str, str]) -> Item:
    """An exercise of a topic and one that it builds on: a chain either way round, or side by side."""
    ways = [names for names in (pair, pair[::-1]) if leads(*names)]
    for _ in range(8 if ways else 0):
        item = chain(rng, rng.choice(ways))
        if item is not None:
            return item
    return side_by_side(tuple(question(rng, name).item for name in pair))


def join(rng: Random, first: Asked, second: Asked) -> Item:
    """Two given questions in one, with their own words as far as the form allows."""
    for one, two in ((first, second), (second, first)):
        item = chained(rng, one, two)
        if item is not None:
            return item
    return side_by_side((first.item, second.item))


def unasked(names: tuple[str, ...]) -> bool:
    """Whether the teacher is never asked to join these topics: three of them, or two that do not need each other."""
    one, two = names[0], names[-1]
    return len(names) > 2 or (one != two and one not in ancestors(two) and two not in ancestors(one))


@cache
def unasked_ways() -> tuple[tuple[str, ...], ...]:
    """Chains of two and three topics that the teacher is never asked for."""
    pairs = [(a, b) for a in NAMES for b in NAMES if a != b and leads(a, b)]
    threes = [(a, b, c) for a, b in pairs for d, c in pairs if d == b and c != a]
    return tuple(names for names in (*pairs, *threes) if unasked(names))
