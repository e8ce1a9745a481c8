"""Checking written-out arithmetic."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsa_lite.core.steps import arithmetic_steps


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("9*5=45", (1, 0)),
        ("9*5=54", (0, 1)),
        ("4+3+1=8", (1, 0)),
        ("12/4=3", (1, 0)),
        ("5-1=4", (1, 0)),
        ("2^3=8", (1, 0)),
        ("3 * (2 + 1) = 9", (1, 0)),
        ("so 3*4=12=10+2.", (2, 0)),
        ("4+3=7, 2*5=11", (1, 1)),
        ("3*4 = 12 and 12 + 1 = 14", (1, 1)),
        ("x=9*5=45", (1, 0)),
        ("y = 3 + 4 = 7", (1, 0)),
        ("10 = 2*5", (1, 0)),
        ("5*-3=-15", (1, 0)),
        ("-3^2=-9", (1, 0)),
        ("2^-1=1/2", (1, 0)),
        ("2(3)=6", (1, 0)),
        ("9·5=45", (1, 0)),
        (r"\(3\times 4=12\)", (1, 0)),
        ("$3+4=7$", (1, 0)),
        ("(so 3+4=7)", (1, 0)),
        ("numbers: 4+3=7", (1, 0)),
        ("1. 3+4=7", (1, 0)),
        ("3*4=12 cm", (1, 0)),
        ("3+4=7\n2+2=5\n", (1, 1)),
        ("0.5*4=2", (1, 0)),
        ("4/3=1.33", (1, 0)),
        ("4/3=1.32", (0, 1)),
        ("2 1/2 = 5/2", (1, 0)),
        ("3*4=12cm", (1, 0)),
        ("10 % more than $75: 0.1 * 75 + 75 = 87.5", (0, 1)),
        ("20% of $80 = $16", (1, 0)),
        ("20% of $80 is $18.", (0, 1)),
        ("15% of 40 = 6", (1, 0)),
        ("0.25 * 100 = 25%", (1, 0)),
        ("0.25 * 100 = 2.5%", (0, 1)),
        ("$80 - 20% = $64", (1, 0)),
        ("$80 - 20% = $60", (0, 1)),
        ("20% off $80 = $64", (1, 0)),
        ("$1,200 × 3 = $3,600", (1, 0)),
        ("3 x 5 = 16", (0, 1)),
        ("-$5,000 / $30,000 = -0.1667", (1, 0)),
        (r"\(\frac{25}{40} = 0.625\)", (1, 0)),
        (r"\frac{3}{4} \times 20 = 16", (0, 1)),
        ("5 packs of milk * $3 each = $15", (1, 0)),
        ("25 divided by 100 equals 0.25", (1, 0)),
        ("100 / 3 ≈ 33", (1, 0)),
        ("10.25 + 0.409 = 10.669", (0, 1)),
        ("10/50 = 0.2 * 100 = 20%", (1, 0)),
    ],
)
def test_counted(text: str, expected: tuple[int, int]) -> None:
    assert arithmetic_steps(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2x+3=7",
        "2x + 3 = 7",
        "x - 3 = 7",
        "f(2)=3",
        "x^2=4",
        "2x*3=6x",
        "3*2x=6x",
        "3+4=7x",
        "2*3x^2=6x^2",
        "sin 3+0 = 3",
        "half of 8 = 4",
        "7/2=3 remainder 1",
        "7/2=3 r 1",
        "7 mod 3 = 1",
        "d/dx 3=0+0",
        "100 / 3 = 33",
        "33.33 * 3 = 100",
        "2 hours / 30 minutes = 4",
        "5 hours + 30 minutes = 330 minutes",
        "$1.20 + 30 cents = $1.50",
        "100% = 0.6 * 100",
        "3 dozen + 2 = 38",
        "Step 2 - price - 3 = 4 - 2",
        "|x| - 3 = 7 - 2",
        "P(2) - 3 = 7 - 2",
        "0900 - 0130 = 0730",
        "3:30 + 0:45 = 4:15",
        "price - 16 = 8 + 2",
        "1=1",
        "5!=5",
        "2+3==5",
        "1+1>=2",
        "2^100=5",
        "0^-1=0",
        "1/0=1",
        "=",
        "",
        "9" * 30 + "+1=1",
        "(" * 100_000 + "1=1",
        "2^2^2^2^2^2=1",
        "__import__('os')=1+1",
    ],
)
def test_not_judged(text: str) -> None:
    assert arithmetic_steps(text) == (0, 0)


def _expression(rng: Random, depth: int) -> tuple[str, Fraction]:
    """Text and value, built together: an independent reference."""
    if depth == 0 or rng.random() < 0.3:
        n = rng.randint(0, 30)
        return str(n), Fraction(n)
    (a, x), (b, y) = _expression(rng, depth - 1), _expression(rng, depth - 1)
    op = rng.choice("+-*/")
    if op == "/" and y == 0:
        op = "+"
    return f"({a}){op}({b})", {"+": x + y, "-": x - y, "*": x * y, "/": x / y if y else x}[op]


@given(st.integers(0, 10**9), st.booleans())
def test_agrees_with_values_built_alongside(seed: int, right: bool) -> None:
    text, value = _expression(Random(seed), 3)
    shown = value if right else value + 1
    written = f"0+{text}={shown}"
    if len(written) <= 150:
        assert arithmetic_steps(written) == ((1, 0) if right else (0, 1))


@given(st.text(alphabet="0123456789+-*/^()= x.,$\\", max_size=80))
def test_never_fails(text: str) -> None:
    right, wrong = arithmetic_steps(text)
    assert 0 <= right + wrong <= text.count("=")


REAL = [
    (line[0], line[2:])
    for line in (Path(__file__).parent / "steps.txt").read_text(encoding="utf-8").splitlines()
    if line[:2] in ("+ ", "- ", "~ ")
]


def test_there_are_enough_real_lines() -> None:
    marks = [mark for mark, _ in REAL]
    assert len(marks) >= 200
    assert marks.count("~") <= 6


@pytest.mark.parametrize(("mark", "line"), REAL)
def test_true_lines_are_never_wrong_and_slips_are_found(mark: str, line: str) -> None:
    assert bool(arithmetic_steps(line).wrong) == (mark == "-")


def test_most_true_lines_are_read() -> None:
    read = [arithmetic_steps(line).right > 0 for mark, line in REAL if mark == "+"]
    assert sum(read) >= 0.85 * len(read)
