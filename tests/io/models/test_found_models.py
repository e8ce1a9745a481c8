"""Models found where other programs keep them, what their headers say, and names that lead to them."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from dsa_lite.errors import ModelError, UsageError
from dsa_lite.io.models.choosing import bundled_models, choose_student, choose_teacher
from dsa_lite.io.models.facts import describe
from dsa_lite.io.models.found import Found, Places, find_models, places
from dsa_lite.io.models.gguf_header import read_header

DIGEST = "sha256:" + "a1" * 32


def gguf(path: Path, *, architecture: str = "qwen2", template: str = "{{ messages }}", tokens: bool = True,
         **pairs: Any) -> Path:  # fmt: skip
    """A real header without weights."""
    writer = pytest.importorskip("gguf").GGUFWriter(path, architecture)
    path.parent.mkdir(parents=True, exist_ok=True)
    writer.add_file_type(15)
    writer.add_context_length(32768)
    if tokens:
        writer.add_array("tokenizer.ggml.tokens", [f"token {i}" for i in range(50)])
        writer.add_array("tokenizer.ggml.token_type", [1] * 50)
    for key, value in pairs.items():
        (writer.add_string if isinstance(value, str) else writer.add_uint16)(key.replace("__", "."), value)
    if template:
        writer.add_chat_template(template)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def model_folder(folder: Path, shape: list[int] | None = None, **config: Any) -> Path:
    """Hugging Face's layout with weights of one tensor."""
    folder.mkdir(parents=True, exist_ok=True)
    base = {"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 2048}
    (folder / "config.json").write_text(json.dumps({**base, **config}))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    header = json.dumps(
        {"w": {"dtype": "BF16", "shape": shape or [10, 20], "data_offsets": [0, 0]}, "__metadata__": {}}
    ).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 400)
    return folder


@pytest.fixture
def machine(tmp_path: Path) -> Places:
    """A home with every program in it."""
    where = places({"DSA_LITE_MODELS": str(tmp_path / "mine")}, tmp_path, "linux")
    where = Places(where.hub, where.lm_studio, where.ollama[:1], where.llama_cpp, where.folders)
    old = model_folder(where.hub / "models--org--small" / "snapshots" / "old")
    new = where.hub / "models--org--small" / "snapshots" / "new"
    model_folder(new)
    (old / "README.md").write_text("")
    (where.hub / "models--org--small" / "refs").mkdir()
    (where.hub / "models--org--small" / "refs" / "main").write_text("old")
    gguf(where.hub / "models--org--big-GGUF" / "snapshots" / "x" / "q4" / "big.gguf")
    gguf(where.hub / "models--org--big-GGUF" / "snapshots" / "x" / "mmproj-big.gguf")
    gguf(where.lm_studio[0] / "org" / "other" / "other-Q4_K_M.gguf")
    model_folder(where.lm_studio[0] / "mlx" / "small-4bit", quantization={"group_size": 64, "bits": 4})
    gguf(where.llama_cpp / "org_third.gguf")
    for part in (1, 2, 3):
        gguf(where.folders[0] / f"split-0000{part}-of-00003.gguf")
    _ollama(where.ollama[0], "manifests/registry.ollama.ai/library/llama3.2/3b", DIGEST)
    _ollama(where.ollama[0], "manifests/hf.co/org/thing/Q4", DIGEST)
    _ollama(where.ollama[0], "manifests/registry.ollama.ai/library/evil/latest", "sha256:../../../etc/passwd")
    gguf(where.ollama[0] / "blobs" / DIGEST.replace(":", "-"))
    return where


def _ollama(root: Path, manifest: str, digest: str) -> None:
    path = root / manifest
    path.parent.mkdir(parents=True, exist_ok=True)
    layers = [
        {"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:" + "0" * 64},
        {"mediaType": "application/vnd.ollama.image.model", "digest": digest},
    ]
    path.write_text(json.dumps({"schemaVersion": 2, "layers": layers}))


def test_every_program_is_looked_into(machine: Places) -> None:
    found = {(f.name, f.role, f.where) for f in find_models(machine)}
    assert found == {
        ("split-00001-of-00003.gguf", "teacher", "folder"),
        ("org/small", "student", "huggingface"),
        ("org/big-GGUF/q4/big.gguf", "teacher", "huggingface"),
        ("org/other/other-Q4_K_M.gguf", "teacher", "lm-studio"),
        ("mlx/small-4bit", "student", "lm-studio"),
        ("llama3.2:3b", "teacher", "ollama"),
        ("hf.co/org/thing:Q4", "teacher", "ollama"),
        ("org_third.gguf", "teacher", "llama.cpp"),
    }


def test_the_snapshot_that_main_names(machine: Places) -> None:
    (small,) = [f for f in find_models(machine) if f.name == "org/small"]
    assert (small.path.name, small.hub_id) == ("old", "org/small")
    (machine.hub / "models--org--small" / "refs" / "main").unlink()
    (small,) = [f for f in find_models(machine) if f.name == "org/small"]
    assert small.hub_id is None, "the hub's own libraries would not find it"


def test_names_are_unique_and_files_are_listed_once(machine: Places, tmp_path: Path) -> None:
    gguf(machine.lm_studio[1] / "org" / "other" / "other-Q4_K_M.gguf")
    again = Places(machine.hub, machine.lm_studio, machine.ollama, machine.llama_cpp, (machine.lm_studio[0],))
    names = [f.name for f in find_models(again) if f.name.endswith("other-Q4_K_M.gguf")]
    assert names == ["org/other/other-Q4_K_M.gguf", "lm-studio:org/other/other-Q4_K_M.gguf"]


def test_a_machine_without_models_and_a_circle_of_links(tmp_path: Path) -> None:
    assert find_models(places({}, tmp_path / "nobody", "darwin")) == []
    (tmp_path / "mine" / "deep").mkdir(parents=True)
    (tmp_path / "mine" / "deep" / "again").symlink_to(tmp_path / "mine")
    gguf(tmp_path / "mine" / "a.gguf")
    found = find_models(places({"DSA_LITE_MODELS": str(tmp_path / "mine")}, tmp_path / "nobody", "darwin"))
    assert "a.gguf" in [f.name for f in found]


@pytest.mark.parametrize(
    ("environment", "system", "name", "expected"),
    [
        ({}, "linux", "hub", "~/.cache/huggingface/hub"),
        ({"XDG_CACHE_HOME": "/c"}, "linux", "hub", "/c/huggingface/hub"),
        ({"XDG_CACHE_HOME": "/c", "HF_HOME": "/h"}, "linux", "hub", "/h/hub"),
        ({"HF_HOME": "/h", "HF_HUB_CACHE": "/x"}, "linux", "hub", "/x"),
        ({}, "linux", "llama_cpp", "~/.cache/llama.cpp"),
        ({}, "darwin", "llama_cpp", "~/Library/Caches/llama.cpp"),
        ({"LOCALAPPDATA": "/l"}, "win32", "llama_cpp", "/l/llama.cpp"),
        ({"LLAMA_CACHE": "/z"}, "darwin", "llama_cpp", "/z"),
    ],
)
def test_where_programs_keep_models(environment: dict[str, str], system: str, name: str, expected: str) -> None:
    found = getattr(places(environment, Path("/home/me"), system), name)
    assert found == Path(expected.replace("~", "/home/me"))


def test_ollama_and_own_folders() -> None:
    home = Path("/home/me")
    assert places({"OLLAMA_MODELS": "/o"}, home, "linux").ollama == (Path("/o"),)
    assert home / ".ollama/models" in places({}, home, "linux").ollama
    assert places({"DSA_LITE_MODELS": "/a:/b"}, home, "linux").folders == (Path("/a"), Path("/b"))


def test_what_headers_say(machine: Places) -> None:
    facts = {f.name: describe(f) for f in find_models(machine)}
    big = facts["org/big-GGUF/q4/big.gguf"]
    assert big is not None
    assert (big.quantisation, big.context, big.chat_template, big.problem) == ("Q4_K_M", 32768, True, "")
    small = facts["org/small"]
    assert small is not None
    assert (small.quantisation, small.context, small.chat_template) == ("BF16", 2048, True)
    assert small.memory == 1.5 * 4 * 200
    split, one = facts["split-00001-of-00003.gguf"], machine.folders[0] / "split-00001-of-00003.gguf"
    assert split is not None
    assert split.size == 3 * one.stat().st_size
    packed = facts["mlx/small-4bit"]
    assert packed is not None
    assert packed.quantisation == "MLX 4 bit"


def test_what_cannot_write_is_left_out_and_what_is_broken_is_named(tmp_path: Path) -> None:
    def about(path: Path, role: Any = "teacher") -> Any:
        return describe(Found(path.name, role, "folder", path))

    assert about(gguf(tmp_path / "lora.gguf", general__type="adapter")) is None
    assert about(gguf(tmp_path / "clip.gguf", architecture="clip")) is None
    assert about(model_folder(tmp_path / "bert", architectures=["BertModel"]), "student") is None
    whole = gguf(tmp_path / "whole.gguf", template="")
    assert about(whole).chat_template is False
    for cut in (0, 3, 30, 200, whole.stat().st_size // 2):
        (tmp_path / "cut.gguf").write_bytes(whole.read_bytes()[:cut])
        assert "unreadable" in about(tmp_path / "cut.gguf").problem, cut
    (tmp_path / "cut.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60) + b"\xff" * 100)
    with pytest.raises(ValueError, match="broken or cut short"):
        read_header(tmp_path / "cut.gguf")
    (tmp_path / "split-00001-of-00002.gguf").write_bytes(whole.read_bytes())
    assert about(tmp_path / "split-00001-of-00002.gguf").problem == (
        "incomplete: 1 of 2 parts missing (split-00002-of-00002.gguf)"
    )
    broken = model_folder(tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"\xff" * 50)
    assert "unreadable" in about(broken, "student").problem
    sharded = model_folder(tmp_path / "sharded")
    (sharded / "model.safetensors").rename(sharded / "first.safetensors")
    index = {"weight_map": {"a": "first.safetensors", "b": "more.safetensors"}}
    (sharded / "model.safetensors.index.json").write_text(json.dumps(index))
    assert about(sharded, "student").problem == "1 of 2 weight files are missing: more.safetensors"


def test_memory_counts_what_the_index_names_alone(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m")
    alone = describe(Found("m", "student", "folder", folder))
    for stale in ("model-00001-of-00003.safetensors", "consolidated.safetensors"):
        (folder / stale).write_bytes((folder / "model.safetensors").read_bytes())
    assert describe(Found("m", "student", "folder", folder)) == alone


@pytest.mark.parametrize(
    ("name", "header", "says"),
    [
        ("mmproj.gguf", {"architecture": "clip", "general__type": "mmproj"}, r"picture reader \(mmproj\)"),
        ("old.gguf", {"architecture": "clip"}, "picture reader"),
        ("lora.gguf", {"general__type": "adapter"}, "an adapter"),
        ("table.gguf", {"general__type": "imatrix"}, "for quantising"),
        ("vocab.gguf", {"general__type": "vocab"}, "vocabulary alone"),
        ("bert.gguf", {"architecture": "nomic-bert"}, "an embedder"),
        ("rank.gguf", {"architecture": "qwen3", "qwen3__pooling_type": 4}, "an embedder"),
        ("t5.gguf", {"architecture": "t5"}, "writes with another"),
        ("flux.gguf", {"architecture": "flux", "tokens": False}, "architecture flux, no vocabulary"),
        ("big-00002-of-00003.gguf", {}, r"part 2 of 3 .*"),
        ("blob.gguf", {"split__no": 1, "split__count": 3, "tokens": False}, "part 2 of 3"),
        ("blob.gguf", {"split__no": 0, "split__count": 3}, "its name hides it"),
        ("big-00001-of-00003.gguf", {}, r"2 of 3 parts missing \(big-00002-of-00003.gguf, big-00003"),
    ],
)
def test_a_file_that_is_no_whole_language_model_is_named(
    tmp_path: Path, name: str, header: dict[str, Any], says: str
) -> None:
    path = gguf(tmp_path / name, **header)
    with pytest.raises(ModelError, match=says) as caught:
        choose_teacher(str(path))
    assert caught.value.hint
    whole = gguf(tmp_path / "whole.gguf", llama__pooling_type=0)
    assert choose_teacher(str(whole)).note == ""


def test_a_model_without_template_is_served_with_a_word(tmp_path: Path) -> None:
    path = gguf(tmp_path / "base.gguf", template="")
    assert "no chat template" in choose_teacher(str(path)).note
    folder = model_folder(tmp_path / "base")
    assert choose_student(str(folder), "auto").note == ""
    (folder / "tokenizer_config.json").unlink()
    assert choose_student(str(folder), "auto").note == "base: no chat template; User:/Assistant: is used"


def test_every_listed_name_can_be_chosen(machine: Places) -> None:
    for found in (*bundled_models(), *find_models(machine)):
        if found.role == "teacher":
            assert Path(choose_teacher(found.name, machine).source).samefile(found.path)
        else:
            choice = choose_student(found.name, "auto", machine)
            assert choice.source in (found.hub_id, str(found.path))
            assert choice.kind == ("mlx" if "4bit" in found.name else "torch")
    assert choose_teacher("dsa-lite-tiny-teacher") == choose_teacher(None)
    assert choose_student("dsa-lite-tiny-student", "torch").bundled
    with pytest.raises(UsageError, match="quantised for MLX"):
        choose_student("mlx/small-4bit", "torch", machine)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("llama3.2:2b", "llama3.2:3b"),
        ("other-q4_k_m", "org/other/other-Q4_K_M.gguf"),
        ("org_thrid.gguf", "org_third.gguf"),
        ("nothing like it", ""),
    ],
)
def test_close_matches_of_a_teacher(machine: Places, name: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose_teacher(name, machine)
    assert ("did you mean" in caught.value.hint) == bool(meant)
    assert meant in caught.value.hint
    assert "dsa-lite models" in caught.value.hint


def test_close_matches_of_a_student(machine: Places) -> None:
    for name in ("org/smal", "small", "Org/Small"):
        with pytest.raises(UsageError, match="no student called") as caught:
            choose_student(name, "auto", machine)
        assert "did you mean org/small" in caught.value.hint
    assert choose_student("someone/quite-different", "auto", machine).source == "someone/quite-different"


@pytest.mark.parametrize("url", ["https://me:secret@host/v1", "HTTP://me:secret@host", "http://host/v1?key=secret"])
def test_a_password_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match="carries a password or a query") as caught:
        choose_teacher(url)
    assert "OPENAI_API_KEY" in caught.value.hint
    assert "secret" not in f"{caught.value.message} {caught.value.hint}"
