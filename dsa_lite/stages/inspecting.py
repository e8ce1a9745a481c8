"""What the training stages would see of a run or of a data file, worked out from the student's tokenizer alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from dsa_lite.config import Config
from dsa_lite.core.encoding import target_text
from dsa_lite.core.inspection import Example, Reader
from dsa_lite.errors import ConfigError, TrainingError
from dsa_lite.io.imports.data import Importer
from dsa_lite.io.jsonl import shortened
from dsa_lite.io.models.choosing import ModelChoice
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.io.toml_places import Places
from dsa_lite.records import Exercise, SkillPack
from dsa_lite.stages import exercises as exercise_stage
from dsa_lite.stages import rehearsal, textbooks
from dsa_lite.stages.context import Context, Job
from dsa_lite.stages.finished import identity_of
from dsa_lite.stages.tune import training_set

REMOVED, NO_EPOCHS, NO_WEIGHT = "removed after an earlier round", "pretrain.epochs is 0", "rehearsal.weight is 0"


def round_of(run: RunDir, config: Config) -> int:
    """The round that is trained next; of a finished run the last one."""
    return min(max(run.rounds(), default=0) + 1, config.tune.rounds)


def of_run(run: RunDir, config: Config, reader: Reader) -> list[Example]:
    """Passages, the exercises of `round_of`, and rehearsed chats, in that order, each kind sorted by id."""
    try:
        return [*_passages(_context(run, config), reader), *_chats(_context(run, config), reader)]
    except ValueError as error:  # a line that was changed by hand
        raise TrainingError(f"{run.path}: {error}", hint="put its line right or delete it") from error


def of_file(path: Path, reader: Reader, **said: object) -> tuple[list[Example], tuple[str, ...]]:
    """The exercises of a data file, read as a skill's own file is: exact copies once; and what one should know of it.

    said: what a skill's `[data]` may say of a file (layout, columns, turns, count_from); else found out from the file.
    ConfigError names every fault.
    """
    toml = path.parent / "skill.toml"
    topic = "data"
    importer = Importer(toml, [topic], "choice", Places(toml, ""))
    found = importer.read({"exercises": {"file": path.name, "topic": topic, **said}}, has_held_out=True)
    if importer.problems:
        raise ConfigError(
            f"{path} cannot be used", problems=shortened(importer.problems),
            hint="put the lines right; name other columns with --columns problem=COLUMN --columns answer=COLUMN",
        )  # fmt: skip
    return [_exercise(reader, exercise) for exercise in found.exercises], found.notes


def require_targets(examples: Sequence[Example]) -> None:
    """Raises TrainingError where a run would refuse: no token to learn at all, or exercises, but none that is used."""
    lessons = [e for e in examples if e.kind == "exercise"]
    if not examples:
        raise TrainingError("nothing to train on: there are no examples", hint="go on with the run first")
    for what, part in (("example", examples), ("exercise", lessons)):
        if part and not any(e.trained for e in part):
            reasons = Counter(e.dropped or "no token to learn" for e in part)
            said = ", ".join(f"{reason}: {count:,}" for reason, count in reasons.most_common())
            raise TrainingError(
                f"nothing to train on: none of {len(part):,} {what}s has a token to learn ({said})",
                hint="raise student.max_tokens, or choose a student with a longer context",
            )


def _context(run: RunDir, config: Config) -> Context:
    who = identity_of(run)
    teacher = ModelChoice("teacher", "", who.teacher, who.teacher, False)
    student = ModelChoice("student", who.backend, who.student, who.student, False)
    return Context(Job(SkillPack(name=who.skill, title=who.skill, topics=()), teacher, student, config, run.path),
                   run, lambda _: None)  # fmt: skip


def _passages(context: Context, reader: Reader) -> Iterator[Example]:
    unused = "" if context.config.pretrain.epochs else NO_EPOCHS
    for passage in textbooks.load(context):
        yield reader.passage(passage.id, passage.text, dropped=unused)


def _chats(context: Context, reader: Reader) -> Iterator[Example]:
    round = round_of(context.folder, context.config)
    used, weights = training_set(context, round)
    ids = {exercise.id for exercise in used}
    for exercise in exercise_stage.lessons(context, up_to_round=round - 1):
        removed = "" if exercise.id in ids else REMOVED
        yield _exercise(reader, exercise, weights.get(exercise.id, 1.0), removed)
    weight = context.config.rehearsal.weight
    for chat in rehearsal.load(context):
        unused = "" if weight > 0 else NO_WEIGHT
        yield reader.chat("rehearsal", chat.id, chat.prompt, chat.reply, weight=weight, dropped=unused)


def _exercise(reader: Reader, exercise: Exercise, weight: float = 1.0, dropped: str = "") -> Example:
    target = target_text(exercise.solution, exercise.answer)
    return reader.chat("exercise", exercise.id, exercise.problem, target, weight=weight, dropped=dropped)
