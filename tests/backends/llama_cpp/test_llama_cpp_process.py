"""The llama.cpp teacher's child process, and files that are no model."""

from __future__ import annotations

import importlib.util
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dsa_lite.errors import MissingExtra, ModelError, TeacherError
from dsa_lite.records import Message
from dsa_lite.teacher import Request, Teacher, TeacherOptions
from dsa_lite_llama_cpp import conversation, open_teacher
from dsa_lite_llama_cpp.gguf_file import read_gguf
from dsa_lite_llama_cpp.prompts import without_thinking
from dsa_lite_llama_cpp.teacher import LlamaCppTeacher

from .conftest import write_model

OPTIONS = TeacherOptions(threads=1, in_flight=4)


def ask(number: int, max_tokens: int = 40) -> Request:
    content = Message(role="user", content=f"exercise {number}")
    return Request(id=f"r{number}", messages=(content,), max_tokens=max_tokens, seed=number)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.gguf")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def child_of(teacher: Teacher) -> int:
    assert isinstance(teacher, LlamaCppTeacher)
    if teacher.pid is None:
        list(teacher.write([ask(0, 1)]))
    assert teacher.pid is not None
    return teacher.pid


@pytest.mark.parametrize("chance", [0, 1])
def test_a_child_killed_again_and_again_gives_the_same_replies(
    model: Path, monkeypatch: pytest.MonkeyPatch, chance: int
) -> None:
    """Killed at random messages, at starts and at replies, with a reply between two kills."""
    draw, kills, answered = random.Random(chance), 0, False
    with open_teacher(str(model), OPTIONS) as teacher:
        assert isinstance(teacher, LlamaCppTeacher)
        expected = {r.id: r.text for r in teacher.write(ask(n) for n in range(24))}
        talk = teacher._conversation
        assert talk is not None
        take = talk._take

        def take_and_kill(message: dict[str, object]) -> None:
            nonlocal kills, answered
            take(message)
            answered |= message["kind"] == "reply"
            if answered and kills < 5 and draw.random() < 0.4:
                kills, answered = kills + 1, False
                os.kill(child_of(teacher), signal.SIGKILL)

        monkeypatch.setattr(talk, "_take", take_and_kill)
        replies = list(teacher.write(ask(n) for n in range(24)))
    assert kills == 5
    assert len(replies) == 24
    assert {r.id: r.text for r in replies} == expected


def test_a_child_killed_while_it_starts_is_started_again(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_teacher(str(model), OPTIONS) as teacher:
        assert isinstance(teacher, LlamaCppTeacher)
        expected = {r.id: r.text for r in teacher.write(ask(n) for n in range(6))}
        talk = teacher._conversation
        assert talk is not None
        layout, pid = dict(teacher.layout), child_of(teacher)
        assert layout["slots"] == 4
        deaths: list[int] = []
        start = conversation.ChildProcess.__init__

        def start_and_kill(self: conversation.ChildProcess, settings: dict[str, object]) -> None:
            start(self, settings)
            assert settings["slots"] == layout["slots"]
            if len(deaths) < 3:
                deaths.append(self.pid)
                os.kill(self.pid, signal.SIGKILL)

        monkeypatch.setattr(conversation.ChildProcess, "__init__", start_and_kill)
        os.kill(pid, signal.SIGKILL)
        assert {r.id: r.text for r in teacher.write(ask(n) for n in range(6))} == expected
        assert len(deaths) == 3
        assert teacher.layout == layout


def test_a_request_that_runs_at_every_death_is_an_error_reply(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_teacher(str(model), OPTIONS) as teacher:
        assert isinstance(teacher, LlamaCppTeacher)
        child_of(teacher)
        talk = teacher._conversation
        assert talk is not None
        take = talk._take

        def kill_at_the_start_of_7(message: dict[str, object]) -> None:
            asked = talk._open.get(int(str(message.get("ticket", -1))))
            take(message)
            if asked and message["kind"] == "started" and "exercise 7" in asked.payload["prompt"]:
                os.kill(child_of(teacher), signal.SIGKILL)

        monkeypatch.setattr(talk, "_take", kill_at_the_start_of_7)
        replies = {r.id: r for r in teacher.write(ask(n, 200) for n in range(10))}
    assert replies.keys() == {f"r{n}" for n in range(10)}
    # A reply may be through before the kill; then 7 is answered, never lost.
    assert {i for i, r in replies.items() if r.finish == "error"} <= {"r7"}
    assert all("died by signal 9" in r.error for r in replies.values() if r.finish == "error")


def test_a_child_that_always_dies_is_a_teacher_error(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_teacher(str(model), OPTIONS) as teacher:
        assert isinstance(teacher, LlamaCppTeacher)
        child_of(teacher)
        talk = teacher._conversation
        assert talk is not None
        monkeypatch.setattr(talk, "_take", lambda message: os.kill(child_of(teacher), signal.SIGKILL))
        with pytest.raises(TeacherError, match="times in a row"):
            list(teacher.write(ask(n) for n in range(10)))
    with pytest.raises(TeacherError, match="closed"):
        list(teacher.write([ask(1)]))


def test_the_child_is_started_by_the_first_request(model: Path) -> None:
    with open_teacher(str(model), OPTIONS) as teacher:
        assert isinstance(teacher, LlamaCppTeacher)
        assert teacher.name
        assert list(teacher.write([])) == []
        assert teacher.pid is None
        assert len(list(teacher.write([ask(1)]))) == 1
        assert teacher.pid is not None


def test_close_leaves_no_child(model: Path) -> None:
    teacher = open_teacher(str(model), OPTIONS)
    pid = child_of(teacher)
    assert alive(pid)
    stream = teacher.write(ask(n, 500) for n in range(8))
    next(stream)
    teacher.close()
    teacher.close()
    assert not alive(pid)


def test_the_child_ends_with_its_parent(model: Path) -> None:
    code = (
        "import sys, os, signal\n"
        "from dsa_lite.records import Message\n"
        "from dsa_lite.teacher import Request, TeacherOptions\n"
        "from dsa_lite_llama_cpp import open_teacher\n"
        "teacher = open_teacher(sys.argv[1], TeacherOptions(threads=1, in_flight=2))\n"
        "request = Request(id='r', messages=(Message(role='user', content='x'),), max_tokens=1, seed=0)\n"
        "next(teacher.write([request]))\n"
        "print(teacher.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    backends = str(Path(importlib.util.find_spec("dsa_lite_llama_cpp").origin).parent.parent)  # type: ignore[union-attr, arg-type]
    root = str(Path(importlib.util.find_spec("dsa_lite").origin).parent.parent)  # type: ignore[union-attr, arg-type]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, backends])}
    done = subprocess.run(
        [sys.executable, "-c", code, str(model)], capture_output=True, text=True, env=environment, timeout=60
    )
    # The child's stdout is a pipe of the dead parent's: only its pid tells.
    pid = int(done.stdout)
    for _ in range(100):
        if not alive(pid) or Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            return
        subprocess.run(["sleep", "0.1"], check=True)
    pytest.fail("the child outlived its parent")


def test_an_interrupt_does_not_reach_the_child(model: Path) -> None:
    with open_teacher(str(model), OPTIONS) as teacher:
        pid = child_of(teacher)
        os.kill(pid, signal.SIGINT)
        assert len(list(teacher.write([ask(1)]))) == 1
        assert child_of(teacher) == pid


def test_name_and_fingerprint(model: Path, tmp_path: Path) -> None:
    other = write_model(tmp_path / "other.gguf", seed=1)
    with open_teacher(str(model), OPTIONS) as one, open_teacher(str(other), OPTIONS) as two:
        assert one.name == "Tiny Random"
        assert isinstance(one, Teacher)
        assert len(one.fingerprint) == 64
        assert one.fingerprint != two.fingerprint


def test_broken_files_are_model_errors(model: Path, tmp_path: Path) -> None:
    whole = model.read_bytes()
    broken = {
        "text.gguf": b"hello, I am no model",
        "empty.gguf": b"",
        "header.gguf": whole[:1000],
        "weights.gguf": whole[:-5000],
        "version.gguf": whole[:4] + b"\x09\x00\x00\x00" + whole[8:],
        "counts.gguf": whole[:16] + b"\xff" * 8 + whole[24:],
    }
    for name, data in broken.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ModelError, match=name.replace(".", "[.]")) as caught:
            open_teacher(str(tmp_path / name), OPTIONS)
        assert caught.value.hint
        assert len(str(caught.value)) < 600
    for path in (tmp_path, tmp_path / "missing.gguf"):
        with pytest.raises(ModelError):
            open_teacher(str(path), OPTIONS)


def test_what_llama_cpp_cannot_load_is_a_model_error(model: Path, tmp_path: Path) -> None:
    strange = tmp_path / "strange.gguf"
    strange.write_bytes(model.read_bytes().replace(b"blk.1.attn_q.weight", b"blk.1.attn_x.weight"))
    with open_teacher(str(strange), OPTIONS) as teacher:
        assert teacher.fingerprint
        for _ in range(2):
            # llama.cpp's own reason, not its "failed to load model"
            with pytest.raises(ModelError, match=r"cannot load .*: (?!error|\w+: ).*blk\.1\.attn_q\.weight"):
                list(teacher.write([ask(1)]))
        assert isinstance(teacher, LlamaCppTeacher)
        assert teacher.pid is None


@pytest.mark.parametrize(
    ("begin", "says"),
    [
        (b"GGUF\x09\x00\x00\x00", "version 9, known are 2 and 3"),
        (b"GGUF\x00\x00\x00\x03", "big-endian"),
        (b"version ", "place-holder of a large file"),
        (b"<!DOCTYP", "no readable GGUF file: it starts with b'<!DO'"),
    ],
)
def test_files_of_another_kind_are_named(model: Path, tmp_path: Path, begin: bytes, says: str) -> None:
    (tmp_path / "x.gguf").write_bytes(begin + model.read_bytes()[8:])
    with pytest.raises(ModelError, match=says):
        open_teacher(str(tmp_path / "x.gguf"), OPTIONS)


def test_every_part_of_a_split_file_counts_in_the_fingerprint(model: Path, tmp_path: Path) -> None:
    parts = [tmp_path / f"big-0000{part}-of-00002.gguf" for part in (1, 2)]
    for part in parts:
        part.write_bytes(model.read_bytes())
    (tmp_path / "big-00001-of-00003.gguf").write_bytes(b"of another model")
    before = read_gguf(str(parts[0])).fingerprint()
    assert before != read_gguf(str(model)).fingerprint()
    parts[1].write_bytes(model.read_bytes()[:-1] + b"!")
    assert read_gguf(str(parts[0])).fingerprint() != before


def test_a_broken_chat_template_is_told_at_opening(tmp_path: Path) -> None:
    path = write_model(tmp_path / "template.gguf", template="{{ messages")
    with pytest.raises(ModelError, match=r"template\.gguf.*chat template fails"):
        open_teacher(str(path), OPTIONS)


def test_without_llama_cpp_the_extra_is_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "llama_cpp" else find(name))
    with pytest.raises(MissingExtra) as caught:
        open_teacher(str(model), OPTIONS)
    assert "dsa-lite[llama-cpp]" in caught.value.hint


def test_the_package_is_light() -> None:
    code = "import sys, dsa_lite_llama_cpp; assert not {'llama_cpp', 'numpy', 'pydantic'} & set(sys.modules)"
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )


def test_leading_thoughts_are_dropped() -> None:
    assert without_thinking("\n<think>\nhm\n</think>\n\n4") == "4"
    assert without_thinking("hm, the prompt opened it\n</think>\n\n4") == "4"
    assert without_thinking("4 <think>x</think>") == "4 <think>x</think>"
    assert without_thinking("4\n") == "4\n"


@pytest.mark.parametrize(("system", "repacked"), [(b"AVX512 = 1 | AMX_INT8 = 1 | ", False), (b"AVX512 = 1 | ", True)])
def test_weights_are_loaded_as_they_are_where_amx_would_be_used(
    model: Path, monkeypatch: pytest.MonkeyPatch, system: bytes, repacked: bool
) -> None:
    """By the teacher's process and by `Llama`, and by that only as long as it is asked for."""
    import llama_cpp

    from dsa_lite_formats.answering import without_amx
    from dsa_lite_llama_cpp.model import Model

    loaded: list[bool] = []

    def load(path: bytes, params: llama_cpp.llama_model_params) -> None:
        loaded.append(bool(params.use_extra_bufts))

    for place in (llama_cpp, llama_cpp.llama_cpp):
        monkeypatch.setattr(place, "llama_print_system_info", lambda: system)
        monkeypatch.setattr(place, "llama_model_load_from_file", load)
    with pytest.raises(RuntimeError):
        Model(str(model), 0)
    with pytest.raises(ValueError, match="load"), without_amx():
        llama_cpp.Llama(str(model), verbose=False)
    with pytest.raises(ValueError, match="load"):
        llama_cpp.Llama(str(model), verbose=False)
    assert loaded == [repacked, repacked, True]
