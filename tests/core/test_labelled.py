"""Labelled text: the parts of what real small models write."""

from __future__ import annotations

import pytest

from dsa_lite.core.labelled import Part, Worked, parts, worked
from dsa_lite.core.replies import ExerciseReply, SolutionReply, read_exercise, read_procedure, read_solution

PLAIN = "Problem: A cat eats 3 fish a day.\nHow many in 4 days?\nSolution:\n3 * 4 = 12\nAnswer: 12"


def test_parts_in_order_with_what_stands_before_the_first() -> None:
    assert parts(f"Sure!\n{PLAIN}") == [
        Part("", "Sure!"),
        Part("problem", "A cat eats 3 fish a day.\nHow many in 4 days?"),
        Part("solution", "3 * 4 = 12"),
        Part("answer", "12"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "**Problem:** How many?\n\n**Solution:**\n1. 3 * 4 = 12\n\n**Answer:** 12",
        "### Problem 1:\nHow many?\n#### Solution:\n- 3 * 4 = 12\n---\n#### Answer: 12",
        "Question: How many?\nsolution: Step 1: 3 * 4 = 12\nFinal answer: 12",
        "How many?\nSolution: 3 * 4 = 12\nAnswer: 12\nI hope this helps!",
        '{"problem": "How many?", "solution": "3 * 4 = 12", "answer": "12"}',
    ],
)
def test_an_exercise_in_the_forms_models_use(text: str) -> None:
    assert read_exercise(text) == ExerciseReply(problem="How many?", solution="3 * 4 = 12", answer="12")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", 'no part "Problem:", "Solution:", "Answer:"'),
        ("Problem: How many?\nSolution: 3 * 4 = 12", 'no part "Answer:"'),
        ("Answer: 12\nSolution: 3 * 4\nProblem: How many?", "parts out of order"),
        ('{"problem": "How many?"}', "solution: Field required"),
    ],
)
def test_what_is_missing_is_said(text: str, why: str) -> None:
    assert read_exercise(text) == why


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("What is 2**3 * 2**4?", "What is 2**3 * 2**4?"),
        ("What does __init__ do?", "What does __init__ do?"),
        ("What is **half** of 2**10?", "What is half of 2**10?"),
    ],
)
def test_powers_and_names_are_no_emphasis(written: str, read: str) -> None:
    (found,) = worked(parts(f"**Problem:** {written}\n**Solution:** so.\n**Answer: 5**"))
    assert (found.problem, found.answer) == (read, "5")


def test_a_word_with_a_colon_inside_a_line_is_no_label() -> None:
    (found,) = worked(parts("Problem: Say the answer: yes or no?\nSolution: It is so.\nAnswer: yes"))
    assert found == Worked("Say the answer: yes or no?", "It is so.", "yes")


def test_a_solution_needs_its_answer_alone() -> None:
    assert read_solution("3 * 4 = 12\nAnswer: 12") == SolutionReply(solution="3 * 4 = 12", answer="12")
    assert read_solution("Answer: 12") == SolutionReply(solution="12", answer="12")
    assert read_solution("It is 12.") == 'no part "Answer:"'


def test_a_procedure_has_steps_and_worked_cases() -> None:
    case = "Problem: How many?\nSolution:\n3 * 4 = 12\nAnswer: 12\n"
    steps = ("Count the days.", "Multiply.")
    found = read_procedure(f"Procedure:\n1. Count the days.\n2. Multiply.\n{case}{case}")
    assert found == (steps, [Worked("How many?", "3 * 4 = 12", "12")] * 2)
    assert read_procedure(f"1. Count the days.\n2. Multiply.\n{case}Problem: cut o") == (steps, found[1][:1])
    assert read_procedure("Procedure:\n1. Count.") == 'no part "Problem:", "Solution:", "Answer:"'
