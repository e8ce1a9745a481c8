"""A deck of flash cards: a CSV file with the columns skill, question, answer and, if wanted, explanation."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from dsa_lite.errors import ModelError

_NEEDED = ("skill", "question", "answer")


@dataclass(frozen=True)
class Card:
    skill: str
    question: str
    answer: str
    explanation: str = ""

    def solution(self) -> str:
        """The answer with its reason; dsa-lite wants every part of a solution to begin with the skill it uses."""
        why = self.explanation or f"{self.question} {self.answer}."
        return f"{self.skill}: {why}"


def read_deck(path: Path) -> list[Card]:
    """Every card, in the file's order. Raises ModelError that lists all faults with their lines."""
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ModelError(f"the deck {path} cannot be read: {error}", hint="a deck is a CSV file in UTF-8") from error
    cards, faults = [], []
    for line, row in enumerate(rows, start=2):
        words = {name: " ".join((row.get(name) or "").split()) for name in (*_NEEDED, "explanation")}
        missing = [name for name in _NEEDED if not words[name]]
        if missing:
            faults.append(f"line {line}: no {', no '.join(missing)}")
        else:
            cards.append(Card(**words))
    if faults or not cards:
        told = "".join(f"\n  - {fault}" for fault in faults) or " has no cards"
        raise ModelError(f"the deck {path}{told}", hint=f"its columns are {', '.join(_NEEDED)} and explanation")
    return cards
