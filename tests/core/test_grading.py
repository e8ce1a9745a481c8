"""Reading answers out of replies and comparing them as text."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsa_lite.core.grading import (
    before_answer,
    choice_letter,
    extract_answer,
    normalise,
    plain_number,
    same_text,
    same_words,
)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("3*4=12\nAnswer: 12", "12"),
        ("Answer: 1\nno, wait\nAnswer: 2.", "2"),
        ("**Answer:** $x^2$.", "x^2"),
        ("The final answer: \\(5\\)", "5"),
        ("Answer:\n\n  7", "7"),
        ("Answer: 5\nAnswer:", "5"),
        ("so \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
        ("Answer: $\\boxed{3}$", "3"),
        ("\\boxed{1} then \\boxed{2}", "2"),
        ("Answer: 0.5", "0.5"),
        ("ANSWER : y=7x-4", "y=7x-4"),
        ("6*7 = 42. The answer is 42.", "42"),
        ("So the final answer is $\\boxed{25}$.", "25"),
        ("Final Answer: The final answer is $\\frac{1}{2}$. I hope it is correct.", "\\frac{1}{2}"),
        ("2+2 = 4.\nThe answer is 4.", "4"),
        ("The answer is not 5.", None),
        ("#### Step 1\n3*5 = 15.\n\nAnswer: 15", "15"),
        ("#### Step 1: multiply\n\n#### Conclusion\nSo\n\n\\boxed{12}", "12"),
        ("3*6 = 18.\n#### 18", "18"),
        ("#### 18\nis a heading", None),
        ("### Answer\n\n**7**", "7"),
        ("<think>Answer: 5</think>Answer: 6", "6"),
        ("so 5. Answer: 5</think>\nAnswer: 6", "6"),
        ("<think>Answer: 5", None),
        ("<think>\\boxed{5}</think> I do not know.", None),
        ("Answer: 5. That is the number of apples.", "5"),
        ("Answer: St. Louis", "St. Louis"),
        ("I do not know.", None),
        ("", None),
        ("\\boxed{open", None),
        ("Answer:", None),
    ],
)
def test_extract_answer(reply: str, expected: str | None) -> None:
    assert extract_answer(reply) == expected


@pytest.mark.parametrize(
    ("reply", "before"),
    [
        ("2 + 2 = 4.\nAnswer: 4", "2 + 2 = 4."),
        ("So we add 1.\n**Answer:** 2\nThat is all.", "So we add 1."),
        ("x=4.\nAnswer: 4\nAnswer: 4", None),
        ("We add 1. The final answer is: 2.", "We add 1."),
        ("Answer: 4", ""),
        ("6*7 = 42. The answer is 42.", "6*7 = 42."),
        ("<think>hm</think>2+2 = 4.\nAnswer: 4", "2+2 = 4."),
        (" no such line ", "no such line"),
    ],
)
def test_before_answer(reply: str, before: str | None) -> None:
    assert before_answer(reply) == before


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("3 x + 1", "3x+1"),
        ("−5", "-5"),
        ("2·x", "2*x"),
        ("2×3", "2*3"),
        ("x²", "x^2"),
        ("x^{10}", "x^10"),
        ("x¹⁰", "x^10"),
        ("x**2", "x^2"),
        ("Paris", "paris."),
        ("No  Solution", "no solution"),
        ("$5$", "5"),
        ("½", "1/2"),
        ("2½", "2 1/2"),
        ("\\left(x\\right)", "(x)"),
        ("\\dfrac{1}{2}", "\\frac{1}{2}"),
        ("3\\cdot x", "3*x"),
        ("\\text{even}", "even"),
        ("５", "5"),
        ("π", "pi"),
    ],
)
def test_same_text(a: str, b: str) -> None:
    assert same_text(a, b)


@pytest.mark.parametrize(
    ("a", "b"), [("", ""), ("x=5", "5"), ("1 1/2", "11/2"), ("X", "x"), ("½", "12"), ("1½", "11/2"), ("x2", "x^2")]
)
def test_other_text(a: str, b: str) -> None:
    assert not same_text(a, b)


@given(st.text(max_size=40) | st.text(alphabet="x^{}()$\\ .+-12cC*¹²½answer", max_size=30))
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once


@given(st.text(max_size=60))
def test_reading_never_fails(text: str) -> None:
    extract_answer(text)
    extract_answer("Answer: " + text)
    choice_letter(text)
    plain_number(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", Fraction(5)),
        ("-3/4", Fraction(-3, 4)),
        ("0.5", Fraction(1, 2)),
        (".5", Fraction(1, 2)),
        ("-.5", Fraction(-1, 2)),
        ("1,000", Fraction(1000)),
        ("1,234.5", Fraction("1234.5")),
        ("1/0", None),
        ("x", None),
        ("1,00", None),
        ("2*3", None),
        ("", None),
        ("9" * 500, None),
        ("٣", None),
    ],
)
def test_plain_number(text: str, value: Fraction | None) -> None:
    assert plain_number(text) == value


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"),
        ("(b)", "B"),
        ("c.", "C"),
        ("B. Paris", "B"),
        ("D) both", "D"),
        ("option A", "A"),
        ("The answer is C.", "C"),
        ("\\text{B}", "B"),
        ("**B**", "B"),
        ("A cat", None),
        ("", None),
        ("Both", None),
        ("5", None),
    ],
)
def test_choice_letter(text: str, letter: str | None) -> None:
    assert choice_letter(text) == letter


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("Nile", "the Nile."),
        ("the Nile", "nile"),
        ("a mayor", "Mayor"),
        ("New Delhi", " new  delhi"),
        ("India; the Seine", "the India; Seine"),
        ("B", "(b)"),
        ("B", "B) Paris"),
        ("true", "True."),
        ("1789", "1789."),
    ],
)
def test_same_words(gold: str, answer: str) -> None:
    assert same_words(gold, answer)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("", ""), ("the", "a"), ("Nile", "Nile or Amazon"), ("B", "C"), ("B", "B, C"), ("B", "Both"), ("B", ""),
        ("Paris", "B"), ("x", "X"), ("a+b", "b"), ("theocracy", "ocracy"), ("1789", "1798"), ("K", "k"),
    ],
)  # fmt: skip
def test_other_words(gold: str, answer: str) -> None:
    assert not same_words(gold, answer)


@given(st.text(max_size=40), st.text(max_size=40))
def test_words_that_are_the_same_text_are_the_same_words(gold: str, answer: str) -> None:
    assert same_words(gold, answer) or not same_text(gold, answer)
