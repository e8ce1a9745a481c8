"""Grading held-out answers, and the numbers of the summary, worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from dsa_lite.io.answers.checker import AnswerChecker
from dsa_lite.records import Checker, Decision, Exercise, Graded, HeldOutItem, Observed, Rejected
from dsa_lite.stages import answering, graph, report
from dsa_lite.testing import ScriptedTeacher


@pytest.fixture(scope="module")
def checker() -> Iterator[AnswerChecker]:
    with AnswerChecker("math") as opened:
        yield opened


def grade(checker: AnswerChecker, problem: str, gold: str, reply: str) -> Graded:
    item = HeldOutItem(id="i", problem=problem, answer=gold, topic="t")
    return answering._grade(checker, [item], [reply])[0]


@pytest.mark.parametrize(
    ("gold", "reply", "answer", "correct"),
    [
        ("12x^2", "Power rule: 3 * 4 = 12.\nAnswer: 12x^2", "12x^2", True),
        ("12x^2", "Answer: 12*x**2", "12*x**2", True),
        ("12x^2", "Answer: 12x^3", "12x^3", False),
        ("12x^2", "Answer: 5\nNo, wait.\nAnswer: 12x^2", "12x^2", True),
        ("12x^2", "12x^2", None, False),
        ("12x^2", "", None, False),
        ("12x^2", "Answer:", None, False),
        ("1/2", "Answer: 0.5", "0.5", True),
        ("x^2+2x", r"so \boxed{2x + x^2}", "2x + x^2", True),
    ],
)
def test_an_answer_is_right_when_it_has_the_gold_answers_value(
    checker: AnswerChecker, gold: str, reply: str, answer: str | None, correct: bool
) -> None:
    result = grade(checker, "Differentiate 4x^3.", gold, reply)
    assert (result.answer, result.correct, result.reply) == (answer, correct, reply)


@pytest.mark.parametrize(
    ("problem", "gold", "echo"),
    [
        ("Expand (x+1)(x-1).", "x^2-1", "(x+1)(x-1)"),
        ("Expand (x + 1)(x - 1)", "x^2-1", "(x+1) (x-1)"),
        ("Expand $(x+1)(x-1)$.", "x^2-1", "$(x+1)(x-1)$"),
        ("Expand y = (x+1)^2", "x^2+2x+1", "(x+1)**2"),
        ("Simplify 3x + 2x, please.", "5x", "3x+2x"),
        ("Factor x^2+2x+1", "(x+1)^2", "x^2 + 2x + 1"),
    ],
)
def test_repeating_an_expression_of_the_problem_is_no_answer(
    checker: AnswerChecker, problem: str, gold: str, echo: str
) -> None:
    assert checker.same([(gold, echo)]) == [True]
    assert not grade(checker, problem, gold, f"Answer: {echo}").correct
    assert grade(checker, problem, gold, f"Answer: {gold}").correct


@pytest.mark.parametrize(
    ("problem", "gold", "answer"),
    [
        ("Differentiate e^x.", "e^x", "e^x"),  # the gold answer itself stands in the problem
        ("Which is larger, 0.75 or 2/3?", "3/4", "0.75"),  # a plain number
        ("Simplify x*2x + x", "x + 2x^2", "2x^2 + x"),
        ("Write x^2 + 2x - x^2 in short.", "x*2", "2x"),  # a part of an expression
        ("Find the maximum of 4x - x^2", "x+0", "x"),  # a letter of a word
        ("Integrate 2x+1 and then add 12x+13.", "x*2+1+0", "1+2x"),
    ],
)
def test_an_answer_that_only_looks_like_a_part_of_the_problem_is_right(
    checker: AnswerChecker, problem: str, gold: str, answer: str
) -> None:
    assert grade(checker, problem, gold, f"Answer: {answer}").correct


@pytest.mark.parametrize(("kind", "gold"), [("exact", "Lyon Road"), ("choice", "b")])
def test_words_and_choices_may_be_repeated_from_the_problem(kind: Checker, gold: str) -> None:
    with AnswerChecker(kind) as checker:
        problem = "Which one is it: (a) Paris Street (b) Lyon road?"
        assert grade(checker, problem, gold, f"Answer: {'(b) Lyon road' if kind == 'choice' else 'lyon road'}").correct


def graded(pattern: str, topics: str) -> list[Graded]:
    """One answer per character of `pattern`: + right, - wrong."""
    return [
        Graded(id=f"i{n:02d}", topic=topic, reply="", answer=None, correct=mark == "+")
        for n, (mark, topic) in enumerate(zip(pattern, topics, strict=True))
    ]


BEFORE, AFTER, TOPICS = "+----+", "+++++-", "AAABBB"


def write_results(context: Any, before: Sequence[Graded], after: Sequence[Graded]) -> None:
    graph.run(context)
    folder = context.folder
    for when, results in (("before", before), ("after", reversed(after))):
        for result in results:
            folder.graded(when, "eval").append(result)
    for name, round, skill, right in (
        ("a", 0, "addition", True),
        ("b", 0, "squares", False),
        ("r01-x", 1, "squares", None),
    ):
        folder.exercises().append(
            Exercise(id=name, problem=f"p {name}", solution="s", answer="1", skills=(skill,), origin="single",
                     round=round, steps_right=right, tokens_out=10)
        )  # fmt: skip
    folder.rejected().append(Rejected(id="a.1", stage="exercises", reason="malformed", tokens_out=5))
    folder.rejected().append(Rejected(id="r01-x", stage="tune", reason="too long", round=1))
    for round, region, action, weight in ((1, "hard", "keep", 1.0), (2, "error", "remove", 0.0)):
        for name, loss in (("a", 0.5), ("b", 1.5)):
            easy = name == "a"
            folder.observations(round).append(Observed(example=name, epoch=round - 1, loss=loss, tokens=4, correct=2))
            folder.decisions(round).append(
                Decision(example=name, skill="addition", region="easy" if easy else region, loss=loss, deviation=0.25,
                         action="down-weight" if easy else action, weight=0.3 if easy else weight, score=loss)
            )  # fmt: skip
        folder.write_round(round, {"baseline": None, "warnings": []})


@pytest.fixture
def summary(desk: Any) -> dict[str, Any]:
    with desk.context(ScriptedTeacher({}), graph={"expand": False}) as context:
        write_results(context, graded(BEFORE, TOPICS), graded(AFTER, TOPICS))
        context._student = SimpleNamespace(device="cpu")
        report.run(context)
        found: dict[str, Any] = context.folder.read_summary()
    return found


def test_accuracies_carry_wilson_intervals(summary: dict[str, Any]) -> None:
    # 2 of 6 and 5 of 6; z^2 = 3.8415: centre (p + z^2/12) / (1 + z^2/6), see Wilson 1927
    assert summary["before"]["eval"] == pytest.approx(
        {"accuracy": 2 / 6, "n": 6, "low": 0.0968, "high": 0.7000}, abs=1e-4
    )
    assert summary["after"]["eval"] == pytest.approx(
        {"accuracy": 5 / 6, "n": 6, "low": 0.4365, "high": 0.9699}, abs=1e-4
    )
    assert summary["before"]["transfer"] == {"accuracy": None, "n": 0, "low": None, "high": None}


def test_before_and_after_are_compared_on_the_same_items_whatever_their_order_on_disk(summary: dict[str, Any]) -> None:
    # 4 gained, 1 lost: 2 * (C(5,0) + C(5,1)) / 2^5
    assert summary["mcnemar_p"] == summary["mcnemar"]["eval"] == 12 / 32
    assert summary["mcnemar"]["general"] is None


def test_every_topic_has_its_own_figures(summary: dict[str, Any]) -> None:
    rows = {r["topic"]: (r["set"], r["n"], r["before"]["accuracy"], r["after"]["accuracy"]) for r in summary["topics"]}
    assert rows == {"A": ("eval", 3, 1 / 3, 1.0), "B": ("eval", 3, 1 / 3, 2 / 3)}


def test_rounds_regions_rejects_and_tokens_are_counted(summary: dict[str, Any]) -> None:
    assert summary["regions"] == {"error": 1, "hard": 0, "easy": 1, "ambiguous": 0}
    assert summary["rejected"] == {"malformed": 1, "too long": 1}
    assert summary["teacher_tokens"] == 35
    assert (summary["exercises"], summary["textbooks"], summary["skills"]) == (3, 0, 4)
    rounds = [(r["round"], r["examples"], r["new"], r["removed"], r["loss"]) for r in summary["rounds"]]
    assert rounds == [(1, 2, 1, 0, 1.0), (2, 2, 0, 0, 1.0)]  # what the last round finds wrong stays


def test_the_data_map_counts_each_example_once_and_tells_the_share_of_wrong_ones(desk: Any, summary: Any) -> None:
    with desk.context(ScriptedTeacher({}), graph={"expand": False}) as context:
        rows = {r.region: r for r in report.region_rows(context.folder)}
        telling = [e.id for e, _ in report.by_region(context.folder)["error"][:5]]
    assert {name: row.count for name, row in rows.items() if row.count} == {"error": 1, "easy": 1}
    error = rows["error"]
    assert (error.loss, error.deviation, error.weight, error.action, error.share_wrong) == (1.5, 0.25, 0, "remove", 1.0)
    assert rows["easy"].share_wrong == 0.0
    assert rows["hard"].share_wrong is None
    assert telling == ["b"]


def test_the_dynamics_are_written_in_cartographys_layout(desk: Any, summary: Any) -> None:
    import json
    import math

    folder = desk.folder / "run" / "training_dynamics"
    rows = [json.loads(line) for line in (folder / "dynamics_epoch_1.jsonl").read_text().splitlines()]
    assert [r["guid"] for r in rows] == ["a", "b"]
    assert rows[0]["logits_epoch_1"] == pytest.approx([-0.5, math.log(1 - math.exp(-0.5))])
    assert rows[0]["gold"] == 0
