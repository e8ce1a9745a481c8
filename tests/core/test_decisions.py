"""Regions, actions, pairs and weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsa_lite.config import DynamicsSettings
from dsa_lite.core.actions import Order, decide, loss_weights, new_items
from dsa_lite.core.graph import GraphBuilder
from dsa_lite.core.pairing import pair
from dsa_lite.core.regions import Baseline, classify, doubtful, looked_at_again
from dsa_lite.core.weighting import removed, weights
from dsa_lite.records import Decision, Exercise, Topic

NAN = math.nan
GRAPH = GraphBuilder(
    [Topic(name="a"), Topic(name="b", prerequisites=("a",)), Topic(name="c", prerequisites=("b",)), Topic(name="x")], 0
).build()[0]
MEAN = np.array([0.2, 0.4, 1.0, 3.0, 0.3, NAN, 0.1])
DEVIATION = np.array([0.1, 0.1, 0.1, 0.2, 0.9, NAN, 0.1])
SEEN = np.array([2, 2, 2, 2, 2, 0, 0])


def exercise(id: str, *skills: str, problem: str = "") -> Exercise:
    return Exercise(id=id, problem=problem or id, solution="s", answer="1", skills=skills, origin="single")


def decision(id: str, region: str, score: float = 0.0, action: str = "keep", weight: float = 1.0) -> Decision:
    return Decision.model_validate(
        {"example": id, "skill": "a", "region": region, "action": action, "weight": weight,
         "loss": score, "deviation": 0.0, "score": score}
    )  # fmt: skip


def test_default_rule_by_hand() -> None:
    regions, warnings = classify(MEAN, DEVIATION, SEEN, Baseline(2.0, 0.2), DynamicsSettings())
    # averages over the five judged: 0.98 and 0.28
    assert regions.tolist() == ["easy", "easy", "hard", "error", "ambiguous", "unclassified", "unclassified"]
    assert warnings == []


def test_what_was_learned_is_easy_whatever_its_loss() -> None:
    """In one epoch nothing deviates, and in a skill that is known half of it lies above the average."""
    learned, flat = np.array([False, True, False, True, True, False, True]), np.where(SEEN > 0, 0.0, NAN)
    for preset, expected in {
        "skill": ["ambiguous", "easy", "hard", "easy", "easy", "unclassified", "unclassified"],
        "cartography": ["ambiguous", "ambiguous", "ambiguous", "error", "ambiguous", "unclassified", "unclassified"],
    }.items():
        settings = DynamicsSettings.model_validate({"preset": preset})
        regions, _ = classify(MEAN, flat, SEEN, Baseline(2.0, 0.2), settings, learned)
        assert regions.tolist() == expected
    few = DynamicsSettings(max_error_fraction=0.2)  # one of five: what is right takes nobody's place
    regions, warnings = classify(MEAN, flat, SEEN, Baseline(0.99, 0.2), few, learned)
    assert regions.tolist()[2:4] == ["error", "easy"]
    assert warnings == []


@pytest.mark.parametrize(
    ("settings", "region_of_2", "region_of_3"),
    [
        ({"preset": "global"}, "hard", "error"),
        ({"error_sigma": "le"}, "hard", "error"),
        ({"error_sigma": "ge"}, "hard", "error"),
        ({"hard_sigma": "lt"}, "hard", "error"),
        ({"hard_sigma": "ge"}, "ambiguous", "error"),
        ({"preset": "cartography"}, "hard", "error"),
        ({"preset": "cartography", "max_error_fraction": 0.0}, "hard", "ambiguous"),
    ],
)
def test_presets_and_switches(settings: dict[str, object], region_of_2: str, region_of_3: str) -> None:
    regions, _ = classify(MEAN, DEVIATION, SEEN, Baseline(2.0, 0.2), DynamicsSettings.model_validate(settings))
    assert (regions[2], regions[3]) == (region_of_2, region_of_3)


def test_the_baseline_of_scores_is_what_half_of_the_constructed_errors_reach() -> None:
    losses = np.array([[1.0, 3.0], [2.0, 2.0], [50.0, 70.0]])
    assert Baseline.of(losses, "global") == Baseline(128 / 6, (1 + 0 + 10) / 3)
    assert Baseline.of(losses, "cartography") == Baseline.of(losses, "global")
    assert Baseline.of(losses, "skill") == Baseline(2.0, 11 / 3)


def test_in_doubt_are_errors_and_the_highest_losses_that_are_not_predicted_right() -> None:
    regions = np.array(["easy", "hard", "error", "ambiguous", "error", "unclassified"])
    mean, right = np.array([0.9, 0.8, 0.7, 0.5, 0.4, NAN]), np.array([True, False, False, False, False, False])

    def found(share: float) -> list[int]:
        return np.flatnonzero(doubtful(regions, mean, right, DynamicsSettings(second_look=share))).tolist()

    assert found(0.0) == []
    assert found(0.2) == [1, 2, 4]  # one of five: that with the highest loss; the errors come on top
    assert found(0.6) == [1, 2, 3, 4]
    assert found(1.0) == [1, 2, 3, 4]


def test_the_teachers_second_look_decides() -> None:
    regions = np.array(["error", "error", "error", "hard", "hard", "ambiguous", "unclassified"])
    confirmed = np.array([True, False, False, True, False, False, False])
    refuted = np.array([False, True, False, False, True, False, False])
    mean = np.array([5.0, 4.0, 3.0, 2.0, 2.5, 0.3, NAN])
    settings = DynamicsSettings(max_error_fraction=0.5)  # three of the six that are judged
    found, warnings = looked_at_again(regions, mean, confirmed, refuted, settings)
    assert found.tolist() == ["hard", "error", "error", "hard", "error", "ambiguous", "unclassified"]
    assert warnings == []
    fewer = DynamicsSettings(max_error_fraction=0.34)  # two: those with the highest mean
    found, warnings = looked_at_again(regions, mean, confirmed, refuted, fewer)
    assert found.tolist() == ["hard", "error", "error", "hard", "ambiguous", "ambiguous", "unclassified"]
    assert "3 of 6 examples look like errors" in warnings[0]
    nothing = np.zeros(7, dtype=np.bool_)
    assert looked_at_again(regions, mean, nothing, nothing, settings)[0].tolist() == regions.tolist()


def test_sigma_of_the_baseline_decides_under_r1() -> None:
    settings = DynamicsSettings(preset="cartography")
    assert classify(MEAN, DEVIATION, SEEN, Baseline(2.0, 0.1), settings)[0][3] == "hard"
    assert classify(MEAN, DEVIATION, SEEN, Baseline(2.0, 0.1), DynamicsSettings(error_sigma="le"))[0][3] == "hard"


def test_guards() -> None:
    mean, deviation, seen = np.array([0.0] * 6 + [5.0, 7.0, 6.0, 8.0]), np.zeros(10), np.full(10, 3)
    regions, warnings = classify(mean, deviation, seen, Baseline(4.0, 1.0), DynamicsSettings())
    assert regions[6:].tolist() == ["ambiguous", "error", "error", "error"]
    assert len(warnings) == 1
    assert "4 of 10" in warnings[0]
    regions, warnings = classify(mean, deviation, seen, Baseline(2.6, 1.0), DynamicsSettings())
    assert "error" not in regions
    assert "told apart" in warnings[0]
    assert "told apart" in classify(mean, deviation, seen, Baseline(NAN, NAN), DynamicsSettings())[1][0]
    assert classify(mean, deviation, seen, None, DynamicsSettings())[1] == []
    regions, warnings = classify(mean, deviation, seen, None, DynamicsSettings(min_epochs=4))
    assert set(regions) == {"unclassified"}
    assert "4 epochs" in warnings[0]
    none = np.zeros(0)
    assert classify(none, none, none.astype(int), None, DynamicsSettings())[0].tolist() == []


def test_equal_losses_are_hard_under_r3_and_ambiguous_under_r1() -> None:
    mean, deviation, seen = np.full(7, 0.1), np.full(7, 0.1), np.full(7, 3)
    assert set(classify(mean, deviation, seen, None, DynamicsSettings())[0]) == {"hard"}
    assert set(classify(mean, deviation, seen, None, DynamicsSettings(preset="cartography"))[0]) == {"ambiguous"}


def slow_region(
    mean: float, deviation: float, average: Baseline, baseline: Baseline, settings: DynamicsSettings
) -> str:
    r1 = settings.preset == "cartography"
    clauses = {"ignore": True, "le": deviation <= baseline.deviation, "ge": deviation >= baseline.deviation}
    if mean >= baseline.loss > average.loss and clauses["le" if r1 else settings.error_sigma]:
        return "error"
    low = deviation < average.deviation
    if r1:
        if mean > average.loss and low:
            return "hard"
    elif mean >= average.loss and {"ignore": True, "lt": low, "ge": not low}[settings.hard_sigma]:
        return "hard"
    return "easy" if mean < average.loss and low else "ambiguous"


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.floats(0, 3), st.integers(0, 3)), max_size=30), st.floats(-5, 5),
    st.floats(0, 3), st.sampled_from(["skill", "global", "cartography"]), st.sampled_from(["ignore", "le", "ge"]),
    st.sampled_from(["ignore", "lt", "ge"]), st.floats(0, 1),
)  # fmt: skip
def test_regions_against_a_slow_reference(rows, loss, sigma, preset, error_sigma, hard_sigma, most) -> None:  # type: ignore[no-untyped-def]
    settings = DynamicsSettings(
        preset=preset, error_sigma=error_sigma, hard_sigma=hard_sigma, max_error_fraction=most, min_epochs=2
    )
    mean, deviation = (np.array([r[k] for r in rows], dtype=float) for k in (0, 1))
    seen = np.array([r[2] for r in rows], dtype=int)
    regions, _ = classify(mean, deviation, seen, Baseline(loss, sigma), settings)
    judged = np.flatnonzero(seen >= 2)
    assert (regions[seen < 2] == "unclassified").all()
    if not len(judged):
        return
    average = Baseline(float(mean[judged].mean()), float(deviation[judged].mean()))
    if np.ptp(mean[judged]) < 1e-9 or np.ptp(deviation[judged]) < 1e-9:
        return
    expected = {int(i): slow_region(mean[i], deviation[i], average, Baseline(loss, sigma), settings) for i in judged}
    errors = sorted((i for i in expected if expected[i] == "error"), key=lambda i: -mean[i])
    for i in errors[math.floor(most * len(judged) + 1e-9) :]:
        expected[i] = "ambiguous"
    assert {i: str(regions[i]) for i in expected} == expected


def test_decisions_by_hand() -> None:
    regions = np.array(["error", "easy", "hard", "unclassified", "unclassified"])
    values = np.array([3.0, 0.1, 1.0, 0.5, NAN])
    settings = DynamicsSettings(easy_weight=0.25)
    found = decide(list("vwxyz"), ["a"] * 5, regions, values, values, values, settings)
    assert [(d.example, d.action, d.weight) for d in found] == [
        ("v", "remove", 0.0), ("w", "down-weight", 0.25), ("x", "keep", 1.0), ("y", "keep", 1.0),
    ]  # fmt: skip
    assert loss_weights(regions, settings)[:4].tolist() == [d.weight for d in found]
    off = DynamicsSettings(filter_errors=False, down_weight_easy=False)
    assert {d.action for d in decide(list("vwxyz"), ["a"] * 5, regions, values, values, values, off)} == {"keep"}
    assert [Decision.model_validate_json(d.model_dump_json()) for d in found] == found


def test_latest_decision_wins() -> None:
    found = [decision("e", "easy", weight=0.3), decision("r", "error", action="remove"), decision("e", "hard")]
    assert weights(found) == {"e": 1.0, "r": 0.0}
    assert removed(found) == {"r"}
    assert weights([]) == {}
    assert removed([]) == set()


def test_new_items_by_hand() -> None:
    easy = {"e1": exercise("e1", "a"), "e2": exercise("e2", "a", "b"), "e3": exercise("e3", "x")}
    hard = {f"h{i}": exercise(f"h{i}", "b") for i in range(3)}
    decisions = [decision(id, "easy") for id in easy] + [decision(f"h{i}", "hard", float(i)) for i in range(3)]
    rng = np.random.default_rng(0)
    found = new_items(decisions, {**easy, **hard}, GRAPH, DynamicsSettings(max_new_fraction=0.5), rng)
    assert found == [
        Order("variant", ("h2",), ("b",)), Order("variant", ("h1",), ("b",)),
        Order("composition", ("e1", "e2"), ("a", "b")),
    ]  # fmt: skip
    assert new_items(decisions, {**easy, **hard}, GRAPH, DynamicsSettings(max_new_fraction=0.1), rng) == []
    assert len(new_items(decisions, {**easy, **hard}, GRAPH, DynamicsSettings(max_new_fraction=1), rng, limit=3.9)) == 3
    only = DynamicsSettings(max_new_fraction=1, variants_per_hard=2, compositions_per_pair=0)
    assert [o.parents for o in new_items(decisions, {**easy, **hard}, GRAPH, only, rng)] == [
        ("h2",), ("h1",), ("h0",), ("h2",), ("h1",), ("h0",),
    ]  # fmt: skip


def test_nothing_new_of_what_the_base_knew() -> None:
    exercises = {id: exercise(id, "a") for id in ("e1", "e2", "h1", "h2")}
    decisions = [decision(id, "easy" if id[0] == "e" else "hard") for id in exercises]
    decisions[-1] = decisions[-1].model_copy(update={"skill": "b"})
    settings, rng = DynamicsSettings(max_new_fraction=1), np.random.default_rng(0)
    assert {o.parents for o in new_items(decisions, exercises, GRAPH, settings, rng)} >= {("h1",), ("h2",)}
    assert {o.parents for o in new_items(decisions, exercises, GRAPH, settings, rng, known={"a"})} == {("h2",)}


def test_nothing_new_of_what_is_open_ended() -> None:
    exercises = {id: exercise(id, "a") for id in ("e1", "e2", "h1", "h2")}
    for id in ("e1", "h1"):
        exercises[id] = exercises[id].model_copy(update={"answer": ""})
    decisions = [decision(id, "easy" if id[0] == "e" else "hard") for id in exercises]
    settings, rng = DynamicsSettings(max_new_fraction=1), np.random.default_rng(0)
    assert {o.parents for o in new_items(decisions, exercises, GRAPH, settings, rng)} == {("h2",)}


def test_pairs_by_hand() -> None:
    rng = np.random.default_rng(0)
    unrelated = [exercise("p", "x"), exercise("q", "a")]
    same_problem = [exercise("p", "a", problem="1 +  1?"), exercise("q", "a", problem="1 + 1?")]
    too_many = [exercise("p", "a", "x", "b"), exercise("q", "c")]
    for exercises in (unrelated, same_problem, too_many):
        assert pair(exercises, GRAPH, 9, rng) == []
    nearest = pair([exercise("p", "a"), exercise("q", "b"), exercise("r", "c"), exercise("s", "c")], GRAPH, 1, rng)
    assert len(nearest) == 1


SKILLS = st.lists(st.sampled_from("abcx"), min_size=1, max_size=3, unique=True)


@given(st.lists(st.tuples(SKILLS, st.sampled_from("pqrst")), max_size=25), st.integers(0, 9), st.integers(0, 12))
def test_pairs_hold_their_promises(rows, seed: int, most: int) -> None:  # type: ignore[no-untyped-def]
    exercises = [exercise(f"e{i:02d}", *sorted(skills), problem=text) for i, (skills, text) in enumerate(rows)]
    pairs = pair(exercises, GRAPH, most, np.random.default_rng(seed))
    assert pairs == pair(exercises, GRAPH, most, np.random.default_rng(seed))
    used = [e.id for two in pairs for e in two]
    assert len(used) == len(set(used))
    assert len(pairs) <= most

    def fits(low: Exercise, high: Exercise) -> bool:
        related = low.skill == high.skill or low.skill in GRAPH.ancestors(high.skill)
        return related and low.problem != high.problem and len({*low.skills, *high.skills}) <= 3

    assert all(fits(low, high) for low, high in pairs)
    free = [e for e in exercises if e.id not in used]
    if len(pairs) < most:  # nothing that fits is left over
        assert not any(fits(low, high) for low in free for high in free)


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 3), st.integers(0, 3), st.floats(0, 1))
def test_new_items_never_exceed_their_share(hard: int, easy: int, variants: int, each: int, share: float) -> None:
    exercises = {f"e{i}": exercise(f"e{i}", "a") for i in range(hard + easy)}
    decisions = [decision(id, "hard" if i < hard else "easy") for i, id in enumerate(exercises)]
    settings = DynamicsSettings(max_new_fraction=share, variants_per_hard=variants, compositions_per_pair=each)
    found = new_items(decisions, exercises, GRAPH, settings, np.random.default_rng(0))
    most = math.floor(share * (hard + easy) + 1e-9)
    wanted = variants * hard, each * (easy // 2)
    counts = tuple(sum(o.kind == kind for o in found) for kind in ("variant", "composition"))
    assert sum(counts) == min(most, sum(wanted))
    assert all(c >= min(w, most // 2) for c, w in zip(counts, wanted, strict=True))
