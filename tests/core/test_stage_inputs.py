"""What makes a finished stage be done again, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from dsa_lite.config import Config, TuneSettings
from dsa_lite.core.stage_inputs import what_counts


def inputs(**tune: Any) -> dict[str, object]:
    return {
        "tune": TuneSettings(**tune).model_dump(),
        "teacher": Config().teacher.model_dump(include={"temperature"}),
        "exercises": "digest",  # the name of a section, but no settings
        "topics": [{"name": "a", "prerequisites": ("b",)}],
    }


def test_what_a_later_version_adds_leaves_finished_stages_alone() -> None:
    older = inputs()
    older["tune"] = {k: v for k, v in TuneSettings().model_dump().items() if k != "warmup"}
    newer = inputs()
    newer["topics"] = [{"name": "a", "prerequisites": ("b",), "source": "", "hint": None, "links": []}]
    assert what_counts(older) == what_counts(newer)


@pytest.mark.parametrize(
    "change",
    [
        {"tune": TuneSettings(epochs=7).model_dump()},
        {"teacher": {"temperature": 0.0}},
        {"exercises": "other"},
        {"topics": [{"name": "a"}]},
        {"topics": [{"name": "a", "prerequisites": ("b",), "source": "file"}]},
        {"rehearsal_weight": 0.0},
    ],
)
def test_what_matters_counts(change: dict[str, object]) -> None:
    assert what_counts(inputs() | change) != what_counts(inputs())


def test_a_zero_that_is_no_default_counts() -> None:
    assert what_counts({"tune": TuneSettings(warmup=0.0).model_dump()})["tune"] == {"warmup": 0.0}
