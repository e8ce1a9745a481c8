"""Looking at a round: when errors are looked for."""

from __future__ import annotations

from typing import Any

import pytest

from dsa_lite.io.run_folder.rundir import RunDir


@pytest.mark.parametrize(("burn_in", "expected"), [(0, [True, True]), (1, [False, True]), (2, [False, False])])
def test_errors_are_looked_for_when_the_first_epochs_are_over(
    training_desk: Any, burn_in: int, expected: list[bool]
) -> None:
    training_desk.run(tune={"rounds": 2, "epochs": 1}, dynamics={"burn_in": burn_in, "variants_per_hard": 0})
    run = RunDir.read(training_desk.folder / "run")
    assert [run.read_round(number)["baseline"] is not None for number in (1, 2)] == expected
    if not expected[0]:
        assert "error" not in {d.region for d in run.decisions(1).read()}
