"""A base in 4 or 8 bits under the PyTorch student (QLoRA), for real on the CPU."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from dsa_lite.errors import MissingExtra, ModelError, UsageError
from dsa_lite.records import Quantize
from dsa_lite.student import Batch, Student, StudentOptions
from dsa_lite.testing import make_batch, student_checks

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from dsa_lite_torch import open_student  # noqa: E402

OPTIONS = StudentOptions(lora_rank=4, lora_alpha=8, device="cpu", threads=1, precision="float32")
#: Of the loss on a random model, whose weights have no slack.
ERROR: dict[Quantize, float] = {"4bit": 0.2, "8bit": 0.02}


@contextmanager
def opened(folder: Path, quantize: Quantize) -> Iterator[Student]:
    with closing(open_student(str(folder), OPTIONS.model_copy(update={"quantize": quantize}))) as student:
        yield student


def batch_of(student: Student, text: str) -> Batch:
    ids = student.tokenizer.encode(text)
    return make_batch({"a": (ids, range(1, len(ids)))})


@pytest.mark.parametrize("quantize", ["4bit", "8bit"])
def test_it_learns_and_its_adapter_goes_into_the_whole_base(
    quantize: Quantize, tiny_model_folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes (extra qlora) is not installed")
    from safetensors.torch import load_file

    from dsa_lite_formats import export_merged

    with opened(tiny_model_folder, "none") as whole, opened(tiny_model_folder, quantize) as student:
        batch = batch_of(student, "the sum of the digits is 12<|end|>")
        exact, near = whole.score(batch)[0].nll, student.score(batch)[0].nll
        assert 0 < abs(near / exact - 1) < ERROR[quantize]
        layers = student._shared.lora.layers  # type: ignore[attr-defined]
        assert all(layer.dtype == torch.float32 for layer in layers)
        assert not any(p.numel() == layers[0].size for _, p in _base_weights(student))
        for _ in range(30):
            student.step(batch, 2e-2)
        prompt = student.tokenizer.encode("the sum")
        assert student.tokenizer.decode(student.generate([prompt], 30)[0]) == " of the digits is 12"
        student.save(tmp_path / "adapter")
    (tmp_path / "merged").mkdir()
    export_merged(str(tiny_model_folder), tmp_path / "adapter", tmp_path / "merged", "", "")
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_model_folder, tmp_path / "merged"))
    name = "model.layers.0.self_attn.q_proj.weight"
    adapter = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    a, b = (adapter[f"base_model.model.{name.removesuffix('.weight')}.lora_{part}.weight"] for part in "AB")
    torch.testing.assert_close(after[name], before[name] + 2 * (b @ a))


def _base_weights(student: Student) -> list[tuple[str, torch.Tensor]]:
    model = student._shared.lora.base.model  # type: ignore[attr-defined]
    return [(n, p) for n, p in model.named_parameters() if n.endswith("base_layer.weight")]


@pytest.mark.parametrize(
    "check",
    [student_checks.check_weights_are_linear, student_checks.check_micro_batches, student_checks.check_resume,
     student_checks.check_gradient_checkpointing, student_checks.check_fork, student_checks.check_generation],
    ids=lambda check: check.__name__,
)  # fmt: skip
def test_the_contract_holds(check: object, tiny_model_folder: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes (extra qlora) is not installed")
    assert callable(check)
    check(lambda options: open_student(str(tiny_model_folder), options.model_copy(update={"quantize": "4bit"})))


def test_a_state_does_not_go_on_with_another_base(tiny_model_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes (extra qlora) is not installed")
    with opened(tiny_model_folder, "4bit") as student, opened(tiny_model_folder, "none") as whole:
        student.save_state(tmp_path)
        with pytest.raises(ModelError, match="another model"):
            whole.load_state(tmp_path)


def test_nothing_is_looked_for_on_the_hub(tmp_path: Path) -> None:
    """bitsandbytes asks the package `kernels`, where that is installed, for compiled code from the hub."""
    pytest.importorskip("bitsandbytes", reason="bitsandbytes (extra qlora) is not installed")
    (tmp_path / "kernels.py").write_text("raise SystemExit('kernels were looked for')", encoding="utf-8")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from dsa_lite_torch.quantized import import_offline\n"
        "import_offline(); import bitsandbytes; print('kernels' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")


def test_without_the_package_or_on_another_device(tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dsa_lite_torch import quantized

    with pytest.raises(UsageError, match="cannot quantise on mps"):
        quantized.require("8bit", torch.device("mps"))
    monkeypatch.setattr(quantized, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="4bit needs bitsandbytes") as caught, opened(tiny_model_folder, "4bit"):
        pass
    assert caught.value.hint == 'pip install "dsa-lite[torch,qlora]"'
