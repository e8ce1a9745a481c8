"""The child process as the parent sees it: JSON lines out and in, its last words kept."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_FAREWELL_SECONDS = 5
_LAST_WORDS = 4096


class ChildDied(Exception):
    """The child is gone. `str()` says how, with the last line it wrote to stderr."""


class ChildProcess:
    """One running child. No pipe is shared with another thread's work: use from one thread at a time."""

    def __init__(self, settings: dict[str, Any]) -> None:
        """Start the child and send `settings`; the first answer is for the caller to `read()`."""
        package_parent = str(Path(__file__).resolve().parent.parent)
        path = os.pathsep.join(filter(None, [package_parent, os.environ.get("PYTHONPATH", "")]))
        # Closed by close(), together with the process.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        # -P: a numpy.py in the user's folder must not be imported.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "dsa_lite_llama_cpp.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            bufsize=0,
            env={**os.environ, "PYTHONPATH": path},
        )
        # Own buffer: an interrupt inside a buffered readline would lose half a line.
        self._buffer = bytearray()
        self.send([settings])

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, messages: Iterable[dict[str, Any]]) -> None:
        """Write messages as one piece. Raises ChildDied."""
        data = memoryview(b"".join(json.dumps(m).encode() + b"\n" for m in messages))
        assert self._process.stdin is not None
        try:
            while data:
                data = data[self._process.stdin.write(data) or 0 :]
        except OSError as error:
            raise ChildDied(self._epitaph()) from error
        except BaseException:
            # Half a line may be in the pipe: this child cannot be talked to again.
            self._process.kill()
            raise

    def read(self) -> dict[str, Any]:
        """The next message; waits for it. Raises ChildDied."""
        assert self._process.stdout is not None
        while (end := self._buffer.find(b"\n")) < 0:
            piece = os.read(self._process.stdout.fileno(), 1 << 16)
            if not piece:
                raise ChildDied(self._epitaph())
            self._buffer += piece
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        message: dict[str, Any] = json.loads(line)
        return message

    def close(self) -> None:
        """End the child: asked first, killed if it does not go. Safe to call twice."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(_FAREWELL_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stderr.close()

    def _epitaph(self) -> str:
        try:
            code = self._process.wait(_FAREWELL_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        how = f"by signal {-code}" if code < 0 else f"with exit status {code}"
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - _LAST_WORDS))
        lines = [line.strip() for line in self._stderr.read().decode(errors="replace").splitlines() if line.strip()]
        return f"teacher process died {how}" + (f": {lines[-1][:300]}" if lines else "")
