"""What dsa-lite asks of every teacher, and what a deck must look like."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dsa_lite_cards import open_teacher

from dsa_lite.errors import ModelError
from dsa_lite.records import Message
from dsa_lite.teacher import Request, TeacherOptions
from dsa_lite.testing import check_teacher

DECK = Path(__file__).parents[1] / "europe.csv"


def test_it_keeps_the_contract() -> None:
    check_teacher(lambda options: open_teacher(str(DECK), options), ["Capitals", "Rivers"], subject="Europe")


def test_two_cards_become_one_exercise_and_are_solved() -> None:
    def ask(text: str) -> dict[str, str]:
        request = Request(id="x", messages=(Message(role="user", content=text),), max_tokens=200, seed=1)
        with open_teacher(str(DECK), TeacherOptions()) as teacher:
            (reply,) = teacher.write([request])
        return dict(json.loads(reply.text))

    found = ask("task: compose\nskills: Capitals; Rivers")
    assert found["solution"].startswith("Capitals: ")
    assert "\nRivers: " in found["solution"]
    again = ask(f"task: solve\nproblem: {found['problem']}")
    assert sorted(again["answer"].split("; ")) == sorted(found["answer"].split("; "))


def test_every_fault_of_a_deck_is_told(tmp_path: Path) -> None:
    deck = tmp_path / "bad.csv"
    deck.write_text("skill,question,answer\nRivers,Which?,\n,What?,Yes\n", encoding="utf-8")
    with pytest.raises(ModelError, match=r"line 2: no answer\n  - line 3: no skill"):
        open_teacher(str(deck), TeacherOptions())
    with pytest.raises(ModelError, match="cannot be read"):
        open_teacher(str(tmp_path / "none.csv"), TeacherOptions())
