"""The loop every writing stage shares: ask, check, keep or reject with the reason, ask again.

Each slot is one item that is wanted. Pass p asks for every slot still empty, with the id `slot` (p = 0) or `slot.p`.
Items are on disk as they arrive; what can only be judged in company (duplicates) is judged when a pass is complete, in
the order of the slots, so that neither the order of arrival nor an interruption changes the outcome.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from dsa_lite.errors import TeacherError
from dsa_lite.io.jsonl import Log
from dsa_lite.records import Decomposition, Exercise, Rejected, Textbook
from dsa_lite.stages.context import Context
from dsa_lite.teacher import Reply, Request

R = TypeVar("R", Exercise, Textbook, Decomposition)

#: Characters of a rejected text that are kept.
SAMPLE_CHARS = 400


@dataclass(frozen=True)
class Refusal:
    """Why a reply or an item is not used. `sample`: of an item, what of it is shown to people; of a reply, its text."""

    reason: str
    detail: str = ""
    sample: str = ""


@dataclass(frozen=True)
class Slot:
    """One item that is wanted. `ask(id)` builds the request for it under that id."""

    id: str
    ask: Callable[[str], Request]


@dataclass
class Writing(Generic[R]):
    """One stage's (or round's) writing. `read` judges a reply by itself, `settle` the items of a pass together.

    `settle(items)` gets every item kept so far in slot order and returns the refused ones by id. It must be a pure
    function of what it is given.
    """

    stage: str
    unit: str
    slots: Sequence[Slot]
    log: Log[R]
    read: Callable[[Slot, Reply], R | Refusal]
    settle: Callable[[Sequence[R]], dict[str, Refusal]] = lambda items: {}
    round: int = 0


@dataclass
class _State(Generic[R]):
    written: dict[str, R]
    rejected: dict[str, Rejected]
    tokens: int = 0
    fresh: Counter[str] = field(default_factory=Counter)  # replies of this session, by reason ("" = kept)


def slot_of(id: str) -> str:
    """The slot an item's id belongs to: `power-rule-s-003.1` -> `power-rule-s-003`."""
    return id.rpartition(".")[0] or id


def fill(context: Context, writing: Writing[R]) -> list[R]:
    """Write until every slot is filled or given up; the items kept, in slot order.

    Raises TeacherError when hardly any reply is usable.
    """
    rejections = context.folder.rejected()
    slots = {s.id: s for s in writing.slots}
    state = _State[R](
        written={r.id: r for r in writing.log.read() if slot_of(r.id) in slots},
        rejected={
            r.id: r for r in rejections.read()
            if r.stage == writing.stage and r.round == writing.round and slot_of(r.id) in slots
        },
    )  # fmt: skip
    kept: dict[str, R] = {}
    for attempt in range(context.config.teacher.attempts):
        ids = {s if attempt == 0 else f"{s}.{attempt}": s for s in slots if s not in kept}
        missing = [id for id in ids if id not in state.written and id not in state.rejected]
        _ask(context, writing, state, rejections, [(id, slots[ids[id]]) for id in missing], len(kept))
        kept |= {slot: state.written[id] for id, slot in ids.items() if id in state.written}
        kept = dict(sorted(kept.items()))
        for id, refusal in writing.settle(list(kept.values())).items():
            if id not in state.rejected:
                _reject(writing, state, rejections, id, refusal, sample=refusal.sample)
            kept.pop(slot_of(id))
        if len(kept) == len(slots):
            break
        _check_yield(context, writing, state)
    writing.log.sync()
    rejections.sync()
    if len(kept) < len(slots):
        lost = len(slots) - len(kept)
        context.note(writing.stage, f"{lost} of {len(slots)} {writing.unit} were given up after "
                     f"{context.config.teacher.attempts} attempts each", warning=True)  # fmt: skip
    return list(kept.values())


def _ask(
    context: Context, writing: Writing[R], state: _State[R], rejections: Log[Rejected],
    wanted: Sequence[tuple[str, Slot]], kept: int,
) -> None:  # fmt: skip
    if not wanted:
        return
    asked = dict(wanted)
    total = len(writing.slots)
    label = f"round {writing.round}, new {writing.unit}" if writing.round else ""
    requests: Iterator[Request] = (slot.ask(id) for id, slot in wanted)
    for reply in context.teacher.write(requests):
        result = _judge(writing, asked[reply.id], reply)
        if isinstance(result, Refusal):
            _reject(writing, state, rejections, reply.id, result, sample=reply.text, reply=reply)
        else:
            writing.log.append(result)
            state.written[result.id] = result
            kept += 1
        state.fresh["" if not isinstance(result, Refusal) else result.reason] += 1
        state.tokens += reply.tokens_out
        rejected = sum(n for reason, n in state.fresh.items() if reason)
        lost: dict[str, Any] = {"cut off": state.fresh["unfinished"], "failed": state.fresh["not written"]}
        context.progress(
            writing.stage, kept, total, state.tokens, label, context.look_at_teacher(), rejected=rejected,
            **{name: count for name, count in lost.items() if count},
        )  # fmt: skip
        _check_yield(context, writing, state)


def _judge(writing: Writing[R], slot: Slot, reply: Reply) -> R | Refusal:
    if reply.finish == "length":
        return Refusal("unfinished", f"cut off after {reply.tokens_out} tokens")
    if reply.finish == "error":
        return Refusal("not written", reply.error)
    return writing.read(slot, reply)


def _reject(
    writing: Writing[R], state: _State[R], rejections: Log[Rejected], id: str, refusal: Refusal, *,
    sample: str, reply: Reply | None = None,
) -> None:  # fmt: skip
    # A settled item's tokens already stand in its own line.
    record = Rejected(
        id=id, stage=writing.stage, reason=refusal.reason, detail=refusal.detail[:SAMPLE_CHARS],
        sample=sample[:SAMPLE_CHARS], round=writing.round,
        tokens_in=reply.tokens_in if reply else 0, tokens_out=reply.tokens_out if reply else 0,
    )  # fmt: skip
    rejections.append(record)
    state.rejected[id] = record


def _check_yield(context: Context, writing: Writing[R], state: _State[R]) -> None:
    """Stop a teacher that writes garbage before it has cost hours."""
    limits = context.config.teacher
    settled = len(state.written.keys() & state.rejected.keys())
    replies = len(state.written) + len(state.rejected) - settled
    if replies < limits.min_replies or len(state.written) - settled >= limits.min_yield * replies:
        return
    counts = Counter(r.reason for r in state.rejected.values())
    samples = list(state.rejected.values())[-3:]
    lines = [f"{counts.total()} of {replies} replies are unusable:"]
    lines += [f"  {count:5d}  {reason}" for reason, count in counts.most_common()]
    lines += ["the last three begin:"]
    lines += [f"  {r.id} ({r.reason}{': ' + r.detail[:80] if r.detail else ''}): {r.sample[:120]!r}" for r in samples]
    raise TeacherError(
        f"the teacher {context.teacher.name} writes nothing usable in stage {writing.stage}; " + "\n".join(lines),
        hint="try a larger teacher (--teacher), or lower teacher.min_yield; what was written is kept, rejects with "
        f"reasons stand in {context.folder.path / 'rejected.jsonl'}",
    )
