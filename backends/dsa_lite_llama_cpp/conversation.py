"""Keeps what was asked until it is answered, across deaths of the child."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from dsa_lite.errors import ModelError, TeacherError
from dsa_lite_llama_cpp.process import ChildDied, ChildProcess

#: The first death strikes a crowd, after which each suspect goes alone: two more, and it is no accident.
_DEATHS_PER_REQUEST = 3
_DEATHS_IN_A_ROW = 8


@dataclass
class _Asked:
    payload: dict[str, Any]
    started: bool = False
    deaths: int = 0


class Conversation:
    """Asks the child and hands out its replies by ticket. One thread at a time; several askers may take turns."""

    def __init__(self, settings: dict[str, Any]) -> None:
        """Start the child. Raises ModelError when it cannot load the model."""
        self._settings = settings
        self._waiting: deque[int] = deque()
        self._open: dict[int, _Asked] = {}
        self._sent: set[int] = set()
        self._replies: dict[int, dict[str, Any]] = {}
        self._tickets = 0
        self._deaths_in_a_row = 0
        self._child: ChildProcess | None = None
        self.slots = 0
        self.layout: dict[str, int | str] = {}
        self.heard: Callable[[int], None] = lambda tokens: None
        try:
            self._start()
        except ChildDied as death:
            raise self._unloadable(str(death)) from death

    @property
    def pid(self) -> int | None:
        """Process id of the child, None when closed."""
        return self._child.pid if self._child else None

    def ask(self, payload: dict[str, Any]) -> int:
        """Queue a request; returns its ticket. Sent by the next `reply()`."""
        self._tickets += 1
        self._open[self._tickets] = _Asked({**payload, "ticket": self._tickets})
        self._waiting.append(self._tickets)
        return self._tickets

    def reply(self, tickets: Collection[int]) -> tuple[int, dict[str, Any]]:
        """Wait for the reply to any of `tickets`. Raises TeacherError when the child dies over and over."""
        while True:
            for ticket in tickets:
                if ticket in self._replies:
                    return ticket, self._replies.pop(ticket)
            try:
                self._send_waiting()
                self._take(self._running_child().read())
            except ChildDied as death:
                self._mourn(str(death))

    def abandon(self, tickets: Collection[int]) -> None:
        """Forget requests; the child stops working on them."""
        sent = [t for t in tickets if t in self._sent]
        for ticket in tickets:
            self._open.pop(ticket, None)
            self._replies.pop(ticket, None)
            self._sent.discard(ticket)
        self._waiting = deque(t for t in self._waiting if t in self._open)
        if sent and self._child:
            try:
                self._child.send([{"cancel": sent}])
            except ChildDied as death:
                self._mourn(str(death))

    def close(self) -> None:
        if self._child:
            self._child.close()
            self._child = None

    def _running_child(self) -> ChildProcess:
        if self._child is None:
            raise TeacherError("the teacher is closed", hint="open it again")
        return self._child

    def _start(self) -> None:
        """Raises ChildDied when the child dies while it loads the model, ModelError when it cannot."""
        # A child that follows another makes room for as many.
        self._child = ChildProcess({**self._settings, "slots": self.layout.get("slots") or self._settings["slots"]})
        try:
            first = self._child.read()
        except BaseException:
            self.close()
            raise
        if "failed" in first:
            self.close()
            raise self._unloadable(first["failed"])
        self.slots = int(first["slots"])

    def _unloadable(self, why: str) -> ModelError:
        return ModelError(
            f"llama.cpp cannot load {self._settings['path']}: {why}",
            hint="the file may need a newer llama.cpp, or more memory: try another model file or, with a GPU, fewer "
            "layers there (teacher.gpu_layers)",
        )

    def _send_waiting(self) -> None:
        """Send what waits. What ran when the child died goes alone, so that only a deadly request dies again."""
        if any(self._open[t].deaths for t in self._sent):
            return
        suspect = next((t for t in self._waiting if self._open[t].deaths), None)
        if suspect is not None and self._sent:
            return
        batch = [suspect] if suspect is not None else list(self._waiting)
        if not batch:
            return
        self._sent.update(batch)
        self._waiting = deque(t for t in self._waiting if t not in self._sent)
        self._running_child().send([{"ask": [self._open[t].payload for t in batch]}])

    def _take(self, message: dict[str, Any]) -> None:
        if message["kind"] == "layout":
            self.layout = message["layout"]
            return
        if message["kind"] == "writing":
            self.heard(message["tokens"])
            return
        ticket = message["ticket"]
        if ticket not in self._open:
            return  # abandoned
        if message["kind"] == "started":
            self._open[ticket].started = True
            return
        self._deaths_in_a_row = 0
        self._settle(ticket, message)

    def _settle(self, ticket: int, message: dict[str, Any]) -> None:
        del self._open[ticket]
        self._sent.discard(ticket)
        self._replies[ticket] = message

    def _mourn(self, how: str) -> None:
        self._count_death(how)
        for ticket in sorted(self._sent, reverse=True):
            asked = self._open[ticket]
            asked.deaths += asked.started
            asked.started = False
            if asked.deaths >= _DEATHS_PER_REQUEST:
                self._settle(ticket, {"finish": "error", "error": how})
            else:
                self._waiting.appendleft(ticket)
        self._sent.clear()
        while True:
            try:
                self._start()
                return
            except ChildDied as death:
                self._count_death(str(death))
            except ModelError as error:
                raise TeacherError(f"{how}; it cannot be started again: {error.message}", hint=error.hint) from error

    def _count_death(self, how: str) -> None:
        self.close()
        self._deaths_in_a_row += 1
        if self._deaths_in_a_row > _DEATHS_IN_A_ROW:
            raise TeacherError(f"{how} ({self._deaths_in_a_row} times in a row)", hint="try a smaller model or context")
