"""A teacher that answers from a script."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from dsa_lite.teacher import Reply, Request


class ScriptedTeacher:
    """A teacher that answers from a script; implements `dsa_lite.teacher.Teacher`.

    `script`: a function from the request to a text or a whole Reply, or a mapping whose keys are request ids or last
    messages. What the mapping lacks is answered with finish "error". `requests` collects what was asked.
    """

    def __init__(self, script: Callable[[Request], str | Reply] | Mapping[str, str], name: str = "scripted") -> None:
        self._script, self.name, self.fingerprint = script, name, f"scripted:{name}"
        self.requests: list[Request] = []
        self.closed = False

    def write(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """One reply per request, in their order. Tokens are counted as words."""
        for request in requests:
            self.requests.append(request)
            yield self._reply(request)

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> ScriptedTeacher:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _reply(self, request: Request) -> Reply:
        words = sum(len(message.content.split()) for message in request.messages)
        script = self._script
        last = request.messages[-1].content
        written = script(request) if callable(script) else script.get(request.id, script.get(last))
        if isinstance(written, Reply):
            return written
        if written is None:
            error = "not in the script"
            return Reply(id=request.id, text="", finish="error", tokens_in=words, tokens_out=0, seconds=0, error=error)
        out = len(written.split())
        return Reply(id=request.id, text=written, finish="stop", tokens_in=words, tokens_out=out, seconds=0)
