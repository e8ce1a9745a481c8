"""Stage 7: the same held-out items before (the base alone) and after (with the adapter)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from dsa_lite.core.statistics import wilson
from dsa_lite.io.answers.checker import AnswerChecker
from dsa_lite.records import Graded, HeldOutItem, Split
from dsa_lite.stages.answering import answer
from dsa_lite.stages.context import Context
from dsa_lite.stages.held_out import held_out
from dsa_lite.stages.learning import load_finished

STAGE = "evaluate"
SPLITS: tuple[Split, ...] = ("eval", "transfer", "general")
WHEN: tuple[Literal["before", "after"], ...] = ("before", "after")


def inputs(context: Context) -> dict[str, object]:
    return {
        "evaluate": context.config.evaluate.model_dump(),
        "held_out": {split: [i.model_dump() for i in held_out(context, split)] for split in SPLITS},
    }


def items_of(context: Context, split: Split) -> tuple[HeldOutItem, ...]:
    return held_out(context, split)[: context.config.evaluate.limit or None]


def run(context: Context) -> str:
    """Answer and grade every item twice. Returns a one-line summary."""
    load_finished(context, "tune")
    total = 2 * sum(len(items_of(context, split)) for split in SPLITS)
    done = 0
    with AnswerChecker(context.job.skill.checker) as checker:
        for when in WHEN:
            for split in SPLITS:
                done = _answer(context, checker, when, split, done, total)
    parts = []
    for split in SPLITS:
        shares = [_share(graded(context, when, split)) for when in WHEN]
        if items_of(context, split):
            parts.append(f"{split} {shares[0]} -> {shares[1]}")
    return ", ".join(parts) or "no held-out items"


def _share(results: Sequence[Graded]) -> str:
    correct = sum(g.correct for g in results)
    low, high = wilson(correct, len(results))
    return f"{correct / max(len(results), 1):.1%} ({low:.1%}-{high:.1%})"


def graded(context: Context, when: Literal["before", "after"], split: Split) -> list[Graded]:
    """Graded items, sorted by id."""
    return sorted(context.folder.graded(when, split).read(), key=lambda g: g.id)


def _answer(
    context: Context, checker: AnswerChecker, when: Literal["before", "after"], split: Split, done: int, total: int
) -> int:
    items = items_of(context, split)
    label = f"{split}, {'base alone' if when == 'before' else 'with adapter'}"

    def progress(answered: int, tokens: int) -> None:
        context.progress(STAGE, done + answered, total, tokens, label)

    settings = context.config.evaluate
    answer(
        context, checker, items, context.folder.graded(when, split), progress, max_tokens=settings.max_tokens,
        batch_size=settings.batch_size, limit=context.student.context_tokens, adapter=when == "after",
    )  # fmt: skip
    return done + len(items)
