"""`dsa-lite data inspect`: what it says about a run and about a data file, and that it is what training does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from click.testing import CliRunner

from dsa_lite.cli import cli, data
from dsa_lite.config import Config
from dsa_lite.io.imports import layouts, turns
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.records import Decision, Exercise, Rehearsed, Rejected, Textbook
from dsa_lite.stages.inspecting import REMOVED

pytest.importorskip("tokenizers")
CHAT = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SETTINGS: dict[str, Any] = {"student": {"max_tokens": 200}, "pretrain": {"row_tokens": 120}}


@pytest.fixture(scope="session")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of which only the tokenizer can be used: one token per byte; 150 tokens at most."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    folder = tmp_path_factory.mktemp("student")
    letters = {letter: n for n, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=letters, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in ("<|end|>", "<|user|>", "<|assistant|>")])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"eos_token": "<|end|>", "chat_template": CHAT}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": 150}), encoding="utf-8")
    (folder / "model.safetensors").touch()
    return folder


def lesson(id: str, problem: str = "What is 3 + 4?", solution: str = "3 + 4 = 7", round: int = 0) -> Exercise:
    return Exercise(
        id=id, problem=problem, solution=solution, answer="7", skills=("sums",), origin="single", round=round
    )  # fmt: skip


def write_run(out: Path, student: Path, settings: dict[str, Any] = SETTINGS) -> Path:
    """A run after its first round: one exercise removed, one refused, one of a later round, one too long."""
    identity = {"skill": "sums", "teacher": "t", "student": str(student), "backend": "torch", "seed": "0"}
    with RunDir.open(out, identity, Config.model_validate(settings).model_dump()) as run:
        run.textbooks().append(Textbook(id="text-1", skill="sums", text="Sums: \x1b[31madd\u202e."))
        run.textbooks().append(Textbook(id="text-2", skill="sums", text="long " * 30))
        for row in (lesson("e1"), lesson("e2", solution="so " * 50), lesson("e3"), lesson("e4"), lesson("e5", round=2)):
            run.exercises().append(row)
        run.rejected().append(Rejected(id="e4", stage="exercises", reason="duplicate"))
        facts = {"skill": "sums", "loss": 1.0, "deviation": 0.1, "score": 0.0}
        run.decisions(1).append(Decision(example="e1", region="easy", action="down-weight", weight=0.3, **facts))
        run.decisions(1).append(Decision(example="e3", region="error", action="remove", weight=0.0, **facts))
        run.rehearsed().append(Rehearsed(id="m1", prompt="Hello", reply="Good day"))
    return out


def inspect(terminal: CliRunner, *words: object, code: int = 0) -> str:
    result = terminal.invoke(cli, ["data", "inspect", *map(str, words)])
    assert result.exit_code == code, result.output
    return result.stderr if code else result.stdout


def test_a_run_is_counted_as_its_next_round_would_train_it(tmp_path: Path, student: Path, terminal: CliRunner) -> None:
    found = json.loads(inspect(terminal, write_run(tmp_path / "r", student), "--json"))
    rows = {row["id"]: row for row in found["examples"]}
    assert list(rows) == ["text-1", "text-2", "e1", "e2", "e3", "m1"]
    dropped = {id: row["dropped"] for id, row in rows.items() if row["dropped"]}
    assert dropped == {"text-2": "too long", "e2": "too long", "e3": REMOVED}
    assert (found["round"], found["longest"]) == (2, {"textbook": 120, "chat": 150})  # the model's context
    assert (rows["e1"]["weight"], rows["e1"]["trained_tokens"]) == (0.3, len("3 + 4 = 7\nAnswer: 7") + 1)
    assert all(row["ended"] and row["asked"] and row["templated"] for row in rows.values())
    exercises = found["summary"]["exercise"]
    assert (exercises["examples"], exercises["trained"], exercises["dropped"]) == (3, 1, {"too long": 1, REMOVED: 1})
    assert exercises["trained_tokens"] == rows["e1"]["trained_tokens"]
    assert exercises["share"] == rows["e1"]["trained_tokens"] / rows["e1"]["tokens"]
    assert found["summary"]["all"]["trained"] == 3
    assert found["shown"] == []


def test_the_page_shows_what_is_learnt_and_nothing_harmful(tmp_path: Path, student: Path, terminal: CliRunner) -> None:
    page = inspect(terminal, write_run(tmp_path / "r", student), "--show-mask")
    assert r"S«ums: \x1b[31madd\u202e.<|end|>»" in page
    assert "<|user|>What is 3 + 4?<|end|><|assistant|>«3 + 4 = 7\nAnswer: 7<|end|>»" in page
    assert "<|user|>Hello<|end|><|assistant|>«Good day<|end|>»" in page
    assert "exercises dropped, too long: 1" in page
    assert "the end token is learnt at the end: 3 of 3" in page
    assert "evaluation: 2 of 2" in page
    assert all(c.isprintable() or c == "\n" for c in page)


def test_a_terminal_gets_colour(
    tmp_path: Path, student: Path, terminal: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[32m«Good day<|end|>»\x1b[0m" in inspect(terminal, write_run(tmp_path / "r", student), "--index", "m1")


def test_one_example_by_number_or_id(tmp_path: Path, student: Path, terminal: CliRunner) -> None:
    run = write_run(tmp_path / "r", student)
    by_id, by_number = (json.loads(inspect(terminal, run, "--json", "--index", i))["shown"] for i in ("e2", "3"))
    assert by_id == by_number
    assert (by_id[0]["id"], by_id[0]["dropped"]) == ("e2", "too long")
    assert "".join(s["text"] for s in by_id[0]["spans"] if s["trained"]).endswith("Answer: 7<|end|>")
    assert "dropped: too long" in inspect(terminal, run, "--index", "3")
    assert "numbers go from 0 to 5" in inspect(terminal, run, "--index", "6", code=2)
    assert "did you mean text-" in inspect(terminal, run, "--index", "text-3", code=2)


def test_settings_that_train_no_textbooks_and_no_chats(tmp_path: Path, student: Path, terminal: CliRunner) -> None:
    settings = {"pretrain": {"epochs": 0}, "rehearsal": {"weight": 0}}
    page = inspect(terminal, write_run(tmp_path / "r", student, settings))
    assert "textbooks dropped, pretrain.epochs is 0: 2" in page
    assert "rehearsal chats dropped, rehearsal.weight is 0: 1" in page


def test_a_set_without_a_token_to_learn_is_refused(tmp_path: Path, student: Path, terminal: CliRunner) -> None:
    run = write_run(tmp_path / "r", student, {"student": {"max_tokens": 20}})
    error = inspect(terminal, run, code=1)  # as a run would: its textbooks alone are no training
    assert "nothing to train on: none of 3 exercises has a token to learn (too long: 2, removed" in error
    assert "student.max_tokens" in error
    with RunDir.open(tmp_path / "new", {"skill": "s", "teacher": "t", "student": str(student), "backend": "torch",
                                        "seed": "0"}, {}):  # fmt: skip
        pass
    assert "there are no examples" in inspect(terminal, tmp_path / "new", code=1)


def test_a_data_file_is_read_as_a_skill_reads_it(tmp_path: Path, student: Path, terminal: CliRunner) -> None:
    file = tmp_path / "own.csv"
    file.write_text("question,answer\n2+2?,4\n3+3?,6\n3+3?,6\n" + "0" * 200 + "?,0\n", encoding="utf-8")
    found = json.loads(inspect(terminal, file, "--student", student, "--json", "--index", "1"))
    assert [row["dropped"] for row in found["examples"]] == ["", "", "too long"]
    assert found["round"] is None
    assert found["notes"] == [f"{file}: exact copies, read once: 1"]
    assert [s["text"] for s in found["shown"][0]["spans"]] == ["<|user|>3+3?<|end|><|assistant|>", "Answer: 6<|end|>"]
    file.write_text("question,answer\n" + "0" * 200 + "?,0\n", encoding="utf-8")
    assert "none of 1 example" in inspect(terminal, file, "--student", student, code=1)


def test_a_data_file_with_names_of_its_own(tmp_path: Path, student: Path, terminal: CliRunner) -> None:
    file = tmp_path / "own.csv"
    file.write_text("Frage,Antwort = gut,Rest\n2+2?,4,x\n3+3?,6,y\n", encoding="utf-8")
    named = ("--columns", "problem=Frage", "--columns", "answer=Antwort = gut")
    found = json.loads(inspect(terminal, file, "--student", student, *named, "--json", "--index", "1"))
    assert [s["text"] for s in found["shown"][0]["spans"]] == ["<|user|>3+3?<|end|><|assistant|>", "Answer: 6<|end|>"]
    assert "no column for problem and answer" in (error := inspect(terminal, file, "--student", student, code=2))
    assert "--columns problem=COLUMN" in error
    assert "did you mean 'Frage'" in inspect(
        terminal, file, "--student", student, "--columns", "problem=Fragen", code=2
    )
    for wrong, said in (("Frage", "write PART=COLUMN"), ("question=Frage", "one of problem, answer")):
        assert said in inspect(terminal, file, "--columns", wrong, code=2)
    assert "answer is given twice" in inspect(terminal, file, "--columns", "answer=a", "--columns", "answer=b", code=2)


def test_a_data_file_in_a_layout_that_is_named(tmp_path: Path, student: Path, terminal: CliRunner) -> None:
    file = tmp_path / "own.jsonl"
    row = {"question": "2+2?", "answer": "2+2=4\n#### 4", "prompt": "3+3?", "completion": "6"}
    file.write_text(json.dumps(row), encoding="utf-8")
    shown = {}
    for layout in ("gsm8k", "prompt_completion"):
        found = json.loads(inspect(terminal, file, "--student", student, "--layout", layout, "--json", "--index", "0"))
        shown[layout] = [s["text"] for s in found["shown"][0]["spans"]]
    assert shown["gsm8k"] == ["<|user|>2+2?<|end|><|assistant|>", "2+2=4\nAnswer: 4<|end|>"]
    assert shown["prompt_completion"][0] == "<|user|>3+3?<|end|><|assistant|>"
    assert "'sonnet' is not one of" in inspect(terminal, file, "--layout", "sonnet", code=2)
    run = write_run(tmp_path / "r", student)
    assert "--layout describe a data file" in inspect(terminal, run, "--layout", "gsm8k", code=2)


def test_which_replies_of_a_chat_and_where_choices_are_counted_from(
    tmp_path: Path, student: Path, terminal: CliRunner
) -> None:
    chat, choice = tmp_path / "chat.jsonl", tmp_path / "choice.jsonl"
    turns = [{"role": role, "content": text} for role, text in
             (("user", "2+2?"), ("assistant", "4"), ("user", "4+4?"), ("assistant", "8"))]  # fmt: skip
    chat.write_text(json.dumps({"messages": turns, "source": "web"}), encoding="utf-8")
    choice.write_text(json.dumps({"question": "2+2?", "choices": ["4", "5", "6"], "answer": 1}), encoding="utf-8")
    for which, count in (("last", 1), ("all", 2)):
        found = json.loads(inspect(terminal, chat, "--student", student, "--turns", which, "--json"))
        assert len(found["examples"]) == count
    page = inspect(terminal, chat, "--student", student)
    assert "columns that are not read: source" in page
    assert 'stand before them as text; turns = "last"' in page
    assert "no number says whether" in inspect(terminal, choice, "--student", student, code=2)
    for base, letter in (("0", "B"), ("1", "A")):
        found = json.loads(
            inspect(terminal, choice, "--student", student, "--count-from", base, "--json", "--index", "0")
        )
        assert found["shown"][0]["spans"][1]["text"] == f"Answer: {letter}<|end|>"


def test_json_keeps_its_letters_whatever_the_encoding_of_the_output(tmp_path: Path, student: Path) -> None:
    file = tmp_path / "ü ö" / "daten.csv"
    file.parent.mkdir()
    file.write_text("question,answer\nCapital of 中国?,Öre 北京\n", encoding="utf-8")
    command = [sys.executable, "-m", "dsa_lite", "data", "inspect", str(file), "--student", str(student), "--json",
               "--index", "0"]  # fmt: skip
    for encoding in ("cp1252", "ascii", "utf-16", "utf-8"):
        done = subprocess.run(
            command, env={**os.environ, "PYTHONIOENCODING": encoding}, capture_output=True, check=True
        )
        found = json.loads(done.stdout.decode(encoding))
        assert found["source"] == str(file)
        assert "Capital of 中国?" in found["shown"][0]["spans"][0]["text"]
        assert "Öre 北京" in found["shown"][0]["spans"][1]["text"]


def test_layouts_and_parts_are_those_that_are_read() -> None:
    assert (get_args(layouts.Layout), get_args(layouts.Part)) == (data.LAYOUTS, data.PARTS)
    assert get_args(turns.Turns) == data.TURNS


def test_faults_of_a_data_file_are_all_named(tmp_path: Path, student: Path, terminal: CliRunner) -> None:
    file = tmp_path / "own.jsonl"
    file.write_text('{"question": "2+2?", "answer": "4"}\n{"question": "x"}\nno json\n', encoding="utf-8")
    error = inspect(terminal, file, "--student", student, code=2)
    assert "own.jsonl:2: answer: is missing" in error
    assert "own.jsonl:3: no JSON" in error
    assert "does not exist" in inspect(terminal, tmp_path / "none", code=2)


def test_a_chat_emptied_by_hand_is_named(tmp_path: Path, student: Path, terminal: CliRunner) -> None:
    run = write_run(tmp_path / "r", student)
    with RunDir.open(run, RunDir.read(run).settings()["identity"], RunDir.read(run).settings()["config"]) as folder:
        folder.rehearsed().append(Rehearsed(id="m2", prompt="Hello", reply=" "))
    assert "'m2' has an empty target" in inspect(terminal, run, code=1)


def test_without_the_tokenizers_the_extra_is_named(
    tmp_path: Path, student: Path, terminal: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    error = inspect(terminal, write_run(tmp_path / "r", student), code=1)
    assert "needs the package tokenizers" in error
    assert 'pip install "dsa-lite[torch]"' in error


def test_it_is_what_the_training_stages_see(tmp_path: Path, tiny_model_folder: Path) -> None:
    """The real stages with the real student, example by example."""
    from dsa_lite.core.inspection import Reader
    from dsa_lite.model_folder import FolderTokenizer, context_tokens
    from dsa_lite.stages import finished, inspecting, pretrain, textbooks, tune

    path = write_run(tmp_path / "r", tiny_model_folder, {**SETTINGS, "student": {"max_tokens": 80, "device": "cpu"}})
    run = RunDir.read(path)
    config = finished.config_of(run)
    reader = Reader.of(FolderTokenizer(tiny_model_folder), config, context_tokens(tiny_model_folder))
    mine = inspecting.of_run(run, config, reader)
    assert any(e.dropped for e in mine)
    run.close()
    with RunDir.open(path, run.settings()["identity"], run.settings()["config"]) as folder:
        context = inspecting._context(folder, config)
        try:
            assert context.student.context_tokens == context_tokens(tiny_model_folder)
            lessons = tune._lessons(context, inspecting.round_of(folder, config))
            passages = pretrain._encode(context, textbooks.load(context))
        finally:
            context.close()
    theirs = [(p, 1.0) for p in passages] + [(lesson.encoded, lesson.weight) for lesson in lessons]
    kept = [e for e in mine if not e.dropped]
    assert [e.id for e in kept] == [encoded.id for encoded, _ in theirs]
    for example, (encoded, weight) in zip(kept, theirs, strict=True):
        assert example.encoded.ids.tolist() == encoded.ids.tolist()
        assert example.encoded.mask.tolist() == encoded.mask.tolist()
        assert example.weight == weight
