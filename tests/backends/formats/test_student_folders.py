"""Model folders as they are found: what the loaders, the exports and the fingerprint take of them is the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dsa_lite.core.encoding import encode_exercise, encode_prompt
from dsa_lite.errors import ModelError
from dsa_lite.model_folder import FolderTokenizer, fingerprint
from dsa_lite.student import Batch, StudentOptions

pytest.importorskip("torch")
pytest.importorskip("gguf")

OPTIONS = StudentOptions(lora_rank=4, lora_alpha=8, device="cpu", threads=1)
BATCH = Batch(
    np.array([[5, 9, 7, 11]], np.int32), np.array([[False, True, True, True]]), np.ones(1, np.float32), ("a",)
)


def nll(backend: str, folder: Path) -> float:
    module = pytest.importorskip(f"dsa_lite_{backend}")
    student = module.open_student(str(folder), OPTIONS)
    try:
        return float(student.score(BATCH)[0].nll)
    finally:
        student.close()


def write(path: Path, tensors: dict[str, Any]) -> None:
    from safetensors.numpy import save_file

    save_file(tensors, path, metadata={"format": "pt"})


@pytest.fixture
def with_stale_shards(tiny_model_folder: Path, tmp_path: Path) -> Path:
    """The tiny model in two shards that an index names, beside three of an earlier upload: all zeros."""
    from safetensors.numpy import load_file

    folder = shutil.copytree(tiny_model_folder, tmp_path / "sharded")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    place = {name: f"model-0000{1 + n % 2}-of-00002.safetensors" for n, name in enumerate(names)}
    for file in set(place.values()):
        write(folder / file, {name: tensors[name] for name in names if place[name] == file})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": place}))
    for part in range(3):
        stale = {name: np.zeros_like(tensors[name]) for name in names[part::3]}
        write(folder / f"model-0000{part + 1}-of-00003.safetensors", stale)
    write(folder / "consolidated.safetensors", {"zeros": np.zeros(3, np.float32)})
    return folder


@pytest.mark.parametrize("backend", ["torch", "mlx"])
def test_shards_that_no_index_names_are_not_loaded(
    backend: str, tiny_model_folder: Path, with_stale_shards: Path
) -> None:
    before = fingerprint(with_stale_shards)
    assert nll(backend, with_stale_shards) == nll(backend, tiny_model_folder)
    for path in [*with_stale_shards.glob("*-of-00003.*"), with_stale_shards / "consolidated.safetensors"]:
        path.unlink()
    assert fingerprint(with_stale_shards) == before


def test_nor_exported(
    tiny_model_folder: Path, with_stale_shards: Path, adapter_of: Callable[[Path, Path], Path], tmp_path: Path
) -> None:
    from dsa_lite_formats import export_merged
    from dsa_lite_formats.tensors import read_model

    adapter = adapter_of(tiny_model_folder, tmp_path / "adapter")
    merged = []
    for base in (tiny_model_folder, with_stale_shards):
        out = tmp_path / f"of-{base.name}"
        out.mkdir()
        export_merged(str(base), adapter, out, "", "x")
        merged.append({name: tensor.floats() for name, tensor in read_model(out).items()})
    assert merged[0].keys() == merged[1].keys()
    for name, values in merged[0].items():
        np.testing.assert_array_equal(values, merged[1][name])
    assert {p.name for p in (tmp_path / "of-sharded").glob("*.safetensors")} == {
        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
    }  # fmt: skip


def base_model(source: Path, folder: Path, processor: list[str], **settings: Any) -> Path:
    """Without chat template; `processor`: what the tokenizer puts before a text."""
    shutil.copytree(source, folder)
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|end|>", **settings}))
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    if processor:
        ids = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
        pieces = [{"SpecialToken": {"id": token, "type_id": 0}} for token in processor]
        text = [{"Sequence": {"id": "A", "type_id": 0}}]
        known = {t: {"id": t, "ids": [ids[t]], "tokens": [t]} for t in processor}
        tokenizer["post_processor"] = {
            "type": "TemplateProcessing", "single": pieces + text, "special_tokens": known,
            "pair": [*pieces, *text, {"Sequence": {"id": "B", "type_id": 1}}],
        }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("processor", "settings", "begins"),
    [
        ([], {}, ""),
        ([], {"bos_token": "<|system|>"}, ""),  # named, and not to be added
        ([], {"bos_token": "<|system|>", "add_bos_token": True}, "<|system|>"),
        ([], {"add_bos_token": True}, ""),
        (["<|system|>"], {}, "<|system|>"),
        (["<|system|>"], {"bos_token": "<|system|>", "add_bos_token": False}, ""),
        (["<|system|>", "<|user|>"], {}, "<|system|><|user|>"),
    ],
)
def test_a_base_models_chats_begin_as_its_tokenizer_says(
    tiny_model_folder: Path, tmp_path: Path, processor: list[str], settings: dict[str, Any], begins: str
) -> None:
    folder = base_model(tiny_model_folder, tmp_path / "base", processor, **settings)
    tokenizer = FolderTokenizer(folder)
    prompt = encode_prompt(tokenizer, "Hi")
    assert prompt == tokenizer.encode(f"{begins}User: Hi\n\nAssistant:")
    assert encode_exercise(tokenizer, "e", "Hi", "Ho").ids[: len(prompt)].tolist() == prompt


@pytest.mark.parametrize(("special", "served"), [(True, True), (False, False)])
@pytest.mark.parametrize("backend", ["torch", "mlx"])
def test_special_tokens_beyond_the_models_rows_are_plain_text(
    backend: str, special: bool, served: bool, tiny_model_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_model_folder, tmp_path / "m")
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    rows = json.loads((folder / "config.json").read_text())["vocab_size"]
    content["added_tokens"].append({**content["added_tokens"][0], "id": rows, "content": "<pic>", "special": special})
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    if not served:
        with pytest.raises(ModelError, match=f"tokenizer has {rows + 1} tokens"):
            nll(backend, folder)
        return
    assert nll(backend, folder) == nll(backend, tiny_model_folder)
    tokenizer = FolderTokenizer(folder)
    ids = tokenizer.encode("a<pic>b")
    assert max(ids) < rows
    assert tokenizer.decode(ids) == "a<pic>b"


@pytest.mark.parametrize("family", ["Gemma3", "Llava"])
def test_a_model_that_also_reads_pictures_is_refused_by_name(
    family: str, tiny_model_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_model_folder, tmp_path / "vision")
    config = {"architectures": [f"{family}ForConditionalGeneration"], "model_type": family.lower(), "text_config": {}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=f"{family}ForConditionalGeneration: .* text alone") as caught:
        nll("torch", folder)
    assert "text-only" in caught.value.hint
