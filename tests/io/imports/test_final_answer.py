"""Where a reply gives its final answer, and what is left as its solution."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsa_lite.io.imports.final_answer import split_reply

WORDS = st.text(alphabet="abcdefg +=.,\n", max_size=60)


@pytest.mark.parametrize(
    ("reply", "solution", "answer"),
    [
        # Headings of Markdown are no marks of GSM8K.
        ("#### One\n2*9 = 18.\n#### B\nIt is\n\\boxed{18}", "#### One\n2*9 = 18.\n#### B\nIt is\n\\boxed{18}", "18"),
        ("#### Step 1\n2*9 = 18.\n\nAnswer: 18", "#### Step 1\n2*9 = 18.", "18"),
        ("2*9 = <<2*9=18>>18.\n#### 18", "2*9 = 18.", "18"),
        ("2*9 = 18 #### 18", "2*9 = 18", "18"),
        ("2*9 = 18.\n#### Final answer: 18", "2*9 = 18.", "18"),
        ("2*9 = 18.\n#### 18\nThe answer is: 18", "2*9 = 18.", "18"),
        # Sentences that say it.
        ("Nine times two, 2*9 = 18. The answer is 18.", "Nine times two, 2*9 = 18.", "18"),
        ("2*9 = 18, so the answer is 18.", "2*9 = 18", "18"),
        ("2*9 = 18.\nThe answer to the question is 18 pens.", "2*9 = 18.", "18 pens"),
        ("2*9 = 18. Therefore, the final answer is $\\boxed{18}$.", "2*9 = 18.", "18"),
        ("Halve it.\nFinal Answer: The final answer is $\\frac12$. I hope it is correct.", "Halve it.", "\\frac12"),
        ("2*9 = 18.\nSo the answer would be **$18.50**.\n\nLet me know if you have 3 more!", "2*9 = 18.", "$18.50"),
        ("The answer is 18.\n\nExplanation: 2*9=18", "Explanation: 2*9=18", "18"),
        ("The answer is 18 because 2*9=18.", "The answer is 18 because 2*9=18.", "18"),
        ("Hm.\nThe answer is St. Louis.", "Hm.", "St. Louis"),
        ("Hm.\nThe answer is x = -3.5 or x = 2.", "Hm.", "x = -3.5 or x = 2"),
        ("Hm.\nThe correct answer is (B).", "Hm.", "(B)"),
        # Lines and headings.
        ("### Way\n2*9\n\n### Final Answer\n\n$$18$$", "### Way\n2*9", "18"),
        ("**Answer:**\n18", "", "18"),
        ("Answer: 18\nBecause 2*9=18.", "Because 2*9=18.", "18"),
        ("$\\boxed{18}$", "", "18"),
        # What is thought aloud gives no answer; it stays.
        ("<think>The answer is 5?</think>\n2*9.\nThe answer is 18.", "<think>The answer is 5?</think>\n2*9.", "18"),
        ("<think>so</think><answer>2*9 = 18. The answer is 18</answer>", "<think>so</think>\n2*9 = 18.", "18"),
        ("Paris", "", "Paris"),
    ],
)  # fmt: skip
def test_solution_and_answer(reply: str, solution: str, answer: str) -> None:
    assert split_reply(reply) == (solution, answer)


@pytest.mark.parametrize(
    "reply",
    [
        "It is long.\nIt has no end.",
        "The answer is not 5.\nIt is more.",
        "Maybe the answer is 5.\nBut 2*9 = 18, so no.",
        "Answer:\nWe first take 3 away.\nThen we add 4.",
        "<think>The answer is 18.</think>",
        "<think>So the answer is 18.",
        "#### One\nfirst\n#### Two\nsecond",
    ],
)
def test_no_answer_is_guessed(reply: str) -> None:
    assert split_reply(reply) is None


LINES = ("Answer: {}", "#### {}", "So the answer is {}.", "The answer is **{}**.")


@settings(deadline=None)
@given(WORDS, st.integers(-999, 99_999), st.sampled_from(LINES))
def test_a_closing_line_gives_the_answer_and_the_rest_stays(text: str, value: int, line: str) -> None:
    assert split_reply(f"{text}\n{line.format(value)}") == (text.strip(), str(value))
