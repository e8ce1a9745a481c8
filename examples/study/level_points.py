"""Where on its way a student is kept, and which questions it answers there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dsa_lite.config import PretrainSettings
from dsa_lite.core.encoding import encode_exercise, encode_text
from dsa_lite.errors import UsageError
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.records import HeldOutItem, Split
from dsa_lite.stages import evaluate, rehearsal, textbooks, tune
from dsa_lite.stages import graph as graph_stage
from dsa_lite.stages.context import Context
from dsa_lite.stages.learning import encode_all, longest

from .level_tables import TEXTBOOKS

Asked = Mapping[Split, tuple[HeldOutItem, ...]]


@dataclass(frozen=True)
class Point:
    """Where the student is kept: at the end of the batch with which so many target tokens were trained, all told."""

    name: str
    tokens: int


def questions(source: RunDir, share: float) -> Asked:
    """Of each topic of each set a share of the questions that the source was asked, at least one, always the same.

    Drawn, because the kinds of question take turns in the sets.
    """
    found: dict[Split, tuple[HeldOutItem, ...]] = {}
    for split in evaluate.SPLITS:
        by_topic: dict[str, list[HeldOutItem]] = defaultdict(list)
        for item in sorted(source.held_out(split).read(), key=lambda i: i.id):
            by_topic[item.topic].append(item)
        rng, chosen = np.random.default_rng(0), []
        for items in by_topic.values():
            drawn = rng.choice(len(items), size=max(1, round(share * len(items))), replace=False)
            chosen += [items[i] for i in sorted(drawn)]
        found[split] = tuple(chosen)
    return found


def points(context: Context, reading: PretrainSettings, passes: int) -> list[Point]:
    """The ends of the textbooks and of each level in each of the first `passes` passes over the exercises.

    Counted as if the textbooks are read first and the exercises come level by level, the rehearsed chats strewn evenly
    over them. `reading`: the settings of the arm that does so. Raises UsageError for a budget that ends before.
    """
    tokenizer, budget = context.student.tokenizer, context.config.tune.budget_tokens
    row = min(reading.row_tokens, context.student.context_tokens)
    texts = [encode_text(tokenizer, t.id, t.text) for t in textbooks.load(context)]
    read = reading.epochs * sum(t.targets for t in texts if len(t.ids) <= row)
    chats = [encode_exercise(tokenizer, c.id, c.prompt, c.reply) for c in rehearsal.load(context)]
    again = sum(c.targets for c in chats if len(c.ids) <= longest(context)) if context.config.rehearsal.weight else 0
    exercises, _ = tune.training_set(context, 1)
    encoded = encode_all(context, tune.STAGE, 1, exercises, list_long=False)
    skills = graph_stage.load(context).skills
    by_level: dict[int, list[int]] = defaultdict(list)
    for exercise in exercises:
        if exercise.id in encoded:
            by_level[skills[exercise.skill].level].append(encoded[exercise.id].targets)
    found, count, own = [Point(TEXTBOOKS, read)] if read else [], 0, 0
    for level in sorted(by_level):
        count, own = count + len(by_level[level]), own + sum(by_level[level])
        found.append(Point(f"level {level}", read + own + round(again * count / len(encoded))))
    first = [p for p in found if p.name != TEXTBOOKS]
    for number in range(1, passes):
        found += [Point(f"pass {number + 1}, {p.name}", p.tokens + number * (own + again)) for p in first]
    if found[-1].tokens > budget:
        raise UsageError(
            f"the budget of {budget:,} target tokens ends before pass {passes} along the graph does",
            hint=f"fewer --passes, or a study with a --budget above {found[-1].tokens:,}",
        )
    return found
