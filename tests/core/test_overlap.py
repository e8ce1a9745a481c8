"""Near-duplicates, where other numbers make another problem."""

from __future__ import annotations

import time
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsa_lite.core.overlap import OverlapIndex, Problem, same_problem, signature, words


def found(first: str, second: str, threshold: float = 0.8) -> bool:
    index = OverlapIndex(threshold)
    index.add("first", first)
    return index.find(second) == "first"


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Differentiate 3x^2+5x.", "differentiate 3x^2 + 5x"),
        ("Differentiate 3x^2+5x.", "Find the derivative of 3x^2+5x."),
        ("Differentiate 3x^2+5x.", "Differentiate 3x²+5x with respect to x."),
        ("Compute 3*4+5.", "What is 3 * 4 + 5?"),
        (
            "Tom has 12 apples and buys 5 more. How many apples?",
            "Tom has 12 apples and buys 5 more. How many apples now?",
        ),
        ("Who wrote the play Hamlet?", "Who wrote the play hamlet"),
        (
            "Explain in your own words why demand falls when the price rises",
            "Explain in your own words why demand falls when price rises",
        ),
        ("", " "),
    ],
)
def test_same(a: str, b: str) -> None:
    assert found(a, b)
    assert found(b, a)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Differentiate 3x^2+5x.", "Differentiate 3x^2+6x."),
        ("Differentiate 3x^2+5x.", "Integrate 3x^2+5x."),
        ("Find the derivative of 3x^2+5x.", "Find the integral of 3x^2+5x."),
        ("Evaluate x^2+1 at x=3.", "Find the slope of x^2+1 at x=3."),
        ("Tom has 12 apples and buys 5 more. How many apples?", "Tom has 12 apples and buys 6 more. How many apples?"),
        ("What is the capital of France?", "What is the capital of Spain?"),
        ("Explain how supply affects demand in a small town", "Explain how demand in a small town affects supply"),
        ("What happened in 1945?", "Which treaty was signed in 1945?"),
    ],
)
def test_different(a: str, b: str) -> None:
    assert not found(a, b)
    assert not found(b, a)


def test_parts() -> None:
    assert signature("Evaluate 3x + 5 at x = 2.") == "3x+5 x=2"
    assert words("Evaluate 3x + 5 at x = 2.") == {"evaluate", "at"}
    assert signature("Differentiate x*sin(x).") == "x*sin(x)"
    assert signature("No numbers here") == ""


def test_first_of_several_is_named() -> None:
    index = OverlapIndex(0.8)
    for name in ("a", "b", "c"):
        index.add(name, "Differentiate 3x^2+5x." if name != "a" else "Integrate x")
    assert index.find("Find the derivative of 3x^2+5x") == "b"
    assert len(index) == 3


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.5])
def test_threshold_is_a_share(threshold: float) -> None:
    with pytest.raises(ValueError, match="share"):
        OverlapIndex(threshold)


_WORDS = st.sampled_from(
    [
        "find",
        "the",
        "derivative",
        "of",
        "integral",
        "apples",
        "tom",
        "has",
        "buys",
        "3",
        "5",
        "12",
        "3x+5",
        "3x",
        "+",
        "x^2",
        "x=2",
        ",",
        ".",
        "a",
    ]
)


_TEXTS = st.lists(_WORDS, max_size=9).map(" ".join)


@given(st.lists(_TEXTS, max_size=12), _TEXTS, st.sampled_from([0.3, 0.5, 0.8, 1.0]))
def test_agrees_with_comparing_to_all(texts: list[str], text: str, threshold: float) -> None:
    index = OverlapIndex(threshold)
    for i, known in enumerate(texts):
        index.add(str(i), known)
    problem = Problem.of(text)
    expected = next((str(i) for i, k in enumerate(texts) if same_problem(problem, Problem.of(k), threshold)), None)
    assert index.find(text) == expected


@given(st.text(max_size=60))
def test_everything_repeats_itself(text: str) -> None:
    assert found(text, text)


_BEGINNINGS = ("in", "de", "con", "re", "pre", "ex", "per", "un")
_ENDINGS = (
    "form",
    "duct",
    "fer",
    "vert",
    "tain",
    "sist",
    "port",
    "tend",
    "ject",
    "pose",
    "scribe",
    "struct",
    "mit",
    "cede",
)


def _problem(rng: Random, vocabulary: list[str]) -> str:
    if rng.random() < 0.5:
        return "Which " + " ".join(rng.choices(vocabulary, k=12)) + "?"
    return f"Differentiate {rng.randint(1, 99)}x^{rng.randint(2, 9)} + {rng.randint(1, 99)}x and explain the rule"


def test_thousands_take_seconds() -> None:
    rng = Random(0)
    vocabulary = [f"{a}{b}" for a in _BEGINNINGS for b in _ENDINGS]
    index = OverlapIndex(0.8)
    start = time.process_time()
    for i in range(5000):
        index.add(str(i), _problem(rng, vocabulary))
    for _ in range(1000):
        index.find(_problem(rng, vocabulary))
    assert time.process_time() - start < 20  # seconds of one core; about 2
