"""Textbook passages of social studies: what a topic is about, some of its facts, worked examples, homework."""

from __future__ import annotations

from random import Random

from .social_kinds import CENTURIES, ORDER, filled, make, question
from .social_wordings import TOPICS
from .textbooks import begun

#: Characters after which nothing more is added, so that every passage fits a row of training and a run's limit.
LONG = 560


def passage(rng: Random, name: str, needs: list[str]) -> str:
    """A passage on one topic with some of its facts, up to three worked examples and one homework problem."""
    lines = [begun(rng, name, TOPICS[name].text, needs)]
    source = TOPICS["Event years" if name in (ORDER, CENTURIES) else name]
    told = rng.sample(source.facts, 3)
    lines.append(" ".join(filled(rng.choice([source.says, source.turned or source.says]), x, y) for x, y in told))
    for _ in range(3):
        item = make(rng, name, "easy", form=rng.choice((0, 0, 1)))
        if sum(map(len, lines)) + len(item.problem) + len(item.solution) < LONG or len(lines) == 2:
            lines.append(f"Example: {item.problem} {item.solution}")
    home = question(rng, name).item
    lines.append(f"Homework: {home.problem} Answer: {home.answer}")
    return "\n".join(lines)
