"""Stage 7: the same held-out items before (the base alone) and after (with the adapter)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from dsa_lite.core.encoding import encode_prompt
from dsa_lite.core.grading import extract_answer, normalise, plain_number, same_text
from dsa_lite.core.statistics import wilson
from dsa_lite.io.answers.checker import AnswerChecker
from dsa_lite.records import Graded, HeldOutItem, Split
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
    settings, student = context.config.evaluate, context.student
    log = context.folder.graded(when, split)
    known = {g.id for g in log.read()}
    prompts = {i.id: encode_prompt(student.tokenizer, i.problem) for i in items_of(context, split)}
    # Batches are fixed by the items alone, so that a resumed evaluation computes exactly what an undisturbed one does.
    items = sorted(items_of(context, split), key=lambda i: (len(prompts[i.id]), i.id))
    label = f"{split}, {'base alone' if when == 'before' else 'with adapter'}"
    tokens = 0
    for start in range(0, len(items), settings.batch_size):
        batch = items[start : start + settings.batch_size]
        if any(i.id not in known for i in batch):
            room = student.context_tokens - max(len(prompts[i.id]) for i in batch)
            replies = student.generate(
                [prompts[i.id] for i in batch], max(1, min(settings.max_tokens, room)), adapter=when == "after"
            )
            tokens += sum(len(r) for r in replies)
            texts = [student.tokenizer.decode(r) for r in replies]
            for result in _grade(checker, batch, texts):
                if result.id not in known:
                    log.append(result)
        done += len(batch)
        context.progress(STAGE, done, total, tokens, label)
    log.sync()
    return done


def _grade(checker: AnswerChecker, batch: Sequence[HeldOutItem], texts: Sequence[str]) -> list[Graded]:
    answers = [extract_answer(t) for t in texts]
    same = checker.same([(item.answer, answer or "") for item, answer in zip(batch, answers, strict=True)])
    return [
        Graded(id=item.id, topic=item.topic, reply=text, answer=answer,
               correct=right and bool(answer) and not (checker.checker == "math" and _repeats(item, answer or "")))
        for item, text, answer, right in zip(batch, texts, answers, same, strict=True)
    ]  # fmt: skip


def _repeats(item: HeldOutItem, answer: str) -> bool:
    """Whether an answer is no work but a whole expression of the problem: "Expand x(x+1)" answered "x(x+1)"."""
    if same_text(item.answer, answer) or plain_number(answer) is not None:
        return False
    expression = r"\s?".join(re.escape(sign) for sign in normalise(answer).casefold() if not sign.isspace())
    whole = rf"(?<![\w.(^*/+-])(?<![-+*/^] ){expression}(?![\w()^]|\.\w|\s?[-+*/])"
    return re.search(whole, normalise(item.problem).casefold()) is not None
