"""The directions that inputs use least: worked by hand, and as properties of any inputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsa_lite import null_space
from dsa_lite.null_space import groups, least_used


def test_worked_by_hand() -> None:
    """Energies 6, 0.75 and 2.25 along the axes: a random row holds their sum / (3 * 3) = 1 on average."""
    rows = least_used(np.diag([6.0, 0.75, 2.25]), 2)
    expected = [[0, 1 / np.sqrt(0.75), 0], [0, 0, 1 / 1.5]]
    np.testing.assert_allclose(np.abs(rows), expected, rtol=1e-6)


@given(st.integers(2, 12), st.integers(1, 16), st.integers(0, 2**32 - 1))
def test_no_other_directions_are_used_less_and_rows_get_what_random_ones_do(width: int, rank: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    inputs = generator.normal(size=(4 * width, width)) * generator.uniform(0.5, 2, width)
    rows = least_used(inputs.T @ inputs, rank).astype(np.float64)
    assert rows.shape == (rank, width)
    units = (rows / np.linalg.norm(rows, axis=1, keepdims=True))[: min(rank, width)]
    np.testing.assert_allclose(units @ units.T, np.eye(len(units)), atol=1e-5)
    other = np.linalg.qr(generator.normal(size=(width, width)))[0][: len(units)]
    assert ((inputs @ units.T) ** 2).sum() <= ((inputs @ other.T) ** 2).sum() * (1 + 1e-5)
    np.testing.assert_allclose(((inputs @ rows.T) ** 2).sum(axis=0), (inputs**2).sum() / (3 * width), rtol=1e-3)


def test_a_direction_that_is_never_used_is_not_made_endless() -> None:
    assert np.abs(least_used(np.diag([1.0, 0.0]), 1)).tolist() == [[0.0, 10.0]]


def test_texts_that_use_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="no direction"):
        least_used(np.zeros((3, 3)), 1)


def test_layers_are_taken_in_groups_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(null_space, "_BYTES", 4 * 200)
    assert list(groups([10, 10, 10, 20, 5])) == [range(0, 2), range(2, 3), range(3, 4), range(4, 5)]
    assert list(groups([])) == []
