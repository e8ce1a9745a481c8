"""Textbook passages: what a skill is, what it builds on, worked examples, homework."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from .kinds import KINDS, Item

_BEGIN = (
    "{name}. {text}",
    "{name}: this is how it is done. {text}",
    "This part is about the skill {name}. {text}",
    "Now we learn the skill {name}. {text}",
)
_BUILDS = (" It builds on {needs}.", " We use {needs} here.", " You need {needs} for it.", " The steps use {needs}.")
_WRITE = (
    " Write every step down.",
    " Go step by step.",
    " Do one step at a time.",
    " Begin with the name of the skill.",
    "",
)
_EXAMPLES = (("Example: ", "Example: ", "Example: "), ("First example: ", "Second example: ", "Third example: "))
#: Characters after which no further example is added, so that every passage fits a row of training.
LONG = 420
_HOMEWORK = ("Homework: {problem} Answer: {answer}", "Now you. Homework: {problem} Answer: {answer}")


def begun(rng: Random, name: str, about: str, needs: list[str]) -> str:
    """How a passage begins: the skill's name, what it is about, what it builds on."""
    text = rng.choice(_BEGIN).format(name=name, text=about)
    if needs:
        listed = " and ".join([", ".join(needs[:-1]), needs[-1]] if needs[1:] else needs)
        text += rng.choice(_BUILDS).format(needs=listed)
    return text


def passage(rng: Random, name: str, needs: list[str], fresh: Callable[[Random, str, str], Item]) -> str:
    """A passage on one skill with up to three worked examples and one homework problem."""
    lines = [begun(rng, name, KINDS[name].description, needs) + rng.choice(_WRITE)]
    labels = rng.choice(_EXAMPLES)
    for label in labels:
        item = fresh(rng, name, "easy")
        lines.append(f"{label}{item.problem} {item.solution}")
    home = fresh(rng, name, "medium")
    lines.append(rng.choice(_HOMEWORK).format(problem=home.problem, answer=home.answer))
    return "\n".join(lines)
