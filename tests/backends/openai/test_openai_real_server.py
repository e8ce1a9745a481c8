"""llama-cpp-python's own server on loopback, with a random model."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from dsa_lite.teacher import Embeds, TeacherOptions
from dsa_lite_openai import open_teacher

from .conftest import SCHEMA, ask

NEEDED = ("llama_cpp", "gguf", "fastapi", "uvicorn", "sse_starlette", "starlette_context", "pydantic_settings")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]

pytestmark = pytest.mark.skipif(
    bool(MISSING),
    reason=f"openai: a real server needs llama-cpp-python[server] and gguf; missing: {', '.join(MISSING)}",
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("server")) as address:
        yield address


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[str]:
    from ..llama_cpp.conftest import write_model  # noqa: TID252

    model = write_model(folder / "tiny.gguf")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(model), "--model_alias", "tiny", "--port"]
    command += [str(port), "--host", "127.0.0.1", "--n_ctx", "512", "--n_threads", "1", "--verbose", "false"]
    command += ["--interrupt_requests", "false", *options]  # else it cuts one reply off for the next
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | {"PYTHONWARNINGS": "ignore"})
    try:
        wait_for(f"http://127.0.0.1:{port}/v1/models", process, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except urllib.error.URLError:
            time.sleep(0.1)
    pytest.fail(f"the server did not start: {log.read_text()[-2000:]}")


def test_writing(url: str) -> None:
    schema = SCHEMA | {"properties": {"answer": {"type": "string", "minLength": 1, "maxLength": 8}}}
    with open_teacher(url, TeacherOptions()) as teacher:
        assert teacher.name == "tiny"
        plain = list(teacher.write(ask(n, max_tokens=8) for n in range(6)))
        shaped = list(teacher.write(ask(n, schema=schema, max_tokens=60) for n in range(4)))
        again = list(teacher.write(ask(n, max_tokens=8) for n in range(6)))
        (too_long,) = teacher.write([ask(0, max_tokens=12).model_copy(update={"messages": ask(0).messages * 200})])
    assert sorted(r.id for r in plain) == [f"r{n}" for n in range(6)]
    assert all(r.finish in ("stop", "length") and r.tokens_in > 0 for r in plain)
    assert any(r.finish == "length" and r.tokens_out == 8 for r in plain)
    assert {r.id: r.text for r in plain} == {r.id: r.text for r in again}
    written = [r for r in shaped if r.finish == "stop"]
    assert written, [r.error for r in shaped]
    assert all(1 <= len(json.loads(r.text)["answer"]) <= 8 for r in written)
    # Its grammar lets control characters into strings, and a reply may be cut off: never an answer.
    assert all(r.finish in ("stop", "length") or "not JSON" in r.error for r in shaped)
    assert too_long.finish == "error"


def test_embedding(tmp_path: Path) -> None:
    from dsa_lite_llama_cpp import open_teacher as open_gguf

    texts = [f"exercise {n} about " + "limits " * (n % 5 + 1) for n in range(70)]
    with serving(tmp_path, "--embedding", "true") as url, open_teacher(url, TeacherOptions()) as teacher:
        assert isinstance(teacher, Embeds)
        found = teacher.embed(texts)
        assert teacher.embed([]).shape == (0, 0)
    # In this process, the same file.
    with open_gguf(str(tmp_path / "tiny.gguf"), TeacherOptions(threads=1)) as local:
        assert isinstance(local, Embeds)
        expected = local.embed(texts)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(found, expected, atol=5e-3)
