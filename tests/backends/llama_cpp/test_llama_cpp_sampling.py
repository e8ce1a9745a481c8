"""Choosing a token: the same as llama.cpp's own chain over the whole vocabulary."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

pytest.importorskip("llama_cpp")

import llama_cpp as C
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dsa_lite_llama_cpp.model import Model
from dsa_lite_llama_cpp.sampling import NothingAllowed, Sampler, _candidates, nucleus

VOCABULARY = 20_000


class _Row:
    """Logits of one row; the real context has a model behind it."""

    def __init__(self, logits: NDArray[np.float32]) -> None:
        self._logits = logits

    def logits(self, row: int) -> NDArray[np.float32]:
        return self._logits


def picked(logits: NDArray[np.float32], temperature: float, top_p: float, seed: int) -> int:
    sampler = Sampler(cast(Model, None), temperature=temperature, top_p=top_p, seed=seed)
    try:
        return sampler.pick(cast(Any, _Row(logits)), 0)
    finally:
        sampler.close()


def picked_by_llama_cpp(logits: NDArray[np.float32], temperature: float, top_p: float, seed: int) -> int:
    chain = C.llama_sampler_chain_init(C.llama_sampler_chain_default_params())
    parts = (
        C.llama_sampler_init_top_p(top_p, 1),
        C.llama_sampler_init_temp(temperature),
        C.llama_sampler_init_dist(seed),
    )
    for part in parts:
        C.llama_sampler_chain_add(chain, part)
    candidates = _candidates(np.arange(len(logits)), logits)
    sampler = Sampler(cast(Model, None), temperature=1.0, top_p=1.0, seed=0)
    token = int(candidates["id"][sampler._apply(chain, candidates)])
    sampler.close()
    C.llama_sampler_free(chain)
    return token


@pytest.mark.parametrize("spread", [0.5, 3.0, 12.0], ids=["flat", "usual", "sharp"])
@pytest.mark.parametrize(("temperature", "top_p"), [(0.7, 0.95), (1.0, 0.5), (1.5, 0.9)])
def test_the_same_token_as_llama_cpps_own_top_p(spread: float, temperature: float, top_p: float) -> None:
    same = 0
    for seed in range(25):
        logits = (spread * np.random.default_rng(seed).standard_normal(VOCABULARY)).astype(np.float32)
        expected = picked_by_llama_cpp(logits, temperature, top_p, seed)
        same += picked(logits, temperature, top_p, seed) == expected
    # where thousands of tokens are in it, its end depends on how the shares are rounded
    assert same >= (25 if spread == 12.0 else 23)


def test_what_the_grammar_forbids_is_not_chosen() -> None:
    """Minus infinity where it says no: the choice is llama.cpp's own among the rest."""
    for seed in range(10):
        logits = (6.0 * np.random.default_rng(seed).standard_normal(VOCABULARY)).astype(np.float32)
        logits[np.argsort(-logits)[:50]] = -np.inf
        allowed = np.flatnonzero(np.isfinite(logits))
        sampler = Sampler(cast(Model, None), temperature=0.7, top_p=0.95, seed=seed)
        assert sampler._choose(logits) == allowed[picked_by_llama_cpp(logits[allowed], 0.7, 0.95, seed)]
        sampler.close()


def test_the_nucleus_of_a_flat_vocabulary_larger_than_any() -> None:
    assert len(nucleus(np.zeros(1_200_000, np.float32), 0.9)) == 1_080_000


@given(
    st.lists(st.floats(-60, 20, width=32), min_size=1, max_size=200),
    st.floats(0.01, 0.999),
)
def test_the_nucleus_is_the_smallest_set_of_the_likeliest(values: list[float], top_p: float) -> None:
    logits = np.array(values, np.float32)
    chances = np.exp(logits.astype(np.float64) - max(values))
    chances /= chances.sum()
    found = nucleus(logits, top_p)
    assert len(set(found.tolist())) == len(found) >= 1
    assert (np.diff(chances[found]) <= 1e-6).all()
    assert chances[found].sum() >= top_p - 1e-6
    assert chances[found[:-1]].sum() < top_p + 1e-6, "one less would not have done"
    assert np.delete(chances, found).max(initial=0.0) <= chances[found].min() + 1e-6


def test_logits_that_are_no_numbers_end_the_request() -> None:
    with pytest.raises(NothingAllowed, match="not numbers"):
        picked(np.full(VOCABULARY, np.nan, np.float32), 0.7, 0.95, 1)
