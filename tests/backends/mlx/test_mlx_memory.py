"""The MLX student where memory runs out, and a base that is quantised when it is loaded."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dsa_lite.errors import TrainingError
from dsa_lite.records import Checkpointing, Quantize
from dsa_lite.student import Batch, Student, StudentOptions
from dsa_lite.testing import make_batch

mx = pytest.importorskip("mlx.core", reason="mlx is not installed")
pytest.importorskip("mlx_lm", reason="mlx_lm (mlx) is not installed")

from dsa_lite_mlx import open_student  # noqa: E402
from dsa_lite_mlx.memory import ran_out  # noqa: E402

OPTIONS = StudentOptions(precision="float32", lora_rank=4, lora_alpha=8, lora_dropout=0.2, device="cpu")
TEXTS = ("the sum of the digits is 12", "the power rule", "x = 1<|end|>", "a much longer text, of 42 or 43 bytes")
TOO_MUCH = 1 << 46  # bytes; no machine has them


def _batch(student: Student, *texts: str) -> Batch:
    encoded = [student.tokenizer.encode(text) for text in texts]
    return make_batch({f"e{i}": (ids, range(1, len(ids))) for i, ids in enumerate(encoded)})


class _Hungry:
    """The network, which asks for more memory than there is above `tokens` at a time, `without` checkpoints."""

    def __init__(self, student: Any, tokens: int, without: int) -> None:
        self._lora = student._shared.lora
        self._inner, self._tokens, self._without = self._lora.base.inner, tokens, without
        self._lora.base.inner = self

    def __call__(self, ids: Any, **kwargs: Any) -> Any:
        if ids.size > (self._tokens if self._lora.checkpoints.on else self._without):
            np.empty(TOO_MUCH, dtype=np.uint8)
        return self._inner(ids, **kwargs)


def _opened(folder: Path, **options: Any) -> Any:
    return open_student(str(folder), OPTIONS.model_copy(update=options))


def _two_steps(student: Any) -> list[float]:
    batch = _batch(student, *TEXTS)
    return [o.nll for _ in range(2) for o in student.step(batch, 1e-2)] + [o.nll for o in student.score(batch)]


@pytest.mark.parametrize(
    ("error", "known"),
    [
        (
            RuntimeError("[metal::malloc] Attempting to allocate 9 bytes which is greater than the maximum allowed"),
            True,
        ),
        (RuntimeError("[METAL] Command buffer execution failed: Insufficient Memory (00000008:kIOGPU)"), True),
        (RuntimeError("[malloc] Unable to allocate 9 bytes."), True),
        (MemoryError(), True),
        (RuntimeError("shapes do not fit"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_memory_errors_are_told_from_others(error: Exception, known: bool) -> None:
    """MLX's build for CPUs, alas, has none of its own: where the system refuses memory, it crashes."""
    assert ran_out(error) == known


def test_what_does_not_fit_is_done_in_smaller_parts(tiny_model_folder: Path) -> None:
    with closing(_opened(tiny_model_folder, lora_dropout=0.0)) as whole:
        expected = _two_steps(whole)
        longest = max(len(whole.tokenizer.encode(text)) for text in TEXTS)
    with closing(_opened(tiny_model_folder, lora_dropout=0.0)) as student:
        _Hungry(student, longest, longest)
        assert _two_steps(student) == pytest.approx(expected, rel=1e-4)
        fit = student._shared.fit
        assert (fit.tokens < 2 * longest, fit.checkpointing) == (True, False)
        prompts = [student.tokenizer.encode(text)[:4] for text in TEXTS]
        assert student.generate(prompts, 5) == [student.generate([p], 5)[0] for p in prompts]


def test_then_with_checkpoints(tiny_model_folder: Path) -> None:
    """One row at a time from the start, so that dropout takes the same units."""
    with closing(_opened(tiny_model_folder, micro_batch_tokens=1)) as whole:
        expected = _two_steps(whole)
    with closing(_opened(tiny_model_folder, micro_batch_tokens=1)) as student:
        _Hungry(student, 1 << 20, 8)
        batch = _batch(student, *TEXTS)
        steps = [o.nll for _ in range(2) for o in student.step(batch, 1e-2)]
        assert student._shared.fit.checkpointing
        assert steps == pytest.approx(expected[:8], rel=1e-6)


@pytest.mark.parametrize("mode", ["off", "auto"])
def test_then_it_is_refused_and_nothing_has_changed(mode: Checkpointing, tiny_model_folder: Path) -> None:
    with closing(_opened(tiny_model_folder, gradient_checkpointing=mode)) as student:
        batch = _batch(student, *TEXTS)
        before, values = student.score(batch), student._state.values
        hungry = _Hungry(student, 8, 8)
        with pytest.raises(TrainingError, match=r"out of memory on cpu: .* tokens at a time do not fit") as caught:
            student.step(batch, 1e-2)
        assert ("gradient_checkpointing" in caught.value.hint) == (mode == "off")
        student._shared.lora.base.inner = hungry._inner
        assert student._state.values is values
        assert student.score(batch) == before


@pytest.mark.parametrize(("quantize", "error"), [("4bit", 0.2), ("8bit", 0.02)])
def test_a_base_quantised_when_it_is_loaded(
    quantize: Quantize, error: float, tiny_model_folder: Path, tmp_path: Path
) -> None:
    with (
        closing(_opened(tiny_model_folder)) as whole,
        closing(_opened(tiny_model_folder, quantize=quantize)) as student,
    ):
        batch = _batch(student, "the sum of the digits is 12<|end|>")
        exact, near = whole.score(batch)[0].nll, student.score(batch)[0].nll
        assert 0 < abs(near / exact - 1) < error
        layers = student._shared.lora._layers.values()
        assert {(type(layer.linear).__name__, layer.linear.bits) for layer in layers} == {
            ("QuantizedLinear", int(quantize[0]))
        }
        for _ in range(30):
            student.step(batch, 2e-2)
        prompt = student.tokenizer.encode("the sum")
        assert student.tokenizer.decode(student.generate([prompt], 30)[0]) == " of the digits is 12"
        student.save(tmp_path / "a")
        whole.save(tmp_path / "b")
    sizes = [(tmp_path / name / "adapters.safetensors").stat().st_size for name in "ab"]
    assert sizes[0] == sizes[1]  # the shapes of the whole base: it can be merged into that
