"""What the report page is given: a small run worked out by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from dsa_lite.core.graph import from_node_link
from dsa_lite.core.report_data import SAMPLES, RunRecords, report_data
from dsa_lite.core.report_examples import rounded
from dsa_lite.core.statistics import wilson
from dsa_lite.records import REGIONS, Decision, Exercise, Graded, HeldOutItem, Observed, Rejected, Textbook, Vote

GRAPH = from_node_link({
    "nodes": [{"id": "sums", "name": "Sums"}, {"id": "squares", "name": "Squares", "position": 1}],
    "edges": [{"source": "sums", "target": "squares"}],
})  # fmt: skip


def exercise(id: str, *skills: str, **fields: Any) -> Exercise:
    return Exercise(id=id, problem=f"p {id}", solution="s", answer="1", skills=skills, origin="single", **fields)


def decision(id: str, region: Any, action: Any, loss: float, weight: float = 1.0) -> Decision:
    return Decision(
        example=id, skill="sums", region=region, action=action, weight=weight, loss=loss, deviation=0.25, score=0.0
    )


def seen(id: str, **losses: float) -> list[Observed]:
    return [Observed(example=id, epoch=int(e[1:]), loss=loss, tokens=4, correct=2) for e, loss in losses.items()]


def answer(id: str, topic: str, correct: bool) -> Graded:
    return Graded(id=id, topic=topic, reply="reply " * 300, answer="7" if correct else None, correct=correct)


def records(**fields: Any) -> RunRecords:
    return RunRecords(settings={}, stages={"graph": "done", "tune": "running"}, graph=GRAPH, **fields)


def test_examples_in_use_stand_in_columns_with_their_losses() -> None:
    data = report_data(
        records(
            exercises=[exercise("b", "sums", "squares", parents=("a", "gone"), steps_right=False),
                       exercise("a", "sums"), exercise("c", "sums"), exercise("d", "sums", round=1)],
            rejected=[Rejected(id="c", stage="exercises", reason="duplicate"),
                      Rejected(id="d", stage="tune", reason="too long")],
            observed=[*seen("b", e3=0.123456, e1=1.0), *seen("c", e0=9.0)],
            votes=[Vote(id=f"{e}/{n}", exercise=e, round=1, answer=given)
                   for e, n, given in (("b", 2, "8"), ("b", 1, "7"), ("a", 1, None), ("c", 1, "1"))],
        )
    )  # fmt: skip
    table = data["examples"]
    assert table["id"] == ["a", "b", "d"]  # c was refused; d is too long for this student, yet an exercise
    assert table["skills"] == [[0], [0, 1], [0]]
    assert table["losses"] == [[], [1, 1, None, 0.1235], []]
    assert table["right"] == [None, 0, None]
    assert table["parents"] == [[], [0], []]
    assert table["again"] == {"1": ["7", "8"]}  # a's new solution came to no answer
    assert table["round"] == [0, 0, 1]
    assert data["edges"] == [[0, 1]]
    assert [s["level"] for s in data["skills"]] == [0, 1]


def test_curves_are_means_over_the_exercises_that_teach_the_skill() -> None:
    data = report_data(
        records(
            exercises=[exercise("a", "sums"), exercise("b", "squares", "sums"), exercise("c", "sums", "squares")],
            observed=[*seen("a", e0=1.0, e2=0.5), *seen("b", e0=3.0), *seen("c", e0=5.0, e1=float("nan"))],
        )
    )
    assert data["curves"] == {"epochs": 3, "rows": [[0, 2, None, 0.5], [1, 5, None, None]]}


def test_rounds_count_and_point_at_examples() -> None:
    data = report_data(
        records(
            exercises=[exercise("a", "sums"), exercise("b", "sums"), exercise("r01-x", "sums", round=1)],
            decisions={
                2: [decision("b", "easy", "down-weight", 0.5, 0.3)],
                1: [decision("b", "hard", "keep", 1.0), decision("a", "error", "remove", 2.0, 0.0),
                    decision("gone", "hard", "keep", float("nan"))],
            },
            rounds={1: {"baseline": 3.30449, "warnings": ["too few probes"]}},
        )
    )  # fmt: skip
    first, second = data["rounds"]
    assert (first["round"], first["examples"], first["new"], first["removed"], first["loss"]) == (1, 3, 1, 1, 1.5)
    assert (first["baseline"], first["warnings"]) == (3.304, ["too few probes"])
    assert first["regions"] == [1, 2, 0, 0, 0]
    assert (first["example"], first["mean"], first["weight"]) == ([0, 1], [2, 1], [0, 1])
    assert [REGIONS[r] for r in first["region"]] == ["error", "hard"]
    assert (second["new"], second["down"], second["weight"], second["baseline"]) == (0, 1, [0.3], None)


def test_what_the_last_round_finds_wrong_stays() -> None:
    wrong = {round: [decision("a", "error", "remove", 2.0, 0.0)] for round in (1, 2)}
    tuning = records(exercises=[exercise("a", "sums")], decisions=wrong)
    for stages, removed in (({"tune": "running"}, [1, 1]), ({"tune": "done"}, [1, 0])):
        assert [r["removed"] for r in report_data(replace(tuning, stages=stages))["rounds"]] == removed


def test_skills_carry_the_score_of_their_own_topic_and_what_is_still_wrong() -> None:
    item = HeldOutItem(id="t1", problem="5^2+1?", answer="26", topic="Squares", skills=("Sums", "Squares", "Reading"))
    data = report_data(
        records(
            textbooks=[Textbook(id="b", skill="sums", text="second"), Textbook(id="a", skill="sums", text="first")],
            graded={
                ("before", "transfer"): [answer("t1", "Squares", True)],
                ("after", "transfer"): [answer("t1", "Squares", False)],
                ("after", "eval"): [answer("e1", "Squares", True), answer("e2", "Squares", False)],
                ("after", "general"): [answer("g1", "Sums", True), answer("g2", "Squares", False)],
            },
            items={"t1": item},
        )
    )
    sums, squares = data["skills"]
    assert sums["books"] == ["first", "second"]
    assert (sums["set"], sums["n"], sums["score"][0]) == ("general", 1, 1)
    assert (squares["set"], squares["n"]) == ("eval", 2)
    assert squares["score"] == pytest.approx([0.5, *wilson(1, 2)], abs=1e-6)
    assert [(w["id"], w["lost"], w["skills"]) for w in data["wrong"]] == [
        ("e2", False, [1]), ("t1", True, [1, 0]), ("g2", False, [1])
    ]  # fmt: skip
    assert (data["wrong"][1]["problem"], data["wrong"][1]["gold"], data["wrong"][0]["problem"]) == (
        "5^2+1?",
        "26",
        None,
    )
    assert len(data["wrong"][0]["reply"]) < 1000


def test_rejects_are_counted_by_reason_and_sampled_evenly() -> None:
    many = [Rejected(id=f"{i:03d}", stage="exercises", reason="duplicate") for i in range(100)]
    data = report_data(
        records(rejected=[Rejected(id="x", stage="textbooks", reason="held out", sample="s" * 2000), *many])
    )
    duplicates, held_out = data["rejects"]
    assert (duplicates["reason"], duplicates["count"], len(duplicates["samples"])) == ("duplicate", 100, SAMPLES)
    assert [sample[1] for sample in duplicates["samples"]][::4] == ["000", "050"]
    assert len(held_out["samples"][0][3]) < 1000


def test_of_a_models_path_only_the_last_part_is_shown() -> None:
    settings = {
        "identity": {"teacher": "/home/someone/models/big.gguf", "student": r"C:\models\small", "skill": "calculus"},
        "versions": {"dsa-lite": "1.2"},
        "config": {"seed": 3, "tune": {"rounds": 2}, "dynamics": {"filter_errors": True}},
    }
    data = report_data(RunRecords(settings=settings, stages={}))
    assert "someone" not in json.dumps(data)
    tables = {t["table"]: dict(t["rows"]) for t in data["settings"]}
    assert tables["identity"] == {"teacher": "big.gguf", "student": "small", "skill": "calculus"}
    assert (tables["run"], tables["tune"], tables["dynamics"]) == (
        {"seed": "3"},
        {"rounds": "2"},
        {"filter_errors": "true"},
    )
    assert (data["run"]["title"], data["run"]["version"]) == ("calculus", "1.2")


def test_a_run_that_has_only_begun_has_data_all_the_same() -> None:
    data = report_data(RunRecords(settings={}, stages={"graph": "running"}))
    assert (data["sets"], data["skills"], data["rounds"], data["examples"]["id"]) == ([], [], [], [])
    json.dumps(data, allow_nan=False)


@pytest.mark.parametrize(
    ("value", "short"),
    [(0.123456, 0.1235), (2.0, 2), (0.0, 0), (None, None), (float("nan"), None), (float("inf"), None), (1e-7, 1e-7)],
)
def test_numbers_are_rounded_and_never_nan(value: float | None, short: float | None) -> None:
    assert rounded(value) == short


def test_sources_and_notes_reach_the_page_and_a_folder_only_by_its_name() -> None:
    grounded = Exercise(
        id="e", problem="P", solution="S", answer="A", skills=("sums",), origin="single", sources=("a.md, line 1", "b")
    )
    plain = grounded.model_copy(update={"id": "d", "sources": ()})
    books = [Textbook(id=i, skill="sums", text=i, sources=("b", i)) for i in ("x", "y")]
    found = records(exercises=[grounded, plain], textbooks=books, summary={"notes": ["teacher-made, vote-verified"]})
    settings = {"config": {"docs": {"folder": "/home/me/private/docs", "passage_chars": 1200}}}
    data = report_data(replace(found, settings=settings))
    assert data["examples"]["sources"] == {"1": ["a.md, line 1", "b"]}
    assert data["skills"][0]["sources"] == ["b", "x", "y"]
    assert data["run"]["notes"] == ["teacher-made, vote-verified"]
    assert {"table": "docs", "rows": [["folder", "docs"], ["passage_chars", "1200"]]} in data["settings"]
