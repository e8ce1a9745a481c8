"""The loop every training stage shares: ordered, weighted, checkpointed steps that resume exactly where they stopped.

What happens in an epoch (its batches, its learning rates) is worked out anew from seeds, so a checkpoint only needs the
student's state and a position.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from dsa_lite.core.batching import pad
from dsa_lite.core.encoding import Encoded, encode_exercise, target_text
from dsa_lite.errors import RunFolderError, TrainingError
from dsa_lite.records import NO_TARGET, TOO_LONG, Exercise, Rejected
from dsa_lite.stages.context import Context
from dsa_lite.student import Batch, Observation


@dataclass(frozen=True)
class Position:
    """Where a stage stands. `epoch` counts over the whole stage; `step` inside it; `lines`: observations on disk that
    belong to this position, in the current round's file; `tokens`: target tokens trained so far in the stage."""

    round: int = 1
    epoch: int = 0
    step: int = 0
    lines: int = 0
    tokens: int = 0


@dataclass
class Epoch:
    """One pass: `batches[i]()` builds batch i, `rates[i]` is its learning rate; `steps`: of a pass not cut short;
    `largest`: the number of the batch that needs most memory; `averaged[i]`: whether the adapter after batch i is
    counted into its mean."""

    batches: Sequence[Callable[[], Batch]]
    rates: Sequence[float]
    label: str
    steps: int
    largest: int
    averaged: Sequence[bool] = ()


class Trainer:
    """Runs epochs of one stage on the context's student, from the last checkpoint on."""

    def __init__(self, context: Context, stage: str, total_epochs: int) -> None:
        self.context = context
        self.stage = stage
        self.total_epochs = total_epochs
        self.position = Position()
        self._saved_at = time.monotonic()
        self._tokens_at_start = 0
        self._tried = 0  # tokens of the largest batch that was seen to fit

    def resume(self) -> bool:
        """Take up the stage's last checkpoint, if there is one."""
        found = self.context.folder.load_checkpoint(self.stage)
        if found is None:
            return False
        folder, meta = found
        self.context.student.load_state(folder)
        self.position = Position(**meta)
        self._tokens_at_start = self.position.tokens
        return True

    def save(self) -> None:
        self.context.folder.save_checkpoint(self.stage, self._write_state, asdict(self.position))
        self._saved_at = time.monotonic()

    def _write_state(self, folder: Path) -> None:
        self.context.student.save_state(folder)

    def run(self, epoch: Epoch, observe: Callable[[Sequence[Observation]], int], sync: Callable[[], None]) -> None:
        """Run what is left of one epoch. `observe` records observations and returns how many lines it wrote."""
        self.try_largest(epoch)
        student = self.context.student
        every = self.context.config.student.checkpoint_seconds
        losses: list[float] = []
        for step in range(self.position.step, len(epoch.batches)):
            observations = student.step(epoch.batches[step](), epoch.rates[step])
            if epoch.averaged and epoch.averaged[step]:
                student.add_to_average()
            tokens = sum(o.tokens for o in observations)
            losses.append(sum(o.nll for o in observations) / tokens)
            self.position = replace(
                self.position, step=step + 1, lines=self.position.lines + observe(observations),
                tokens=self.position.tokens + tokens,
            )  # fmt: skip
            self._announce(epoch, losses)
            if time.monotonic() - self._saved_at >= every:
                sync()
                self.save()
        self.position = replace(self.position, epoch=self.position.epoch + 1, step=0)

    def try_largest(self, epoch: Epoch) -> None:
        """One step of the largest batch on a copy: what fits into memory is found out now, not in hours."""
        if self.position.step >= len(epoch.batches):
            return
        batch = epoch.batches[epoch.largest]()
        if batch.ids.size > self._tried:
            copy = self.context.student.fork()
            try:
                copy.step(batch, 0.0)
            finally:
                copy.close()
            self._tried = batch.ids.size

    def _announce(self, epoch: Epoch, losses: list[float]) -> None:
        steps = epoch.steps
        self.context.progress(
            self.stage, self.position.epoch * steps + self.position.step, self.total_epochs * steps,
            self.position.tokens - self._tokens_at_start, epoch.label, loss=round(float(np.mean(losses[-20:])), 3),
        )  # fmt: skip


def load_finished(context: Context, stage: str) -> None:
    """Bring the student to where a finished stage left it. Raises RunFolderError when that state is lost.

    Of tuning the adapter is enough, whose values are those of the last checkpoint.
    """
    folder = context.folder
    found = folder.load_checkpoint(stage)
    if found is not None:
        context.student.load_state(found[0])
    elif stage == "tune" and folder.adapter.is_dir():
        context.student.load(folder.adapter)
    else:
        raise RunFolderError(
            f"{folder.path} has no usable checkpoint of its finished stage {stage}",
            hint=f"put its folder checkpoints/ back, or {folder.goes_on()}",
        )


def longest(context: Context) -> int:
    """Tokens of the longest example that the student may see."""
    return min(context.config.student.max_tokens, context.student.context_tokens)


def encode_all(
    context: Context, stage: str, round: int, exercises: Sequence[Exercise], *, list_long: bool = True
) -> dict[str, Encoded]:
    """Encoded exercises by id. Too long ones are left out and listed among the rejected, never cut."""
    limit = longest(context)
    encoded: dict[str, Encoded] = {}
    for exercise in exercises:
        target = target_text(exercise.solution, exercise.answer)
        item = encode_exercise(context.student.tokenizer, exercise.id, exercise.problem, target)
        if len(item.ids) <= limit:
            encoded[exercise.id] = item
        elif list_long:
            refuse_long(context, stage, round, item, limit, exercise.problem)
    if not encoded and list_long:
        if not exercises:
            path = context.folder.path
            raise TrainingError(
                f"nothing to train on in stage {stage}: no exercise was accepted, or all were removed",
                hint=f"see why in {path / 'rejected.jsonl'}; a larger teacher (--teacher) may help. What was removed: "
                f"dsa-lite map {shlex.quote(str(path))} --region error",
            )
        raise TrainingError(
            f"nothing to train on in stage {stage}: none of {len(exercises)} exercises fits {limit} tokens",
            hint="raise student.max_tokens, or leave out what is longer",
        )
    return encoded


def refuse_long(context: Context, stage: str, round: int, item: Encoded, limit: int, sample: str) -> None:
    """List an example that is longer than the student may see (once, however often the stage is resumed)."""
    detail = f"{len(item.ids)} tokens, at most {limit} are trained"
    _refuse(context, Rejected(id=item.id, stage=stage, reason=TOO_LONG, detail=detail, sample=sample, round=round))


def refuse_empty(context: Context, stage: str, item: Encoded, sample: str) -> None:
    """List an example without a target, such as an empty passage: nothing stands before its end token."""
    detail = f"{len(item.ids)} tokens, of which none is a target"
    _refuse(context, Rejected(id=item.id, stage=stage, reason=NO_TARGET, detail=detail, sample=sample))


def _refuse(context: Context, line: Rejected) -> None:
    log = context.folder.rejected()
    if not any(r.id == line.id and r.reason == line.reason for r in log.read()):
        log.append(line.model_copy(update={"sample": line.sample[:400]}))
        log.sync()


def largest(rows: Sequence[Sequence[int]]) -> int:
    """The number of the batch with most padded tokens; `rows[i]`: the lengths of batch i, in tokens."""
    return max(range(len(rows)), key=lambda i: max(rows[i]) * len(rows[i]), default=0)


def weighted(encoded: Sequence[Encoded], weights: Sequence[float]) -> Callable[[], Batch]:
    """A batch that is padded only when it is needed."""
    return lambda: pad(encoded, weights)
