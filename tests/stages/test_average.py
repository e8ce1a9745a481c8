"""The adapter that is kept is the mean over the last part of tuning, whatever was interrupted."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("dsa_lite_torch")

import torch
from safetensors.torch import load_file

from dsa_lite_torch.state import AdapterState


def test_the_mean_over_the_second_half_is_kept(training_desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    after: list[torch.Tensor] = []
    update = AdapterState.update

    def watched(self: AdapterState, lr: float, norm: float) -> None:
        update(self, lr, norm)
        after.append(self.values.data.clone())

    monkeypatch.setattr(AdapterState, "update", watched)
    training_desk.run(
        tune={"rounds": 1, "epochs": 2, "average_from": 0.5}, dynamics={"probes": 0}, pretrain={"epochs": 0}
    )
    (checkpoint,) = (training_desk.folder / "run" / "checkpoints").glob("tune-*")
    kept = load_file(checkpoint / "student_state.safetensors")
    half = [values for values in after if values.shape == kept["adapter"].shape][-(len(after) // 2) :]
    assert len(half) >= 1
    torch.testing.assert_close(kept["adapter"], torch.stack(half).mean(dim=0), rtol=1e-5, atol=1e-6)
    assert not torch.equal(kept["adapter"], after[-1])
    assert "average" not in kept  # taken: what goes on from here goes on from the mean
