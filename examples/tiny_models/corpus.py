"""The documents that the base student and the teacher are trained on, and the tokenizer's text.

A document is a list of (text, loss weight): what is asked weighs little, what is to be written
counts in full. No document holds a held-out exercise.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from random import Random

from .composing import compose, side_by_side
from .english import reading
from .heldout import is_held_out
from .kinds import BASE, KINDS, LEVELS, NAMES, SUBJECT, Item, always, ancestors
from .textbooks import passage
from .words import EVERY_WORD, INVENTED, MONTHS, PEOPLE, PLACES

Document = list[tuple[str, float]]
ASKED, WRITTEN = 0.1, 1.0
SLOW = ("Like terms", "Linear equations", "Division", "Factoring", "Multiplying powers", "Expanding brackets")
SLOW_WEIGHTS = (10, 5, 4, 4, 3, 3)
_PAIRS = [(old, name) for name in NAMES for old in ancestors(name)]
_BASE_PAIRS = [(one, two) for one in BASE for two in BASE]
_WEIGHTS = [KINDS[name].weight for name in NAMES]
_BASE_WEIGHTS = [KINDS[name].weight for name in BASE]


def _fresh(rng: Random, name: str, level: str) -> Item:
    return always(rng, name, level, is_held_out)


def chat(asked: str, written: str) -> Document:
    """A turn of the user and the assistant's reply."""
    return [(f"<|user|>{asked}<|assistant|>", ASKED), (f"{written}<|end|>", WRITTEN)]


def plain(text: str) -> Document:
    """A text on its own."""
    return [(f"<|text|>{text}<|end|>", WRITTEN)]


def student(item: Item) -> Document:
    """An exercise the way a student sees it."""
    return chat(item.problem, f"{item.solution}\nAnswer: {item.answer}")


def as_json(**fields: object) -> str:
    """Compact JSON with the keys in the order given."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def _exercise_json(item: Item) -> str:
    return as_json(problem=item.problem, solution=item.solution, answer=item.answer)


def _base_document(rng: Random) -> Document:
    share = rng.random()
    if share < 0.72:
        name = rng.choices(BASE, _BASE_WEIGHTS)[0]
        return student(_fresh(rng, name, rng.choice(LEVELS)))
    if share < 0.82:
        return student(compose(rng, rng.choice(_BASE_PAIRS), rng.choice(LEVELS), is_held_out))
    if share < 0.88:
        name = rng.choice(BASE)
        return plain(passage(rng, name, list(KINDS[name].prerequisites), _fresh))
    while True:
        item = reading(rng)
        if not is_held_out(item):
            return student(item)


def base_documents(seed: int) -> Iterator[Document]:
    """Endless documents for the base student: no calculus in them."""
    rng = Random(seed)
    while True:
        yield _base_document(rng)


def revision_documents(seed: int) -> Iterator[Document]:
    """Half the usual mix, half what takes longest to learn: for a last phase of training."""
    rng = Random(seed)
    while True:
        share = rng.random()
        if share < 0.5:
            yield _base_document(rng)
        elif share < 0.9:
            yield student(_fresh(rng, rng.choices(SLOW, SLOW_WEIGHTS)[0], rng.choice(LEVELS[1:])))
        elif not is_held_out(item := reading(rng)):
            yield student(item)


def _some_skill(rng: Random) -> str:
    return rng.choices(NAMES, _WEIGHTS)[0]


def _some_pair(rng: Random) -> tuple[str, str]:
    """An ancestor and its skill: every skill that has ancestors is as likely as any other."""
    while True:
        name = _some_skill(rng)
        if ancestors(name):
            return rng.choice(ancestors(name)), name


def _task(task: str, *lines: str) -> str:
    return "\n".join((f"task: {task}", f"subject: {SUBJECT}", *lines))


def prerequisites(rng: Random) -> Document:
    """The direct prerequisites of a skill; one answer in twenty is wrong."""
    name = rng.choice(NAMES)
    needs = list(KINDS[name].prerequisites)
    if rng.random() < 0.05:
        others = [n for n in NAMES if n not in needs and n != name]
        needs = needs[1:] if needs and rng.random() < 0.5 else [*needs[:2], rng.choice(others)]
    return chat(_task("prerequisites", f"skill: {name}"), as_json(prerequisites=needs))


def textbook(rng: Random) -> Document:
    """A passage on a skill, on the prerequisites that the request names."""
    name = rng.choice(NAMES)
    needs = list(KINDS[name].prerequisites)
    if rng.random() < 0.3:
        needs = needs[: rng.randint(0, len(needs))]
    elif rng.random() < 0.2 and ancestors(name):
        needs = [n for n in needs if rng.random() < 0.7] + [rng.choice(ancestors(name))]
        needs = list(dict.fromkeys(needs))
    asked = _task("textbook", f"skills: {name}", f"prerequisites: {'; '.join(needs) or 'none'}")
    return chat(asked, passage(rng, name, needs, _fresh))


def exercise(rng: Random) -> Document:
    """A fresh exercise of one skill."""
    name, level = _some_skill(rng), rng.choice(LEVELS)
    asked = _task("exercise", f"skills: {name}", f"difficulty: {level}")
    return chat(asked, _exercise_json(_fresh(rng, name, level)))


def composed(rng: Random) -> Document:
    """A fresh exercise of a skill and one that it builds on."""
    pair, level = _some_pair(rng), rng.choice(LEVELS)
    asked = _task("exercise", f"skills: {'; '.join(pair)}", f"difficulty: {level}")
    return chat(asked, _exercise_json(compose(rng, pair, level, is_held_out)))


def _harder(level: str) -> str:
    return LEVELS[min(2, LEVELS.index(level) + 1)]


def variant(rng: Random) -> Document:
    """Another exercise of the same form as the one given, at least as hard."""
    level = rng.choice(LEVELS)
    after = level if rng.random() < 0.5 else _harder(level)
    if rng.random() < 0.7:
        name = _some_skill(rng)
        given, new, skills = _fresh(rng, name, level), _fresh(rng, name, after), name
        while new.key == given.key:
            new = _fresh(rng, name, after)
    else:
        pair = _some_pair(rng)
        skills = "; ".join(pair)
        given, new = _alike(rng, pair, level, after)
    return chat(_task("variant", f"skills: {skills}", f"problem: {given.problem}"), _exercise_json(new))


def _alike(rng: Random, pair: tuple[str, str], level: str, after: str) -> tuple[Item, Item]:
    """Two composed exercises in the same form."""
    given = compose(rng, pair, level, is_held_out)
    for _ in range(8):
        new = compose(rng, pair, after, is_held_out)
        if new.problem[:5] == given.problem[:5]:
            return given, new
    return new, compose(rng, pair, after, is_held_out)


def joined_pair(rng: Random) -> Document:
    """A harder problem that joins two given ones, with their numbers as far as the form allows."""
    one, two = _some_pair(rng) if rng.random() < 0.8 else (_some_skill(rng),) * 2
    level, seed = rng.choice(("easy", "easy", "medium")), rng.getrandbits(48)
    first = _fresh(rng, one, level)
    second = _fresh(Random(seed), two, level)
    if one == two:
        item = side_by_side((first, second))
    else:
        item = compose(rng, (one, two), _harder(level), is_held_out, first, seed)
    asked = _task("compose", f"skills: {one}; {two}", f"problem: {first.problem}", f"problem: {second.problem}")
    return chat(asked, _exercise_json(item))


def solving(rng: Random) -> Document:
    """A given problem, solved."""
    if rng.random() < 0.6:
        item = _fresh(rng, _some_skill(rng), rng.choice(LEVELS))
    else:
        item = compose(rng, _some_pair(rng), rng.choice(LEVELS), is_held_out)
    return chat(_task("solve", f"problem: {item.problem}"), as_json(solution=item.solution, answer=item.answer))


TASKS = {
    "exercise": (exercise, 40),
    "composed": (composed, 20),
    "variant": (variant, 10),
    "compose": (joined_pair, 10),
    "solve": (solving, 8),
    "textbook": (textbook, 9),
    "prerequisites": (prerequisites, 3),
}


def teacher_documents(seed: int) -> Iterator[Document]:
    """Endless documents for the teacher: every request that the product sends, answered."""
    rng = Random(seed)
    makers, weights = [t[0] for t in TASKS.values()], [t[1] for t in TASKS.values()]
    while True:
        yield rng.choices(makers, weights)[0](rng)


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
            _task("exercise", f"skills: {skill}; {other}", f"difficulty: {rng.choice(LEVELS)}"),
            _task(rng.choice(("variant", "compose", "solve")), f"skills: {skill}", "problem: Compute", "problem: Find"),
            _task("textbook", f"skills: {skill}", "prerequisites: none") + _task("prerequisites", f"skill: {other}"),
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
