"""What every stage of one run shares: the job, the run folder, the models (opened when first needed), the listener."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dsa_lite.config import Config
from dsa_lite.core.passages import Library
from dsa_lite.core.prompts import Prompts, seed_of
from dsa_lite.events import Emit, Note, StageProgress
from dsa_lite.io.documents import Documents
from dsa_lite.io.models.choosing import ModelChoice
from dsa_lite.io.plugins import open_student, open_teacher
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.records import Skill, SkillPack, Textbook
from dsa_lite.student import Student, StudentOptions
from dsa_lite.teacher import Announces, Reports, Teacher, TeacherOptions, Tells


@dataclass(frozen=True)
class Job:
    """One run, resolved: everything that decides its result stands here.

    `within`: the time budget the settings were fitted to, {"seconds", "settings"}; empty where there was none.
    `source`: what names the skill on a command line; `command`: the line that goes on with the run, where there is one.
    """

    skill: SkillPack
    teacher: ModelChoice
    student: ModelChoice
    config: Config
    out: Path
    notes: tuple[str, ...] = ()
    documents: Documents | None = None
    within: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    command: str = ""


@dataclass
class Context:
    """A job being done. Close it: it owns the teacher's process and the student's memory."""

    job: Job
    folder: RunDir
    emit: Emit
    _teacher: Teacher | None = field(default=None, repr=False)
    _student: Student | None = field(default=None, repr=False)
    _told: StageProgress | None = field(default=None, repr=False)

    @property
    def config(self) -> Config:
        return self.job.config

    @property
    def prompts(self) -> Prompts:
        return self.prompts_by(())

    def prompts_by(self, books: Iterable[Textbook]) -> Prompts:
        """What is asked of skills whose textbooks are written: their procedures are shown."""
        return Prompts(self.job.skill, self.config.teacher, self.config.seed, {b.skill: b for b in books})

    @cached_property
    def library(self) -> Library:
        """The user's documents; without any, nothing suits any skill."""
        documents = self.job.documents
        return Library(documents.passages if documents else (), self.config.docs.chars_per_request)

    def sources(self, skills: Sequence[Skill], number: int) -> tuple[str, ...]:
        """Names of the passages that the `number`-th item on these skills is written from."""
        return tuple(p.source for p in self.library.choose(skills, number))

    @property
    def document_inputs(self) -> dict[str, object]:
        """What of the documents decides a stage's outcome; nothing where there are none."""
        documents = self.job.documents
        return {"documents": [documents.fingerprint, self.config.docs.chars_per_request]} if documents else {}

    @property
    def teacher(self) -> Teacher:
        if self._teacher is None:
            s = self.config.teacher
            options = TeacherOptions(
                context_tokens=s.context_tokens, in_flight=s.in_flight, threads=s.threads, gpu_layers=s.gpu_layers,
                slots=self.folder.teacher_slots(),
            )  # fmt: skip
            self._teacher = open_teacher(self.job.teacher.kind, self.job.teacher.source, options)
            if isinstance(self._teacher, Announces):
                self._teacher.announce(self._heard)
            if isinstance(self._teacher, Tells):
                self._teacher.listen(lambda text: self.note("teacher", text, warning=True))
        return self._teacher

    @property
    def student(self) -> Student:
        if self._student is None:
            s = self.config.student
            options = StudentOptions(
                lora_rank=s.lora_rank, lora_alpha=s.lora_alpha, lora_dropout=s.lora_dropout,
                weight_decay=s.weight_decay, max_grad_norm=s.max_grad_norm,
                seed=seed_of(self.config.seed, "adapter") % 2**31, device=s.device, precision=s.precision,
                threads=s.threads, micro_batch_tokens=s.micro_batch_tokens,
                gradient_checkpointing=s.gradient_checkpointing, quantize=s.quantize, shard=s.shard,
            )  # fmt: skip
            self._student = open_student(self.job.student.kind, self.job.student.source, options)
        return self._student

    def rng(self, *purpose: object) -> np.random.Generator:
        """A generator of its own for one purpose, so that no use of chance disturbs another."""
        return np.random.default_rng(seed_of(self.config.seed, "/".join(str(p) for p in purpose)))

    def note(self, stage: str, text: str, *, warning: bool = False) -> None:
        self.emit(Note(stage, text, "warning" if warning else "info"))

    def progress(
        self, stage: str, done: int, total: int, tokens: int = 0, label: str = "", in_flight: int = 0, **figures: Any
    ) -> None:
        self._told = StageProgress(stage, done, total, tokens, figures, label, in_flight)
        self.emit(self._told)

    def _heard(self, tokens: int) -> None:
        """The teacher has written so many tokens of what is in flight: told beside what was last told."""
        if self._told:
            self.emit(replace(self._told, tokens=self._told.tokens + tokens))

    def look_at_teacher(self) -> int:
        """Requests the teacher works on at a time. What it chose goes to the run folder, for those who go on there."""
        if not isinstance(self._teacher, Reports):
            return 0
        self.folder.keep_teacher_layout(self._teacher.layout)
        return self._teacher.in_flight

    def rest_teacher(self) -> None:
        """Give the teacher's memory back; it is opened again when needed."""
        if self._teacher is not None:
            self._teacher.close()
            self._teacher = None

    def rest_student(self) -> None:
        """Give the student's memory back; it is opened again, as new, when needed."""
        if self._student is not None:
            self._student.close()
            self._student = None

    def close(self) -> None:
        self.rest_teacher()
        self.rest_student()
