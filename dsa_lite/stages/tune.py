"""Stage 6: dynamic tuning in rounds (DSA): train a window of epochs while watching every example's loss, find the
regions, act on them, go on with the changed set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from dsa_lite.core.actions import new_items
from dsa_lite.core.curriculum import order_examples, rank_skills
from dsa_lite.core.encoding import Encoded, encode_exercise
from dsa_lite.core.schedule import learning_rate
from dsa_lite.core.weighting import weights as latest_weights
from dsa_lite.errors import TrainingError
from dsa_lite.io.run_folder.rundir import digest
from dsa_lite.records import Decision, Exercise, Observed
from dsa_lite.stages import exercises as exercise_stage
from dsa_lite.stages import graph as graph_stage
from dsa_lite.stages import own_words, rehearsal
from dsa_lite.stages.context import Context
from dsa_lite.stages.learning import (
    Epoch,
    Position,
    Trainer,
    encode_all,
    largest,
    load_finished,
    longest,
    refuse_long,
    weighted,
)
from dsa_lite.stages.looking import look
from dsa_lite.student import Observation

STAGE = "tune"


def inputs(context: Context) -> dict[str, object]:
    teacher = {"temperature", "top_p", "attempts"}
    return {
        "tune": context.config.tune.model_dump(),
        "dynamics": context.config.dynamics.model_dump(),
        "teacher": context.config.teacher.model_dump(include=teacher),
        "exercises": digest(exercise_stage.load(context)),
        "rehearsal": digest(rehearsal.load(context)),
        "rehearsal_weight": context.config.rehearsal.weight,
        **({"own_words": digest(own)} if (own := context.folder.own_words().read()) else {}),
    }


def run(context: Context) -> str:
    """Run every round. Returns a one-line summary."""
    settings = context.config.tune
    trainer = Trainer(context, STAGE, settings.rounds * settings.epochs)
    if not trainer.resume():
        _start_from_pretraining(context)
        trainer.save()
    budget = allowance(context)
    while (round := trainer.position.round) <= settings.rounds:
        _train_round(context, trainer, round, budget)
        last = round == settings.rounds or trainer.position.tokens >= budget
        decisions = _decide(context, round, last)
        if not last:
            _act(context, round, decisions, budget - trainer.position.tokens)
        trainer.position = replace(trainer.position, round=settings.rounds + 1 if last else round + 1, lines=0)
        trainer.save()
    if settings.average_from < 1:
        context.student.take_average()
        trainer.save()
    context.folder.save_adapter(context.student.save)
    used = exercise_stage.lessons(context, up_to_round=settings.rounds)
    return f"{len(context.folder.rounds())} rounds, {len(used)} exercises, {trainer.position.tokens:,} tokens trained"


def _start_from_pretraining(context: Context) -> None:
    load_finished(context, "pretrain")
    context.student.reset_optimizer()


def allowance(context: Context) -> float:
    """Target tokens that this stage may train on: what pretraining has left of the budget; infinite without one."""
    budget = context.config.tune.budget_tokens
    if not budget:
        return math.inf
    found = context.folder.load_checkpoint("pretrain")
    spent = int(found[1]["tokens"]) if found is not None else 0
    if spent >= budget:
        raise TrainingError(
            f"nothing is left to tune with: pretraining was trained on {spent:,} of {budget:,} target tokens",
            hint="raise tune.budget_tokens, or lower pretrain.epochs or textbooks.per_skill",
        )
    return budget - spent


@dataclass(frozen=True)
class _Lesson:
    """One example of an epoch: `skill` None for what is only rehearsed, and neither watched nor judged."""

    encoded: Encoded
    skill: str | None
    weight: float


def _train_round(context: Context, trainer: Trainer, round: int, budget: float) -> None:
    settings = context.config.tune
    lessons = _lessons(context, round)
    watched = {lesson.encoded.id for lesson in lessons if lesson.skill is not None}
    log = context.folder.observations(round)
    log.truncate(trainer.position.lines)

    def observe(observations: Sequence[Observation]) -> int:
        own = [o for o in observations if o.example_id in watched]
        for o in own:
            log.append(Observed(example=o.example_id, epoch=trainer.position.epoch,
                                loss=o.nll / o.tokens, tokens=o.tokens, correct=o.correct))  # fmt: skip
        return len(own)

    trainer.total_epochs = _total_epochs(context, trainer.position, lessons, budget)
    while _goes_on(context, trainer.position, round, budget):
        label = f"round {round} of {settings.rounds}, epoch {trainer.position.epoch + 1}"
        trainer.run(_epoch(context, trainer.position, lessons, label, budget), observe, log.sync)
        log.sync()
        trainer.save()


def _goes_on(context: Context, position: Position, round: int, budget: float) -> bool:
    """Whether the round has an epoch to do or to finish: with a budget, the last round is as long as that lasts."""
    settings = context.config.tune
    if math.isfinite(budget) and round == settings.rounds:
        return position.step > 0 or position.tokens < budget
    return position.step > 0 or (position.epoch < round * settings.epochs and position.tokens < budget)


def _total_epochs(context: Context, position: Position, lessons: Sequence[_Lesson], budget: float) -> int:
    """Epochs of the whole stage as far as is known now, the one that a budget ends in included."""
    settings = context.config.tune
    if math.isinf(budget):
        return settings.rounds * settings.epochs
    epoch = sum(lesson.encoded.targets * _chance(context, lesson) for lesson in lessons)
    return max(position.epoch + 1, math.ceil(budget / epoch))


def training_set(context: Context, round: int) -> tuple[list[Exercise], dict[str, float]]:
    """What round `round` trains on: everything written before it and not removed, and the weights."""
    decisions = [d for r in range(1, round) for d in context.folder.decisions(r).read()]
    weights = latest_weights(decisions)
    written = exercise_stage.lessons(context, up_to_round=round - 1)
    return [e for e in written if weights.get(e.id, 1.0) > 0], weights


def _lessons(context: Context, round: int) -> list[_Lesson]:
    """What one epoch of a round goes through: the exercises in use, then the student's own chats."""
    examples, weights = training_set(context, round)
    encoded = encode_all(context, STAGE, round, examples)
    lessons = [_Lesson(encoded[e.id], e.skill, weights.get(e.id, 1.0)) for e in examples if e.id in encoded]
    return lessons + [_Lesson(e, None, context.config.rehearsal.weight) for e in _rehearsed(context, round)]


def _rehearsed(context: Context, round: int) -> list[Encoded]:
    """The student's own chats, encoded; those longer than the student may see are listed among the rejected."""
    if context.config.rehearsal.weight == 0:
        return []
    limit = longest(context)
    kept = []
    for chat in rehearsal.load(context):
        item = encode_exercise(context.student.tokenizer, chat.id, chat.prompt, chat.reply)
        if len(item.ids) <= limit:
            kept.append(item)
        else:
            refuse_long(context, STAGE, round, item, limit, chat.prompt)
    return kept


def _ranks(context: Context, lessons: Sequence[_Lesson], rng: np.random.Generator) -> list[int]:
    """Each lesson's place in the curriculum; what is rehearsed is strewn over all of it."""
    order = context.config.tune.order
    if order == "random":
        return [0] * len(lessons)
    by_skill = rank_skills(graph_stage.load(context), order, rng)
    own = [by_skill[lesson.skill] for lesson in lessons if lesson.skill is not None]
    return own + [own[i] for i in rng.integers(len(own), size=len(lessons) - len(own))]


def _chance(context: Context, lesson: _Lesson) -> float:
    """Of taking part in an epoch. What is rehearsed always does, its loss times its weight."""
    return lesson.weight if context.config.dynamics.easy_by == "drawing" and lesson.skill is not None else 1.0


def _drawn(context: Context, position: Position, lessons: Sequence[_Lesson]) -> Sequence[_Lesson]:
    """Those that take part in an epoch: what weighs less takes part less often, at full weight."""
    draws = context.rng(STAGE, "drawing", position.epoch).random(len(lessons))
    drawn = [
        replace(lesson, weight=1.0) if chance < 1.0 else lesson
        for lesson, draw in zip(lessons, draws, strict=True)
        if draw < (chance := _chance(context, lesson))
    ]
    return drawn if any(lesson.skill is not None for lesson in drawn) else lessons


def _epoch(context: Context, position: Position, lessons: Sequence[_Lesson], label: str, budget: float) -> Epoch:
    settings, lessons = context.config.tune, _drawn(context, position, lessons)
    order_rng = context.rng(STAGE, "order", position.epoch)
    ranks = _ranks(context, lessons, order_rng)
    lengths = [len(lesson.encoded.ids) for lesson in lessons]
    batches = order_examples(
        ranks, lengths, batch_size=settings.batch_size, window=settings.length_window, rng=order_rng
    )
    steps = len(batches)
    if math.isfinite(budget):
        batches, shares = _within_budget(position, lessons, batches, budget)
    else:
        total = settings.rounds * settings.epochs
        shares = [(position.epoch + (i + 1) / steps) / total for i in range(steps)]
    rate = settings.learning_rate
    rates = [learning_rate(share, rate, settings.warmup, settings.final_rate) for share in shares]
    averaged = [share > settings.average_from for share in shares]
    built = [weighted([lessons[i].encoded for i in batch], [lessons[i].weight for i in batch]) for batch in batches]
    return Epoch(built, rates, label, steps, largest([[lengths[i] for i in batch] for batch in batches]), averaged)


def _within_budget(
    position: Position, lessons: Sequence[_Lesson], batches: Sequence[list[int]], budget: float
) -> tuple[list[list[int]], list[float]]:
    """The epoch's batches up to the one that uses the budget up, and the share of it spent after each."""
    spent = list(accumulate(sum(lessons[i].encoded.targets for i in batch) for batch in batches))
    before = position.tokens - (spent[position.step - 1] if position.step else 0)
    kept = [i for i in range(len(batches)) if before + (spent[i - 1] if i else 0) < budget]
    return [batches[i] for i in kept], [(before + spent[i]) / budget for i in kept]


def _decide(context: Context, round: int, last: bool) -> list[Decision]:
    log = context.folder.decisions(round)
    # Worked out anew after an interruption: the same inputs give the same decisions.
    log.truncate(0)
    # After the last nothing is removed or written: the teacher need not be asked.
    decisions = look(context, round, training_set(context, round)[0], ask=not last)
    for decision in decisions:
        log.append(decision)
    log.sync()
    return decisions


def _act(context: Context, round: int, decisions: Sequence[Decision], left: float) -> None:
    """Have the teacher write variants of hard exercises and harder compositions of easy ones, no more than can be shown
    once with what is `left` of the budget, target tokens."""
    length = float(np.mean([o.tokens for o in context.folder.observations(round).read()]))
    graph = graph_stage.load(context)
    existing = exercise_stage.load(context, up_to_round=round - 1)
    orders = new_items(decisions, {e.id: e for e in existing}, graph, context.config.dynamics,
                       context.rng(STAGE, "new", round),
                       max_skills=context.config.exercises.max_composed_skills,
                       known=own_words.knew(context), limit=left / length)  # fmt: skip
    drafts = {}
    for number, order in enumerate(orders):
        id = f"r{round:02d}-{order.kind}-{number:04d}"
        sources = context.sources([graph.skills[s] for s in order.skills], number)
        drafts[id] = Exercise(id=id, problem="", solution="", answer="", skills=order.skills, origin=order.kind,
                              round=round, parents=order.parents, difficulty="hard", sources=sources)  # fmt: skip
    if drafts:
        exercise_stage.write(context, drafts, STAGE, round, existing)
