"""The MLX student: the contract's checks, agreement with the PyTorch student, and what is this backend's own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dsa_lite.errors import MissingExtra, ModelError, TrainingError, UsageError
from dsa_lite.student import Batch, Student, StudentOptions
from dsa_lite.testing import STUDENT_CHECKS, OpenStudent, make_batch

mx = pytest.importorskip("mlx.core", reason="mlx is not installed")
mlx_lm = pytest.importorskip("mlx_lm", reason="mlx_lm (mlx) is not installed")

from dsa_lite_mlx import open_student  # noqa: E402

OPTIONS = StudentOptions(precision="float32", lora_rank=4, lora_alpha=8, device="cpu", threads=1)
TEXTS = ("the sum of the digits is 12", "the power rule", "x = 1<|end|>", "a much longer text, of 42 or 43 bytes")


@pytest.fixture
def student(tiny_model_folder: Path) -> Student:
    return open_student(str(tiny_model_folder), OPTIONS)


@pytest.mark.parametrize("check", STUDENT_CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable[[OpenStudent], None], tiny_model_folder: Path) -> None:
    check(lambda options: open_student(str(tiny_model_folder), options))


@pytest.fixture
def loadable(tiny_model_folder: Path, tmp_path: Path) -> str:
    """The model with a tokenizer that transformers 5, and so mlx_lm.load, can read."""
    folder = shutil.copytree(tiny_model_folder, tmp_path / "loadable")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "pad_token": "<|end|>"}))
    return str(folder)


def _batch(student: Student, *texts: str, weights: list[float] | None = None) -> Batch:
    encoded = [student.tokenizer.encode(text) for text in texts]
    return make_batch({f"e{i}": (ids, range(1, len(ids))) for i, ids in enumerate(encoded)}, weights)


def _with_start_of(torch_student: Any, student: Any, folder: Path) -> Any:
    """The MLX student with the PyTorch student's adapter, taken from the file that one saves."""
    from safetensors.numpy import load_file

    from dsa_lite_mlx.state import AdapterState
    from dsa_lite_mlx.student import MlxStudent

    torch_student.save(folder)
    tensors = load_file(folder / "adapter_model.safetensors")
    names = [f"base_model.model.{name}.lora_{part}.weight" for name in student._shared.lora._layers for part in "AB"]
    assert sorted(names) == sorted(tensors)
    values = [mx.array(np.ascontiguousarray(tensors[name].T)) for name in names]
    return MlxStudent(student._shared, AdapterState(values, student._shared.options))


def test_agrees_with_torch(tiny_model_folder: Path, tmp_path: Path) -> None:
    """The same weights, LoRA start and batches: every observation of 50 steps, learning rate and weights changing."""
    pytest.importorskip("peft", reason="torch and peft are not installed")
    dsa_lite_torch = pytest.importorskip("dsa_lite_torch")
    options = OPTIONS.model_copy(update={"weight_decay": 0.1, "max_grad_norm": 0.5})
    theirs = dsa_lite_torch.open_student(str(tiny_model_folder), options)
    ours = _with_start_of(theirs, open_student(str(tiny_model_folder), options), tmp_path)
    assert ours.fingerprint == theirs.fingerprint
    batches = [
        _batch(ours, *TEXTS, weights=[1, 0.5, 0, 2]),
        replace(_batch(ours, TEXTS[3] * 2), segments=_halves(ours, TEXTS[3])),
        _batch(ours, *TEXTS[:2]),
    ]
    for step in range(50):
        batch, lr = batches[step % 3], 1e-2 * (1 - step / 60)
        mine, other = ours.step(batch, lr), theirs.step(batch, lr)
        assert [(o.example_id, o.tokens) for o in mine] == [(o.example_id, o.tokens) for o in other]
        assert [o.nll for o in mine] == pytest.approx([o.nll for o in other], rel=1e-4), f"step {step}"
    assert mine[0].correct > 0.9 * mine[0].tokens
    prompts = [ours.tokenizer.encode(text)[:2] for text in TEXTS]
    assert ours.generate(prompts, 12) == theirs.generate(prompts, 12)


def _halves(student: Student, text: str) -> np.ndarray:
    """Segments of a row that holds the text twice."""
    size = len(student.tokenizer.encode(text * 2))
    return np.where(np.arange(size) < len(student.tokenizer.encode(text)), 1, 2).astype(np.int32)[None]


def test_saves_what_mlx_lm_loads(student: Student, tiny_model_folder: Path, loadable: str, tmp_path: Path) -> None:
    batch = _batch(student, "the sum of the digits is 12<|end|>")
    for _ in range(30):
        student.step(batch, 2e-2)
    for folder in ("a", "b"):
        student.save(tmp_path / folder)
    for file in ("adapter_config.json", "adapters.safetensors"):
        contents = [(tmp_path / folder / file).read_bytes() for folder in ("a", "b")]
        assert contents[0] == contents[1]
        assert str(tmp_path).encode() not in contents[0]
    config = json.loads((tmp_path / "a" / "adapter_config.json").read_text())
    assert config["lora_parameters"]["scale"] == 2.0
    assert config["model"] == str(tiny_model_folder)
    prompt = student.tokenizer.encode("the sum")
    reply = student.generate([prompt], 30)[0]
    assert student.tokenizer.decode(reply) == " of the digits is 12"
    with mx.stream(mx.cpu):
        model, _ = mlx_lm.load(loadable, adapter_path=str(tmp_path / "a"))
        logits = model(mx.array([prompt + reply]))[0]
        expected = logits[len(prompt) - 1 :].argmax(-1).tolist()
        ids = mx.array(batch.ids[0, 1:])
        losses = mx.logsumexp(logits[: len(ids)], axis=-1) - mx.take_along_axis(logits, ids[:, None], axis=-1)[:, 0]
        assert student.score(batch)[0].nll == pytest.approx(losses.sum().item(), rel=1e-4)
    assert expected == [*reply, student.tokenizer.eos_id]


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_dropout_only_while_training(tiny_model_folder: Path, dropout: float) -> None:
    with closing(open_student(str(tiny_model_folder), OPTIONS.model_copy(update={"lora_dropout": dropout}))) as student:
        batch = _batch(student, "the sum of the digits is 12")
        for _ in range(4):
            student.step(batch, 1e-2)
        scored = student.score(batch)
        assert scored == student.score(batch)
        assert (student.step(batch, 1e-2)[0].nll == pytest.approx(scored[0].nll, rel=1e-6)) == (dropout == 0)


def test_leaves_global_state_alone(tiny_model_folder: Path) -> None:
    before, device = [np.array(state).tolist() for state in mx.random.state], mx.default_device()
    with closing(open_student(str(tiny_model_folder), OPTIONS.model_copy(update={"lora_dropout": 0.5}))) as student:
        student.step(_batch(student, "the sum"), 1e-2)
    assert [np.array(state).tolist() for state in mx.random.state] == before
    assert mx.default_device() == device


def test_chunks_of_logits_change_nothing(student: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    from dsa_lite_mlx import loss

    batch = _batch(student, "the sum of the digits is 12", "the power rule")
    whole, fork = student.score(batch), student.fork()
    after = [fork.step(batch, 1e-2) and fork.score(batch) for _ in range(2)]
    monkeypatch.setattr(loss, "_LOGITS", 3 * 300)
    assert [o.nll for o in student.score(batch)] == pytest.approx([o.nll for o in whole], rel=1e-5)
    for expected in after:
        student.step(batch, 1e-2)
        assert [o.nll for o in student.score(batch)] == pytest.approx([o.nll for o in expected], rel=1e-4)


def test_generation_drops_ended_rows(student: Student) -> None:
    texts = ["the sum of<|end|>", "a<|end|>", "the derivative of the power rule<|end|>", "x = 1<|end|>"]
    batch = _batch(student, *texts)
    for _ in range(60):
        student.step(batch, 2e-2)
    prompts = [student.tokenizer.encode(text)[:1] for text in texts]
    together = student.generate(prompts, 25)
    assert together == [student.generate([prompt], 25)[0] for prompt in prompts]
    assert sorted({len(reply) for reply in together})[0] < 5
    assert student.generate(prompts, 0) == [[]] * 4


def test_quantised_base(student: Student, loadable: str, tmp_path: Path) -> None:
    """mlx-lm's own quantised models learn too; their adapter has the shapes of the full one."""
    from mlx_lm.convert import convert

    with mx.stream(mx.cpu):
        convert(loadable, str(tmp_path / "q8"), quantize=True, q_group_size=32, q_bits=8)
    with closing(open_student(str(tmp_path / "q8"), OPTIONS)) as quantised:
        batch = _batch(quantised, "the sum of the digits is 12<|end|>")
        assert quantised.score(batch)[0].nll == pytest.approx(student.score(batch)[0].nll, rel=0.05)
        for _ in range(30):
            quantised.step(batch, 2e-2)
        assert quantised.tokenizer.decode(quantised.generate([[*batch.ids[0, :2]]], 30)[0]).endswith("is 12")
        quantised.save(tmp_path / "adapter")
    with mx.stream(mx.cpu):
        mlx_lm.load(loadable, adapter_path=str(tmp_path / "adapter"))


@pytest.mark.parametrize("kind", ["qwen2", "gemma2", "gemma3_text"])
def test_other_architectures(kind: str, tiny_model_folder: Path, tmp_path: Path) -> None:
    """Biases; sliding windows, scaled embeddings and capped logits: as transformers computes them."""
    folder = _other_model(kind, tiny_model_folder, tmp_path / kind)
    with closing(open_student(str(folder), OPTIONS)) as student:
        batch = _batch(student, "the sum of the digits is 12<|end|>", "x = 1<|end|>")
        assert student.score(batch)[0].nll == pytest.approx(_reference_nll(folder, batch.ids[0].tolist()), rel=1e-3)
        for _ in range(40):
            student.step(batch, 1e-2)
        replies = student.generate([batch.ids[0, :1].tolist(), batch.ids[1, :2].tolist()], 24)
        assert student.generate([batch.ids[0, :1].tolist()], 24) == replies[:1]
        assert student.tokenizer.decode(replies[0]).endswith("is 12")


def _other_model(kind: str, tokenizer_from: Path, folder: Path) -> Path:
    torch = pytest.importorskip("torch")
    from transformers import AutoConfig, AutoModelForCausalLM

    size = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4}
    more = {"num_key_value_heads": 2, "max_position_embeddings": 256, "vocab_size": 300, "initializer_range": 0.1}
    gemma = {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 8 if kind == "gemma3_text" else 256}
    more["num_hidden_layers"] = 6 if kind == "gemma3_text" else 2  # one of six looks at everything
    config = AutoConfig.for_model(
        kind, **size, **more, **gemma if "gemma" in kind else {}, eos_token_id=0, bos_token_id=None, pad_token_id=None
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer_from / name, folder)
    return folder


def _reference_nll(folder: Path, ids: list[int]) -> float:
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids])).logits[0]
    return float(torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids[1:]), reduction="sum"))


def test_tokenizer(student: Student) -> None:
    tokenizer = student.tokenizer
    assert tokenizer.special_tokens == {"eos_token": "<|end|>", "pad_token": "<|end|>"}
    assert tokenizer.chat_template is not None
    assert "add_generation_prompt" in tokenizer.chat_template
    assert len(tokenizer.encode("<|user|>hi<|end|>")) == 4
    assert tokenizer.decode(tokenizer.encode("<|user|>2 + 2<|end|>")) == "2 + 2"


@pytest.mark.parametrize(
    ("name", "words"),
    [("config.json", "config.json"), ("tokenizer.json", "tokenizer.json"), ("model.safetensors", "safetensors")],
)
def test_incomplete_folder(tiny_model_folder: Path, tmp_path: Path, name: str, words: str) -> None:
    folder = shutil.copytree(tiny_model_folder, tmp_path / "model")
    (folder / name).unlink()
    with pytest.raises(ModelError, match=words):
        open_student(str(folder), OPTIONS)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_broken_file(tiny_model_folder: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(tiny_model_folder, tmp_path / "model")
    (folder / name).write_bytes(b"\x00\x01broken")
    with pytest.raises(ModelError):
        open_student(str(folder), OPTIONS)


def test_weights_that_lack_a_layer(tiny_model_folder: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = shutil.copytree(tiny_model_folder, tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.self_attn.q_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="q_proj"):
        open_student(str(folder), OPTIONS)


@pytest.mark.parametrize("change", [{"model_type": "no_such_thing"}, {"model_file": "code.py"}])
def test_models_that_are_refused(tiny_model_folder: Path, tmp_path: Path, change: dict[str, str]) -> None:
    folder = shutil.copytree(tiny_model_folder, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    (folder / "code.py").write_text("raise SystemExit('code of a model was run')")
    with pytest.raises(ModelError, match=next(iter(change.values()))):
        open_student(str(folder), OPTIONS)


@pytest.mark.parametrize("source", ["no/such-model-anywhere", "/no/such/folder", "../nothing here"])
def test_unknown_source(source: str) -> None:
    with pytest.raises(ModelError, match=r"Hugging Face cache|no such"):
        open_student(source, OPTIONS)


def test_unknown_device(tiny_model_folder: Path) -> None:
    with pytest.raises(UsageError):
        open_student(str(tiny_model_folder), OPTIONS.model_copy(update={"device": "abacus"}))


def test_state_of_another_shape(student: Student, tiny_model_folder: Path, tmp_path: Path) -> None:
    student.save_state(tmp_path)
    other = open_student(str(tiny_model_folder), OPTIONS.model_copy(update={"lora_rank": 8}))
    with pytest.raises(ModelError, match="adapter shape"):
        other.load_state(tmp_path)
    with pytest.raises(ModelError, match="no readable"):
        student.load_state(tmp_path / "nowhere")


def test_nothing_to_train_on_and_too_long(student: Student) -> None:
    batch = make_batch({"a": ([1, 2, 3], [])})
    assert student.score(batch)[0].tokens == 0
    with pytest.raises(TrainingError, match="nothing to train on"):
        student.step(batch, 1e-3)
    long = make_batch({"too-long": (np.full(300, 5).tolist(), range(1, 300))})
    with pytest.raises(TrainingError, match="too-long"):
        student.step(long, 1e-3)
    with pytest.raises(ModelError, match="256"):
        student.generate([[5] * 250], 20)


def test_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dsa_lite_mlx.find_spec", lambda name: None)
    with pytest.raises(MissingExtra) as caught:
        open_student("anything", OPTIONS)
    assert caught.value.hint == 'pip install "dsa-lite[mlx]"'


def test_closed_student(student: Student) -> None:
    fork = student.fork()
    student.close()
    assert fork.score(_batch(fork, "the sum"))[0].tokens > 0
    fork.close()
    with pytest.raises(RuntimeError, match="closed"):
        fork.score(make_batch({"a": ([1, 2], [1])}))
