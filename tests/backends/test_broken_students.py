"""Student folders whose numbers are wrong: said by name, before memory or time is spent on them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dsa_lite.errors import ModelError
from dsa_lite.io.plugins import open_student
from dsa_lite.student import StudentOptions

BACKENDS = ("torch", "mlx")


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    pytest.importorskip("torch" if request.param == "torch" else "mlx.core")
    return str(request.param)


@pytest.fixture
def folder(tiny_model_folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_model_folder, tmp_path / "student")
    return tmp_path / "student"


def refused(backend: str, folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        open_student(backend, str(folder), StudentOptions(device="cpu", threads=1)).close()
    return caught.value.message


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_weights_that_are_no_numbers(backend: str, folder: Path, number: float) -> None:
    from safetensors.numpy import load_file, save_file

    (path,) = folder.glob("*.safetensors")
    tensors = load_file(path)
    name = next(n for n in sorted(tensors) if "down_proj" in n)
    tensors[name][0, 0] = number
    save_file(tensors, path, metadata={"format": "pt"})
    assert "NaN or infinity" in refused(backend, folder)


def test_an_adapter_that_is_no_numbers_is_not_exported(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    from dsa_lite_formats.adapter import read_adapter

    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 4}
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings), encoding="utf-8")
    halves = {"A": np.ones((2, 4), np.float32), "B": np.ones((4, 2), np.float32)}
    tensors = {f"base_model.model.q.lora_{half}.weight": values for half, values in halves.items()}
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    assert read_adapter(tmp_path).rank == 2
    tensors["base_model.model.q.lora_B.weight"][3, 1] = np.nan
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="lora_B"):
        read_adapter(tmp_path)


@pytest.mark.parametrize("value", [10**12, 0, -8, 7, "many", 1.5, True, [8]])
@pytest.mark.parametrize("name", ["hidden_size", "num_hidden_layers", "vocab_size"])
def test_sizes_that_the_weights_cannot_have(backend: str, folder: Path, name: str, value: Any) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, name: value}), encoding="utf-8")
    assert str(folder) in refused(backend, folder)
