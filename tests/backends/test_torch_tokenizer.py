"""The PyTorch student's tokenizer and chat template."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from dsa_lite.errors import ModelError
from dsa_lite.student import Student, StudentOptions
from dsa_lite.testing import make_batch

pytest.importorskip("torch")
pytest.importorskip("peft")

from dsa_lite_torch import open_student

OPTIONS = StudentOptions(lora_rank=4, lora_alpha=8, device="cpu", threads=1)


@pytest.fixture
def student(tiny_model_folder: Path) -> Student:
    return open_student(str(tiny_model_folder), OPTIONS)


def test_tokenizer(student: Student) -> None:
    tokenizer = student.tokenizer
    assert tokenizer.special_tokens == {"eos_token": "<|end|>", "pad_token": "<|end|>"}
    assert tokenizer.chat_template is not None
    assert "add_generation_prompt" in tokenizer.chat_template
    assert tokenizer.eos_id == 0
    assert len(tokenizer.encode("<|user|>hi<|end|>")) == 4
    assert tokenizer.decode(tokenizer.encode("<|user|>2 + 2<|end|>")) == "2 + 2"


def test_chat_template_file_wins(tiny_model_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model_folder, tmp_path / "model")
    template = "from the file: {{ messages[0].content }}"
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    with closing(open_student(str(folder), OPTIONS)) as student:
        assert student.tokenizer.chat_template == template


def test_generation_stops_at_the_end_of_turn(tiny_model_folder: Path, tmp_path: Path) -> None:
    """The token the chat template ends a turn with is no end token by the model's files."""
    folder = shutil.copytree(tiny_model_folder, tmp_path / "model")
    template = (
        "{% for m in messages %}<|user|>{{ m.content }}<|system|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    with closing(open_student(str(folder), OPTIONS)) as student:
        prompt, end = (
            student.tokenizer.encode("<|user|>2 + 2<|system|>\n<|assistant|>"),
            student.tokenizer.encode("<|system|>"),
        )
        assert end != [student.tokenizer.eos_id]
        ids = [*prompt, *student.tokenizer.encode("sum"), *end]
        batch = make_batch({"e": (ids, range(len(prompt), len(ids)))})
        for _ in range(60):
            student.step(batch, 2e-2)
        assert student.generate([prompt], 20) == [student.tokenizer.encode("sum")]


def test_a_broken_chat_template_names_the_folder(tiny_model_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model_folder, tmp_path / "model")
    (folder / "chat_template.jinja").write_text("{{ messages", encoding="utf-8")
    with pytest.raises(ModelError, match=str(folder)) as caught:
        open_student(str(folder), OPTIONS)
    assert "template" in caught.value.hint
