"""The student answers checkable problems, batch by batch; every answer is graded and kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from dsa_lite.core.answers import read_value
from dsa_lite.core.encoding import encode_prompt
from dsa_lite.core.grading import extract_answer, normalise, same_text
from dsa_lite.io.answers.checker import AnswerChecker
from dsa_lite.io.jsonl import Log
from dsa_lite.records import Graded, HeldOutItem
from dsa_lite.stages.context import Context


def answer(
    context: Context, checker: AnswerChecker, items: Sequence[HeldOutItem], log: Log[Graded],
    progress: Callable[[int, int], None], *, max_tokens: int, batch_size: int, limit: int, adapter: bool,
    whole: bool = False,
) -> None:  # fmt: skip
    """Answer what `log` does not hold yet, greedily. `progress`: items answered and tokens written so far.

    limit: of a prompt and its reply, tokens, more than the longest prompt has. whole: a reply that does not come to its
    end is none.
    """
    student = context.student
    known = {g.id for g in log.read()}
    prompts = {i.id: encode_prompt(student.tokenizer, i.problem) for i in items}
    # Batches are fixed by the items alone, so that after an interruption exactly the same is computed.
    items = sorted(items, key=lambda i: (len(prompts[i.id]), i.id))
    tokens = 0
    for start in range(0, len(items), batch_size):
        batch = items[start : start + batch_size]
        if any(i.id not in known for i in batch):
            most = max(1, min(max_tokens, limit - max(len(prompts[i.id]) for i in batch)))
            replies = student.generate([prompts[i.id] for i in batch], most, adapter=adapter)
            tokens += sum(len(r) for r in replies)
            texts = ["" if whole and len(r) >= most else student.tokenizer.decode(r) for r in replies]
            for result in _grade(checker, batch, texts):
                if result.id not in known:
                    log.append(result)
        progress(start + len(batch), tokens)
    log.sync()


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
    if same_text(item.answer, answer) or read_value(answer) is not None:
        return False
    expression = r"\s?".join(re.escape(sign) for sign in normalise(answer).casefold() if not sign.isspace())
    whole = rf"(?<![\w.(^*/+-])(?<![-+*/^] ){expression}(?![\w()^]|\.\w|\s?[-+*/])"
    return re.search(whole, normalise(item.problem).casefold()) is not None
