"""The child process: `python -m dsa_lite_llama_cpp.child`, JSON lines in and out.

In: first the settings, then {"ask": [...]} and {"cancel": [tickets]}. Out: {"slots"} or {"failed"}, then for each
request {"kind": "started"} and {"kind": "reply"}, and {"kind": "layout"} where a context was made. The end of stdin
ends the process, so it cannot outlive its parent.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from typing import Any


def main() -> None:
    # Ctrl-C goes to the whole terminal group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    say = _Voice()
    inbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    settings = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_listen, args=(inbox,), daemon=True).start()
    try:
        engine = _open(settings, say)
    except Exception as error:  # Whatever stops the model from loading is the parent's to tell.
        say({"failed": f"{error}"[:500]})
        return
    say({"slots": engine.slots})
    while True:
        if engine.idle:
            _obey(engine, inbox.get())
        while not inbox.empty():
            _obey(engine, inbox.get())
        engine.turn()
        say.flush()


def _open(settings: dict[str, Any], say: _Voice) -> Any:
    from dsa_lite_llama_cpp.engine import Engine
    from dsa_lite_llama_cpp.memory import cores
    from dsa_lite_llama_cpp.model import Model

    model = Model(settings["path"], settings["gpu_layers"])
    return Engine(model, settings, settings["threads"] or cores(), say.later)


def _listen(inbox: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in sys.stdin.buffer:
        inbox.put(json.loads(line))
    # Not sys.exit: the main thread may be inside llama.cpp for a long time.
    os._exit(0)


def _obey(engine: Any, message: dict[str, Any]) -> None:
    for ask in message.get("ask", ()):
        engine.ask(ask)
    engine.cancel(message.get("cancel", []))


class _Voice:
    """The real stdout. What C code prints to descriptor 1 goes to stderr instead of between our lines."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        self._pending: list[bytes] = []

    def __call__(self, message: dict[str, Any]) -> None:
        self.later(message)
        self.flush()

    def later(self, message: dict[str, Any]) -> None:
        """Say with the next flush, except that a start is said before the work that may kill us."""
        self._pending.append(json.dumps(message).encode() + b"\n")
        if message.get("kind") == "started":
            self.flush()

    def flush(self) -> None:
        if self._pending:
            self._out.write(b"".join(self._pending))
            self._out.flush()
            self._pending.clear()


if __name__ == "__main__":
    main()
