"""Test questions for a skill that brings none: some of the teacher's exercises, chosen by the hash of their text, each
kept only where most of several new solutions end in its answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dsa_lite.core.hold_out import hold_out
from dsa_lite.io.answers.checker import AnswerChecker
from dsa_lite.records import Exercise, HeldOutItem, Rejected
from dsa_lite.stages import graph as graph_stage
from dsa_lite.stages import textbooks
from dsa_lite.stages.context import Context
from dsa_lite.stages.held_out import HeldOutGuard
from dsa_lite.stages.voting import agreement
from dsa_lite.stages.writing import SAMPLE_CHARS

STAGE = "exercises"
LABEL = "teacher-made, vote-verified"
#: Fewer candidates than this are left in the training: no interval over them would say anything.
LEAST = 10
KEPT, UNCONFIRMED, TRAINED_ON = "kept for the test", "test question not confirmed", "test question stands in a text"


def needed(context: Context) -> bool:
    """Whether the run has to make its test questions itself."""
    return not context.job.skill.held_out.get("eval") and context.config.exercises.hold_out > 0


def set_aside(context: Context, own: Sequence[Exercise], written: Sequence[Exercise]) -> list[Exercise]:
    """The written exercises that are left to train on. Those set aside are on disk, confirmed or not, and why."""
    if not needed(context):
        return list(written)
    settings = context.config.exercises
    chosen = hold_out([e.problem for e in written], settings.hold_out, least=LEAST)
    candidates = [e for e, out in zip(written, chosen, strict=True) if out]
    left = [e for e, out in zip(written, chosen, strict=True) if not out]
    if not candidates:
        few = f"exercises.hold_out = {settings.hold_out:g} sets fewer than {LEAST} of {len(written)} exercises aside"
        context.note(STAGE, f"no test questions: {few}. Raise it, or bring questions of your own", warning=True)
        return left
    why = _in_training_texts(context, candidates, [*own, *left])
    asked = [e for e in candidates if e.id not in why]
    with AnswerChecker(context.job.skill.checker) as checker:
        agreeing = agreement(context, STAGE, 0, asked, checker, settings.hold_out_votes)
    votes = {id: f"{count} of {settings.hold_out_votes} new solutions agree" for id, count in agreeing.items()}
    kept = [e for e in asked if 2 * agreeing[e.id] > settings.hold_out_votes]
    why |= {id: (UNCONFIRMED, detail) for id, detail in votes.items()} | {e.id: (KEPT, votes[e.id]) for e in kept}
    _write(context, candidates, why, kept)
    context.note(STAGE, f"{len(kept)} test questions of {len(candidates)} set aside ({LABEL})", warning=not kept)
    return left


def _in_training_texts(
    context: Context, candidates: Sequence[Exercise], trained: Sequence[Exercise]
) -> dict[str, tuple[str, str]]:
    """(reason, detail) by id for candidates that stand word for word in what is trained on."""
    guard = HeldOutGuard(context, items=_items(context, candidates))
    texts = {t.id: t.text for t in textbooks.load(context)}
    texts |= {e.id: f"{e.problem}\n{e.solution}" for e in trained}
    return {id: (TRAINED_ON, where) for where, text in texts.items() for id in guard.all_inside(text)}


def _items(context: Context, exercises: Sequence[Exercise]) -> list[HeldOutItem]:
    known = graph_stage.load(context).skills
    return [
        HeldOutItem(id=e.id, problem=e.problem, answer=e.answer, topic=known[e.skill].name,
                    skills=tuple(known[s].name for s in e.skills))
        for e in exercises
    ]  # fmt: skip


def _write(
    context: Context, candidates: Sequence[Exercise], why: dict[str, tuple[str, str]], kept: Sequence[Exercise]
) -> None:
    rejections = context.folder.rejected()
    written = {r.id for r in rejections.read() if r.stage == STAGE}
    for e in candidates:
        reason, detail = why[e.id]
        if e.id not in written:
            sample = e.problem[:SAMPLE_CHARS]
            rejections.append(Rejected(id=e.id, stage=STAGE, reason=reason, detail=detail, sample=sample))
    rejections.sync()
    context.folder.write_set_aside(_items(context, kept))


def facts(context: Context) -> dict[str, Any] | None:
    """What the summary says of test questions made by the run; None where it made none."""
    if not needed(context):
        return None
    reasons = [r.reason for r in context.folder.rejected().read() if r.stage == STAGE]
    counts = {"kept": reasons.count(KEPT), "unconfirmed": reasons.count(UNCONFIRMED),
              "in_training_texts": reasons.count(TRAINED_ON)}  # fmt: skip
    return {"label": LABEL, "set_aside": sum(counts.values()), **counts,
            "votes": context.config.exercises.hold_out_votes}  # fmt: skip


def in_words(facts: dict[str, Any]) -> str:
    """A sentence for whoever reads the scores."""
    return (
        f"The test questions are {facts['label']}: the skill brings none, so {facts['set_aside']} of the teacher's "
        f"exercises were set aside by the hash of their text, and the {facts['kept']} kept whose answer most of "
        f"{facts['votes']} new solutions by the teacher confirm. Questions of your own say more."
    )
