"""Losses to dynamics: tables, windows, scores within groups, cartography."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dsa_lite.core.dynamics import (
    MIN_GROUP,
    all_correct,
    always_right,
    carried,
    cartography,
    summarise,
    table,
    within_groups,
)
from dsa_lite.errors import TrainingError
from dsa_lite.records import Observed

NAN = math.nan
LOSS = st.floats(0, 100, width=32) | st.just(NAN)
LOSSES = hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=8), elements=LOSS)


def seen(example: str, epoch: int, loss: float, correct: int = 0) -> Observed:
    return Observed(example=example, epoch=epoch, loss=loss, tokens=2, correct=correct)


def test_table_by_hand() -> None:
    records = [seen("b", 2, 0.5, 2), seen("a", 0, 1.0), seen("b", 0, 2.0), seen("a", 0, 1.0)]
    ids, losses = table(records)
    assert ids == ("a", "b")
    np.testing.assert_array_equal(losses, [[1.0, NAN, NAN], [2.0, NAN, 0.5]])
    assert all_correct(records)[1].tolist() == [[False] * 3, [False, False, True]]
    assert table([])[0] == ()
    assert table([])[1].shape == (0, 0)


def test_two_losses_for_one_epoch_are_a_named_error() -> None:
    with pytest.raises(TrainingError, match=r"'a' has two losses in epoch 3: .*1\.0") as caught:
        table([seen("a", 3, 1.0), seen("b", 3, 1.0), seen("a", 3, 1.5)])
    assert "1.5" in caught.value.message
    assert caught.value.hint


@given(st.dictionaries(st.tuples(st.sampled_from("abcd"), st.integers(0, 5)), st.floats(0, 9)), st.randoms())
def test_table_does_not_depend_on_the_order(cells, random) -> None:  # type: ignore[no-untyped-def]
    records = [seen(example, epoch, loss) for (example, epoch), loss in cells.items()]
    ids, losses = table(records)
    for i, example in enumerate(ids):
        for epoch in range(losses.shape[1]):
            np.testing.assert_equal(losses[i, epoch], cells.get((example, epoch), NAN))
    random.shuffle(records)
    np.testing.assert_array_equal(table(records)[1], losses)


def test_summary_by_hand() -> None:
    losses = np.array([[9.0, 1.0, 2.0, 3.0], [9.0, NAN, 4.0, NAN], [9.0, NAN, NAN, NAN]])
    found = summarise(losses, window=2, burn_in=1)
    np.testing.assert_allclose(found.mean, [2.5, 4.0, NAN])
    np.testing.assert_allclose(found.deviation, [0.5, 0.0, NAN])
    assert found.seen.tolist() == [2, 1, 0]
    assert summarise(losses, window=9, burn_in=1).mean[0] == 2.0
    assert summarise(losses, window=3, burn_in=7).mean[0] == 3.0  # no epoch left: the last one
    assert summarise(losses[:, :1], window=3, burn_in=1).mean.tolist() == [9.0, 9.0, 9.0]


@given(LOSSES, st.integers(1, 5), st.integers(0, 5))
def test_summary_against_a_slow_reference(losses, window: int, burn_in: int) -> None:  # type: ignore[no-untyped-def]
    found = summarise(losses, window=window, burn_in=burn_in)
    epochs = losses.shape[1]
    columns = (list(range(burn_in, epochs)) or list(range(epochs))[-1:])[-window:]
    for i, row in enumerate(losses):
        values = [row[e] for e in columns if not math.isnan(row[e])]
        mean = sum(values) / len(values) if values else NAN
        spread = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values)) if values else NAN
        assert found.seen[i] == len(values)
        np.testing.assert_allclose([found.mean[i], found.deviation[i]], [mean, spread], atol=1e-9)


def test_always_right_by_hand() -> None:
    losses = np.array([[9.0, 1, 1], [9, 1, 1], [9, NAN, 1], [9, NAN, NAN], [NAN, NAN, 1]])
    correct = np.array([[0, 1, 1], [1, 1, 0], [0, 0, 1], [1, 0, 0], [0, 0, 1]], dtype=bool)
    # the first epoch is burned in; where it was not seen says nothing, and never seen is not right
    assert always_right(losses, correct, window=3, burn_in=1).tolist() == [True, False, True, False, True]
    assert always_right(losses, correct, window=3, burn_in=0).tolist() == [False, False, False, True, True]
    assert always_right(losses, correct, window=1, burn_in=0).tolist() == [True, False, True, False, True]


def test_carried_by_hand() -> None:
    losses = np.array([[1.0, NAN, 3, NAN, NAN], [NAN, NAN, 2, 5, NAN], [NAN] * 5])
    seen = np.isfinite(losses)
    expected = [[1.0, 1, 3, 3, 3], [NAN, NAN, 2, 5, 5], [NAN] * 5]
    np.testing.assert_array_equal(carried(losses, seen), expected)
    flags = np.array([[True, False, False, False, False]])
    assert carried(flags, seen[:1]).tolist() == [[True, True, False, False, False]]


def test_scores_by_hand() -> None:
    losses = np.concatenate([np.arange(9.0), 10 * np.arange(9.0), [4.0]])[:, None]
    groups = np.array([0] * 9 + [1] * 9 + [2])
    scores, centre, scale = within_groups(losses, groups)
    assert centre[:2, 0].tolist() == [4.0, 40.0]
    assert scale[:2, 0].tolist() == [4.0, 40.0]
    np.testing.assert_allclose(scores[:9, 0], (np.arange(9) - 4) / 4)
    np.testing.assert_allclose(scores[9:18], scores[:9])
    whole = np.percentile(losses, [25, 50, 75])
    assert centre[2, 0] == whole[1]
    assert scale[2, 0] == whole[2] - whole[0]
    with pytest.raises(ValueError, match="from 0"):
        within_groups(losses, groups - 1)


def test_no_examples_no_scores() -> None:
    scores, centre, scale = within_groups(np.zeros((0, 2)), np.array([]))
    assert (scores.shape, centre.shape, scale.shape) == ((0, 2), (0, 2), (0, 2))


def test_equal_losses_give_zero_not_nan() -> None:
    scores, _, scale = within_groups(np.full((20, 2), 3.0), np.repeat([0, 1], 10))
    assert scores.tolist() == [[0.0, 0.0]] * 20
    assert (scale > 0).all()


def test_a_flat_group_does_not_blow_up_small_differences() -> None:
    flat = np.concatenate([np.full(9, 1.0), [1.01], np.linspace(0, 2, 10), np.linspace(0, 2, 10)])[:, None]
    scores = within_groups(flat, np.repeat([0, 1, 2], 10))[0]
    assert 0 < scores[9, 0] < 1


@given(st.integers(0, 2**16), st.integers(0, 60), st.integers(1, 4))
def test_scores_against_a_slow_reference(seed: int, n: int, epochs: int) -> None:
    rng = np.random.default_rng(seed)
    losses = np.where(rng.random((n, epochs)) < 0.2, NAN, rng.gamma(2, 1, (n, epochs)))
    groups = rng.integers(0, 3, n)
    scores, centre, scale = within_groups(losses, groups)
    assert np.array_equal(np.isnan(scores), np.isnan(losses))
    for e in range(epochs):
        whole = losses[~np.isnan(losses[:, e]), e]
        for g in range(len(centre)):
            own = losses[(groups == g) & ~np.isnan(losses[:, e]), e]
            values = own if len(own) >= MIN_GROUP else whole
            if not len(values):
                assert np.isnan(centre[g, e])
                assert np.isnan(scale[g, e])
                continue
            assert centre[g, e] == pytest.approx(np.median(values))
            spread = np.subtract(*np.percentile(values, [75, 25]))
            assert scale[g, e] >= spread * (1 - 1e-9)
            if len(values) >= MIN_GROUP:
                assert scale[g, e] <= max(spread, 10) * (1 + 1e-9)


def test_large_groups_use_the_same_quartiles(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = np.random.default_rng(0).gamma(2, 1, (300, 3))
    losses[::7, 1] = NAN
    groups = np.arange(300) % 2
    sorted_whole = within_groups(losses, groups)
    monkeypatch.setattr("dsa_lite.core.dynamics.FULL_SORT", 10)
    for one, other in zip(sorted_whole, within_groups(losses, groups), strict=True):
        np.testing.assert_array_equal(one, other)


def test_cartography_by_hand() -> None:
    probability = np.array([[0.2, 0.8, 0.5, 0.9], [0.1, NAN, 0.3, 0.2], [NAN] * 4])
    correct = np.array([[False, True, False, True], [True, True, False, False], [True] * 4])
    found = cartography(probability, correct)
    np.testing.assert_allclose(found.confidence, [0.6, 0.2, NAN])
    np.testing.assert_allclose(found.variability, [np.std([0.2, 0.8, 0.5, 0.9]), np.std([0.1, 0.3, 0.2]), NAN])
    assert found.correctness.tolist() == [2, 1, 0]
    assert found.forgetfulness.tolist() == [1, 1, 0]
    assert found.learned.tolist() == [True, True, False]


@given(LOSSES, st.integers(0, 99))
def test_forgetfulness_against_a_slow_reference(losses, seed: int) -> None:  # type: ignore[no-untyped-def]
    correct = np.random.default_rng(seed).random(losses.shape) < 0.5
    found = cartography(np.exp(-losses), correct)
    for i, row in enumerate(losses):
        states = [bool(c) for c, loss in zip(correct[i], row, strict=True) if not math.isnan(loss)]
        assert found.forgetfulness[i] == sum(a and not b for a, b in itertools.pairwise(states))
        assert found.correctness[i] == sum(states)
