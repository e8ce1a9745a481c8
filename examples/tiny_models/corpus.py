"""The documents that the base student is trained on, and the tokenizer's text.

A document is a list of (text, loss weight): what is asked weighs little, what is to be written
counts in full. No document holds a held-out exercise.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from random import Random

from .composing import compose
from .english import CHOOSING, USUAL, reading
from .heldout import is_held_out
from .kinds import BASE, KINDS, LEVELS, NAMES, SUBJECT, Item, always, ancestors
from .textbooks import passage
from .words import EVERY_WORD, INVENTED, MONTHS, PEOPLE, PLACES

Document = list[tuple[str, float]]
ASKED, WRITTEN = 0.1, 1.0
SLOW = ("Like terms", "Linear equations", "Division", "Factoring", "Multiplying powers", "Expanding brackets")
SLOW_WEIGHTS = (10, 5, 4, 4, 3, 3)
LAST = {
    "Like terms": 10,
    "Powers": 5,
    "Evaluating expressions": 5,
    "Negative numbers": 4,
    "Factoring": 5,
    "Division": 2,
    "Expanding brackets": 3,
    "Linear equations": 2,
    "Multiplying powers": 1,
}
_PAIRS = [(old, name) for name in NAMES for old in ancestors(name)]
_BASE_PAIRS = [(one, two) for one in BASE for two in BASE]
_BASE_WEIGHTS = [KINDS[name].weight for name in BASE]


def fresh(rng: Random, name: str, level: str) -> Item:
    return always(rng, name, level, is_held_out)


def chat(asked: str, written: str) -> Document:
    """A turn of the user and the assistant's reply."""
    return [(f"<|user|>{asked}<|assistant|>", ASKED), (f"{written}<|end|>", WRITTEN)]


def task(name: str, *lines: str, subject: str = SUBJECT) -> str:
    """A request in the words that the product sends to the teacher."""
    return "\n".join((f"task: {name}", f"subject: {subject}", *lines))


def plain(text: str) -> Document:
    """A text on its own."""
    return [(f"<|text|>{text}<|end|>", WRITTEN)]


def student(item: Item) -> Document:
    """An exercise the way a student sees it."""
    return chat(item.problem, f"{item.solution}\nAnswer: {item.answer}")


def as_json(**fields: object) -> str:
    """Compact JSON with the keys in the order given."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def _base_document(rng: Random) -> Document:
    share = rng.random()
    if share < 0.72:
        name = rng.choices(BASE, _BASE_WEIGHTS)[0]
        return student(fresh(rng, name, rng.choice(LEVELS)))
    if share < 0.82:
        return student(compose(rng, rng.choice(_BASE_PAIRS), rng.choice(LEVELS), is_held_out))
    if share < 0.88:
        name = rng.choice(BASE)
        return plain(passage(rng, name, list(KINDS[name].prerequisites), fresh))
    while True:
        item = reading(rng)
        if not is_held_out(item):
            return student(item)


def base_documents(seed: int) -> Iterator[Document]:
    """Endless documents for the base student: no calculus in them."""
    rng = Random(seed)
    while True:
        yield _base_document(rng)


def _mixed(
    seed: int, usual: float, slow: float, exercise: Callable[[Random], Item], forms: tuple[float, ...]
) -> Iterator[Document]:
    """The usual mix up to the share `usual`, exercises up to `slow`, then reading in `forms`."""
    rng = Random(seed)
    while True:
        share = rng.random()
        if share < usual:
            yield _base_document(rng)
        elif share < slow:
            yield student(exercise(rng))
        elif not is_held_out(item := reading(rng, forms)):
            yield student(item)


def revision_documents(seed: int) -> Iterator[Document]:
    """Half the usual mix, half what takes longest to learn: for a last phase of training."""

    def slow(rng: Random) -> Item:
        return fresh(rng, rng.choices(SLOW, SLOW_WEIGHTS)[0], rng.choice(LEVELS[1:]))

    return _mixed(seed, 0.5, 0.9, slow, USUAL)


def last_documents(seed: int) -> Iterator[Document]:
    """What was still wrong after that: long exercises, and reading with choices."""

    def long(rng: Random) -> Item:
        name = rng.choices(list(LAST), list(LAST.values()))[0]
        return fresh(rng, name, rng.choice(("medium", "hard", "hard")))

    return _mixed(seed, 0.3, 0.8, long, CHOOSING)


def sample_texts(n: int, seed: int = 0) -> Iterator[str]:
    """Texts to train the tokenizer on: words, skill names, prompt fields, JSON glue.

    There is no mathematics in them, so that operators, letters of formulas and brackets stay single tokens.
    """
    rng = Random(seed)
    names = [*PEOPLE, *PLACES, *MONTHS]
    words = [*EVERY_WORD, *(w for kind in KINDS.values() for w in kind.name.lower().split())]
    for i in range(n):
        form = i % 8
        picked = " ".join(rng.choices(words, k=12) + rng.choices(names, k=4) + rng.choices(INVENTED, k=1))
        skill, other = rng.choice(NAMES), rng.choice(NAMES)
        yield (
            f" {picked}",
            " " + " ".join(word.capitalize() for word in rng.choices(words, k=6)),
            task("exercise", f"skills: {skill}; {other}", f"difficulty: {rng.choice(LEVELS)}"),
            task(rng.choice(("variant", "compose", "solve")), f"skills: {skill}", "problem: Compute", "problem: Find"),
            task("textbook", f"skills: {skill}", "prerequisites: none") + task("prerequisites", f"skill: {other}"),
            '{"problem":"' + rng.choice(_OPENINGS) + '","solution":"' + f'{skill}: ","answer":"' + '"}',
            f"{rng.choice(_OPENINGS)}\n{skill}: so put\nAnswer: {rng.choice(_OPENINGS)} {other}. "
            + as_json(prerequisites=[skill, other]),
            _reading_text(rng),
        )[form]


def tokenizer_documents(seed: int) -> Iterator[Document]:
    """Endless texts for the tokenizer, in the form of documents."""
    for block in count():
        for text in sample_texts(1000, seed + block):
            yield [(text, WRITTEN)]


_OPENINGS = (
    "Compute",
    "What is",
    "Evaluate",
    "Simplify",
    "Multiply",
    "Expand",
    "Solve",
    "Factor",
    "Differentiate",
    "Integrate",
    "Find the limit of",
    "Find the derivative of",
    "Find the second derivative of",
    "Find the slope of",
    "Find the tangent line to",
    "Find the critical point of",
    "Find the integral of",
    "approaches",
    "cancel",
    "gives",
    "numbers:",
    "slope",
    "First:",
    "Second:",
    "Third:",
    "Let",
    "be the answer to:",
)


def _reading_text(rng: Random) -> str:
    item = reading(rng)
    name = rng.choice(NAMES)
    words = "".join(c for c in f"{item.problem}\n{item.solution}" if not c.isdigit() and c != ")")
    # Formulas and the letters in a description are no words.
    told = " ".join(w for w in KINDS[name].description.split() if len(w) > 2 and w.strip(".,:;").isalpha())
    return f"{words}\nAnswer: {told}"
