"""examples/own_backend: installed as a user would, found by its entry point, and teaching a real student."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_backend"
SMALL = """
[exercises]
single_per_skill = 4
composed_per_skill = 1
[rehearsal]
share = 0.0
[dynamics]
probes = 4
probe_epochs = 1
variants_per_hard = 0
compositions_per_pair = 0
[student]
device = "cpu"
threads = 1
lora_rank = 4
max_tokens = 384
[tune]
rounds = 1
epochs = 1
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH with the package in it; its own files are left alone."""
    pytest.importorskip("hatchling")
    pytest.importorskip("pip")
    place = tmp_path_factory.mktemp("own")
    source = shutil.copytree(EXAMPLE, place / "source", ignore=shutil.ignore_patterns("__pycache__"))
    words = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "-q"]
    command = [sys.executable, "-m", "pip", "install", *words, "--target", str(place / "site"), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return place / "site"


def call(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *words]
    env = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_its_own_tests_pass(installed: Path) -> None:
    done = call(installed, EXAMPLE.parent, "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLE / "tests"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_without_it_the_teacher_is_unknown_and_the_hint_names_plugins(tmp_path: Path) -> None:
    done = call(tmp_path, tmp_path, "dsa_lite", "run", "calculus", "--teacher", "cards:europe.csv")
    assert done.returncode == 2
    assert "PLUGIN:SOURCE" in done.stderr


def test_a_deck_becomes_a_skill_and_a_run(installed: Path, tmp_path: Path, tiny_model_folder: Path) -> None:
    shutil.copy(EXAMPLE / "europe.csv", tmp_path)
    (tmp_path / "small.toml").write_text(SMALL, encoding="utf-8")
    teacher = ("--teacher", "cards:europe.csv")
    made = call(installed, tmp_path, "dsa_lite", "new", "Europe", *teacher, "--out", "europe")
    assert made.returncode == 0, made.stderr
    student = ("--student", str(tiny_model_folder), "--backend", "torch")
    job = ("./europe", *teacher, *student, "--config", "small.toml", "--out", "run", "--json")
    done = call(installed, tmp_path, "dsa_lite", "run", *job)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["teacher"] == "cards:europe.csv"
    assert summary["trained_tokens"] > 0
    lines = (tmp_path / "run" / "exercises.jsonl").read_text(encoding="utf-8").splitlines()
    deck = (tmp_path / "europe.csv").read_text(encoding="utf-8")
    single = [e["problem"] for e in map(json.loads, lines) if e["origin"] == "single"]
    assert len(single) >= 6
    assert all(problem in deck for problem in single)
