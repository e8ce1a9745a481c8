"""Backends, found through entry points and loaded only when they are used."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, cast

from dsa_lite.errors import DsaError, MissingExtra, UsageError

if TYPE_CHECKING:  # the student's contract brings numpy
    from dsa_lite.student import Student, StudentOptions
    from dsa_lite.teacher import Teacher, TeacherOptions

_TEACHERS, _STUDENTS = "dsa_lite.teachers", "dsa_lite.students"
_EXPORTERS, _ANSWERERS = "dsa_lite.exporters", "dsa_lite.answerers"
_PROCESSES = "dsa_lite.processes"


def teacher_backends() -> list[str]:
    return sorted({e.name for e in entry_points(group=_TEACHERS)})


def student_backends() -> list[str]:
    return sorted({e.name for e in entry_points(group=_STUDENTS)})


def open_teacher(kind: str, source: str, options: TeacherOptions) -> Teacher:
    """Open `source` with the teacher backend called `kind`."""
    return cast("Teacher", _loaded(_TEACHERS, "teacher", kind)(source, options))


def open_student(backend: str, source: str, options: StudentOptions) -> Student:
    """Open `source` with the student backend called `backend`."""
    return cast("Student", _loaded(_STUDENTS, "student", backend)(source, options))


def join_processes(backend: str) -> bool:
    """Meet the other processes of this launch: students of `backend` compute in all of them.

    True in the first process, which goes on; the others come back with False when the first has ended.
    """
    return bool(_loaded(_PROCESSES, "many-process", backend)())


def exporter(kind: str) -> Callable[..., list[str]]:
    """What writes a student in the format called `kind`: (base, adapter, out, quantize, name) -> notes for the user."""
    return _loaded(_EXPORTERS, "export", kind)


def answerer(kind: str) -> Callable[..., list[str]]:
    """What loads such an export afresh and asks it: (base, out, prompts, max_tokens) -> greedy replies."""
    return _loaded(_ANSWERERS, "answering", kind)


def _loaded(group: str, role: str, name: str) -> Callable[..., Any]:
    found = {e.name: e for e in entry_points(group=group)}
    if name not in found:
        there = ", ".join(sorted(found)) or "none: the package is not installed properly"
        raise UsageError(f"there is no {role} backend called {name!r}", hint=f"installed {role} backends: {there}")
    entry = found[name]
    try:
        loaded = entry.load()
    except ImportError as error:
        raise _import_problem(entry, role, error) from error
    except DsaError:
        raise
    except Exception as error:  # a plugin may fail in any way while it is imported
        raise DsaError(
            f"the {role} backend {name} ({entry.value}) fails to load: {type(error).__name__}: {error}",
            hint="reinstall the package it comes from; --debug shows where",
        ) from error
    return _guarded(loaded, entry, role)


def _guarded(opener: Callable[..., Any], entry: EntryPoint, role: str) -> Callable[..., Any]:
    """Backends import their engine when opened: the same guard there."""

    def open_it(*args: Any) -> Any:
        try:
            return opener(*args)
        except ImportError as error:
            raise _import_problem(entry, role, error) from error

    return open_it


def _import_problem(entry: EntryPoint, role: str, error: ImportError) -> DsaError:
    missing = (error.name or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or not missing or missing.startswith("dsa_lite"):
        return DsaError(
            f"the {role} backend {entry.name} ({entry.value}) is broken: {error}",
            hint="reinstall the package it comes from, e.g. pip install --force-reinstall dsa-lite",
        )
    package = entry.dist.name if entry.dist is not None else "dsa-lite"
    return MissingExtra(
        f"the {role} backend {entry.name} needs the package {missing}, which is not installed",
        hint=f'pip install "{package}[{entry.name.replace("_", "-")}]"',
    )
