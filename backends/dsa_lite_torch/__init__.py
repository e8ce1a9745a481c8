"""A student that learns with PyTorch: local models of transformers, LoRA through PEFT, on CPU, CUDA or MPS."""

from __future__ import annotations

from importlib.util import find_spec

from dsa_lite.errors import MissingExtra
from dsa_lite.student import Student, StudentOptions
from dsa_lite_torch.answering import answer_merged, answer_peft

_NEEDED = ("torch", "transformers", "peft", "safetensors", "tokenizers")


def open_student(source: str, options: StudentOptions) -> Student:
    """Open a base model with a fresh adapter, without touching the network.

    `source`: a folder with config.json, tokenizer.json and *.safetensors, or the id of a model already in the Hugging
    Face cache. Raises MissingExtra when PyTorch is not installed, ModelError when the model cannot be used, UsageError
    for a device that this machine does not have.
    """
    _need_packages()
    from dsa_lite_torch.crew import Crew
    from dsa_lite_torch.processes import open_together
    from dsa_lite_torch.student import TorchStudent

    return open_together(Crew.joined, source, options) if Crew.joined else TorchStudent.open(source, options)


def join_processes() -> bool:
    """Meet the other processes of this launch (`accelerate launch`, torchrun). True in the first process.

    From then on a student opened in the first process computes in all of them. In the others the call returns False,
    once the first has ended. Raises MissingExtra, UsageError for an environment that is not a launcher's, and
    TrainingError when the others do not come.
    """
    _need_packages()
    from dsa_lite_torch.processes import join

    return join()


def _need_packages() -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise MissingExtra(f"the PyTorch student needs {', '.join(missing)}", hint='pip install "dsa-lite[torch]"')


__all__ = ["answer_merged", "answer_peft", "join_processes", "open_student"]
