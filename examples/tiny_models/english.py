"""Plain-English reading exercises about made-up facts, with whole texts and short answers.

They show the base student English words as words: to find, to copy, to choose. They never say
what a word of the calculus syllabus means.
"""

from __future__ import annotations

from random import Random

from .kinds import NAMES, Item
from .words import COLORS, EVERY_WORD, INVENTED, JOBS, MONTHS, PEOPLE, PLACES, SOCIAL, THINGS

SKILL = "Reading"
_ORDER = ("first", "second", "third", "fourth", "last")
_LETTERS = "ABCD"
_CAPITALS = [*NAMES, "Differentiate", "Integrate", "Find the derivative", "Find the slope", "Find the integral", "Find"]
Fact = tuple[str, str, str, str]


def _item(problem: str, found: str, answer: str) -> Item:
    return Item((SKILL,), problem, f"{SKILL}: {found}", answer, f"{SKILL}|{problem}")


def _person_fact(rng: Random, who: str) -> Fact:
    """A sentence, the question that it answers, the answer, and the kind of the answer."""
    form = rng.randrange(9)
    place, thing = rng.choice(PLACES + INVENTED[:60]), rng.choice(THINGS)
    job, color = rng.choice(JOBS), rng.choice(COLORS)
    return (
        (f"{who} lives in {place}.", f"Where does {who} live?", place, "place"),
        (f"{who} sells {thing}.", f"What does {who} sell?", thing, "thing"),
        (f"{who} is a {job}.", f"What is {who}?", job, "job"),
        (f"{who}'s coat is {color}.", f"What color is {who}'s coat?", color, "color"),
        (f"{who} likes {thing}.", f"What does {who} like?", thing, "thing"),
        (f"{who} works in {place}.", f"Where does {who} work?", place, "place"),
        (f"{who} was born in {rng.choice(MONTHS)}.", f"When was {who} born?", "", "month"),
        (f"{who} buys {thing}.", f"What does {who} buy?", thing, "thing"),
        (f"{who} met a {job} in {place}.", f"Whom did {who} meet?", job, "job"),
    )[form]


def _place_fact(rng: Random, where: str) -> Fact:
    form = rng.randrange(9)
    other, thing, year = rng.choice(INVENTED), rng.choice(THINGS), str(rng.randint(1100, 1999))
    king, topic = rng.choice(PEOPLE), rng.choice(SOCIAL)
    return (
        (f"The capital of {where} is {other}.", f"What is the capital of {where}?", other, "place"),
        (f"{where} was founded in {year}.", f"When was {where} founded?", year, "year"),
        (f"The king of {where} was {king}.", f"Who was the king of {where}?", king, "person"),
        (f"{where} is known for its {thing}.", f"What is {where} known for?", thing, "thing"),
        (
            f"In {year} the people of {where} voted for a new {topic}.",
            f"When did the people of {where} vote?",
            year,
            "year",
        ),
        (f"The river {other} flows through {where}.", f"Which river flows through {where}?", other, "place"),
        (f"The tax in {where} was paid in {thing}.", f"How was the tax in {where} paid?", thing, "thing"),
        (f"{where} traded {thing} with {other}.", f"Who traded with {where}?", other, "place"),
        (f"The law of {where} protects the {topic}.", f"What does the law of {where} protect?", topic, "topic"),
    )[form]


_POOLS = {
    "place": [*PLACES, *INVENTED[:60]],
    "thing": THINGS,
    "job": JOBS,
    "color": COLORS,
    "month": MONTHS,
    "person": PEOPLE,
    "topic": SOCIAL,
    "year": [str(y) for y in range(1100, 2000)],
}


def _facts(rng: Random, count: int) -> list[Fact]:
    if rng.random() < 0.5:
        facts = [_person_fact(rng, who) for who in rng.sample(PEOPLE, count)]
    else:
        facts = [_place_fact(rng, where) for where in rng.sample(INVENTED, count)]
    return [(s, q, a or s.rstrip(".").rsplit(" ", 1)[1], kind) for s, q, a, kind in facts]


def _reading(rng: Random) -> Item:
    facts = _facts(rng, rng.randint(2, 4))
    sentence, question, answer, _ = rng.choice(facts)
    text = " ".join(fact[0] for fact in facts)
    return _item(f"Text: {text}\n{question}", sentence, answer)


def _choice(rng: Random) -> Item:
    facts = _facts(rng, rng.randint(1, 3))
    sentence, question, answer, kind = rng.choice(facts)
    others = rng.sample([w for w in _POOLS[kind] if w != answer], 3)
    at = rng.randrange(4)
    others.insert(at, answer)
    choices = " ".join(f"{letter}) {word}" for letter, word in zip(_LETTERS, others, strict=True))
    text = " ".join(fact[0] for fact in facts)
    problem = f"Text: {text}\n{question} {choices}"
    # Going through the choices up to the right one makes the letter the last one written.
    passed = " ".join(f"{letter}) {word}" for letter, word in zip(_LETTERS[: at + 1], others, strict=False))
    return _item(problem, f"{sentence} {passed}. That is {_LETTERS[at]}.", _LETTERS[at])


def _words(rng: Random) -> Item:
    count = rng.randint(3, 5)
    words = rng.sample(EVERY_WORD, count)
    if rng.random() < 0.5:
        # Problems and solutions begin with a capital: an exercise's verb, a skill's name.
        words = [word.capitalize() for word in words]
        words[rng.randrange(count)] = rng.choice(_CAPITALS)
    return words_item(rng, words)


def words_item(rng: Random, words: list[str]) -> Item:
    """Three to five words, one of which is asked for by its place."""
    at = rng.randrange(len(words))
    order = _ORDER[at] if at < len(words) - 1 else "last"
    if rng.random() < 0.4:
        first = f"{words[0]} is the first word, then come {', '.join(words[1:])}."
        return _item(f"{first}\nWhich word is {order}?", f"the {order} word is {words[at]}.", words[at])
    return _item(f"Words: {', '.join(words)}.\nWhich word is {order}?", f"the {order} word is {words[at]}.", words[at])


def _truth(rng: Random) -> Item:
    facts = _facts(rng, rng.randint(1, 2))
    sentence, _, answer, kind = rng.choice(facts)
    claimed = answer if rng.random() >= 0.5 else rng.choice([w for w in _POOLS[kind] if w != answer])
    text = " ".join(fact[0] for fact in facts)
    verdict, found = ("true", "same") if claimed == answer else ("false", "different")
    problem = f"Text: {text}\nTrue or false: {sentence.replace(answer, claimed)}"
    return _item(problem, f"{sentence} {answer}, {claimed}: {found}.", verdict)


#: How often each form comes: finding an answer, choosing one, picking a word, judging a sentence.
USUAL = (4.0, 3.0, 2.2, 1.0)
CHOOSING = (2.0, 6.0, 1.0, 4.0)


def reading(rng: Random, shares: tuple[float, ...] = USUAL) -> Item:
    """One reading exercise."""
    return rng.choices((_reading, _choice, _words, _truth), shares)[0](rng)
