"""The loop every writing stage shares: ask, check, keep or reject with the reason, ask again.

Each slot is one item that is wanted. Pass p asks for every slot still empty, with the id `slot` (p = 0) or `slot.p`.
Items are on disk as they arrive; what can only be judged in company (duplicates) is judged when a pass is complete, in
the order of the slots, so that neither the order of arrival nor an interruption changes the outcome.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from dsa_lite.core.escapes import BrokenText, restored
from dsa_lite.errors import TeacherError
from dsa_lite.io.jsonl import Log
from dsa_lite.records import Decomposition, Exercise, Rejected, Textbook
from dsa_lite.stages.context import Context
from dsa_lite.teacher import Reply, Request

R = TypeVar("R", Exercise, Textbook, Decomposition)

#: Reason of what is as good as any and one too many.
SPARE = "another was better"
#: Characters of a rejected text that are kept.
SAMPLE_CHARS = 400


@dataclass(frozen=True)
class Refusal:
    """Why a reply or an item is not used. `sample`: of an item, what of it is shown to people; of a reply, its text.

    `again`: whether the slot is still wanted; only `settle` may say that it is not.
    """

    reason: str
    detail: str = ""
    sample: str = ""
    again: bool = True


@dataclass(frozen=True)
class Slot:
    """One item that is wanted. `ask(id, why)` builds the request for it under that id; `why`: what was wrong with the
    last reply, in words for the teacher, empty at first."""

    id: str
    ask: Callable[[str, str], Request]


@dataclass
class Writing(Generic[R]):
    """One stage's (or round's) writing. `read` judges a reply by itself, `settle` the items of a pass together.

    `settle(items)` gets every item kept so far in slot order and returns the refused ones by id. It must follow from
    what it is given and from what it asked before, which is on disk. `reads_cut`: `read` is also asked about replies
    that were cut off. `enough(items)`: slots that are not wanted any more. `show(item)`: one line of the first that is
    kept, for who watches.
    """

    stage: str
    unit: str
    slots: Sequence[Slot]
    log: Log[R]
    read: Callable[[Slot, Reply], R | Refusal]
    settle: Callable[[Sequence[R]], dict[str, Refusal]] = lambda items: {}
    round: int = 0
    reads_cut: bool = False
    enough: Callable[[Sequence[R]], Collection[str]] = lambda items: ()
    show: Callable[[R], str] | None = None


#: What a teacher is told that is asked once more, by the reason of the refusal; others are told as they are.
_TOLD = {
    "duplicate": "that problem is in the course already, write a different one",
    "unfinished": "it was too long",
    "not written": "",
    "wrong step": "a calculation was wrong",
    "outvoted": "the answer was wrong",
    "off topic": "the problem belonged to another skill",
    "number from nowhere": "the problem did not say all numbers that its solution uses",
    "another way": "the steps were not those of the skill",
    "answer cannot be checked": "the answer was not one short value",
    "held out": "that problem is taken, write a different one",
}


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
    given_up: set[str] = set()
    for attempt in range(context.config.teacher.attempts):
        ids = {_id(s, attempt): s for s in slots if s not in kept and s not in given_up}
        missing = [id for id in ids if id not in state.written and id not in state.rejected]
        wanted = [(id, slots[ids[id]], _told(state.rejected.get(_id(ids[id], attempt - 1)))) for id in missing]
        _ask(context, writing, state, rejections, wanted, len(kept))
        kept |= {slot: state.written[id] for id, slot in ids.items() if id in state.written}
        kept = dict(sorted(kept.items()))
        for id, refusal in writing.settle(list(kept.values())).items():
            if id not in state.rejected:
                _reject(writing, state, rejections, id, refusal, sample=refusal.sample)
            kept.pop(slot_of(id))
            given_up |= set() if refusal.again else {slot_of(id)}
        given_up |= set(writing.enough(list(kept.values()))) - kept.keys()
        if len(kept) + len(given_up) == len(slots):
            break
        _check_yield(context, writing, state)
    writing.log.sync()
    rejections.sync()
    if lost := len(slots) - len(kept) - len(given_up):
        context.note(writing.stage, f"{lost} of {len(slots)} {writing.unit} were given up after "
                     f"{context.config.teacher.attempts} attempts each", warning=True)  # fmt: skip
    return list(kept.values())


def _id(slot: str, attempt: int) -> str:
    return slot if attempt == 0 else f"{slot}.{attempt}"


def _told(rejected: Rejected | None) -> str:
    """Why the last reply was refused, in words for the teacher."""
    if rejected is None:
        return ""
    return " ".join(_TOLD.get(rejected.reason, rejected.detail or rejected.reason).split())


def _ask(
    context: Context, writing: Writing[R], state: _State[R], rejections: Log[Rejected],
    wanted: Sequence[tuple[str, Slot, str]], kept: int,
) -> None:  # fmt: skip
    if not wanted:
        return
    asked = {id: slot for id, slot, _ in wanted}
    total = len(writing.slots)
    label = f"round {writing.round}, new {writing.unit}" if writing.round else ""
    context.progress(writing.stage, kept, total, state.tokens, label, context.look_at_teacher())
    requests: Iterator[Request] = (slot.ask(id, why) for id, slot, why in wanted)
    for reply in context.teacher.write(requests):
        result = _judge(writing, asked[reply.id], reply)
        if isinstance(result, Refusal):
            _reject(writing, state, rejections, reply.id, result, sample=reply.text, reply=reply)
        else:
            writing.log.append(result)
            if writing.show and not state.written:
                context.note(writing.stage, writing.show(result))
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
    if reply.finish == "length" and not writing.reads_cut:
        return Refusal("unfinished", f"cut off after {reply.tokens_out} tokens")
    if reply.finish == "error":
        return Refusal("not written", reply.error)
    try:
        return writing.read(slot, reply.model_copy(update={"text": restored(reply.text)}))
    except BrokenText as fault:
        return Refusal("control character", str(fault))


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
    refused = {id: r for id, r in state.rejected.items() if r.reason != SPARE}
    usable = len(state.written.keys() - refused.keys())
    replies = len(state.written.keys() | state.rejected.keys())
    if replies < limits.min_replies or usable >= limits.min_yield * replies:
        return
    counts = Counter(r.reason for r in refused.values())
    samples = list(refused.values())[-3:]
    lines = [f"{counts.total()} of {replies} replies are unusable:"]
    lines += [f"  {count:5d}  {reason}" for reason, count in counts.most_common()]
    lines += ["the last three begin:"]
    lines += [f"  {r.id} ({r.reason}{': ' + r.detail[:80] if r.detail else ''}): {r.sample[:120]!r}" for r in samples]
    raise TeacherError(
        f"the teacher {context.teacher.name} writes nothing usable in stage {writing.stage}; " + "\n".join(lines),
        hint="try a larger teacher (--teacher), or lower teacher.min_yield; what was written is kept, rejects with "
        f"reasons stand in {context.folder.path / 'rejected.jsonl'}",
    )
