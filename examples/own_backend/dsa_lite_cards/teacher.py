"""The teacher: reads the short, structured requests of dsa-lite and answers them from a deck."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from dsa_lite.teacher import Finish, Reply, Request
from dsa_lite_cards.deck import Card, read_deck


class CardsTeacher:
    """Implements `dsa_lite.teacher.Teacher`. Tokens are counted as words."""

    def __init__(self, source: str) -> None:
        path = Path(source)
        self._cards = read_deck(path)
        self.name = f"cards of {path.stem}"
        self.fingerprint = f"cards:{hashlib.sha256(path.read_bytes()).hexdigest()}"

    def write(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """One reply per request, in their order."""
        for request in requests:
            start = time.monotonic()
            words_in = sum(len(message.content.split()) for message in request.messages)
            written = self._answer(request)
            text = written or ""
            words_out, finish, error = len(text.split()), "stop", ""
            if written is None:  # said in the reply, not raised: the run goes on with the other requests
                finish, error = "error", "the deck has no card for this"
            elif words_out > request.max_tokens:
                text, words_out, finish = " ".join(text.split()[: request.max_tokens]), request.max_tokens, "length"
            yield Reply(
                id=request.id, text=text, finish=_finish(finish), tokens_in=words_in, tokens_out=words_out,
                seconds=time.monotonic() - start, error=error,
            )  # fmt: skip

    def close(self) -> None:
        """Nothing to close: a deck is read once. A teacher with a process or a connection ends it here."""

    def __enter__(self) -> CardsTeacher:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _answer(self, request: Request) -> str | None:
        """The text of a reply; None for what no card is about.

        The user message has one `name: value` per line: the task, the skills, and what else belongs to it. Chance comes
        from the request's seed alone, so that the same request always gets the same reply.
        """
        lines = [line.partition(": ") for line in request.messages[-1].content.splitlines()]
        asked = {name: value for name, _, value in lines}
        task, chance = asked.get("task"), random.Random(request.seed)
        if task == "syllabus":
            return json.dumps(self._syllabus(asked.get("subject", "")))
        if task == "prerequisites":
            return json.dumps({"prerequisites": []})
        if task == "solve":
            return _exercise([card for card in self._cards if card.question in asked.get("problem", "")], solve=True)
        decks = [self._of(skill) for skill in asked.get("skills", "").split("; ")]
        if not all(decks):
            return None
        if task == "textbook":
            return " ".join(f"{card.question} {card.answer}. {card.explanation}".strip() for card in decks[0])
        if task in ("exercise", "variant", "compose"):
            return _exercise([chance.choice(deck) for deck in decks])
        return None  # a task of a later version of dsa-lite

    def _of(self, skill: str) -> list[Card]:
        return [card for card in self._cards if card.skill.casefold() == skill.casefold()]

    def _syllabus(self, subject: str) -> dict[str, object]:
        skills = dict.fromkeys(card.skill for card in self._cards)
        topics = [
            {"name": name, "description": f"The {len(self._of(name))} cards on {name}.", "prerequisites": []}
            for name in skills
        ]
        return {"description": f"{subject}, from flash cards.", "checker": "exact", "topics": topics}


def _exercise(cards: list[Card], *, solve: bool = False) -> str | None:
    """One question, or several joined, in the keys that were asked for."""
    if not cards:
        return None
    reply = {
        "solution": "\n".join(card.solution() for card in cards),
        "answer": "; ".join(card.answer for card in cards),
    }
    return json.dumps(reply if solve else {"problem": " ".join(card.question for card in cards), **reply})


def _finish(word: str) -> Finish:
    return "stop" if word == "stop" else "length" if word == "length" else "error"
