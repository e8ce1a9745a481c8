"""One request, from being asked to its one reply: tries again, waits, and falls back to what the server accepts."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from dsa_lite.errors import TeacherError
from dsa_lite.teacher import Reply, Request
from dsa_lite_openai.completions import failed, holds_no_json, read_completion
from dsa_lite_openai.concurrency import Gate
from dsa_lite_openai.formats import RUNGS, Formats, about_format, response_format, schema_problem
from dsa_lite_openai.server import Answer, Outcome, Patience, Refused, Server, Trouble

_GONE_HINT = "see what the server says, start it again and repeat the command: what was written is kept"
#: Requests given up with no answer in between, after which the server counts as gone.
_GIVEN_UP_IN_A_ROW = 3
#: A wait that is said at once, s; the failure of a request that is said in any case; what lies between two words, s.
_WORTH_A_WORD, _WORTH_A_WORD_FROM, _BETWEEN_WORDS = 10.0, 3, 30.0


@dataclass
class _Course:
    """How it goes with one request."""

    request: Request
    rung: int
    began: float
    refusal: str = ""  # of the strictest format; the reply's error if no other format helps
    troubles: Counter[str] = field(default_factory=Counter)
    first_trouble: float = 0.0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began


def _clock(seconds: float) -> str:
    """The time so many seconds from now, with its day where that is another."""
    then, now = time.localtime(time.time() + seconds), time.localtime()
    return time.strftime("%H:%M:%S" if then[:3] == now[:3] else "%Y-%m-%d %H:%M", then)


class Exchange:
    """Answers requests on one server; what it learns from one serves the next."""

    def __init__(
        self, server: Server, model: str, gate: Gate, patience: Patience, say: Callable[[str], None] = lambda _: None
    ) -> None:
        """`say` is told what is waited for, now and then."""
        self._say, self._next_word = say, float("-inf")
        self._server = server
        self._model = model
        self._gate = gate
        self._patience = patience
        self._formats = Formats()
        self._last_answer = float("-inf")
        self._given_up = 0

    async def answer(self, request: Request) -> Reply:
        """The one reply. Raises TeacherError when the server is gone."""
        problem = "a request needs at least one message" if not request.messages else ""
        if request.json_schema is not None:
            problem = problem or schema_problem(request.json_schema)
        if problem:
            return failed(request, problem)
        course: _Course | None = None
        while True:
            async with self._gate.turn() as sent:
                course = course or _Course(request, self._formats.known(request.json_schema) or 0, sent)
                outcome = await self._server.chat(
                    self._model, request, response_format(request.json_schema, course.rung)
                )
                result = await self._judge(course, outcome, sent)
            if isinstance(result, Reply):
                return result
            await asyncio.sleep(result)

    async def _judge(self, course: _Course, outcome: Outcome, sent: float) -> Reply | float:
        """The reply, or the seconds to wait before trying again."""
        if isinstance(outcome, Answer):
            reply = read_completion(course.request, outcome.body, course.seconds)
            if reply is not None:
                return self._answered(course, reply)
            start = self._server.without_key(outcome.body[:200].decode(errors="replace"))
            outcome = Trouble("garbage", f"the answer is no chat completion: {start!r}")
        if isinstance(outcome, Refused):
            self._last_answer = time.monotonic()
        if self._falls_back(course, outcome):
            return 0.0
        if isinstance(outcome, Refused):
            return self._refused(course, outcome)
        return await self._troubled(course, outcome, sent)

    def _answered(self, course: _Course, reply: Reply) -> Reply | float:
        """The reply; 0, to ask again in another format, where none is known to work and this one brought no JSON."""
        now = self._last_answer = time.monotonic()
        self._given_up = 0
        schema = course.request.json_schema
        if holds_no_json(reply) and self._formats.known(schema) is None and course.rung < RUNGS - 1:
            course.rung += 1
            return 0.0
        self._formats.works(schema, course.rung)
        self._gate.limit.answered(reply.tokens_out or 1 + len(reply.text) // 4, now, used=self._gate.used)
        return reply

    def _falls_back(self, course: _Course, outcome: Refused | Trouble) -> bool:
        """Whether to ask again with a format less strict: the last one was refused, and none is known to work."""
        schema = course.request.json_schema
        if schema is None or course.rung == RUNGS - 1:
            return False
        known = self._formats.known(schema)
        if known is not None and known <= course.rung:
            return False
        if isinstance(outcome, Refused):
            unwanted = outcome.status in (400, 422, 501)
        else:
            unwanted = outcome.kind == "failing" and about_format(outcome.said)
        if unwanted:
            course.refusal = course.refusal or outcome.said
            course.rung = course.rung + 1 if known is None else known
        return unwanted

    def _refused(self, course: _Course, outcome: Refused) -> Reply:
        if outcome.status == 401:
            raise TeacherError(
                f"the server {self._server.url} does not accept the key: {outcome.said}",
                hint="set OPENAI_API_KEY to a key that it accepts, then repeat the command: what was written is kept",
            )
        return failed(course.request, f"the server refused: {course.refusal or outcome.said}", seconds=course.seconds)

    async def _troubled(self, course: _Course, trouble: Trouble, sent: float) -> Reply | float:
        now, patience = time.monotonic(), self._patience
        course.first_trouble = course.first_trouble or now
        course.troubles[trouble.kind] += 1
        if trouble.kind != "garbage":
            self._gate.limit.overloaded(sent, now)
        tries = {"busy": patience.tries_when_busy, "silent": patience.tries_when_silent, "garbage": 3}
        most = tries.get(trouble.kind, patience.tries)
        put_off = now - course.first_trouble + trouble.pause
        if trouble.pause > patience.in_all:
            raise TeacherError(
                f"the server {self._server.url} asks for a pause until {_clock(trouble.pause)}: {trouble.said}",
                hint="go on then with the same command: what was written is kept",
            )
        if course.troubles[trouble.kind] >= most or put_off > patience.in_all:
            why = f"{trouble.said} ({course.troubles.total()} tries in {course.seconds:.0f} s)"
            if await self._is_gone(course, trouble):
                raise TeacherError(f"the server {self._server.url} no longer answers: {why}", hint=_GONE_HINT)
            return failed(course.request, why, seconds=course.seconds)
        if trouble.pause:
            self._gate.pause(trouble.pause)
        wait = max(trouble.pause, self._back_off(course))
        self._word(trouble, wait, course.troubles[trouble.kind], most, now)
        return wait

    def _word(self, trouble: Trouble, wait: float, nth: int, most: int, now: float) -> None:
        """Say what is waited for: at once when the server asks for a long pause, else from the third failure on, and
        not for each of many requests in flight."""
        if (wait < _WORTH_A_WORD and nth < _WORTH_A_WORD_FROM) or now < self._next_word:
            return
        self._next_word = now + max(wait, _BETWEEN_WORDS)
        self._say(
            f"the server {self._server.url}: {trouble.said}; try {nth + 1} of {most} follows in {wait:.0f} s, at "
            f"{_clock(wait)}"
        )

    async def _is_gone(self, course: _Course, trouble: Trouble) -> bool:
        """Whether it is the server that fails, not one request that it cannot do."""
        if self._last_answer > course.first_trouble:
            return False
        self._given_up += 1
        if self._given_up >= _GIVEN_UP_IN_A_ROW:
            return True
        return trouble.kind == "unreachable" and isinstance(await self._server.models(), Trouble)

    def _back_off(self, course: _Course) -> float:
        nth = course.troubles.total()
        wait = min(self._patience.longest_wait, self._patience.first_wait * 2.0 ** min(nth - 1, 30))
        return wait * random.Random(f"{course.request.seed}/{nth}").uniform(0.5, 1.0)
