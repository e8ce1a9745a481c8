"""A model folder's files: which are the weights, which template is meant, what is no student."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dsa_lite.errors import ModelError
from dsa_lite.model_files import chat_template, check_student, faults, weight_files

INDEX = "model.safetensors.index.json"


def weights(path: Path, **kinds: str) -> None:
    """A safetensors file of empty tensors. Dots in names are written as __."""
    header = {
        name.replace("__", "."): {"dtype": kind, "shape": [0], "data_offsets": [0, 0]} for name, kind in kinds.items()
    }
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)


def write(path: Path, **content: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One that could be trained, as far as can be seen."""
    write(tmp_path / "config.json", architectures=["LlamaForCausalLM"], model_type="llama")
    write(tmp_path / "tokenizer.json")
    weights(tmp_path / "model.safetensors", lm_head__weight="BF16")
    return tmp_path


def in_parts(folder: Path, *names: str) -> None:
    (folder / "model.safetensors").rename(folder / names[0])
    write(folder / INDEX, weight_map={f"t{n}": name for n, name in enumerate(names)})


def test_the_one_file_counts_before_the_index_and_the_index_before_what_lies_there(folder: Path) -> None:
    for stale in ("model-00001-of-00003.safetensors", "consolidated.safetensors", "adapter_model.safetensors"):
        weights(folder / stale, x="F32")
    write(folder / INDEX, weight_map={"x": "model-00001-of-00003.safetensors"})
    assert weight_files(folder) == [folder / "model.safetensors"]
    in_parts(folder, "b.safetensors", "a.safetensors", "b.safetensors")
    assert weight_files(folder) == [folder / "a.safetensors", folder / "b.safetensors"]


@pytest.mark.parametrize("name", ["../x.safetensors", "/etc/passwd", "sub/x.safetensors", 3, ""])
def test_an_index_names_files_of_its_folder_alone(folder: Path, name: Any) -> None:
    in_parts(folder, "a.safetensors", name)
    with pytest.raises(ModelError, match="which is no file of this folder"):
        weight_files(folder)


def quantised(folder: Path, **settings: Any) -> None:
    write(folder / "config.json", model_type="llama", **settings)


def without(*names: str, **instead: Any) -> Any:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()
        for name, content in instead.items():
            write(folder / name.replace("__", "."), **content)

    return change


@pytest.mark.parametrize(
    ("change", "says", "hint"),
    [
        (
            lambda f: quantised(f, quantization_config={"quant_method": "gptq", "bits": 4}),
            "quantised with gptq",
            "unquantised",
        ),
        (lambda f: quantised(f, quantization_config={"quant_method": "fp8"}), "quantised with fp8", "unquantised"),
        (
            lambda f: quantised(f, text_config={"quantization_config": {"quant_method": "bitsandbytes"}}),
            "bitsandbytes",
            "unquantised",
        ),
        (lambda f: quantised(f, compression_config={"format": "pack"}), "unnamed method", "unquantised"),
        (without(quantize_config__json={"bits": 4}), "quantised with gptq", "unquantised"),
        (lambda f: weights(f / "model.safetensors", q__qweight="I32"), "q.qweight is I32", "unquantised"),
        (lambda f: weights(f / "model.safetensors", q__weight="F8_E4M3"), "q.weight is F8_E4M3", "unquantised"),
        (
            without("config.json", adapter_config__json={"base_model_name_or_path": "org/base"}),
            "adapter of org/base",
            "base",
        ),
        (without(adapter_config__json={}), "an adapter .* beside the model", "move"),
        (
            lambda f: (f / "tokenizer.json").rename(f / "tokenizer.model"),
            "tokenizer.model but no tokenizer.json",
            "AutoTokenizer",
        ),
        (
            lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
            "it has pytorch_model.bin",
            "safetensors",
        ),
        (lambda f: (f / "model.safetensors").rename(f / "consolidated.safetensors"), "consolidated", "safetensors"),
        (lambda f: (f / "model.safetensors").rename(f / "model-00001-of-00002.safetensors"), "in parts", "again"),
        (lambda f: in_parts(f, "a.safetensors", "b.safetensors"), "1 of 2 weight files are missing: b.saf", "again"),
        (
            lambda f: (f / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1"),
            "place-holder",
            "lfs",
        ),
        (
            lambda f: write(f / "config.json", architectures=["T5ForConditionalGeneration"], is_encoder_decoder=True),
            "T5For",
            "CausalLM",
        ),
    ],
)
def test_what_is_no_student_is_named(folder: Path, change: Any, says: str, hint: str) -> None:
    check_student(folder)
    change(folder)
    with pytest.raises(ModelError, match=says) as caught:
        check_student(folder)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("tied", "head", "sound"), [(True, b"ab", False), (True, b"aa", True), (False, b"ab", True), (None, b"ab", True)]
)
def test_an_output_layer_that_is_and_is_not_the_embedding(folder: Path, tied: Any, head: bytes, sound: bool) -> None:
    write(folder / "config.json", model_type="llama", tie_word_embeddings=tied)
    entry = {"dtype": "F16", "shape": [1]}
    header = {
        "model.embed_tokens.weight": {**entry, "data_offsets": [0, 2]},
        "lm_head.weight": {**entry, "data_offsets": [2, 4]},
    }
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + b"aa" + head)
    assert (faults(folder) == []) == sound


def test_all_faults_are_told_at_once(folder: Path) -> None:
    without("tokenizer.json", "model.safetensors", "config.json")(folder)
    assert len(faults(folder)) == 3


def test_weights_quantised_for_mlx_are_left_to_mlx(folder: Path) -> None:
    quantised(folder, quantization={"bits": 4}, quantization_config={"bits": 4})
    weights(folder / "model.safetensors", q__weight="U32", q__scales="F16")
    check_student(folder)


NAMED = [{"name": "tool_use", "template": "T"}, {"name": "chat", "template": "C"}]
OTHERS = [{"name": "a", "template": "A"}, {"name": "b", "template": "B"}]


@pytest.mark.parametrize(
    ("files", "template", "note"),
    [
        ({}, None, ""),
        ({"tokenizer_config.json": " "}, None, ""),
        ({"tokenizer_config.json": "X", "chat_template.json": "Y"}, "X", ""),
        ({"chat_template.json": "Y"}, "Y", ""),
        ({"processor_config.json": "Z"}, "Z", ""),
        ({"tokenizer_config.json": [*OTHERS, {"name": "default", "template": "D"}]}, "D", ""),
        ({"tokenizer_config.json": {"default": "D", "rag": "R"}}, "D", ""),
        ({"tokenizer_config.json": NAMED}, "C", "(tool_use, chat) none is called default: chat is used"),
        ({"tokenizer_config.json": OTHERS}, None, "(a, b) none is called default: none is used"),
        ({"tokenizer_config.json": OTHERS, "chat_template.json": "Y"}, "Y", ""),
        ({"tokenizer_config.json": [3, {"name": "x"}], "chat_template.json": 7}, None, ""),
    ],
)
def test_the_chat_template_that_is_meant(folder: Path, files: dict[str, Any], template: str, note: str) -> None:
    for name, value in files.items():
        write(folder / name, chat_template=value)
    found, said = chat_template(folder)
    assert found == template
    assert note in said
    assert bool(said) == bool(note)
    (folder / "chat_template.jinja").write_text("J", encoding="utf-8")
    assert chat_template(folder) == ("J", "")


def test_templates_in_a_folder_of_their_own(folder: Path) -> None:
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "tool_use.jinja").write_text("T", encoding="utf-8")
    assert chat_template(folder)[0] is None
    (folder / "additional_chat_templates" / "plain.jinja").write_text("P", encoding="utf-8")
    assert chat_template(folder)[0] == "P"
