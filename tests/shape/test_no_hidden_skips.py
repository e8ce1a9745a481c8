"""The guard of tests/conftest.py and the script that takes the README at its word."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUITE = """
import pytest

def test_backend():
    pytest.skip("could not import 'torch'")

def test_hardware():
    pytest.skip("torch sees no CUDA device")

def test_other():
    pytest.skip("needs a terminal")
"""


@pytest.mark.parametrize(("required", "code", "told"), [("mlx", 0, 0), ("llama_cpp,torch", 1, 1)])
def test_a_required_backend_cannot_be_skipped(tmp_path: Path, required: str, code: int, told: int) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_it.py").write_text(SUITE, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    env = {**os.environ, "DSA_LITE_REQUIRE": required}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=env)
    assert done.returncode == code, done.stdout
    assert done.stdout.count("SKIPPED, BUT REQUIRED") == told


def ci_run(folder: Path, readme: str, newest: str = "touch newest") -> subprocess.CompletedProcess[str]:
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", folder / ".ci")
    (folder / ".ci" / "newest").write_text(f"#!/usr/bin/env bash\n{newest}\n", encoding="utf-8")
    (folder / ".ci" / "newest").chmod(0o755)
    (folder / "README.md").write_text(readme, encoding="utf-8")
    env = {name: value for name, value in os.environ.items() if name not in ("DSA_LITE_REQUIRE", "PYTEST_ADDOPTS")}
    command = [str(folder / ".ci" / "run"), sys.executable]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


@pytest.mark.slow
def test_ci_runs_exactly_the_marked_block_in_a_fresh_environment(tmp_path: Path) -> None:
    script = 'python -c "import sys; print(sys.prefix != sys.base_prefix)" > out\n'
    script += 'echo "$DSA_LITE_REQUIRE $PYTEST_ADDOPTS" >> out'
    readme = f"```sh\ntouch before\n```\n<!-- ci: test -->\n```sh\n{script}\n```\n```sh\ntouch after\n```\n"
    done = ci_run(tmp_path, readme)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_text(encoding="utf-8") == "True\ntorch,llama_cpp,openai,mlx -W error \n"
    assert not (tmp_path / "before").exists()
    assert not (tmp_path / "after").exists()


@pytest.mark.slow
def test_ci_fails_with_the_block(tmp_path: Path) -> None:
    assert ci_run(tmp_path, "<!-- ci: test -->\n```sh\nfalse\ntrue\n```\n").returncode == 1
    assert not (tmp_path / "newest").exists()


@pytest.mark.slow
def test_what_the_newest_packages_break_is_shown_and_fails_nothing(tmp_path: Path) -> None:
    newest = 'echo "$1, ${PYTEST_ADDOPTS-unset}"\necho "no such module" >&2\nexit 3'
    done = ci_run(tmp_path, "<!-- ci: test -->\n```sh\ntrue\n```\n", newest)
    assert done.returncode == 0, done.stderr
    assert f"{sys.executable}, unset\nno such module\n" in done.stdout
    assert "exit code 3" in done.stdout


def test_ci_fails_without_a_block(tmp_path: Path) -> None:
    nothing = ci_run(tmp_path, "```sh\ntrue\n```\n")
    assert nothing.returncode == 1
    assert "no fenced block" in nothing.stderr


def test_the_readme_has_the_block_that_ci_runs() -> None:
    _, found, after = (ROOT / "README.md").read_text(encoding="utf-8").partition("<!-- ci: test -->\n```")
    assert found, "mark the test lines of README.md with <!-- ci: test -->"
    assert "pytest" in after.split("```")[0]
