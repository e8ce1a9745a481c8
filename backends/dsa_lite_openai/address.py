"""From what the user typed to a server that answers and one of its models."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ValidationError

from dsa_lite.errors import TeacherError, UsageError
from dsa_lite_openai.server import Answer, Outcome, Patience, Refused, Server, Trouble

_HINT = "give the address the server prints at its start, e.g. --teacher http://localhost:8080/v1"
_VERSION = re.compile(r"/v\d+\w*$")
_ENDPOINT = re.compile(r"/(chat/completions|completions|models)$")
_NO_CHAT = re.compile(r"embed|rerank", re.IGNORECASE)
_LISTED = 20


@dataclass(frozen=True)
class Address:
    """`bases`: where the API may be, best guess first. `model`: "" when the user named none."""

    bases: tuple[str, ...]
    model: str


class _Model(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_Model] | None


def read_address(source: str) -> Address:
    """Split `URL#model`. Raises UsageError."""
    try:
        url = urlsplit(source.strip())
        usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(f"{source!r} is not the URL of a server", hint=_HINT)
    if "@" in url.netloc or url.query:
        raise UsageError(
            f"the teacher's URL ({url.scheme}://{url.hostname}) carries a password or a query",
            hint="give the URL without it and put the key into the environment variable OPENAI_API_KEY",
        )
    path = _ENDPOINT.sub("", url.path.rstrip("/")).rstrip("/")
    base = f"{url.scheme}://{url.netloc}{path}"
    return Address((base,) if _VERSION.search(path) else (f"{base}/v1", base), url.fragment.strip())


async def find(address: Address, patience: Patience) -> tuple[Server, str]:
    """A server that answers, and the model's id. Raises TeacherError, UsageError."""
    outcomes: list[tuple[str, Outcome]] = []
    for base in address.bases:
        server = Server(base, patience)
        try:
            outcome = await _models(server, patience)
            if (ids := _ids(outcome)) is not None:
                return server, _choose(base, ids, address.model)
            if isinstance(outcome, Answer):
                start = server.without_key(outcome.body[:200].decode(errors="replace"))
                outcome = Refused(200, f"it answers with something else than a list of models: {start!r}")
            outcomes.append((base, outcome))
        except BaseException:
            await server.close()
            raise
        await server.close()
        if isinstance(outcome, Trouble):
            break
    base, outcome = outcomes[-1]
    # Not every server lists its models. Where one is named, its absence shows when it is first asked.
    if address.model and isinstance(outcome, Refused) and outcome.status in (404, 405, 501):
        return Server(base, patience), address.model
    raise _nobody(outcomes)


async def _models(server: Server, patience: Patience) -> Outcome:
    """A server that is still loading its model is waited for; one that is not there is not."""
    outcome, nth = await server.models(), 0
    tries = {"busy": patience.tries_when_busy, "failing": patience.tries}
    while isinstance(outcome, Trouble) and nth < tries.get(outcome.kind, 0) - 1 and outcome.pause <= patience.in_all:
        nth += 1
        await asyncio.sleep(max(outcome.pause, min(patience.longest_wait, patience.first_wait * 2.0 ** (nth - 1))))
        outcome = await server.models()
    return outcome


def _ids(outcome: Outcome) -> list[str] | None:
    if not isinstance(outcome, Answer):
        return None
    try:
        return [m.id for m in _Models.model_validate_json(outcome.body).data or []]
    except ValidationError:
        return None


def _choose(base: str, ids: list[str], named: str) -> str:
    if named:
        for candidate in (named, f"{named}:latest", unquote(named)):  # Ollama's tag when none is given
            if candidate in ids:
                return candidate
        ends = [i for i in ids if f"/{i}".casefold().endswith(f"/{named}".casefold())]
        if len(ends) == 1:  # NAME for ORG/NAME
            return ends[0]
    chat = [i for i in ids if not _NO_CHAT.search(i)] or ids
    if not named and len(chat) == 1:
        return chat[0]
    if not ids:
        raise TeacherError(f"the server {base} has no model", hint="load one there, then repeat the command")
    listed = "".join(f"\n  {base}#{i}" for i in chat[:_LISTED])
    more = f"\n  and {len(chat) - _LISTED} more" if len(chat) > _LISTED else ""
    problem = f"has no model {named!r}" if named else f"has {len(chat)} models"
    raise UsageError(f"the server {base} {problem}; it has{listed}{more}", hint="give one of these as --teacher")


def _nobody(outcomes: list[tuple[str, Outcome]]) -> TeacherError:
    base, outcome = max(outcomes, key=_telling)
    said = getattr(outcome, "said", "")
    if isinstance(outcome, Refused) and outcome.status in (401, 403):
        return TeacherError(
            f"the server {base} wants a key: {said}", hint="set the environment variable OPENAI_API_KEY"
        )
    if isinstance(outcome, Refused):
        tried = " and ".join(f"{b}/models" for b, _ in outcomes)
        return TeacherError(f"there is no OpenAI-compatible server at {tried}: {said}", hint=_HINT)
    return TeacherError(f"the server {base} does not answer: {said}", hint=f"is it running? {_HINT}")


def _telling(tried: tuple[str, Outcome]) -> int:
    """Of several failures, how much one says: any but 404 is more telling."""
    return 0 if isinstance(tried[1], Refused) and tried[1].status == 404 else 1
