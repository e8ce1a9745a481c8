"""What a teacher is asked in the form "text": replies shown before, attributes by seed, the skill's own procedure."""

from __future__ import annotations

from typing import Any

import pytest

from dsa_lite.config import TeacherSettings
from dsa_lite.core.prompts import Prompts
from dsa_lite.core.replies import read_exercise, read_procedure, read_solution
from dsa_lite.records import Checker, Exercise, Passage, Skill, SkillPack, Textbook, Topic, WorkedCase
from dsa_lite.teacher import Request

SALE = Skill(id="sale-price", name="Sale price", description="Find the price after a discount.")
TAX = Skill(id="tax", name="Tax")
CASES = (
    WorkedCase(
        problem="A shirt that hangs in a shop costs $20, 15% off. Its price?",
        solution="20 * 0.15 = 3\n20 - 3 = 17",
        answer="17",
    ),
    WorkedCase(
        problem="A lamp of $40 is sold at 10% off. What does it cost?",
        solution="40 * 0.10 = 4\n40 - 4 = 36",
        answer="36",
    ),
)
BOOK = Textbook(id="t", skill="sale-price", text="x", steps=("Multiply.", "Subtract."), cases=CASES)
PARENT = Exercise(
    id="e",
    problem=CASES[0].problem,
    solution=CASES[0].solution,
    answer="17",
    skills=("sale-price",),
    origin="single",
)


def prompts(checker: Checker = "math", books: dict[str, Textbook] | None = None, form: Any = "text") -> Prompts:
    pack = SkillPack(name="p", title="Prices", topics=(Topic(name="Sale price"), Topic(name="Tax")), checker=checker)
    return Prompts(pack, TeacherSettings(form=form), 0, books)


def last(request: Request) -> list[str]:
    return request.messages[-1].content.splitlines()


def test_exercises_follow_the_skill_s_own_worked_cases() -> None:
    asked = prompts(books={"sale-price": BOOK}).exercise("e", [SALE], "easy", max_tokens=9)
    assert asked.json_schema is None
    assert [m.role for m in asked.messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert asked.messages[0].content.endswith("The steps of Sale price: Multiply. Subtract.")
    assert asked.messages[1].content.splitlines()[-1] == "numbers: 20 and 15%"
    for message, case in zip(asked.messages[2::2], CASES, strict=False):
        read = read_exercise(message.content)
        assert not isinstance(read, str)
        assert read.model_dump() == case.model_dump()


@pytest.mark.parametrize("checker", ["math", "exact", "choice"])
def test_what_is_shown_has_the_form_that_is_read(checker: Checker) -> None:
    ask = prompts(checker)
    book, exercise, solve = (
        ask.textbook("t", SALE, [TAX], max_tokens=200),
        ask.exercise("e", [SALE], "easy", max_tokens=9),
        ask.solve("s", [SALE], "P?", max_tokens=9),
    )
    assert not isinstance(read_procedure(book.messages[2].content), str)
    assert "at most 120 words" in book.messages[0].content
    assert not isinstance(read_exercise(exercise.messages[2].content), str)
    assert not isinstance(read_solution(solve.messages[2].content), str)


def test_a_solver_is_not_shown_the_procedure() -> None:
    asked = prompts(books={"sale-price": BOOK}).solve("s", [SALE], "P?", max_tokens=9)
    assert not any("Subtract" in m.content or "shirt" in m.content for m in asked.messages)


def test_requests_differ_in_their_attributes_and_one_is_always_the_same() -> None:
    ask = prompts(books={"sale-price": BOOK})
    asked = [ask.exercise(f"e{n}", [SALE], "easy", max_tokens=9) for n in range(30)]
    attributes = {tuple(last(r)[4:]) for r in asked}
    assert len(attributes) == 30
    assert all(setting.startswith("setting: ") and numbers.startswith("numbers: ") for setting, numbers in attributes)
    assert asked[3] == ask.exercise("e3", [SALE], "easy", max_tokens=9)
    assert last(ask.remake("v", [SALE], [PARENT], max_tokens=9))[-1].startswith("numbers: ")


def test_documents_and_words_are_not_varied_by_settings() -> None:
    passage = [Passage(source="a", text="b")]
    asked = prompts(books={"sale-price": BOOK}).exercise("e", [SALE], "easy", max_tokens=9, passages=passage)
    assert last(asked)[3:] == ["difficulty: easy", "document: a", "> b"]
    assert last(prompts("exact").exercise("e", [SALE], "easy", max_tokens=9))[3:] == ["difficulty: easy"]


def test_a_joined_exercise_is_shown_a_case_of_each_skill_with_its_name() -> None:
    books = {"sale-price": BOOK, "tax": BOOK.model_copy(update={"skill": "tax"})}
    asked = prompts(books=books).exercise("e", [TAX, SALE], "easy", max_tokens=9)
    shown = [m.content for m in asked.messages if m.role == "assistant"]
    assert ["Tax:\n" in shown[0], "Sale price:\n" in shown[1]] == [True, True]


def test_why_the_last_reply_was_refused_is_said_in_text_only() -> None:
    for form, expected in (("text", "refused before: it was too long"), ("json", "difficulty: easy")):
        asked = prompts(form=form).exercise("e", [SALE], "easy", max_tokens=9, why="it was too long")
        assert last(asked)[-1] == expected
