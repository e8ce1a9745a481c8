"""The PyTorch student: the contract's checks, and what is this backend's own."""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dsa_lite.errors import MissingExtra, ModelError, TrainingError, UsageError
from dsa_lite.student import Student, StudentOptions
from dsa_lite.testing import STUDENT_CHECKS, OpenStudent, make_batch

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from dsa_lite_torch import open_student  # noqa: E402

# the tests that call PEFT themselves, to compare with it
peft_warns = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")

OPTIONS = StudentOptions(lora_rank=4, lora_alpha=8, device="cpu", threads=1, precision="float32")


@pytest.fixture
def student(tiny_model_folder: Path) -> Student:
    return open_student(str(tiny_model_folder), OPTIONS)


@pytest.mark.parametrize("check", STUDENT_CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable[[OpenStudent], None], tiny_model_folder: Path) -> None:
    check(lambda options: open_student(str(tiny_model_folder), options))


def _batch(student: Student, *texts: str, weights: list[float] | None = None):  # type: ignore[no-untyped-def]
    encoded = [student.tokenizer.encode(text) for text in texts]
    return make_batch({f"e{i}": (ids, range(1, len(ids))) for i, ids in enumerate(encoded)}, weights)


def _reference_nll(folder: Path, ids: list[int]) -> float:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids])).logits[0]
    return float(torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids[1:]), reduction="sum"))


def test_nll_is_that_of_transformers(student: Student, tiny_model_folder: Path) -> None:
    ids = student.tokenizer.encode("the sum of the digits is 12")
    assert student.score(_batch(student, "the sum of the digits is 12"))[0].nll == pytest.approx(
        _reference_nll(tiny_model_folder, ids), rel=1e-5
    )


def test_avoid_looks_at_the_inputs_of_every_layer_without_padding(student: Any, tiny_model_folder: Path) -> None:
    """The reference: transformers alone, text by text."""
    from transformers import AutoModelForCausalLM

    generator = np.random.default_rng(0)
    examples = {f"e{n}": (generator.integers(5, 290, n).tolist(), range(1, n)) for n in (90, 60, 75)}
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    seen: dict[str, Any] = {}

    def look(name: str) -> Callable[[Any, Any], None]:
        def hook(module: Any, inputs: Any) -> None:
            x = inputs[0][0].double()
            seen[name] = seen.get(name, 0) + x.T @ x

        return hook

    for name, module in model.model.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(look(name))
    with torch.no_grad():
        for ids, _ in examples.values():
            model(input_ids=torch.tensor([ids[:-1]]))
    names = list(examples)
    student.avoid([make_batch({name: examples[name] for name in part}) for part in (names[:2], names[2:])])
    layers = student._shared.lora.layers
    assert len(layers) == len(seen)
    for layer, moments in zip(layers, seen.values(), strict=True):
        a, share = layer.a.detach().double(), torch.trace(moments) / (3 * len(moments))
        torch.testing.assert_close((a**2).sum(1), share / torch.linalg.eigvalsh(moments)[: len(a)], rtol=1e-3, atol=0)
        torch.testing.assert_close(
            a @ moments @ a.T, share * torch.eye(len(a)).double(), rtol=1e-3, atol=float(share) / 100
        )
        assert not layer.b.any()


@peft_warns
def test_gradient_is_that_of_peft(student: Student, tiny_model_folder: Path) -> None:
    """The fused layer against PEFT's own forward and torch's autograd."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    batch = _batch(student, "the sum of the digits is 12", "the power rule", weights=[2.0, 0.5])
    for _ in range(3):
        student.step(batch, 1e-2)
    base = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    reference = get_peft_model(base, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM"))
    ours = dict(student._shared.lora._peft.named_parameters())  # type: ignore[attr-defined]
    theirs = {n: p for n, p in reference.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for name, parameter in theirs.items():
            parameter.copy_(ours[name])
    loss, targets = 0.0, 0
    for ids, mask, weight in zip(batch.ids, batch.loss_mask, batch.weights, strict=True):
        row = torch.tensor(ids[: mask.nonzero()[0].max() + 1])[None].long()
        logits = reference(input_ids=row).logits[0, :-1]
        loss = loss + float(weight) * torch.nn.functional.cross_entropy(logits, row[0, 1:], reduction="sum")
        targets += row.shape[1] - 1
    (loss / targets).backward()  # type: ignore[attr-defined]
    student.step(batch, 0.0)
    for name, parameter in theirs.items():
        gradient = ours[name].grad
        norm = min(1.0, 1.0 / float(torch.linalg.vector_norm(torch.stack([p.grad.norm() for p in theirs.values()]))))
        torch.testing.assert_close(gradient, parameter.grad * norm, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_dropout_only_while_training(tiny_model_folder: Path, dropout: float) -> None:
    with closing(open_student(str(tiny_model_folder), OPTIONS.model_copy(update={"lora_dropout": dropout}))) as student:
        batch = _batch(student, "the sum of the digits is 12")
        for _ in range(4):
            student.step(batch, 1e-2)
        scored = student.score(batch)
        assert scored == student.score(batch)
        assert (student.step(batch, 1e-2)[0].nll == pytest.approx(scored[0].nll, rel=1e-6)) == (dropout == 0)


def test_leaves_global_random_state_alone(tiny_model_folder: Path) -> None:
    before = torch.get_rng_state()
    with closing(open_student(str(tiny_model_folder), OPTIONS.model_copy(update={"lora_dropout": 0.5}))) as student:
        student.step(_batch(student, "the sum"), 1e-2)
    assert torch.equal(before, torch.get_rng_state())


def test_chunks_of_logits_change_nothing(student: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    from dsa_lite_torch import loss

    batch = _batch(student, "the sum of the digits is 12", "the power rule")
    whole = student.score(batch)
    monkeypatch.setattr(loss, "_LOGITS", 3 * 300)
    assert [o.nll for o in student.score(batch)] == pytest.approx([o.nll for o in whole], rel=1e-5)
    assert [o.nll for o in student.step(batch, 1e-2)] == pytest.approx([o.nll for o in whole], rel=1e-5)


@peft_warns
def test_merged_adapter_is_peft_s(student: Student, tiny_model_folder: Path, tmp_path: Path) -> None:
    """What is saved loads in plain PEFT, merges, and writes what the student writes."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    batch = _batch(student, "the sum of the digits is 12<|end|>")
    for _ in range(30):
        student.step(batch, 2e-2)
    student.save(tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(tiny_model_folder)
    assert config["target_modules"] == sorted(config["target_modules"])
    assert "lm_head" not in config["target_modules"]
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model_folder), tmp_path)
    model = model.merge_and_unload()
    prompt = student.tokenizer.encode("the sum")
    reply = student.generate([prompt], 30)[0]
    assert student.tokenizer.decode(reply) == " of the digits is 12"
    expected = model.generate(
        torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), max_new_tokens=30, do_sample=False
    )
    assert expected[0, len(prompt) :].tolist() == [*reply, student.tokenizer.eos_id]


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


@pytest.mark.parametrize("name", ["past_key_values", "cache"])
def test_the_cache_goes_by_the_name_that_the_network_has(student: Any, monkeypatch: Any, name: str) -> None:
    """transformers renamed it; a network may have either name, or warn of the old one."""
    prompts = [student.tokenizer.encode("the sum of the digits")]
    expected = student.generate(prompts, 8)
    inner = student._shared.lora.base.inner
    real = inner.forward
    own = "cache" if "cache" in inspect.signature(real).parameters else "past_key_values"
    given: list[Any] = []

    def forward(input_ids: Any, attention_mask: Any = None, position_ids: Any = None, **rest: Any) -> Any:
        given.append(rest.pop(name))
        return real(input_ids, attention_mask, position_ids, **{own: given[-1]}, **rest)

    kind = inspect.Parameter.KEYWORD_ONLY
    other = [p for p in inspect.signature(forward).parameters.values() if p.name != "rest"]
    forward.__signature__ = inspect.Signature([*other, inspect.Parameter(name, kind)])  # type: ignore[attr-defined]
    monkeypatch.setattr(inner, "forward", forward)
    assert student.generate(prompts, 8) == expected
    assert len(given) >= len(expected[0])
    assert None not in given


@pytest.mark.filterwarnings("error")
def test_writing_calls_for_no_warning(student: Student) -> None:
    assert len(student.generate([student.tokenizer.encode("the sum")], 4)[0]) <= 4


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
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(tiny_model_folder, tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.self_attn.q_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="q_proj"):
        open_student(str(folder), OPTIONS)


def test_unknown_architecture(tiny_model_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model_folder, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "no_such_thing"}))
    with pytest.raises(ModelError, match="no_such_thing"):
        open_student(str(folder), OPTIONS)


@pytest.mark.parametrize("source", ["no/such-model-anywhere", "/no/such/folder", "../nothing here"])
def test_unknown_source(source: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"Hugging Face cache|no such"):
        open_student(source, OPTIONS)


def test_unknown_device(tiny_model_folder: Path) -> None:
    with pytest.raises(UsageError):
        open_student(str(tiny_model_folder), OPTIONS.model_copy(update={"device": "abacus"}))


def test_fingerprint_follows_the_bytes(tiny_model_folder: Path, tmp_path: Path, student: Student) -> None:
    folder = shutil.copytree(tiny_model_folder, tmp_path / "model")
    same = open_student(str(folder), OPTIONS)
    assert same.fingerprint == student.fingerprint
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "note": 1}))
    assert open_student(str(folder), OPTIONS).fingerprint != student.fingerprint


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
    monkeypatch.setattr("dsa_lite_torch.find_spec", lambda name: None)
    with pytest.raises(MissingExtra) as caught:
        open_student("anything", OPTIONS)
    assert caught.value.hint == 'pip install "dsa-lite[torch]"'


def test_closed_student(student: Student) -> None:
    fork = student.fork()
    student.close()
    assert fork.score(_batch(fork, "the sum"))[0].tokens > 0
    fork.close()
    with pytest.raises(RuntimeError, match="closed"):
        fork.score(make_batch({"a": ([1, 2], [1])}))


def test_bfloat16_products_learn_the_same_within_their_rounding(tiny_model_folder: Path) -> None:
    texts = ("the sum of the digits is 12", "the power rule")
    losses, greedy = {}, {}
    for precision in ("float32", "bfloat16"):
        options = OPTIONS.model_copy(update={"precision": precision})
        with closing(open_student(str(tiny_model_folder), options)) as student:
            assert precision in student.device
            batch = _batch(student, *texts)
            greedy[precision] = student.generate([batch.ids[0, :3].tolist()], 5, adapter=False)
            steps = [[o.nll for o in student.step(batch, 1e-2)] for _ in range(20)]
            losses[precision] = np.array(steps)
    difference = np.abs(losses["bfloat16"] / losses["float32"] - 1)
    assert 0 < difference[0].max() < 0.02
    assert difference.max() < 0.1
    assert greedy["bfloat16"] == greedy["float32"]


def test_an_interrupted_bfloat16_training_goes_on_exactly(tiny_model_folder: Path, tmp_path: Path) -> None:
    options = OPTIONS.model_copy(update={"precision": "bfloat16"})
    with closing(open_student(str(tiny_model_folder), options)) as one:
        batch = _batch(one, "the sum of the digits is 12", "the power rule")
        for _ in range(3):
            one.step(batch, 1e-2)
        one.save_state(tmp_path / "state")
        expected = [one.step(batch, 1e-2) for _ in range(3)]
    with closing(open_student(str(tiny_model_folder), options)) as other:
        other.load_state(tmp_path / "state")
        assert [other.step(batch, 1e-2) for _ in range(3)] == expected
