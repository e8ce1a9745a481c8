"""What the value of an answer is, and what value a sentence says."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsa_lite.core.answers import Value, read_value, reduced, same_value


@pytest.mark.parametrize(
    ("answer", "number", "unit"),
    [
        ("$55,000", "55000", "dollar"),
        ("5,000", "5000", ""),
        ("50%", "50", "%"),
        ("50\\%", "50", "%"),
        ("50 percent", "50", "%"),
        ("12.50 dollars", "25/2", "dollar"),
        ("1{,}000", "1000", ""),
        ("1 000", "1000", ""),
        ("1.5e3", "1500", ""),
        ("1.5 \\times 10^{3}", "1500", ""),
        ("3\\frac{1}{2}", "7/2", ""),
        ("-3½", "-7/2", ""),
        ("3 1/2", "7/2", ""),
        ("**42**", "42", ""),
        ("18 €", "18", "euro"),
        ("12,50 €", "25/2", "euro"),
        ("1.000,50 €", "2001/2", "euro"),
        ("about 3.14", "157/50", ""),
        ("$\\$80$", "80", "dollar"),
        ("-$5", "-5", "dollar"),
        ("12\\text{ cm}", "12", "cm"),
        ("12cm", "12", "cm"),
        ("5 m", "5", "m"),
        ("60 miles per hour", "60", "mile/h"),
        ("5 m²", "5", "m2"),
        ("5 apples", "5", "apple"),
        ("= 5", "5", ""),
    ],
)
def test_values(answer: str, number: str, unit: str) -> None:
    assert read_value(answer) == Value(Fraction(number), unit)


@pytest.mark.parametrize(
    "answer",
    [
        "", "$", "%", "2 dozen", "five", "2x", "5m", "3 x", "1,2", "3 + 4", "2*3", "3 7/2", "1/0", "5 or 6", "3 of 5",
        "5 pm", "2 squared", "1e99", "45 * 10^2", "3, 4", "$5%", "- -5", "5 more", "3 remainder 1", "sin 3", "3 sin",
        "9" * 400,
    ],
)  # fmt: skip
def test_no_values(answer: str) -> None:
    assert read_value(answer) is None


def test_the_name_is_kept() -> None:
    assert read_value("x = 5") == Value(Fraction(5), name="x")
    assert read_value("f(2)=-3/4") == Value(Fraction(-3, 4), name="f(2)")


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("The final price is $80.", "$80"),
        ("The original price is **$96**.", "$96"),
        ("**42**", "42"),
        ("Sale price = $80", "$80"),
        ("There are 12 apples left.", "12 apples"),
        ("The price after a 20% discount is $64.", "$64"),
        ("She needs 3 more eggs", "She needs 3 more eggs"),
        ("The derivative is 3x^2.", "3x^2"),
        ("It is 5.", "5"),
        ("x = 5", "x = 5"),
        ("sin(x) = 0.5", "sin(x) = 0.5"),
        ("It is not 5.", "It is not 5"),
        ("The number is half of 8.", "The number is half of 8"),
        ("The sum is at least 5", "The sum is at least 5"),
        ("x is 3 or x is 4", "x is 3 or x is 4"),
        ("The prices are $3 and $4", "The prices are $3 and $4"),
        ("The answer isn't 5", "The answer isn't 5"),
        ("There are 5 times as many", "There are 5 times as many"),
        ("no solution", "no solution"),
    ],
)
def test_sentences(answer: str, value: str) -> None:
    assert reduced(answer) == value


@given(st.text(alphabet="0123456789.,/ $%€-+*^{}()\\efracxtimes½", max_size=30) | st.text(max_size=30))
def test_reading_never_fails(text: str) -> None:
    read_value(text)
    assert reduced(reduced(text)) == reduced(text)


@given(
    st.lists(
        st.builds(
            Value,
            st.fractions(max_denominator=50) | st.decimals(-50, 50, places=6).map(Fraction),
            st.sampled_from(["%", "dollar"]),
        ),
        min_size=3,
        max_size=3,
    )
)
def test_sameness_is_symmetric_and_transitive(values: list[Value]) -> None:
    a, b, c = values
    assert same_value(a, a)
    assert same_value(a, b) == same_value(b, a)
    assert same_value(a, c) or not (same_value(a, b) and same_value(b, c))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("$80", "80", True), ("$80", "80 dollars", True), ("$80", "€80", False), ("50%", "50", True),
        ("50%", "0.5", False), ("12 cm", "12 m", False), ("1/3", "0.333333", True), ("1/3", "0.3333", False),
        ("12345.67", "12345.68", False), ("0.0000012", "0.0000013", False), ("x=5", "y=5", False), ("x=5", "5", True),
        ("2.50", "2.5", True), ("3\\frac{1}{2}", "1.5", False), ("12 cups", "12 cup", True),
    ],
)  # fmt: skip
def test_same_value(one: str, other: str, same: bool) -> None:
    a, b = read_value(one), read_value(other)
    assert a is not None
    assert b is not None
    assert same_value(a, b) is same
