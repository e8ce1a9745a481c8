"""What training changes: the adapter's values, the optimiser's moments, the dropout's random state."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dsa_lite.errors import ModelError
from dsa_lite.student import StudentOptions

_ALIGN = 16  # elements: every view starts on a 64-byte line, so that results do not depend on where memory lies
_FORMAT = 1


class AdapterState:
    """All parameters of an adapter in one flat tensor, with gradient and AdamW moments of the same layout.

    `bind` makes a model's parameters views of it, so that several states (a student and its fork) share one model.
    """

    def __init__(self, shapes: Sequence[torch.Size], options: StudentOptions, device: torch.device) -> None:
        self._shapes, self._options = list(shapes), options
        sizes = [-(-shape.numel() // _ALIGN) * _ALIGN for shape in shapes]
        self._starts = [end - size for end, size in zip(accumulate(sizes), sizes, strict=True)]
        self.values = nn.Parameter(torch.zeros(sum(sizes), device=device))
        self.values.grad = torch.zeros_like(self.values)
        self.generator = torch.Generator(device)
        self.generator.manual_seed(options.seed)
        self._mean: Tensor | None = None
        self._counted = 0
        self.reset_optimizer()

    @classmethod
    def of(cls, parameters: Sequence[nn.Parameter], options: StudentOptions, device: torch.device) -> AdapterState:
        """A state that starts with the parameters' present values."""
        state = cls([p.shape for p in parameters], options, device)
        for view, parameter in zip(state._views(state.values.data), parameters, strict=True):
            view.copy_(parameter.data)
        return state

    def copy(self) -> AdapterState:
        """The same values and random state with a fresh optimiser."""
        other = AdapterState(self._shapes, self._options, self.values.device)
        other.values.data.copy_(self.values.data)
        other.generator.set_state(self.generator.get_state())
        return other

    def bind(self, parameters: Sequence[nn.Parameter]) -> None:
        """Make the model's parameters and their gradients views of this state."""
        views = zip(parameters, self._views(self.values.data), self._views(self._gradient), strict=True)
        for parameter, value, gradient in views:
            parameter.data, parameter.grad = value, gradient

    def zero_grad(self) -> None:
        """Forget the gradient gathered so far."""
        self._gradient.zero_()

    def gradient_norm(self) -> float:
        """Euclidean norm over all parameters."""
        return float(torch.linalg.vector_norm(self._gradient))

    def update(self, lr: float, norm: float) -> None:
        """One AdamW step with the gathered gradient, clipped; `norm` is its `gradient_norm()`."""
        limit = self._options.max_grad_norm
        if norm > limit:
            self._gradient.mul_(limit / norm)
        self._optimizer.param_groups[0]["lr"] = lr
        self._optimizer.step()

    def add_to_average(self) -> None:
        """Count the values into their running mean."""
        self._counted += 1
        if self._mean is None:
            self._mean = self.values.data.clone()
        else:
            self._mean.lerp_(self.values.data, 1 / self._counted)

    def take_average(self) -> None:
        """The running mean becomes the values; a new one begins."""
        if self._mean is not None:
            self.values.data.copy_(self._mean)
        self._mean, self._counted = None, 0

    def reset_optimizer(self) -> None:
        """Forget the moments."""
        self._optimizer = torch.optim.AdamW(
            [self.values], betas=(0.9, 0.999), eps=1e-8, weight_decay=self._options.weight_decay, fused=True
        )

    def save(self, folder: Path, about: dict[str, object]) -> None:
        """Write student_state.safetensors and student_state.json; `about` must match when it is read back."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {"adapter": self.values.data, "generator": self.generator.get_state()}
        for name, moment in self._optimizer.state.get(self.values, {}).items():
            tensors[f"optimizer.{name}"] = moment
        if self._mean is not None:
            tensors |= {"average": self._mean, "averaged": torch.tensor(self._counted)}
        on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_file(on_cpu, folder / "student_state.safetensors")
        text = json.dumps({**self._about(), **about}, indent=2, sort_keys=True)
        (folder / "student_state.json").write_text(text + "\n", encoding="utf-8")

    def load(self, folder: Path, about: dict[str, object]) -> None:
        """Take over a saved state. Raises ModelError when it is broken or belongs to another model or adapter shape.

        The dropout's random state only goes on where it was saved on the same kind of device.
        """
        try:
            found = json.loads((folder / "student_state.json").read_text(encoding="utf-8"))
            tensors = load_file(folder / "student_state.safetensors", device=str(self.values.device))
        except Exception as error:  # safetensors raises its own bare kind
            raise ModelError(f"no readable student state in {folder}: {error}") from error
        expected = json.loads(json.dumps({**self._about(), **about}))
        device = found.pop("device", None) if isinstance(found, dict) else None
        same_device = device == expected.pop("device")
        if found != expected or tensors["adapter"].shape != self.values.shape:
            raise ModelError(
                f"the student state in {folder} belongs to another model or adapter shape",
                hint="resume with the same student and the same LoRA settings",
            )
        self._take(tensors, same_device)

    def _take(self, tensors: dict[str, Tensor], same_device: bool) -> None:
        self.values.data.copy_(tensors["adapter"])
        self.reset_optimizer()
        moments = {name.removeprefix("optimizer."): t for name, t in tensors.items() if name.startswith("optimizer.")}
        if moments:
            self._optimizer.state[self.values] = {name: tensor.clone() for name, tensor in moments.items()}
        self._mean, self._counted = tensors.get("average"), int(tensors.get("averaged", 0))
        if same_device:
            self.generator.set_state(tensors["generator"].cpu())

    def _about(self) -> dict[str, object]:
        shapes = [list(shape) for shape in self._shapes]
        return {"format": _FORMAT, "shapes": shapes, "device": self.values.device.type}

    @property
    def _gradient(self) -> Tensor:
        assert self.values.grad is not None
        return self.values.grad

    def _views(self, flat: Tensor) -> list[Tensor]:
        starts = zip(self._starts, self._shapes, strict=True)
        return [flat[start : start + shape.numel()].view(shape) for start, shape in starts]
