"""What every stage of one run shares: the job, the run folder, the models (opened when first needed), the listener."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dsa_lite.config import Config
from dsa_lite.core.prompts import Prompts, seed_of
from dsa_lite.events import Emit, Note, StageProgress
from dsa_lite.io.models import ModelChoice
from dsa_lite.io.plugins import open_student, open_teacher
from dsa_lite.io.rundir import RunDir
from dsa_lite.records import SkillPack
from dsa_lite.student import Student, StudentOptions
from dsa_lite.teacher import Teacher, TeacherOptions


@dataclass(frozen=True)
class Job:
    """One run, resolved: everything that decides its result stands here."""

    skill: SkillPack
    teacher: ModelChoice
    student: ModelChoice
    config: Config
    out: Path
    notes: tuple[str, ...] = ()


@dataclass
class Context:
    """A job being done. Close it: it owns the teacher's process and the student's memory."""

    job: Job
    folder: RunDir
    emit: Emit
    _teacher: Teacher | None = field(default=None, repr=False)
    _student: Student | None = field(default=None, repr=False)

    @property
    def config(self) -> Config:
        return self.job.config

    @property
    def prompts(self) -> Prompts:
        return Prompts(self.job.skill, self.config.teacher, self.config.seed)

    @property
    def teacher(self) -> Teacher:
        if self._teacher is None:
            s = self.config.teacher
            options = TeacherOptions(
                context_tokens=s.context_tokens, in_flight=s.in_flight, threads=s.threads, gpu_layers=s.gpu_layers
            )
            self._teacher = open_teacher(self.job.teacher.kind, self.job.teacher.source, options)
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
            )  # fmt: skip
            self._student = open_student(self.job.student.kind, self.job.student.source, options)
        return self._student

    def rng(self, *purpose: object) -> np.random.Generator:
        """A generator of its own for one purpose, so that no use of chance disturbs another."""
        return np.random.default_rng(seed_of(self.config.seed, "/".join(str(p) for p in purpose)))

    def note(self, stage: str, text: str, *, warning: bool = False) -> None:
        self.emit(Note(stage, text, "warning" if warning else "info"))

    def progress(self, stage: str, done: int, total: int, tokens: int = 0, label: str = "", **figures: Any) -> None:
        self.emit(StageProgress(stage, done, total, tokens, figures, label))

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
