"""A finished run's student, exported and asked again: real files, real PyTorch, real llama.cpp."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from dsa_lite.api import Run
from dsa_lite.config import Config
from dsa_lite.core.cards import MADE_BY
from dsa_lite.errors import ConfigError, DsaError, ModelError, UsageError
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.records import TOO_LONG, Decision, Exercise, HeldOutItem, Rejected, Textbook
from dsa_lite.stages import export as exporting
from dsa_lite.stages.export import export
from dsa_lite.stages.finished import open_finished, probes, replies

pytest.importorskip("torch")
pytest.importorskip("gguf")
pytest.importorskip("llama_cpp")

SETTINGS: dict[str, Any] = {
    "student": {"lora_rank": 8, "lora_alpha": 16.0, "device": "cpu", "threads": 1},
    "evaluate": {"max_tokens": 12},
}


@pytest.fixture(scope="module")
def finished(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a skill that is not to be found any more, with a student trained on its exercises."""
    out = tmp_path_factory.mktemp("runs") / "run"
    identity = {"skill": "gone", "teacher": "t", "student": str(tiny_model_folder), "backend": "torch", "seed": "0"}
    with RunDir.open(out, identity, Config.model_validate(SETTINGS).model_dump()) as run:
        exercises = [
            Exercise(id=f"e{i:02d}", problem=f"What is {i} + 1?", solution=f"{i} + 1 = {i + 1}.", answer=str(i + 1),
                     skills=("addition",), origin="single")
            for i in range(30)
        ]  # fmt: skip
        for exercise in exercises:
            run.exercises().append(exercise)
        run.textbooks().append(Textbook(id="t1", skill="addition", text="Adding is counting on."))
        for i, (region, action, weight) in enumerate([("error", "remove", 0.0), ("easy", "down-weight", 0.3)]):
            run.decisions(1).append(
                Decision.model_validate(
                    {"example": f"e{i:02d}", "skill": "addition", "region": region, "action": action, "weight": weight,
                     "loss": 1.0, "deviation": 0.1, "score": 0.0}
                )
            )  # fmt: skip
        run.begin("tune", "x")
        _train(run, exercises)
        run.finish("tune")
    return out


def _train(run: RunDir, exercises: list[Exercise]) -> None:
    from dsa_lite.core.batching import pad
    from dsa_lite.core.encoding import encode_exercise
    from dsa_lite.io.plugins import open_student
    from dsa_lite.student import Batch, StudentOptions

    source = run.settings()["identity"]["student"]
    student = open_student("torch", source, StudentOptions(lora_rank=8, lora_alpha=16.0, device="cpu", threads=1))
    # Learned so well that no choice of a token is close.
    texts = [encode_exercise(student.tokenizer, e.id, e.problem, "one more than before") for e in exercises]
    batch = pad(texts, [1.0] * len(texts))
    assert isinstance(batch, Batch)
    for step in range(120):
        seen = student.step(batch, 2e-2 * (1 - step / 120))
    assert all(o.correct == o.tokens and o.nll < o.tokens for o in seen)
    student.save(run.adapter)
    run.save_checkpoint("tune", student.save_state, {})
    student.close()


@pytest.mark.parametrize("kind", ["peft", "merged", "gguf-adapter", "gguf", "ollama"])
def test_an_export_answers_as_the_student_does(kind: str, finished: Path, tmp_path: Path) -> None:
    quantize = "F32" if kind in ("gguf", "ollama", "merged") else ""
    result = export(RunDir.read(finished), kind, tmp_path / "out", quantize=quantize, items=3)
    assert result.check is not None
    assert (result.check.asked, result.check.what) == (3, "exercises of the run")
    assert result.check.same == 3, result.check.first
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert MADE_BY in card
    assert "licence: unknown" in card
    assert "greedy answer on 3 of 3" in card
    assert str(tmp_path) not in card
    assert [p.name for p in tmp_path.iterdir()] == ["out"], "nothing is left beside it"


def test_a_difference_is_found_and_shown(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.numpy import load_file, save_file

    weights = tmp_path / "other" / "adapter_model.safetensors"
    shutil.copytree(finished / "adapter", weights.parent)
    save_file({name: 0 * value for name, value in load_file(weights).items()}, weights)
    real = exporting.exporter("merged")
    wrong = lambda base, adapter, *rest: real(base, weights.parent, *rest)  # noqa: E731
    monkeypatch.setattr(exporting, "exporter", lambda kind: wrong)
    result = export(RunDir.read(finished), "merged", tmp_path / "out", items=4)
    assert result.check is not None
    assert result.check.same < 4
    assert result.check.first is not None
    assert result.check.first.student != result.check.first.export


def test_training_data_as_chats_with_what_the_run_knows(finished: Path, tmp_path: Path) -> None:
    result = export(RunDir.read(finished), "dataset", tmp_path / "out")
    rows = {
        p.name: [json.loads(line) for line in p.read_text(encoding="utf-8").splitlines()]
        for p in (tmp_path / "out").glob("*.jsonl")
    }
    train, valid, removed = rows["train.jsonl"], rows["valid.jsonl"], rows["removed.jsonl"]
    assert len(train) + len(valid) + len(removed) == 30
    assert [row["id"] for row in removed] == ["e00"]
    (easy,) = [row for row in train + valid if row["id"] == "e01"]
    assert easy == {
        "messages": [
            {"role": "user", "content": "What is 1 + 1?"},
            {"role": "assistant", "content": "1 + 1 = 2.\nAnswer: 2"},
        ],
        "id": "e01", "skill": "addition", "skills": ["addition"], "origin": "single", "round": 0, "region": "easy",
        "weight": 0.3,
    }  # fmt: skip
    assert rows["textbooks.jsonl"] == [{"text": "Adding is counting on.", "id": "t1", "skill": "addition"}]
    assert result.check is None


def test_rejected_exercises_are_in_no_data_set_and_not_asked(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    run = RunDir.read(tmp_path / "run")
    run.rejected().append(Rejected(id="e05", stage="exercises", reason="duplicate"))
    run.rejected().append(Rejected(id="e06", stage="tune", reason=TOO_LONG))  # of one student, yet an exercise
    run.close()
    export(run, "dataset", tmp_path / "out")
    rows = [json.loads(x) for p in (tmp_path / "out").glob("*.jsonl") for x in p.read_text("utf-8").splitlines()]
    assert {row["id"] for row in rows if "messages" in row} == {f"e{i:02d}" for i in range(30) if i != 5}
    assert "What is 5 + 1?" not in probes(run, 30)[0]


def test_the_questions_kept_in_the_run_are_asked_first(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    text = (tmp_path / "run" / "run.toml").read_text(encoding="utf-8")
    (tmp_path / "run" / "run.toml").write_text(text.replace('"gone"', '"calculus"'), encoding="utf-8")
    run = RunDir.read(tmp_path / "run")
    assert probes(run, 1)[1] == "held-out items"  # of the skill as it is now
    run.write_held_out("eval", [HeldOutItem(id="kept", problem="What is 7 + 8?", answer="15", topic="t")])
    assert probes(run, 5) == (["What is 7 + 8?"], "held-out items")


def test_an_existing_folder_stays_unless_forced_and_a_foreign_one_stays_always(finished: Path, tmp_path: Path) -> None:
    run, out = RunDir.read(finished), tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("years", encoding="utf-8")
    for force in (False, True):
        with pytest.raises(UsageError):
            export(run, "dataset", out, force=force)
    assert (out / "thesis.txt").read_text(encoding="utf-8") == "years"
    mine = tmp_path / "mine"
    export(run, "dataset", mine)
    before = (mine / "train.jsonl").read_bytes()
    (mine / "train.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="is there already"):
        export(run, "dataset", mine)
    export(run, "dataset", mine, force=True)
    assert (mine / "train.jsonl").read_bytes() == before


def test_what_stops_the_replacement_leaves_the_earlier_export(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, rename = tmp_path / "mine", Path.rename
    export(RunDir.read(finished), "dataset", out)
    (out / "train.jsonl").write_text("earlier", encoding="utf-8")

    def ctrl_c(path: Path, target: Path) -> Path:
        if ".part-" in path.name:
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        export(RunDir.read(finished), "dataset", out, force=True)
    assert (out / "train.jsonl").read_text(encoding="utf-8") == "earlier"
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_what_cannot_be_read_is_not_called_unwritable(finished: Path, tmp_path: Path, tiny_model_folder: Path) -> None:
    base, run = tmp_path / "base", tmp_path / "run"
    shutil.copytree(tiny_model_folder, base)
    (base / "model.safetensors").unlink()
    (base / "model.safetensors").mkdir()
    shutil.copytree(finished, run)
    text = (run / "run.toml").read_text(encoding="utf-8")
    (run / "run.toml").write_text(text.replace(str(tiny_model_folder), str(base)), encoding="utf-8")
    with pytest.raises(DsaError, match=r"cannot read .*base.model\.safetensors") as caught:
        export(RunDir.read(run), "merged", tmp_path / "out", items=0)
    assert "cannot write" not in str(caught.value)


def test_settings_of_another_version_are_told_plainly(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    text = (tmp_path / "run" / "run.toml").read_text(encoding="utf-8")
    (tmp_path / "run" / "run.toml").write_text(text.replace("max_new_fraction", "speed"), encoding="utf-8")
    run = RunDir.read(tmp_path / "run")
    with pytest.raises(ConfigError, match=r"dynamics\.speed") as caught:
        export(run, "peft", tmp_path / "out", items=0)
    assert "versions" in caught.value.hint
    with pytest.raises(ConfigError, match=r"dynamics\.speed"), open_finished(run):
        pass
    (tmp_path / "run" / "run.toml").write_text('identity = "none"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"\[identity\]"):
        export(RunDir.read(tmp_path / "run"), "peft", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_nothing_and_says_so(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[:7])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DsaError, match="no space left"):
        export(RunDir.read(finished), "dataset", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_an_unfinished_run_and_a_lost_base_are_told_plainly(
    finished: Path, tmp_path: Path, tiny_model_folder: Path
) -> None:
    with RunDir.open(tmp_path / "new", {"skill": "gone"}, {}), pytest.raises(UsageError, match="no trained student"):
        export(RunDir.read(tmp_path / "new"), "peft", tmp_path / "out")
    copy = tmp_path / "moved"
    copy.mkdir()
    for name in ("run.toml", "manifest.json"):
        text = (finished / name).read_text(encoding="utf-8")
        (copy / name).write_text(text.replace(str(tiny_model_folder), str(tmp_path / "lost")), encoding="utf-8")
    shutil.copytree(finished / "adapter", copy / "adapter")
    with pytest.raises(ModelError, match="lost"):
        export(RunDir.read(copy), "merged", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_format_that_is_not_known_is_named_with_those_that_are(finished: Path) -> None:
    with pytest.raises(UsageError, match="'onnx'") as caught:
        Run(finished).export("onnx")
    assert "gguf-adapter" in caught.value.hint
    assert not (finished / "export" / "onnx").exists()


def test_quantize_is_refused_where_it_means_nothing(finished: Path, tmp_path: Path) -> None:
    for kind, quantize in (("peft", "Q8_0"), ("dataset", "F16"), ("merged", "Q8_0"), ("gguf", "Q9_9")):
        with pytest.raises(UsageError):
            export(RunDir.read(finished), kind, tmp_path / "deep" / "out", quantize=quantize, items=0)
    assert not list(tmp_path.iterdir()), "it is checked before anything is made"


def test_the_student_is_what_training_left_and_the_base_is_what_it_was(finished: Path) -> None:
    problems, what = probes(RunDir.read(finished), 5)
    assert (len(problems), what) == (5, "exercises of the run")
    with open_finished(RunDir.read(finished)) as student:
        after = replies(student, problems, 12)
        before = replies(student, problems, 12, adapter=False)
        assert after != before
        with pytest.raises(UsageError, match="too long"):
            replies(student, ["x" * 10_000], 12)
