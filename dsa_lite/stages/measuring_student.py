"""A short calibration of the student: steps and answers of the shapes a run has; its adapter is thrown away after."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dsa_lite.core.batching import pack, pack_batch, pad
from dsa_lite.core.encoding import Encoded, encode_exercise, encode_prompt, encode_text, target_text
from dsa_lite.core.estimates import Batched, Measured
from dsa_lite.records import Exercise
from dsa_lite.stages import evaluate, rehearsal
from dsa_lite.stages.context import Context
from dsa_lite.stages.learning import longest
from dsa_lite.stages.pretrain import row_tokens
from dsa_lite.student import Batch

SECONDS = 4.0  # of steps, and of answers of each kind, s
SIZES = (4, 32)  # rows generated at a time
SHORT = 8  # tokens of the first answers


@dataclass
class StudentSample:
    """`measured`: the student's part of it; steps trained and answers written for that."""

    measured: Measured = field(default_factory=Measured)
    steps: int = 0
    answers: int = 0

    def note(self, **figures: Any) -> None:
        """Fill in fields of `measured`."""
        self.measured = replace(self.measured, **figures)


def measure_student(
    context: Context, exercises: Sequence[Exercise], remakes: Sequence[Exercise], passages: Sequence[str]
) -> StudentSample:
    """Train some steps on the given texts, then answer some held-out items and draw some chats."""
    sample = StudentSample()
    start = time.perf_counter()
    student = context.student
    sample.note(open_student=time.perf_counter() - start)
    own, more = _encoded(context, exercises), _encoded(context, remakes)
    if own or more:
        _measure_steps(context, sample, own, more)
    texts = [encode_text(student.tokenizer, str(i), text) for i, text in enumerate(passages)]
    rows = [e for e in texts if e.mask.any() and len(e.ids) <= row_tokens(context)]
    if rows and context.config.pretrain.epochs:
        sample.note(passage_tokens=_mean_length(rows))
        _measure_rows(context, sample, rows)
    _measure_answers(context, sample, exercises)
    if context.config.rehearsal.share > 0:
        _measure_draws(context, sample)
    return sample


def _encoded(context: Context, exercises: Sequence[Exercise]) -> list[Encoded]:
    tokenizer = context.student.tokenizer
    found = [encode_exercise(tokenizer, e.id, e.problem, target_text(e.solution, e.answer)) for e in exercises]
    return [e for e in found if len(e.ids) <= longest(context)]


def _mean_length(encoded: Sequence[Encoded]) -> float:
    return float(np.mean([len(e.ids) for e in encoded]))


def _measure_steps(context: Context, sample: StudentSample, own: list[Encoded], more: list[Encoded]) -> None:
    """Batches as a round has them: full, each of similar lengths; too few examples are used several times."""
    targets = float(np.sum([e.targets for e in own or more]) / np.sum([len(e.ids) for e in own or more]))
    sample.note(exercise_tokens=_mean_length(own or more), remake_tokens=_mean_length(more or own), targets=targets)
    size = context.config.tune.batch_size
    examples = own + more
    while len(examples) < size:
        examples = examples + examples
    examples = sorted(examples, key=lambda e: -len(e.ids))
    batches = [examples[i : i + size] for i in range(0, len(examples) - size + 1, size)]
    built = [pad(batch, [1.0] * size) for batch in batches]
    tokens = [sum(len(e.ids) for e in batch) for batch in batches]
    sample.note(tune_token=_rate(context, sample, built, tokens))


def _measure_rows(context: Context, sample: StudentSample, texts: list[Encoded]) -> None:
    size, room = context.config.pretrain.batch_size, row_tokens(context)
    while sum(len(e.ids) for e in texts) < size * room:
        texts = texts + texts
    rows = pack(texts, room)[:size]
    tokens = sum(len(e.ids) for row in rows for e in row)
    sample.note(pretrain_token=_rate(context, sample, [pack_batch(rows)], [tokens]))


def _rate(context: Context, sample: StudentSample, batches: Sequence[Batch], tokens: Sequence[int]) -> float:
    """Seconds per token that is no padding: one step to warm up, then as many whole passes as there is time for."""
    context.student.step(batches[0], 1e-6)
    start = time.perf_counter()
    passes = 0
    while not passes or (time.perf_counter() - start) * (1 + 1 / passes) < SECONDS / 2:
        for batch in batches:
            context.student.step(batch, 1e-6)
        passes += 1
    sample.steps += 1 + passes * len(batches)
    return (time.perf_counter() - start) / (passes * sum(tokens))


def _measure_answers(context: Context, sample: StudentSample, exercises: Sequence[Exercise]) -> None:
    student, most = context.student, context.config.evaluate.max_tokens
    held_out = [item.problem for split in evaluate.SPLITS for item in evaluate.items_of(context, split)]
    items = held_out or [exercise.problem for exercise in exercises]
    if not items:
        return
    chosen = [items[i] for i in context.rng("calibration", "items").permutation(len(items))]
    lengths: list[int] = []

    def answer(count: int, tokens: int) -> None:
        prompts = [encode_prompt(student.tokenizer, chosen[i % len(chosen)]) for i in range(count)]
        room = student.context_tokens - max(map(len, prompts))
        replies = student.generate(prompts, max(1, min(tokens, room)), adapter=True)
        if tokens == most:
            lengths.extend(map(len, replies))
        sample.answers += count

    learnt = sample.measured.exercise_tokens * sample.measured.targets
    sample.note(answer=_batched(answer, most, learnt or most))
    sample.note(after=max(1.0, learnt / max(1.0, float(np.mean(lengths)))) if lengths else 1.0)


def _measure_draws(context: Context, sample: StudentSample) -> None:
    settings, student = context.config.rehearsal, context.student
    ended: list[bool] = []

    def draw(count: int, tokens: int) -> None:
        if tokens < settings.max_tokens:
            student.generate([[student.tokenizer.eos_id]] * count, tokens, adapter=False)
            return
        chats = rehearsal.write(context, [f"calibration{len(ended) + i}" for i in range(count)])
        ended.extend(bool(chat.prompt and chat.reply) for chat in chats)
        sample.answers += count

    sample.note(draw=_batched(draw, settings.max_tokens, sample.measured.exercise_tokens or settings.max_tokens))
    sample.note(usable_draws=float(np.mean(ended)) if ended else 1.0)


def _batched(generate: Callable[[int, int], None], most: int, expected: float) -> Batched:
    """A line through the times of two batches of answers of up to `most` tokens.

    Where these would take long, a line through two of a few tokens, for answers of `expected` tokens.
    """
    few, many = SIZES
    short = min(SHORT, most)

    def line(tokens: int) -> Batched:
        times = []
        for count in SIZES:
            start = time.perf_counter()
            generate(count, tokens)
            times.append(time.perf_counter() - start)
        each = max(0.0, (times[1] - times[0]) / (many - few))
        return Batched(max(0.0, times[0] - few * each), each)

    generate(few, short)  # to warm up
    found = line(short)
    if most > short and found.seconds(many, many) * most / short > 2 * SECONDS:
        scale = min(most, expected) / short
        return Batched(found.fixed * scale, found.each * scale)
    return line(most)
