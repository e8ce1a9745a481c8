"""The error tree. Every error says what is wrong, where, and what to do next (`hint`)."""

from __future__ import annotations


class DsaError(Exception):
    """Base of every error a user can act on.

    `exit_code` is the process exit status the command line uses: 1 error, 2 usage,
    4 run folder in use or of another configuration, 130 interrupted.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(DsaError):
    """The request itself is wrong: an unknown skill, option or name."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting, skill file or data file does not fit its schema. `problems` lists all of them at once."""

    def __init__(self, message: str, *, problems: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__("\n".join([message, *(f"  - {p}" for p in problems)]), hint=hint)
        self.problems = problems


class MissingExtra(DsaError):
    """A backend needs a package that is not installed; the hint is the pip line."""


class ModelError(DsaError):
    """A teacher or student file is missing, broken, or cannot do what is asked of it."""


class TeacherError(DsaError):
    """The teacher died or writes nothing usable."""


class TrainingError(DsaError):
    """The student cannot be trained: NaN loss, nothing to train on, out of memory."""


class RunFolderError(DsaError):
    """The run folder is in use by another process, or belongs to another configuration."""

    exit_code = 4


class Interrupted(DsaError):
    """Stopped by the user; everything accepted so far is on disk and the same command goes on."""

    exit_code = 130
