"""`dsa-lite export`, `ask` and `chat` as a user meets them; what they write is tested in tests/stages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dsa_lite.cli import cli
from dsa_lite.config import Config
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.records import Exercise

EVIL = "[bold red]3 + 4[/] \x1b[31m [link=x]y"


@pytest.fixture
def tuned(tmp_path: Path) -> Path:
    """A finished run whose base is gone: enough for what needs no model."""
    identity = {"skill": "gone", "teacher": "t", "student": str(tmp_path / "lost"), "backend": "torch", "seed": "0"}
    with RunDir.open(tmp_path / "run", identity, Config().model_dump()) as run:
        run.exercises().append(
            Exercise(id="e1", problem=EVIL, solution="a\nb", answer="7", skills=("addition",), origin="single")
        )
        run.begin("tune", "x")
        run.adapter.mkdir()
        run.finish("tune")
    return tmp_path / "run"


@pytest.fixture
def ask(tmp_path: Path, terminal: CliRunner) -> Any:
    return lambda *words, **more: terminal.invoke(cli, [str(w) for w in words], prog_name="dsa-lite", **more)


def test_the_examples_as_a_data_set(ask: Any, tuned: Path, tmp_path: Path) -> None:
    done = ask("export", tuned, "--to", "dataset", "--out", tmp_path / "data")
    assert done.exit_code == 0, done.output
    assert "README.md" in done.stdout
    (path,) = (tmp_path / "data").glob("*.jsonl")
    assert json.loads(path.read_text(encoding="utf-8"))["messages"][0]["content"] == EVIL
    again = ask("export", tuned, "--to", "dataset", "--out", tmp_path / "data")
    assert again.exit_code == 2
    assert "--force" in again.stderr
    assert ask("export", tuned, "--to", "dataset", "--out", tmp_path / "data", "--force").exit_code == 0


def test_one_json_object_and_nothing_else(ask: Any, tuned: Path) -> None:
    done = ask("export", tuned, "--to", "dataset", "--json")
    found = json.loads(done.stdout)
    assert found["kind"] == "dataset"
    assert found["out"] == str(tuned / "export" / "dataset")
    assert not done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["export", "RUN"], 2, "--to"),
        (["export", "RUN", "--to", "exe"], 2, "gguf-adapter"),
        (["export", "RUN", "--to", "gguf", "--quantize", "Q9"], 2, "gguf cannot be written as Q9"),
        (["export", "RUN", "--to", "merged", "--no-check"], 1, "lost"),
        (["export", "NOWHERE", "--to", "peft"], 2, "does not exist"),
        (["ask", "RUN", " "], 2, "empty"),
        (["ask", "RUN", "2+2?"], 1, "no such student model folder"),
        (["chat", "RUN", "--max-tokens", "0"], 2, "--max-tokens"),
    ],
)
def test_what_is_wrong_is_said_with_the_right_code(
    ask: Any, tuned: Path, words: list[str], code: int, said: str, tmp_path: Path
) -> None:
    done = ask(*(str(tuned) if w == "RUN" else str(tmp_path / "no") if w == "NOWHERE" else w for w in words))
    assert done.exit_code == code, done.output
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tuned / "export").exists() or not list((tuned / "export").iterdir())


def test_an_unreadable_longest_answer_in_the_settings_is_told(ask: Any, tuned: Path) -> None:
    text = (tuned / "run.toml").read_text(encoding="utf-8")
    (tuned / "run.toml").write_text(text.replace("max_tokens = 400", 'max_tokens = "many"'), encoding="utf-8")
    done = ask("ask", tuned, "2+2?")
    assert done.exit_code == 2, done.output
    assert "evaluate.max_tokens" in done.stderr


def test_questions_and_answers_with_a_real_student(ask: Any, tiny_model_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    run = real_run(tiny_model_folder, tmp_path / "real")
    one = ask("ask", run, "What is 2 + 2?", "--versus", "--json", "--max-tokens", "8")
    assert one.exit_code == 0, one.output
    found = json.loads(one.stdout)
    assert found["question"] == "What is 2 + 2?"
    assert found["before"] != found["after"]
    talk = ask(
        "chat", run, "--versus", "--max-tokens", "8", input=f"What is 2 + 2?\n\n{'x' * 9000}\n{EVIL}\nexit\nmore\n"
    )
    assert talk.exit_code == 0, talk.output
    assert talk.stdout.count("before: ") == talk.stdout.count("after: ") == 2
    assert "too long" in talk.stderr
    assert "\x1b" not in talk.stdout


def real_run(base: Path, out: Path) -> Path:
    import numpy as np

    from dsa_lite.io.plugins import open_student
    from dsa_lite.student import Batch, StudentOptions

    settings = {"student": {"lora_rank": 4, "lora_alpha": 8.0, "device": "cpu", "threads": 1}}
    identity = {"skill": "gone", "teacher": "t", "student": str(base), "backend": "torch", "seed": "0"}
    with RunDir.open(out, identity, Config.model_validate(settings).model_dump()) as run:
        run.begin("tune", "x")
        student = open_student("torch", str(base), StudentOptions(lora_rank=4, lora_alpha=8.0, device="cpu", threads=1))
        ids = np.arange(5, 45, dtype=np.int32)[None]
        for _ in range(8):
            student.step(Batch(ids, np.ones((1, 40), np.bool_), np.ones(1, np.float32), ("a",)), 3e-2)
        student.save(run.adapter)
        run.save_checkpoint("tune", student.save_state, {})
        student.close()
        run.finish("tune")
    return out
