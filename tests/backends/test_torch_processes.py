"""The PyTorch student in two processes: the same results as in one, one voice, and an end for all when one ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import dsa_lite
from dsa_lite.cli import cli
from dsa_lite.errors import UsageError

pytest.importorskip("torch")
pytest.importorskip("peft")

needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to find child processes")


#: Relative difference between an observation of two processes and of one: rounding, in another order of addition.
TOLERANCE = 1e-4

TOGETHER = """
import json, sys
from dsa_lite.student import Sampling, StudentOptions
from dsa_lite.testing import STUDENT_CHECKS, make_batch
from dsa_lite_torch import join_processes, open_student
from dsa_lite_torch.student import TorchStudent

TEXTS = ["the sum of the digits is 12", "a", "the power rule", "x = 1", "the derivative of the sum of the rest is 0"]

def results(student):
    examples = {t: (ids := student.tokenizer.encode(t), range(1, len(ids))) for t in TEXTS}
    batch = make_batch(examples, [1, 2, 0, 0.5, 1])
    seen = [[o.nll for o in student.step(batch, 1e-2)] for _ in range(10)] + [[o.nll for o in student.score(batch)]]
    fork = student.fork()
    seen.append([o.nll for o in fork.step(batch, 1e-2)])
    fork.close()
    prompts = [ids[:3] for ids, _ in examples.values()]
    replies = student.generate(prompts, 9), student.generate(prompts, 9, sampling=Sampling(1.0, range(5)))
    about = student.device
    student.close()
    return seen, replies, about

if join_processes():
    folder = sys.argv[1]
    for check in STUDENT_CHECKS:
        check(lambda options: open_student(folder, options))
    options = StudentOptions(lora_rank=4, lora_alpha=8, device="cpu", threads=1, precision="float32", weight_decay=0.1)
    print(json.dumps({"alone": results(TorchStudent.open(folder, options)),
                      "together": results(open_student(folder, options))}))
"""

UNTIL_LOST = """
import atexit, os, sys
from datetime import timedelta
from pathlib import Path
from dsa_lite.errors import DsaError
from dsa_lite.student import StudentOptions
from dsa_lite.testing import make_batch
from dsa_lite_torch import open_student
from dsa_lite_torch.processes import join

def name_threads():
    names = {path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")}
    print("connections:", *sorted(name for name in names if name.startswith(("gloo", "pt_"))), flush=True)

if os.environ["RANK"] == "0":
    atexit.register(name_threads)  # the first one, so it runs last
if join(timedelta(seconds=float(sys.argv[1]))):
    options = StudentOptions(lora_rank=4, lora_alpha=8, device="cpu", threads=1, precision="float32",
                             shard=sys.argv[2] == "sharded")
    try:
        open_student("only-here", options)
    except DsaError as error:
        print(error.message, flush=True)
    student = open_student("model", options)
    batch = make_batch({"a": ([1, 2, 3], [2]), "b": ([3, 2, 1], [1])})
    student.step(batch, 1e-2)
    print("ready", flush=True)
    try:
        while True:
            student.step(batch, 0.0)
    except DsaError as error:
        print(error.message, flush=True)
    student.close()
"""


class Processes:
    """Starts launches in `folder`. `started`: see conftest.py."""

    def __init__(self, folder: Path, started: Any) -> None:
        self.folder, self.started = folder, started

    def start(self, command: list[str], cwd: Path | None = None, **env: str) -> subprocess.Popen[str]:
        process: subprocess.Popen[str] = self.started.start(command, cwd or self.folder, **env)
        return process

    def launch(self, *words: str) -> subprocess.Popen[str]:
        process: subprocess.Popen[str] = self.started.launch([*words], self.folder)
        return process

    def assert_nothing_is_left_behind(self) -> None:
        self.started.assert_nothing_is_left_behind(60)


@pytest.fixture
def processes(tmp_path: Path, new_started: Callable[[], Any]) -> Iterator[Processes]:
    yield Processes(tmp_path, started := new_started())
    started.kill_rest()


@needs_proc
def test_two_processes_keep_the_contract_and_observe_what_one_does(
    processes: Processes, tiny_model_folder: Path
) -> None:
    (processes.folder / "together.py").write_text(TOGETHER, encoding="utf-8")
    stdout, stderr = (process := processes.launch("together.py", str(tiny_model_folder))).communicate()
    assert process.returncode == 0, stderr
    assert stdout.count("\n") == 1, "only the first process prints"
    (alone, replies, device), (together, other_replies, other_device) = json.loads(stdout).values()
    assert len(alone) == 12
    for mine, others in zip(alone, together, strict=True):
        assert others == pytest.approx(mine, rel=TOLERANCE)
    assert alone[-1] != pytest.approx(alone[0], rel=0.01), "nothing was learned, so nothing was compared"
    assert other_replies == replies
    assert other_device == f"{device}, 2 processes"
    processes.assert_nothing_is_left_behind()


@needs_proc
@pytest.mark.parametrize(
    ("stop", "patience", "base"),
    [(signal.SIGKILL, 300, "whole"), (signal.SIGSTOP, 20, "whole"), (signal.SIGKILL, 300, "sharded")],
)
def test_a_lost_process_ends_the_training_with_a_word(
    processes: Processes, tiny_model_folder: Path, stop: signal.Signals, patience: float, base: str
) -> None:
    """Killed: at once. Frozen: after `patience` seconds. And an error in one process alone is told by the first."""
    (processes.folder / "program.py").write_text(UNTIL_LOST, encoding="utf-8")
    port, members = processes.started.free_port(), []
    for rank in ("0", "1"):
        (place := processes.folder / rank).mkdir()
        (place / "model").symlink_to(tiny_model_folder)
        env = {"RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        members.append(processes.start([str(processes.folder / "program.py"), str(patience), base], place, **env))
    (processes.folder / "0" / "only-here").symlink_to(tiny_model_folder)
    first, second = members
    assert first.stdout is not None
    assert first.stdout.readline().startswith("process 1 on "), first.communicate()
    assert first.stdout.readline() == "ready\n"
    second.send_signal(stop)
    stdout, stderr = first.communicate(timeout=120)
    assert "another process of this launch has ended or does not answer" in stdout, stderr
    assert stdout.endswith("\nconnections:\n"), "a thread that needs Python and outlives it aborts the process"
    assert first.returncode == 0, stderr
    second.send_signal(signal.SIGCONT)
    said = second.communicate(timeout=60)
    assert said == ("", "")
    assert second.returncode == (-signal.SIGKILL if stop == signal.SIGKILL else 0)
    processes.assert_nothing_is_left_behind()


BUNDLED = Path(dsa_lite.__file__).parent / "bundled"
bundled_pair = pytest.mark.skipif(
    not (BUNDLED / "student" / "config.json").is_file() or not list(BUNDLED.glob("teacher/*.gguf")),
    reason="the bundled models are not there: no torch or llama_cpp run is possible",
)
CONFIG = """
[teacher]
threads = 1
in_flight = 8
[student]
threads = 1
precision = "float32"
lora_dropout = 0.0
[textbooks]
per_skill = 1
[exercises]
single_per_skill = 1
composed_per_skill = 1
[dynamics]
probes = 16
probe_epochs = 1
[evaluate]
limit = 8
batch_size = 4
max_tokens = 32
"""
RUN = ["run", "calculus", "--rounds", "2", "--epochs", "1", "--config", "config.toml", "--out"]


@needs_proc
@bundled_pair
@pytest.mark.timeout(1200)
def test_a_run_in_two_processes_ends_as_a_run_in_one(processes: Processes) -> None:
    (processes.folder / "config.toml").write_text(CONFIG, encoding="utf-8")
    summaries: list[dict[str, Any]] = []
    for process in (
        processes.start(["-m", "dsa_lite", *RUN, "alone", "--json"]),
        processes.launch("-m", "dsa_lite", *RUN, "together", "--json"),
    ):
        stdout, stderr = process.communicate()
        assert process.returncode == 0, stderr
        summaries.append(json.loads(stdout))
    alone, together = summaries
    assert together["device"] == f"{alone['device']}, 2 processes"
    for part in ("exercises", "textbooks", "trained_tokens", "teacher_tokens", "before", "after", "regions"):
        assert together[part] == alone[part], part
    for mine, other in zip(alone["rounds"], together["rounds"], strict=True):
        assert other["regions"] == mine["regions"]
        assert other["loss"] == pytest.approx(mine["loss"], rel=1e-3)
    processes.assert_nothing_is_left_behind()


@needs_proc
@bundled_pair
@pytest.mark.timeout(1200)
def test_ctrl_c_ends_all_processes(processes: Processes) -> None:
    (processes.folder / "config.toml").write_text(CONFIG, encoding="utf-8")
    process = processes.launch("-m", "dsa_lite", *RUN, "stopped")
    begun = processes.folder / "stopped" / "exercises.jsonl"
    processes.started.wait_until(lambda: begun.exists() or process.poll() is not None, 600, "no exercise is written")
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "dsa-lite run calculus --out stopped --config config.toml --rounds 2" in stderr
    processes.assert_nothing_is_left_behind()


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")


@pytest.mark.usefixtures("launcher")
def test_a_world_without_a_launcher_is_refused() -> None:
    result = CliRunner().invoke(cli, ["run", "calculus"])
    assert result.exit_code == 2
    assert "RANK" in result.stderr
    assert "accelerate launch" in result.stderr


@pytest.mark.usefixtures("launcher")
def test_backends_of_one_process_are_refused() -> None:
    from dsa_lite.cli.processes import refuse_single_process

    with pytest.raises(UsageError, match="one process"):
        refuse_single_process("mlx")
    refuse_single_process("torch")


def test_work_is_shared_out_evenly_and_completely() -> None:
    from dsa_lite_torch.crew import shares

    sizes = [5, 1, 4, 2, 3, 3, 0, 0]
    for processes in (1, 2, 3, 20):
        taken = shares(sizes, processes)
        assert sorted(item for items in taken for item in items) == list(range(len(sizes)))
        assert all(items == sorted(items) for items in taken)
    loads = [sum(sizes[i] for i in items) for items in shares(sizes, 2)]
    assert max(loads) - min(loads) <= 1
