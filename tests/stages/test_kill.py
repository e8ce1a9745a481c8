"""A real `dsa-lite run` with the bundled models, killed with SIGKILL at random moments and resumed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import dsa_lite

BUNDLED = Path(dsa_lite.__file__).parent / "bundled"
pytestmark = [
    pytest.mark.timeout(1200),
    pytest.mark.skipif(
        not (BUNDLED / "student" / "config.json").is_file() or not list(BUNDLED.glob("teacher/*.gguf")),
        reason="the bundled models are not there: no torch or llama_cpp run is possible",
    ),
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to find child processes"),
]

CONFIG = """
[teacher]
threads = 1
in_flight = 8
[student]
threads = 1
checkpoint_seconds = 0.2
[textbooks]
per_skill = 1
[exercises]
single_per_skill = 1
composed_per_skill = 1
[pretrain]
batch_size = 2
[dynamics]
probes = 16
probe_epochs = 1
max_new_fraction = 0.2
[evaluate]
limit = 8
batch_size = 4
max_tokens = 32
"""
STAGES = ("graph", "textbooks", "exercises", "rehearsal", "pretrain", "tune", "evaluate")


class Runs:
    """Starts runs in `folder`. `started`: see conftest.py."""

    def __init__(self, folder: Path, started: Any, backend: str = "torch") -> None:
        self.folder, self.started, self.backend = folder, started, backend
        (folder / "config.toml").write_text(CONFIG, encoding="utf-8")

    def start(self, out: str) -> subprocess.Popen[str]:
        command = ["-m", "dsa_lite", "run", "calculus", "--rounds", "2", "--json", "--out", out]
        command += ["--config", "config.toml", "--backend", self.backend]
        process: subprocess.Popen[str] = self.started.start(command, self.folder)
        return process

    def finish(self, out: str) -> dict[str, Any]:
        stdout, stderr = (process := self.start(out)).communicate()
        assert process.returncode == 0, stderr
        summary: dict[str, Any] = json.loads(stdout)
        assert summary == json.loads((self.folder / out / "evaluation" / "summary.json").read_text())
        return {k: v for k, v in summary.items() if k not in ("seconds", "adapter", "out")}

    def adapter(self, out: str) -> bytes:
        (path,) = (self.folder / out / "adapter").glob("*.safetensors")
        return path.read_bytes()

    def has_begun(self, out: str, stage: str) -> bool:
        try:
            return stage in json.loads((self.folder / out / "manifest.json").read_text())["stages"]
        except FileNotFoundError:
            return False

    def kill_in(self, out: str, stage: str, seconds: float) -> None:
        """Start or go on, and kill the run so long after the stage has begun."""
        process = self.start(out)
        self.started.wait_until(
            lambda: self.has_begun(out, stage) or process.poll() is not None, 300, f"{stage} does not begin"
        )
        time.sleep(seconds)
        process.kill()
        _, stderr = process.communicate()
        assert process.returncode == -signal.SIGKILL, f"it ended before it was killed in {stage}: {stderr}"
        self.assert_nothing_is_left_behind()

    def assert_nothing_is_left_behind(self) -> None:
        self.started.assert_nothing_is_left_behind(20)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, new_started: Callable[[], Any]) -> Iterator[Runs]:
    pytest.importorskip("torch")
    pytest.importorskip("llama_cpp")
    yield Runs(tmp_path_factory.mktemp("runs"), started := new_started())
    started.kill_rest()


@pytest.fixture(scope="module")
def undisturbed(runs: Runs) -> dict[str, Any]:
    return runs.finish("undisturbed")


@pytest.mark.parametrize("seed", [0, 1])
def test_a_run_killed_four_times_equals_an_undisturbed_one(runs: Runs, undisturbed: dict[str, Any], seed: int) -> None:
    chance, out = random.Random(seed), f"killed{seed}"
    for stage in sorted(chance.choices(STAGES, k=4), key=STAGES.index):
        runs.kill_in(out, stage, chance.uniform(0, 1.5))
    assert runs.finish(out) == undisturbed
    assert runs.adapter(out) == runs.adapter("undisturbed")
    runs.assert_nothing_is_left_behind()


def test_the_same_with_mlx(tmp_path: Path, new_started: Callable[[], Any]) -> None:
    for module in ("mlx.core", "mlx_lm", "torch", "llama_cpp"):
        pytest.importorskip(module)
    runs = Runs(tmp_path, started := new_started(), "mlx")
    try:
        undisturbed = runs.finish("undisturbed")
        for seconds in (1.0, 0.6):
            runs.kill_in("killed", "tune", seconds)
        assert runs.finish("killed") == undisturbed
        assert runs.adapter("killed") == runs.adapter("undisturbed")
    finally:
        started.kill_rest()


@pytest.mark.parametrize("stage", ["exercises", "tune"])
def test_ctrl_c_prints_the_line_that_goes_on(runs: Runs, undisturbed: dict[str, Any], stage: str) -> None:
    process = runs.start(out := f"interrupted-{stage}")
    runs.started.wait_until(lambda: runs.has_begun(out, stage), 300, f"{stage} does not begin")
    time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate()
    assert process.returncode == 130, stderr
    assert stdout == ""
    line = next(line for line in stderr.splitlines() if "dsa-lite run calculus" in line)
    assert f"--out {out} --backend torch --config config.toml --rounds 2" in line
    assert "Traceback" not in stderr
    runs.assert_nothing_is_left_behind()
    assert runs.finish(out) == undisturbed
    assert runs.adapter(out) == runs.adapter("undisturbed")
