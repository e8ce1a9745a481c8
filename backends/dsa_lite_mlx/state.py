"""What training changes: the adapter's values, the optimiser's moments, the dropout's random state."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import mlx.core as mx
import numpy as np
from safetensors.numpy import load_file, save_file

from dsa_lite.errors import ModelError
from dsa_lite.student import StudentOptions

_FORMAT = 1
_BETAS, _EPSILON = (0.9, 0.999), 1e-8


class AdapterState:
    """All values of an adapter in one flat array, with AdamW moments of the same layout.

    Arrays are never changed, only replaced: what fails in between leaves everything as it was.
    """

    def __init__(self, values: Sequence[mx.array], options: StudentOptions) -> None:
        self._shapes, self._options = [value.shape for value in values], options
        self.values = _flat(values)
        self.key = mx.random.key(options.seed)
        self._m, self._v, self._steps = mx.zeros_like(self.values), mx.zeros_like(self.values), 0
        self._mean: mx.array | None = None
        self._counted = 0
        mx.eval(self.values, self.key)

    def copy(self) -> AdapterState:
        """The same values and random state with a fresh optimiser."""
        other = AdapterState(self.parts(), self._options)
        other.key = self.key
        return other

    def parts(self) -> list[mx.array]:
        """The values, in the shapes of the model's layers."""
        sizes = [math.prod(shape) for shape in self._shapes]
        ends = np.cumsum(sizes).tolist()
        places = zip(sizes, ends, self._shapes, strict=True)
        return [self.values[end - size : end].reshape(shape) for size, end, shape in places]

    def update(self, gradients: Sequence[mx.array], norm: float, lr: float) -> None:
        """One AdamW step, as torch's, with clipped gradients; `norm` is their `gradient_norm`."""
        gradient, limit = _flat(gradients), self._options.max_grad_norm
        if norm > limit:
            gradient = gradient * (limit / norm)
        steps, (first, second) = self._steps + 1, _BETAS
        m = first * self._m + (1 - first) * gradient
        v = second * self._v + (1 - second) * mx.square(gradient)
        # corrections in double precision: 1 - 0.999 has only three good digits in mlx's float32
        root = mx.sqrt(v) / math.sqrt(1 - second**steps) + _EPSILON
        values = self.values * (1 - lr * self._options.weight_decay) - (lr / (1 - first**steps)) * (m / root)
        mx.eval(values, m, v)
        self.values, self._m, self._v, self._steps = values, m, v, steps

    def add_to_average(self) -> None:
        """Count the values into their running mean."""
        self._counted += 1
        mean = self.values if self._mean is None else self._mean + (self.values - self._mean) * (1 / self._counted)
        mx.eval(mean)
        self._mean = mean

    def take_average(self) -> None:
        """The running mean becomes the values; a new one begins."""
        if self._mean is not None:
            self.values = self._mean
        self._mean, self._counted = None, 0

    def take(self, values: Sequence[mx.array]) -> None:
        """These values; the optimiser stays."""
        flat = _flat(values)
        mx.eval(flat)
        self.values = flat

    def begin(self, values: Sequence[mx.array]) -> None:
        """These values, and a fresh optimiser."""
        self.take(values)
        self.reset_optimizer()

    def reset_optimizer(self) -> None:
        """Forget the moments."""
        self._m, self._v = mx.zeros_like(self.values), mx.zeros_like(self.values)
        self._steps = 0

    def save(self, folder: Path, about: dict[str, object]) -> None:
        """Write student_state.safetensors and student_state.json; `about` must match when it is read back."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {"adapter": self.values, "generator": self.key, "optimizer.m": self._m, "optimizer.v": self._v}
        tensors = {name: np.array(value) for name, value in arrays.items()}
        tensors["optimizer.steps"] = np.array([self._steps])
        if self._mean is not None:
            tensors |= {"average": np.array(self._mean), "averaged": np.array([self._counted])}
        save_file(tensors, folder / "student_state.safetensors")
        text = json.dumps({**self._about(), **about}, indent=2, sort_keys=True)
        (folder / "student_state.json").write_text(text + "\n", encoding="utf-8")

    def load(self, folder: Path, about: dict[str, object]) -> None:
        """Take over a saved state. Raises ModelError when it is broken or belongs to another model or adapter shape."""
        try:
            found = json.loads((folder / "student_state.json").read_text(encoding="utf-8"))
            tensors = load_file(folder / "student_state.safetensors")
        except Exception as error:  # safetensors raises its own bare kind
            raise ModelError(f"no readable student state in {folder}: {error}") from error
        expected = json.loads(json.dumps({**self._about(), **about}))
        if found != expected or tensors["adapter"].shape != self.values.shape:
            raise ModelError(
                f"the student state in {folder} belongs to another model or adapter shape",
                hint="resume with the same student, backend and LoRA settings",
            )
        self.values, self.key = mx.array(tensors["adapter"]), mx.array(tensors["generator"])
        self._m, self._v = mx.array(tensors["optimizer.m"]), mx.array(tensors["optimizer.v"])
        self._steps = int(tensors["optimizer.steps"][0])
        self._mean = mx.array(tensors["average"]) if "average" in tensors else None
        self._counted = int(tensors["averaged"][0]) if "averaged" in tensors else 0

    def _about(self) -> dict[str, object]:
        return {"format": _FORMAT, "backend": "mlx", "shapes": [list(shape) for shape in self._shapes]}


def gradient_norm(gradients: Sequence[mx.array]) -> float:
    """Euclidean norm over all of them."""
    return math.sqrt(float(mx.square(_flat(gradients)).sum()))


def _flat(values: Sequence[mx.array]) -> mx.array:
    return mx.concatenate([value.reshape(-1) for value in values])
