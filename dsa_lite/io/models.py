"""Which model a name means."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from dsa_lite.errors import ModelError, UsageError
from dsa_lite.io.config_files import model_settings

_HUB_ID = re.compile(r"(?:[\w-][\w.-]*/)?[\w-][\w.-]*")
_TEACHER_HINT = "--teacher takes the path of a .gguf file, or the URL of an OpenAI-compatible server"
_STUDENT_HINT = "--student takes a model folder (config.json, *.safetensors, tokenizer), or a hub id such as org/name"


@dataclass(frozen=True)
class ModelChoice:
    """`kind` is the backend's entry-point name, `source` what it is opened with, `settings` what the model asks for."""

    role: Literal["teacher", "student"]
    kind: str
    source: str
    label: str
    bundled: bool
    settings: dict[str, Any] = field(default_factory=dict)


def _bundled(role: str) -> Path:
    return Path(str(files("dsa_lite"))) / "bundled" / role


def choose_teacher(name: str | None) -> ModelChoice:
    """None: the bundled one; else a .gguf file or a server's URL."""
    if name is None:
        found = sorted(_bundled("teacher").glob("*.gguf"))
        if not found:
            raise _not_bundled("teacher", "a *.gguf file")
        return ModelChoice("teacher", "llama_cpp", str(found[0]), found[0].stem, True, model_settings(found[0]))
    if re.match(r"https?://[^/\s]+", name):
        return ModelChoice("teacher", "openai", name, name, False)
    path = Path(name).expanduser()
    if path.is_dir():
        inside = sorted(path.glob("*.gguf"))
        named = f"; it holds {', '.join(p.name for p in inside[:5])}: name one" if inside else ""
        raise UsageError(f"the teacher {name} is a folder{named}", hint=_TEACHER_HINT)
    if path.suffix.lower() != ".gguf":
        raise UsageError(f"the teacher {name!r} is neither a .gguf file nor a URL", hint=_TEACHER_HINT)
    if not path.is_file():
        raise UsageError(f"there is no teacher file {name}", hint=_TEACHER_HINT)
    path = path.resolve()
    return ModelChoice("teacher", "llama_cpp", str(path), path.stem, False, model_settings(path))


def choose_student(name: str | None, backend: str) -> ModelChoice:
    """None: the bundled one; else a folder, or a hub id that the backend looks up in its cache."""
    kind = "torch" if backend == "auto" else backend
    if name is None:
        folder = _bundled("student")
        if not (folder / "config.json").is_file():
            raise _not_bundled("student", "config.json")
        return ModelChoice("student", kind, str(folder), "dsa-lite tiny student", True, model_settings(folder))
    path = Path(name).expanduser()
    if path.is_dir():
        path = path.resolve()
        if not (path / "config.json").is_file():
            raise UsageError(f"the folder {name} holds no model: it has no config.json", hint=_STUDENT_HINT)
        return ModelChoice("student", kind, str(path), path.name, False, model_settings(path))
    if path.is_file() or path.suffix.lower() in (".gguf", ".safetensors"):
        raise UsageError(f"the student {name} is a single file, not a model folder", hint=_STUDENT_HINT)
    if path.is_absolute() or name.startswith((".", "~")) or not _HUB_ID.fullmatch(name):
        raise UsageError(f"there is no student folder {name}", hint=_STUDENT_HINT)
    return ModelChoice("student", kind, name, name, False)


def _not_bundled(role: str, what: str) -> ModelError:
    hint = _TEACHER_HINT if role == "teacher" else _STUDENT_HINT
    message = f"the bundled {role} is missing: there is no {what} in {_bundled(role)}"
    return ModelError(message, hint=f"reinstall dsa-lite; or {hint}")
