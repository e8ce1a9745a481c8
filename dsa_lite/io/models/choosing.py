"""Which model a name means."""

from __future__ import annotations

import difflib
import re
import sys
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dsa_lite.errors import ModelError, UsageError
from dsa_lite.io.models.facts import student_note, teacher_fault, teacher_note, trained_by_mlx_only
from dsa_lite.io.models.found import Found, Places, Role, find_models, places
from dsa_lite.io.plugins import student_backends, teacher_backends
from dsa_lite.io.settings.files import model_settings
from dsa_lite.model_files import check_student

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_BUNDLED_STUDENT = "dsa-lite-tiny-student"
_LIST = "; models on this machine: dsa-lite models"
_TEACHER_HINT = (
    "--teacher takes the path of a .gguf file, the URL of an OpenAI-compatible server, or PLUGIN:SOURCE for a teacher "
    f"of an installed plugin{_LIST}"
)
_STUDENT_HINT = (
    f"--student takes a model folder (config.json, *.safetensors, tokenizer), or a hub id such as org/name{_LIST}"
)


@dataclass(frozen=True)
class ModelChoice:
    """`kind` is the backend's entry-point name, `source` what it is opened with, `settings` what the model asks for.

    `note`: what one should know about it before a run, "" if nothing.
    """

    role: Role
    kind: str
    source: str
    label: str
    bundled: bool
    settings: dict[str, Any] = field(default_factory=dict)
    note: str = ""


def _bundled(role: str) -> Path:
    return Path(str(files("dsa_lite"))) / "bundled" / role


def _bundled_teachers() -> dict[str, Path]:
    """By name; the first is the one that is meant where none is named, the others are named by their skills."""
    found = sorted(_bundled("").glob("*/*.gguf"), key=lambda path: (path.parent.name != "teacher", path.stem))
    return {path.stem: path for path in found}


def bundled_models() -> list[Found]:
    """The models that come with the package, as far as they are there."""
    teachers = [Found(name, "teacher", "bundled", path) for name, path in _bundled_teachers().items()]
    student = _bundled("student")
    there = (student / "config.json").is_file()
    return teachers + ([Found(_BUNDLED_STUDENT, "student", "bundled", student)] if there else [])


def usual_places() -> Places:
    """Where models are kept on a machine whose environment says nothing else."""
    return places({}, Path.home(), sys.platform)


def choose_teacher(name: str | None, where: Places | None = None) -> ModelChoice:
    """None: the bundled one; else a .gguf file, a server's URL, PLUGIN:SOURCE, or a name that `dsa-lite models` prints.

    `where`: the places looked in for a name; None: the usual ones.
    """
    bundled = _bundled_teachers()
    if name is None and not bundled:
        raise _not_bundled("teacher", "a *.gguf file")
    name = next(iter(bundled)) if name is None else name
    if name in bundled:
        return ModelChoice("teacher", "llama_cpp", str(bundled[name]), name, True, model_settings(bundled[name]))
    if re.match(r"https?://[^/\s]", name, re.IGNORECASE):
        _refuse_secrets(name)
        return ModelChoice("teacher", "openai", name, name, False)
    plugin, colon, source = name.partition(":")
    if colon and plugin in teacher_backends():
        return _of_plugin(plugin, source)
    path = Path(name).expanduser()
    if path.is_dir():
        inside = sorted(path.glob("*.gguf"))
        named = f"; it holds {', '.join(p.name for p in inside[:5])}: name one" if inside else ""
        raise UsageError(f"the teacher {name} is a folder{named}", hint=_TEACHER_HINT)
    if path.is_file() and path.suffix.lower() == ".gguf":
        return _gguf_teacher(path.resolve(), path.stem)
    known = _known("teacher", where)
    if name in known:
        return _gguf_teacher(known[name].path, name)
    message = f"the teacher {name!r} is neither a .gguf file, nor a URL, nor a model on this machine"
    if colon and source and re.fullmatch(r"[a-z]\w+", plugin):
        message += f", and no plugin called {plugin} is installed ({', '.join(teacher_backends())} are)"
    if path.suffix.lower() == ".gguf":
        message = f"there is no teacher file {name}"
    raise UsageError(message, hint=_meant(name, known) + _TEACHER_HINT)


def _gguf_teacher(path: Path, label: str) -> ModelChoice:
    """Raises ModelError for a file whose header says that it is no whole language model."""
    if fault := teacher_fault(path):
        what, hint = fault
        raise ModelError(f"the teacher {path} {what}", hint=hint)
    return ModelChoice("teacher", "llama_cpp", str(path), label, False, model_settings(path), teacher_note(path))


def _of_plugin(plugin: str, source: str) -> ModelChoice:
    """A teacher of the backend called `plugin`; a source that is there is named in full, for runs that go on."""
    _refuse_secrets(source)
    path = Path(source).expanduser()
    if not source or not path.exists():
        return ModelChoice("teacher", plugin, source, f"{plugin}:{source}", False)
    path = path.resolve()
    return ModelChoice("teacher", plugin, str(path), f"{plugin}:{path.name}", False, model_settings(path))


def choose_student(name: str | None, backend: str, where: Places | None = None) -> ModelChoice:
    """None: the bundled one; else a folder, a name that `dsa-lite models` prints, or a hub id.

    `where`: the places looked in for a name; None: the usual ones. A hub id that is not found there, and is no
    misspelling of one that is, is left to the backend, which looks in its own cache.
    """
    if name is None or name == _BUNDLED_STUDENT:
        folder = _bundled("student")
        if not (folder / "config.json").is_file():
            raise _not_bundled("student", "config.json")
        return _student(backend, str(folder), folder, "dsa-lite tiny student", True)
    path = Path(name).expanduser()
    if path.is_dir():
        path = path.resolve()
        if not any((path / name).is_file() for name in ("config.json", "adapter_config.json")):
            raise UsageError(f"the folder {name} holds no model: it has no config.json", hint=_STUDENT_HINT)
        return _student(backend, str(path), path, path.name)
    if path.is_file() or path.suffix.lower() in (".gguf", ".safetensors"):
        raise UsageError(f"the student {name} is a single file, not a model folder", hint=_STUDENT_HINT)
    known = _known("student", where)
    if name in known:
        kept = known[name]
        return _student(backend, kept.hub_id or str(kept.path), kept.path, name)
    if path.is_absolute() or name.startswith((".", "~")) or not name:
        raise UsageError(f"there is no student folder {name}", hint=_STUDENT_HINT)
    meant = _meant(name, known)
    if meant or not _HUB_ID.fullmatch(name):
        raise UsageError(f"there is no student called {name!r} on this machine", hint=meant + _STUDENT_HINT)
    return ModelChoice("student", _kind(backend), name, name, False)


def _student(backend: str, source: str, folder: Path, label: str, bundled: bool = False) -> ModelChoice:
    kind = _kind(backend)
    if kind == "torch" and trained_by_mlx_only(folder):
        if backend != "auto":
            raise UsageError(f"{label} is quantised for MLX: PyTorch cannot train it", hint="use --backend mlx")
        kind = "mlx"
    note = ""
    if not bundled:
        check_student(folder)
        note = student_note(folder)
    return ModelChoice("student", kind, source, label, bundled, model_settings(folder), note)


def _kind(backend: str) -> str:
    if backend == "auto":
        return "torch"
    known = student_backends()
    if backend not in known:
        raise UsageError(
            f"there is no student backend called {backend!r}", hint=f"--backend takes {', '.join(['auto', *known])}"
        )
    return backend


def _known(role: Role, where: Places | None) -> dict[str, Found]:
    everywhere = (*bundled_models(), *find_models(where or usual_places()))
    return {found.name: found for found in everywhere if found.role == role}


def _meant(name: str, known: dict[str, Found]) -> str:
    """The start of a hint: names close to `name`, also to its last part, or nothing."""
    lower = {known_name.casefold(): known_name for known_name in known}
    last = {key.rpartition("/")[2].removesuffix(".gguf"): key for key in lower}
    close = difflib.get_close_matches(name.casefold(), lower, n=3, cutoff=0.7)
    short = difflib.get_close_matches(name.casefold().rpartition("/")[2].removesuffix(".gguf"), last, n=3, cutoff=0.8)
    names = dict.fromkeys([lower[c] for c in close] + [lower[last[s]] for s in short])
    return f"did you mean {' or '.join(list(names)[:3])}? " if names else ""


def _refuse_secrets(url: str) -> None:
    """A URL is written into run.toml and shown; whatever opens a door must not be in it."""
    try:
        parts = urlsplit(url)
        carries = "@" in parts.netloc or bool(parts.query)
        host = parts.hostname
    except ValueError as error:
        raise UsageError("the teacher's URL cannot be read", hint=_TEACHER_HINT) from error
    if carries:
        raise UsageError(
            f"the teacher's URL ({parts.scheme}://{host}) carries a password or a query",
            hint="give the URL without it and put the key into the environment variable OPENAI_API_KEY",
        )


def _not_bundled(role: str, what: str) -> ModelError:
    hint = _TEACHER_HINT if role == "teacher" else _STUDENT_HINT
    message = f"the bundled {role} is missing: there is no {what} in {_bundled(role)}"
    return ModelError(message, hint=f"reinstall dsa-lite; or {hint}")
