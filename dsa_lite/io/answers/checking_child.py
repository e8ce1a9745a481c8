"""The process that compares mathematical answers: one JSON question per line in, one verdict per line out.

It is started, timed and killed by checker.py; it reads text only, and ends when its input does.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from functools import lru_cache
from typing import Any

from dsa_lite.io.answers.comparing import readable, same
from dsa_lite.io.answers.expressions import Unreadable, parse
from dsa_lite.io.answers.latex import latex, without_latex


def main(memory_bytes: int, alarm_seconds: int) -> None:
    _limit_memory(memory_bytes)
    if hasattr(signal, "SIGINT"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    _say({"ready": True})
    for line in sys.stdin:
        question = json.loads(line)
        if hasattr(signal, "alarm"):
            signal.alarm(alarm_seconds)  # should whoever asked be gone, this ends the process
        try:
            verdict = _verdict(question)
        except (Exception, RecursionError):  # whatever a parser throws at odd text means: not the same
            verdict = False
        if hasattr(signal, "alarm"):
            signal.alarm(0)
        _say({"verdict": verdict})


def _verdict(question: dict[str, Any]) -> bool:
    if question["do"] == "same":
        return same(question["gold"], question["answer"], _latex_same)
    return readable(question["answer"], _latex_reads)


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _limit_memory(limit: int) -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@lru_cache(maxsize=1)
def _math_verify() -> Any:
    """Loaded when LaTeX is met for the first time; the parent is told, for it takes a moment."""
    _say({"loading": True})
    import math_verify

    _say({"ready": True})
    return math_verify


def _as_latex(text: str) -> str:
    try:
        return latex(parse(without_latex(text)))
    except Unreadable:
        return text


def _parsed(text: str) -> list[Any]:
    found = _math_verify().parse(f"${_as_latex(text)}$", parsing_timeout=None, raise_on_error=False)
    return [item for item in found if not isinstance(item, str)]


def _latex_same(gold: str, answer: str) -> bool:
    one, two = _parsed(gold), _parsed(answer)
    return bool(one and two) and bool(_math_verify().verify(one, two, timeout_seconds=None))


def _latex_reads(answer: str) -> bool:
    return bool(_parsed(answer))
