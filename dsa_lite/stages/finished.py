"""A finished run's student, opened again: to be asked, and to be compared with what is exported."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from dsa_lite.config import Config
from dsa_lite.core.encoding import encode_prompt
from dsa_lite.core.in_use import in_use
from dsa_lite.errors import ConfigError, DsaError, RunFolderError, UsageError
from dsa_lite.io.models.choosing import ModelChoice
from dsa_lite.io.run_folder.contents import ADAPTER
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.io.skills import load_skill
from dsa_lite.records import Exercise, HeldOutItem, SkillPack
from dsa_lite.stages.context import Context, Job
from dsa_lite.student import Student


@dataclass(frozen=True)
class Identity:
    """What run.toml says a run is made of. `student`: the folder or hub id of the base."""

    skill: str
    teacher: str
    student: str
    backend: str
    seed: int


def identity_of(run: RunDir) -> Identity:
    """Raises ConfigError for a run.toml that names no models."""
    table: Any = run.settings().get("identity")
    try:
        words = {name: str(table[name]) for name in ("skill", "teacher", "student", "backend")}
        return Identity(**words, seed=int(table["seed"]))
    except (TypeError, KeyError, ValueError) as error:
        raise ConfigError(
            f"{run.path}: run.toml has no complete table [identity]", hint="is it a run folder?"
        ) from error


def config_of(run: RunDir) -> Config:
    """The settings a run was started with. Raises ConfigError where this version cannot read them."""
    try:
        return Config.model_validate(run.settings().get("config", {}))
    except ValidationError as error:
        faults = tuple(f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in error.errors(include_url=False))
        raise ConfigError(
            f"{run.path}: the settings in run.toml do not fit this version of dsa-lite", problems=faults,
            hint="use the version that [versions] in run.toml names",
        ) from error  # fmt: skip


def require_tuned(run: RunDir) -> None:
    """Raises UsageError while the run has no trained student, RunFolderError where its adapter is not as written."""
    entry = run.stage("tune")
    if entry is None or entry.status != "done":
        raise UsageError(f"{run.path} has no trained student yet", hint=run.goes_on())
    broken = {name: what for name, what in run.faults("tune").items() if name.split("/")[0] == ADAPTER}
    if broken:
        listed = ", ".join(f"{name} {what}" for name, what in broken.items())
        raise RunFolderError(
            f"the trained student of {run.path} is damaged: {listed}", hint=f"to have it written again, {run.goes_on()}"
        )


@contextmanager
def open_finished(run: RunDir) -> Iterator[Student]:
    """The student as the run left it, out of its adapter. Raises DsaError when that or its base is gone or changed."""
    require_tuned(run)
    who = identity_of(run)
    config = config_of(run)
    teacher = ModelChoice("teacher", "", who.teacher, who.teacher, False)
    student = ModelChoice("student", who.backend, who.student, who.student, False)
    job = Job(SkillPack(name=who.skill, title=who.skill, topics=()), teacher, student, config, run.path)
    context = Context(job, run, lambda _: None)
    try:
        context.student.load(run.adapter)
        yield context.student
    finally:
        context.close()


def replies(student: Student, problems: Sequence[str], max_tokens: int, *, adapter: bool = True) -> list[str]:
    """Greedy replies in the problems' order. Raises UsageError for a problem that fills the student's context."""
    prompts = [encode_prompt(student.tokenizer, problem) for problem in problems]
    room = student.context_tokens - max((len(p) for p in prompts), default=0)
    if room < 1:
        raise UsageError(
            f"the question is too long: {student.name} takes {student.context_tokens} tokens", hint="ask a shorter one"
        )
    written = student.generate(prompts, max(1, min(max_tokens, room)), adapter=adapter)
    return [student.tokenizer.decode(reply) for reply in written]


@contextmanager
def asking(run: RunDir, max_tokens: int | None = None) -> Iterator[Callable[[str, bool], str]]:
    """A function (question, with the adapter or without) -> greedy answer, of a student that stays open meanwhile.

    `max_tokens`: the longest answer; None: evaluate.max_tokens of the run.
    """
    longest = max_tokens or config_of(run).evaluate.max_tokens
    with open_finished(run) as student:
        yield lambda question, adapter: replies(student, [question], longest, adapter=adapter)[0]


def probes(run: RunDir, count: int) -> tuple[list[str], str]:
    """Up to `count` problems to compare answers on, and what they are.

    Held-out items from all over the topics: those kept in the run, else those its skill has now; exercises of the run
    where there are none.
    """
    items: Sequence[HeldOutItem | Exercise] = run.held_out("eval").read() or _held_out_now(run)
    what = "held-out items" if items else "exercises of the run"
    chosen = sorted(
        items or in_use(run.exercises().read(), run.rejected().read()),
        key=lambda item: hashlib.sha256(item.id.encode()).digest(),
    )
    return [item.problem for item in chosen[:count]], what


def _held_out_now(run: RunDir) -> Sequence[HeldOutItem]:
    """Empty where the skill is not to be found by name, or has none."""
    try:
        return load_skill(identity_of(run).skill).held_out.get("eval", ())
    except DsaError:
        return ()
