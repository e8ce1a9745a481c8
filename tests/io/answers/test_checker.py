"""Answer checking: what counts as the same, and what hostile answers can do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from dsa_lite.io.answers.checker import AnswerChecker
from dsa_lite.io.answers.expressions import Unreadable, compute, parse


@pytest.fixture(scope="module")
def math() -> Iterator[AnswerChecker]:
    with AnswerChecker("math", seconds_per_item=30) as checker:
        yield checker


SAME = [
    ("12(3x+2)^3", "12(2+3x)^3"), ("3cos(5x)", "3\\cos(5x)"), ("3cos(5x)", "3*cos(5*x)"), ("xsin(x)", "sin(x)*x"),
    ("y=7x-4", "y=-4+7x"), ("y=7x-4", "7x-4"), ("y=7x-4", "7x-y=4"), ("x=5", "5"), ("5", "x=5"), ("e^(3x)", "e^{3x}"),
    ("e^(3x)", "exp(3x)"), ("2x*sin(x)+x^2*cos(x)", "x^2*cos(x)+2x*sin(x)"),
    ("2x*sin(x)+x^2*cos(x)", "x(2sin(x)+xcos(x))"),
    ("2x sin(x)", "2*x*sin(x)"), ("ln(x)+1", "1+\\ln(x)"), ("ln(x)", "\\ln x"), ("sqrt(x)", "x^(1/2)"), ("1/2", "0.5"),
    ("1/3", "0.333333333"), ("x^-2", "1/x^2"), ("x^-2", "x^{-2}"), ("1/(2sqrt(x))", "1/2*x^(-1/2)"),
    ("1/(2sqrt(x))", "\\frac{1}{2\\sqrt{x}}"), ("(x+1)(x-1)", "x^2-1"), ("x^2+C", "x^2"), ("x^2+C", "x^2 + c"),
    ("x^2+C", "C+x^2"), ("x^2", "x^2+C"), ("(x+1)^2/2+C", "x^2/2+x+C"), ("ln|x|+C", "ln(x)+C"),
    ("ln|x|+C", "\\ln|x|+C"),
    ("2;3", "2; 3"), ("x=2; y=3", "x=2;y=6/2"), ("x=2 or x=3", "x=3, x=2"), ("x=2 or x=3", "2, 3"), ("2, 3", "3, 2"),
    ("(2,3)", "(2, 3)"), ("x>5", "5<x"), ("1<x<=3", "3>=x>1"), ("sin(x)^2", "sin^2(x)"), ("x", "x(sin^2(x)+cos^2(x))"),
    ("1/2", "\\frac{1}{2}"), ("1/2", "2/4"), ("5", "\\boxed{5}"), ("x=\\pm 3", "x=3 or x=-3"),
    ("pi/4", "\\frac{\\pi}{4}"),
    ("(-\\infty, 2)", "(-infinity,2)"), ("-sin(x)", "-\\sin x"), ("no solution", "No solution."), ("f'(x)=6x", "6x"),
    ("y'=6x", "dy/dx=6x"), ("1,000", "1000"), ("2(x-3)(x+1)", "2x^2-4x-6"), ("sin^-1(x)", "arcsin(x)"),
]  # fmt: skip
OTHER = [
    ("12(3x+2)^3", "12(3x+2)^2"), ("3cos(5x)", "3sin(5x)"), ("45", "9*5"), ("8", "2^3"), ("45", "54"), ("x=5", "y=5"),
    ("x=5", "2x=10"), ("y=7x-4", "y=7x+4"), ("5x+5+C", "5x+7+C"), ("x^2+C", "x^3+C"), ("2;3", "3;2"), ("2;3", "2"),
    ("2, 3", "2"), ("(2,3)", "(3,2)"), ("(2,3)", "[2,3)"), ("x>5", "x<5"), ("x>5", "x>=5"), ("e^x", "x^e"), ("5", ""),
    ("", "5"), ("x", "x+10^-5"), ("x^2", "no"), ("sqrt(x^2)", "x"), ("2x+3y=6", "2x+3y=7"), ("3x", "3"),
    ("a+b", "a+b+c"),
    ("\\frac{1}{2}", "\\frac{1}{3}"), ("increasing", "decreasing"),
]  # fmt: skip
HOSTILE = [
    "__import__('os').system('echo')", "9**9**9**9", "9^9^9^9", "x^9^9^9", "(" * 10**6,
    "(" * 140 + "x" + ")" * 140, "\\frac{" * 40,
    "{}".join("x" * 90),
    "\0", "\\sqrt[999999]{9^{9^{9}}}", "lambda: 0", "%s%s%n", "1e999", "x" * 300, "|" * 200, "-" * 299, "^" * 50,
]  # fmt: skip


@pytest.mark.parametrize(("gold", "answer"), SAME)
def test_same(math: AnswerChecker, gold: str, answer: str) -> None:
    assert math.same([(gold, answer)]) == [True]


@pytest.mark.parametrize(("gold", "answer"), OTHER)
def test_other(math: AnswerChecker, gold: str, answer: str) -> None:
    assert math.same([(gold, answer)]) == [False]


@pytest.mark.parametrize("answer", HOSTILE, ids=lambda a: repr(a[:20]))
def test_hostile_answers_are_wrong(answer: str) -> None:
    with AnswerChecker("math", seconds_per_item=10) as checker:
        assert checker.same([("5", answer), ("3x^2", answer), ("3x^2", "3*x^2")]) == [False, False, True]
        checker.readable([answer])


def test_latex_that_only_math_verify_reads(math: AnswerChecker) -> None:
    assert math.same([("2", "\\binom{2}{1}"), ("3", "\\binom{2}{1}")]) == [True, False]


def test_readable(math: AnswerChecker) -> None:
    good = [
        "5",
        "-3/4",
        "x^2+3x",
        "12(3x+2)^3",
        "xsin(x)",
        "2;3",
        "x=5",
        "\\frac{1}{2}",
        "y=7x-4",
        "(2,3)",
        "ln|x|+C",
        "x>5",
        "1 1/2",
        "$55,000",
        "5,000",
        "50%",
        "The final price is $80.",
        "12.50 dollars",
    ]
    bad = ["", "+", "x+", "x^", "()", "three apples", "no solution", "apple", "x" * 400, "2;;"]
    assert math.readable(good) == [True] * len(good)
    assert math.readable(bad[:-1]) == [False] * (len(bad) - 1)


def test_exact_and_choice() -> None:
    with AnswerChecker("exact") as exact, AnswerChecker("choice") as choice:
        assert exact.same([("Paris", "paris."), ("Paris", "Rome"), ("2", "1+1")]) == [True, False, False]
        assert exact.same([("Nile", "the Nile"), ("B", "B) Rome"), ("B", "Rome")]) == [True, True, False]
        assert exact.readable(["Paris", "B", " "]) == [True, True, False]
        assert choice.same([("B", "(b)"), ("B", "C"), ("B", "")]) == [True, False, False]
        assert choice.readable(["B.", "Both"]) == [True, False]
        assert exact._child is None
        assert choice._child is None


def test_text_and_numbers_need_no_child() -> None:
    with AnswerChecker("math") as checker:
        assert checker.same([("x^2", "x²")]) == [True]
        assert checker.same([("6", "12/2"), ("6", "7"), ("6", "")]) == [True, False, False]
        assert checker.readable(["5", "3x^2-4x+1", "y=7x-4"]) == [True] * 3
        assert checker._child is None


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGSTOP")
def test_hanging_child_is_replaced() -> None:
    with AnswerChecker("math", seconds_per_item=10) as checker:
        assert checker.same([("x+1", "1+x")]) == [True]
        child = checker._child
        assert child is not None
        child._seconds = 0.2
        os.kill(child._process.pid, signal.SIGSTOP)
        start = time.monotonic()
        assert checker.same([("x+2", "2+x")]) == [False]
        assert time.monotonic() - start < 8
        assert checker.timeouts == 1
        assert child._process.poll() is not None
        assert checker.same([("x+3", "3+x")]) == [True]


def test_killed_child_is_replaced() -> None:
    with AnswerChecker("math", seconds_per_item=10) as checker:
        assert checker.same([("x+1", "1+x")]) == [True]
        assert checker._child is not None
        checker._child._process.kill()
        checker._child._process.wait()
        checker.same([("x+2", "2+x")])
        assert checker.same([("x+3", "3+x")]) == [True]


def test_close_leaves_no_process() -> None:
    checker = AnswerChecker("math", seconds_per_item=30)
    checker.same([("x+1", "1+x")])
    child = checker._child
    checker.close()
    assert child is not None
    assert child._process.poll() is not None
    checker.close()


def test_parsing_is_light() -> None:
    """The child meets sympy only when it meets LaTeX."""
    code = (
        "import sys, dsa_lite.io.answers.checking_child, dsa_lite.io.answers.checker; sys.exit('sympy' in sys.modules)"
    )
    path = os.pathsep.join(p for p in sys.path if p)
    assert (
        subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, check=False).returncode
        == 0
    )


@pytest.mark.parametrize(
    ("text", "x", "value"),
    [
        ("2x^2", 3, 18),
        ("-x^2", 3, -9),
        ("1/2x", 4, 2),
        ("2^3^2", 0, 512),
        ("|x-5|", 2, 3),
        ("sqrt 4x", 4, 4),
        ("2|x|x", -2, -8),
    ],
)
def test_plain_reading(text: str, x: float, value: float) -> None:
    assert compute(parse(text), {"x": complex(x)}) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "x+", "2 3", "f(", "x)", "\\frac{1}{2}", "x_1", "abcd(x)", "x!", "é"])
def test_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        parse(text)
