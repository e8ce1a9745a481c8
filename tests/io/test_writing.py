"""What stops a writer is said in words, whoever wrote: Python, safetensors, an exporter."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from dsa_lite.cli.failure import explain
from dsa_lite.errors import DsaError
from dsa_lite.io.files import write_atomic, writing

NAMES = ("ENOSPC", "EDQUOT", "EROFS", "EMFILE", "ENFILE", "ENAMETOOLONG", "EFBIG")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("told", ["python", "rust"])
def test_each_reason_is_named_with_what_to_do(name: str, told: str, tmp_path: Path) -> None:
    number = getattr(errno, name)
    error: Exception = OSError(number, "as the system says")
    if told == "rust":  # safetensors' and tokenizers' own words
        error = RuntimeError(f"Error while serializing: I/O error: whatever (os error {number})")
    with pytest.raises(DsaError) as caught, writing(tmp_path / "x"):
        raise error
    assert str(tmp_path / "x") in caught.value.message
    assert "permissions" not in caught.value.hint
    message, code = explain(error, "dsa-lite run calculus --out x")  # nobody on the way has said it
    assert code == 1
    assert "bug" not in message
    assert "dsa-lite run calculus --out x" in message


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shape"), writing(tmp_path):
        raise RuntimeError("a shape that does not fit")
    with pytest.raises(DsaError, match=r"^mine$"), writing(tmp_path):
        raise DsaError("mine")
    assert "bug" in explain(RuntimeError("a shape that does not fit"))[0]


def test_a_name_too_long_for_the_file_system(tmp_path: Path) -> None:
    with pytest.raises(DsaError, match="too long") as caught:
        write_atomic(tmp_path / ("x" * 400), "")
    assert "shorter" in caught.value.hint


_LIMITED = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from dsa_lite.errors import DsaError
from dsa_lite.io.run_folder import checkpoints
from safetensors.numpy import save_file

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
save = lambda folder: save_file({"a": np.zeros(100_000)}, folder / "student_state.safetensors")
try:
    checkpoints.save(Path(sys.argv[1]), "tune", save, {})
except DsaError as error:
    print(error.message, "|", error.hint)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of processes are of Unix")
def test_a_checkpoint_that_safetensors_cannot_finish(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert "too large" in done.stdout
    assert "everything accepted so far is kept" in done.stdout
    assert not list(tmp_path.iterdir()), "nothing half-written is left"
