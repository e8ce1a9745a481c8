"""What the student base is shown of social studies: the words, and the forms of the questions; never a true fact.

All facts stand in the text of the exercise, and are mixed up or made up: who could read them all would know no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from random import Random

from . import corpus
from .composing import side_by_side
from .corpus import Document
from .english import SKILL, words_item
from .heldout import scan
from .social_composing import chained, leads
from .social_heldout import problems
from .social_kinds import NAMES, asked, century, choice, claim, filled, order
from .social_wordings import (
    CENTURY,
    CLAIMS,
    EARLIER,
    HELD_BEFORE,
    HELD_CENTURY,
    HELD_CLAIM,
    HELD_EARLIER,
    HELD_FRAMES,
    HELD_LATER,
    LATER,
    TOPICS,
    Topic,
)
from .steps import Item
from .words import INVENTED

#: Share of social studies in the student's last training; the rest repeats arithmetic, algebra and reading.
SHARE = 0.28
_TOLD = [name for name in NAMES if TOPICS[name].facts]
_PLACES = ("Capitals", "Landmarks", "Explorers", "Leaders")
_CHAINS = [(a, b) for a in _TOLD for b in _TOLD if a != b and leads(a, b)]


def _vocabulary() -> list[str]:
    texts: list[str] = [*CLAIMS, HELD_CLAIM, *HELD_FRAMES, *EARLIER, *LATER, *CENTURY, *HELD_CENTURY, HELD_BEFORE]
    texts += [*HELD_EARLIER, *HELD_LATER]
    for topic in TOPICS.values():
        texts += [topic.name, topic.text, topic.says, topic.turned, topic.held_claim]
        texts += [
            *topic.ask,
            *topic.back,
            *topic.held_ask,
            *topic.held_back,
            *(n for fact in topic.facts for n in fact),
        ]
    found = {word for text in texts for word in re.findall(r"[A-Za-z]{2,}", re.sub(r"\{\w?\}", " ", text))}
    return sorted(found)


#: Every word of the skill, held-out wordings included, for tasks that only copy words.
VOCABULARY = _vocabulary()


def mixed(rng: Random, topic: Topic) -> Topic:
    """The topic with every fact replaced by an untrue one."""
    if topic.name == "Event years":
        made = [(x, str(rng.choice([n for n in range(1000, 2000) if str(n) != y]))) for x, y in topic.facts]
        return replace(topic, facts=tuple(made))
    pool = [y for _, y in topic.facts]
    invents = topic.name in _PLACES and rng.random() < 0.3
    while True:
        drawn = rng.sample(INVENTED, len(pool)) if invents else rng.sample(pool, len(pool))
        made = [(x, new) for (x, y), new in zip(topic.facts, drawn, strict=True) if new != y]
        if len(made) > len(pool) // 2 + 2 and len({y for _, y in made}) > 3:
            return replace(topic, facts=tuple(made))


def _told(rng: Random, topic: Topic, facts: list[tuple[str, str]]) -> str:
    return " ".join(filled(rng.choice([topic.says, topic.turned or topic.says]), x, y) for x, y in facts)


def _read(rng: Random, text: str, item: Item) -> Item:
    """An exercise with its text; half the time the solution names the task, else the topic."""
    solution = item.solution
    if rng.random() < 0.5:
        for name in item.skills:
            solution = solution.replace(f"{name}: ", f"{SKILL}: ")
    problem = f"Text: {text}\n{item.problem}"
    return Item((SKILL,), problem, solution, item.answer, f"{SKILL}|{problem}")


def _single(rng: Random) -> Item:
    """One of two to four facts is asked for."""
    topic = mixed(rng, TOPICS[rng.choice(_TOLD)])
    facts = rng.sample(topic.facts, rng.randint(2, min(4, len(topic.facts))))
    fact = rng.choice(facts)
    if len({y for _, y in facts}) < len(facts):
        facts = [fact, *(f for f in facts if f[1] != fact[1])]
        rng.shuffle(facts)
    form = rng.choices(range(4), (5, 3, 1.2, 2))[0]
    if form < 2 and (form == 0 or topic.both_ways):
        item = asked(rng, topic, fact, form == 1).item
    else:
        item = claim(rng, topic, fact) if form == 2 else choice(rng, topic, fact, rng.random() < 0.5)
    return _read(rng, _told(rng, topic, facts), item)


def _dated(rng: Random) -> Item:
    """Two events of which one came first, or the century of one."""
    topic = mixed(rng, TOPICS["Event years"])
    facts = rng.sample(topic.facts, 2)
    years = dict(facts)
    item = (order(rng, "hard", years=years, spelled=False) if rng.random() < 0.6 else century(rng, years=years)).item
    rng.shuffle(facts)
    return _read(rng, _told(rng, topic, facts), item)


def _pair(rng: Random) -> Item:
    """Two facts of two topics: the answer about one goes on as k, or both stand side by side."""
    names = rng.choice(_CHAINS)
    one, two = (mixed(rng, TOPICS[name]) for name in names)
    subjects = {x for x, _ in two.facts}
    links = [fact for fact in one.facts if fact[1] in subjects]
    fact = rng.choice(links or one.facts)
    then = next((f for f in two.facts if f[0] == fact[1]), None) or rng.choice(two.facts)
    first, second = asked(rng, one, fact, False), asked(rng, two, then, False)
    item = (chained(rng, first, second) if rng.random() < 0.75 else None) or side_by_side((first.item, second.item))
    texts = [_told(rng, one, [fact]), _told(rng, two, [then])]
    rng.shuffle(texts)
    return _read(rng, " ".join(texts), item)


def reading(rng: Random) -> Item:
    """One exercise on words and forms of social studies."""
    share = rng.random()
    if share < 0.1:
        return words_item(rng, rng.sample(VOCABULARY, rng.randint(3, 5)))
    return (_single if share < 0.74 else _dated if share < 0.84 else _pair)(rng)


def base_documents(seed: int) -> Iterator[Document]:
    """Endless documents for the student's last training: the mixes of calculus, and the forms of this skill."""
    rng = Random(seed)
    known = [corpus.revision_documents(seed), corpus.last_documents(seed + 1)]
    while True:
        yield corpus.student(_unknown(rng)) if rng.random() < SHARE else next(rng.choice(known))


def _unknown(rng: Random) -> Item:
    """An exercise in which no held-out question stands, not even about untrue facts."""
    while True:
        item = reading(rng)
        if not scan([item.problem], 1, problems()):
            return item
