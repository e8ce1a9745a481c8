"""Answer checking. Answers come from models: they are compared in a separate process with limits on time and memory."""

from __future__ import annotations

import contextlib
import json
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from dsa_lite.core.answers import read_value, reduced, same_value
from dsa_lite.core.grading import choice_letter, normalise, same_text, same_words
from dsa_lite.errors import DsaError
from dsa_lite.records import Checker

MAX_CHARS = 300
SECONDS_PER_ITEM = 5.0
SECONDS_TO_START = 60.0
MEMORY_BYTES = 2 * 1024**3

_TERM = r"\d{0,12}(?:\.\d{1,12})?(?:\*?[a-z](?:\^\d{1,3})?)?"
_POLYNOMIAL = re.compile(rf"(?:[a-z]=)?[+-]?{_TERM}(?:[+-]{_TERM}){{0,9}}")
_START = (
    "import sys; sys.path.append(sys.argv[1]); from dsa_lite.io.answers.checking_child import main; "
    "main(int(sys.argv[2]), int(sys.argv[3]))"
)


class AnswerChecker:
    """Compares answers the way a skill asks for: "math", "exact" or "choice". Use as a context manager."""

    def __init__(
        self,
        checker: Checker,
        *,
        seconds_per_item: float = SECONDS_PER_ITEM,
        memory_bytes: int = MEMORY_BYTES,
        max_chars: int = MAX_CHARS,
    ) -> None:
        self.checker = checker
        self.max_chars = max_chars
        self.timeouts = 0
        self._seconds = seconds_per_item
        self._memory = memory_bytes
        self._child: _Child | None = None
        self._same: dict[tuple[str, str], bool] = {}
        self._readable: dict[str, bool] = {}

    def same(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        """For each (gold, answer): whether the answer is right."""
        return [self._one_same(gold, answer) for gold, answer in pairs]

    def readable(self, answers: Sequence[str]) -> list[bool]:
        """For each answer: whether it has the form the checker can judge."""
        return [self._one_readable(answer) for answer in answers]

    def _one_same(self, gold: str, answer: str) -> bool:
        if len(gold) > self.max_chars or len(answer) > self.max_chars:
            return False
        if self.checker == "choice":
            letter = choice_letter(gold)
            return letter is not None and letter == choice_letter(answer)
        if self.checker == "exact":
            return same_words(gold, answer)
        gold, answer = reduced(gold), reduced(answer)
        one, two = read_value(gold), read_value(answer)
        if one is not None and two is not None:
            return same_value(one, two)
        if same_text(gold, answer):
            return True
        if not normalise(gold) or not normalise(answer):
            return False
        key = (gold, answer)
        if key not in self._same:
            self._same[key] = self._ask({"do": "same", "gold": gold, "answer": answer})
        return self._same[key]

    def _one_readable(self, answer: str) -> bool:
        if len(answer) > self.max_chars:
            return False
        if self.checker == "choice":
            return choice_letter(answer) is not None
        if self.checker == "exact":
            return bool(normalise(answer))
        answer = reduced(answer)
        text = normalise(answer)
        if not text or read_value(answer) is not None:
            return bool(text)
        if all(part and _POLYNOMIAL.fullmatch(part) and part[-1].isalnum() for part in text.split(";")):
            return True
        if text not in self._readable:
            self._readable[text] = self._ask({"do": "readable", "answer": text})
        return self._readable[text]

    def _ask(self, question: dict[str, str]) -> bool:
        """The verdict of the child; none within the limits means no, and a new child next time."""
        if self._child is None:
            self._child = _Child(self._memory, self._seconds)
        try:
            return self._child.ask(question)
        except _Lost:
            self.timeouts += 1
            self.close()
            return False

    def close(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None

    def __enter__(self) -> AnswerChecker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Lost(Exception):
    """The child said nothing in time, or died."""


class _Child:
    """One checking process and the thread that reads from it."""

    def __init__(self, memory_bytes: int, seconds: float) -> None:
        self._seconds = seconds
        root = str(Path(__file__).resolve().parents[3])
        alarm = str(int(SECONDS_TO_START + seconds) + 1)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, root, str(memory_bytes), alarm],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            raise DsaError(
                f"the process that checks answers does not start: {error}", hint="free some memory and run again"
            ) from error
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name="dsa-lite-checker", daemon=True)
        self._reader.start()
        try:
            self._hear(SECONDS_TO_START)
        except _Lost as error:
            self.kill()
            raise DsaError(
                "the process that checks answers does not start",
                hint=f"try: {sys.executable} -m pip install --force-reinstall dsa-lite",
            ) from error

    def ask(self, question: dict[str, str]) -> bool:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise _Lost from error
        message = self._hear(self._seconds)
        while "verdict" not in message:
            message = self._hear(SECONDS_TO_START if "loading" in message else self._seconds)
        return bool(message["verdict"])

    def _hear(self, seconds: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=seconds)
            message = json.loads(line)
        except (queue.Empty, ValueError) as error:
            raise _Lost from error
        if not isinstance(message, dict):
            raise _Lost
        return message

    def _read(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            for line in self._process.stdout:
                self._lines.put(line)
        self._lines.put("")  # the end: an unreadable line wakes whoever waits

    def kill(self) -> None:
        """End it at once and leave nothing open."""
        self._process.kill()
        self._process.wait()
        self._reader.join(timeout=5)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
