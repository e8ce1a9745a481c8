"""Adapters from PEFT to mlx-lm and back, merged folders, and safetensors files in every number format."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dsa_lite.errors import ModelError, UsageError

pytest.importorskip("torch")
pytest.importorskip("gguf")


def test_there_and_back_again_is_the_same(
    model_of: Callable[[str], Path], adapter_of: Callable[[Path, Path], Path], tmp_path: Path
) -> None:
    from safetensors.numpy import load_file

    from dsa_lite_formats.adapter import read_adapter, write_mlx, write_peft

    first = adapter_of(model_of("qwen2"), tmp_path / "peft")
    for name in ("mlx", "again"):
        (tmp_path / name).mkdir()
    write_mlx(read_adapter(first), "base", 2, tmp_path / "mlx")
    write_peft(read_adapter(tmp_path / "mlx"), "base", tmp_path / "again")
    before, after = (load_file(f / "adapter_model.safetensors") for f in (first, tmp_path / "again"))
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    mlx = load_file(tmp_path / "mlx" / "adapters.safetensors")
    name = "model.layers.1.self_attn.k_proj"
    assert np.array_equal(mlx[f"{name}.lora_a"], before[f"base_model.model.{name}.lora_A.weight"].T)
    assert np.array_equal(mlx[f"{name}.lora_b"], before[f"base_model.model.{name}.lora_B.weight"].T)
    config = json.loads((tmp_path / "mlx" / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["lora_parameters"]["scale"] == 1.5  # alpha 6 / rank 4
    again = json.loads((tmp_path / "again" / "adapter_config.json").read_text(encoding="utf-8"))
    assert (again["r"], again["lora_alpha"]) == (4, 6)


def test_peft_merges_to_the_same_weights(
    model_of: Callable[[str], Path], adapter_of: Callable[[Path, Path], Path], tmp_path: Path
) -> None:
    import torch
    from peft import PeftModel
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    from dsa_lite_formats import export_merged, export_peft

    base, adapter = model_of("llama-3"), adapter_of(model_of("llama-3"), tmp_path / "run")
    for name in ("peft", "merged"):
        (tmp_path / name).mkdir()
    export_peft(str(base), adapter, tmp_path / "peft", "", "tiny")
    export_merged(str(base), adapter, tmp_path / "merged", "", "tiny")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|peft)\.")
        theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), tmp_path / "peft")
    expected = theirs.merge_and_unload().state_dict()
    found = load_file(tmp_path / "merged" / "model.safetensors")
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-5)
    config = json.loads((tmp_path / "peft" / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == base.name, "no path of this machine"
    assert (tmp_path / "merged" / "chat_template.jinja").is_file()


@pytest.mark.parametrize(("kind", "name"), [("F32", "float32"), ("F16", "float16"), ("BF16", "bfloat16")])
def test_numbers_are_rounded_as_torch_rounds_them(kind: str, name: str, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from dsa_lite_formats.tensors import Planned, encode, read_tensors, write_tensors

    values = np.random.default_rng(0).normal(0, 3, (5, 33)).astype(np.float32)
    values[0, :6] = [0.0, -0.0, np.inf, -np.inf, np.nan, 1 + 2**-8]
    data = encode(values, kind)
    write_tensors(tmp_path / "a.safetensors", [Planned("x", kind, values.shape, lambda: data, data.nbytes)], "pt")
    expected = torch.tensor(values).to(getattr(torch, name))
    found = load_file(tmp_path / "a.safetensors")["x"]
    assert found.dtype == expected.dtype
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
    read = read_tensors(tmp_path / "a.safetensors")["x"].floats()
    np.testing.assert_array_equal(read, expected.float().numpy())


def test_mlx_refuses_a_text_model_nested_in_another_by_name(tmp_path: Path) -> None:
    from dsa_lite_formats import export_mlx

    config = {"architectures": ["Gemma3ForConditionalGeneration"], "text_config": {"num_hidden_layers": 2}}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for name in ("tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ModelError, match=r"Gemma3ForConditionalGeneration.*text_config"):
        export_mlx(str(tmp_path), tmp_path, tmp_path, "", "tiny")


def test_broken_and_foreign_adapters_are_refused(
    model_of: Callable[[str], Path], adapter_of: Callable[[Path, Path], Path], tmp_path: Path
) -> None:
    from dsa_lite_formats import export_merged, export_peft
    from dsa_lite_formats.adapter import read_adapter

    base, good = model_of("llama"), adapter_of(model_of("llama"), tmp_path / "good")
    with pytest.raises(ModelError, match="no adapter"):
        read_adapter(tmp_path)
    for setting in ({"use_dora": True}, {"use_rslora": True}, {"bias": "all"}, {"modules_to_save": ["lm_head"]}):
        odd = tmp_path / "odd"
        shutil.copytree(good, odd, dirs_exist_ok=True)
        config = json.loads((good / "adapter_config.json").read_text(encoding="utf-8"))
        (odd / "adapter_config.json").write_text(json.dumps({**config, **setting}), encoding="utf-8")
        with pytest.raises(ModelError, match=next(iter(setting))):
            read_adapter(odd)
    cut = (good / "adapter_model.safetensors").read_bytes()[:-9]
    (odd / "adapter_model.safetensors").write_bytes(cut)
    shutil.copy(good / "adapter_config.json", odd)
    with pytest.raises(ModelError, match="cut short"):
        read_adapter(odd)
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelError, match="the adapter of model"):
        export_merged(str(model_of("mistral")), good, tmp_path / "out", "", "tiny")
    with pytest.raises(UsageError, match="Q8_0"):
        export_peft(str(base), good, tmp_path / "out", "Q8_0", "tiny")
