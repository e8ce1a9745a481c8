"""Every layout that is written as GGUF gives, in llama.cpp, what transformers computes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dsa_lite.errors import ModelError
from dsa_lite_formats.answering import without_amx

pytest.importorskip("gguf")
llama_cpp = pytest.importorskip("llama_cpp")
torch = pytest.importorskip("torch")

LAYOUTS = ("llama", "llama-3", "mistral", "qwen2", "qwen3", "gemma", "gemma-2", "gemma-3")
TEXT = "the sum of the digits is 1234, and the derivative of x^2 is 2x" * 2
Floats = NDArray[np.float32]


def with_llama_cpp(path: Path, ids: list[int], lora: Path | None = None) -> Floats:
    """Logits (T, V), keys and values kept in float32."""
    f32 = llama_cpp.GGML_TYPE_F32
    with without_amx():
        model = llama_cpp.Llama(
            str(path), lora_path=str(lora) if lora else None, n_ctx=256, logits_all=True, verbose=False, n_threads=1,
            n_threads_batch=1, type_k=f32, type_v=f32, n_gpu_layers=0,
        )  # fmt: skip
    try:
        model.eval(ids)
        return np.array(model.scores[: len(ids)], np.float32)
    finally:
        model.close()


def with_transformers(folder: Path, ids: list[int]) -> Floats:
    """In its plain way: the faster one left a cap on the attention's logits out, up to some version."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].numpy()


def ids_of(folder: Path) -> list[int]:
    from dsa_lite.model_folder import FolderTokenizer

    return FolderTokenizer(folder).encode(TEXT)[:100]


def assert_close(found: Floats, expected: Floats) -> None:
    assert np.abs(found - expected).max() < 2e-3 * np.abs(expected).max()


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_merged_gguf_computes_what_the_merged_folder_does(
    name: str, model_of: Callable[[str], Path], adapter_of: Callable[[Path, Path], Path], tmp_path: Path
) -> None:
    import dsa_lite_formats as formats

    base, ids = model_of(name), ids_of(model_of(name))
    adapter = adapter_of(base, tmp_path / "adapter")
    for folder in ("merged", "gguf"):
        (tmp_path / folder).mkdir()
    formats.export_merged(str(base), adapter, tmp_path / "merged", "", "tiny")
    formats.export_gguf(str(base), adapter, tmp_path / "gguf", "F32", "tiny")
    expected = with_transformers(tmp_path / "merged", ids)
    assert_close(with_llama_cpp(tmp_path / "gguf" / "tiny-F32.gguf", ids), expected)
    assert np.abs(expected - with_transformers(base, ids)).max() > 0.1 * np.abs(expected).max(), "the adapter counts"


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_student_s_base_computes_what_transformers_does_in_its_plain_way(
    name: str, model_of: Callable[[str], Path]
) -> None:
    from dsa_lite_torch.loading import load_base

    base, ids = load_base(model_of(name), torch.device("cpu"), torch.float32), ids_of(model_of(name))
    with torch.no_grad():
        found = base.logits(base.inner(input_ids=torch.tensor([ids]), use_cache=False).last_hidden_state[0]).numpy()
    assert_close(found, with_transformers(base.folder, ids))


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_gguf_adapter_on_the_base_computes_the_same(
    name: str, model_of: Callable[[str], Path], adapter_of: Callable[[Path, Path], Path], tmp_path: Path
) -> None:
    import dsa_lite_formats as formats
    from dsa_lite_formats.gguf_files import write_gguf

    base, ids = model_of(name), ids_of(model_of(name))
    adapter = adapter_of(base, tmp_path / "adapter")
    write_gguf(base, None, tmp_path / "base.gguf", "F32", "base")
    for folder in ("merged", "lora"):
        (tmp_path / folder).mkdir()
    formats.export_merged(str(base), adapter, tmp_path / "merged", "", "tiny")
    formats.export_gguf_adapter(str(base), adapter, tmp_path / "lora", "", "tiny")
    found = with_llama_cpp(tmp_path / "base.gguf", ids, tmp_path / "lora" / "tiny-lora.gguf")
    assert_close(found, with_transformers(tmp_path / "merged", ids))


def changed(base: Path, folder: Path, **settings: object) -> Path:
    """The base with another config.json."""
    folder.mkdir()
    for path in base.iterdir():
        if path.name != "config.json":
            (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, **settings}), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("layout", "settings", "said"),
    [
        ("llama", {"architectures": ["PhiForCausalLM"]}, "PhiForCausalLM"),
        ("llama", {"hidden_act": "relu"}, "relu"),
        ("llama", {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0}}, "yarn"),
        ("llama", {"quantization_config": {"bits": 4}}, "quantised"),
        ("gemma-2", {"query_pre_attn_scalar": 224}, "224"),
        ("gemma-3", {"layer_types": ["full_attention"] * 6}, "order"),
    ],
)
def test_what_llama_cpp_would_compute_otherwise_is_refused_by_name(
    layout: str, settings: dict[str, object], said: str, model_of: Callable[[str], Path], tmp_path: Path
) -> None:
    from dsa_lite_formats.layouts import read_layout

    read_layout(model_of(layout))
    with pytest.raises(ModelError, match=said):
        read_layout(changed(model_of(layout), tmp_path / "changed", **settings))


def test_a_window_shorter_than_the_context_bounds_the_context(model_of: Callable[[str], Path], tmp_path: Path) -> None:
    from dsa_lite_formats.layouts import read_layout

    assert read_layout(model_of("mistral")).context == 256
    assert read_layout(changed(model_of("mistral"), tmp_path / "changed", sliding_window=64)).context == 64


def test_a_model_whose_parts_have_other_names_is_refused(model_of: Callable[[str], Path], tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    from dsa_lite_formats.gguf_files import write_gguf

    folder = changed(model_of("llama"), tmp_path / "nested")
    tensors = load_file(folder / "model.safetensors")
    nested = {f"language_model.{name}": value for name, value in tensors.items()}
    save_file(nested, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"LlamaForCausalLM has no model\.embed_tokens\.weight"):
        write_gguf(folder, None, tmp_path / "x.gguf", "F16", "x")
