"""The shape of a solution, and numbers for new problems."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsa_lite.core.procedures import constants, draw, naming, numbers, shape, steadiness
from dsa_lite.records import WorkedCase

SALE = WorkedCase(
    problem="A shirt of $20 is sold at 15% off. What does it cost?",
    solution="15% of 20 = 0.15 * 20 = 3\n20 - 3 = 17",
    answer="17",
)
PART = WorkedCase(problem="What percent of 50 is 20?", solution="20 / 50 = 0.4\n0.4 * 100 = 40%", answer="40")
FACT = WorkedCase(problem="Which direction is opposite to east?", solution="It is west.", answer="west")


def test_naming_adds_the_skills_a_solution_does_not_name() -> None:
    assert naming(["Sale price"], "20 - 3 = 17") == "Sale price:\n20 - 3 = 17"
    assert naming(["Sale price"], "The sale price is 17.") == "The sale price is 17."
    assert naming(["Sum"], "Summary: 17") == "Sum:\nSummary: 17"
    assert naming(["Tax", "Sale price"], "Tax: 1\n20 - 3 = 17") == "Sale price:\nTax: 1\n20 - 3 = 17"


@pytest.mark.parametrize(
    ("solution", "expected"),
    [
        ("15 / 100 = 0.15\n0.15 × 80 = 12", "#/#=#, #*#=#"),
        ("Discount: $1,000 * 0.20 = $200 (off)\n$1,000 − $200 = $800.", "#*#=#, #-#=#"),
        ("East and west are opposite.", ""),
    ],
)
def test_shape_is_what_is_calculated_with_what(solution: str, expected: str) -> None:
    assert shape(solution) == expected


def test_numbers_of_a_problem() -> None:
    assert numbers("A shirt of $1,250.50 is sold at 15 % off, 3 left.") == ("1,250.50", "15%", "3")


def test_constants_are_what_neither_the_problem_nor_a_step_gives() -> None:
    assert constants(PART) == {"100"}
    assert constants(SALE) == {"100"}  # of the percentage
    assert constants(PART.model_copy(update={"problem": "What percent of the seats is taken?"})) == {"20", "50", "100"}
    assert constants(FACT) is None
    assert constants(PART.model_copy(update={"solution": "20 / 50 = 0.5\n0.5 * 100 = 50"})) is None


@pytest.mark.parametrize(
    "text",
    [
        "(" * 600 + "5 = 5",
        "9" * 320 + " + 1 = 2",
        "9" * 5000 + " + 1 = 2",
        "(2 + 3 4 = 5",
        "5 / 0 = 1",
        "٣ + 4 = 7",
        "",
    ],
)
def test_odd_texts_are_nothing_that_a_program_follows(text: str) -> None:
    case = WorkedCase(problem=f"How much is {text[:400]} or 1234567890123456789.5?", solution=text, answer="5")
    assert constants(case) is None
    assert draw(case, np.random.default_rng(0)) == ()


def test_large_numbers_are_drawn_as_such() -> None:
    case = WorkedCase(problem="Round 250000.50 and 650000.", solution="x", answer="1")
    assert all("e" not in n for seed in range(50) for n in draw(case, np.random.default_rng(seed)))


def test_steadiness_counts_the_same_way_what_a_program_can_follow_and_the_same_constants() -> None:
    assert steadiness([PART, PART]) == 3
    assert steadiness([PART, PART.model_copy(update={"problem": "What percent is taken?"})]) == 2
    assert steadiness([SALE, PART]) == 2
    assert steadiness([FACT, FACT]) == 1


@given(st.integers(0, 2**32 - 1))
def test_drawn_numbers_work_out_by_the_case(seed: int) -> None:
    """Put through the case's own steps, calculated here anew, results are short and above zero."""
    price, percent = draw(SALE, np.random.default_rng(seed))
    assert re.fullmatch(r"\d+", price)
    assert re.fullmatch(r"\d+%", percent)
    off = Fraction(percent[:-1]) / 100 * int(price)
    assert 0 < off < int(price)
    assert (off * 100).denominator == 1
    part, whole = sorted(map(int, draw(PART, np.random.default_rng(seed))))
    assert (Fraction(part, whole) * 100).denominator == 1
    assert part < whole


def test_draw_keeps_which_number_is_the_smaller_and_gives_none_where_there_are_none() -> None:
    drawn = [draw(PART, np.random.default_rng(seed)) for seed in range(20)]
    assert all(int(whole) > int(part) for whole, part in drawn)
    assert len(set(drawn)) > 10
    assert draw(FACT, np.random.default_rng(0)) == ()
