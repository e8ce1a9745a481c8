"""Models that are already on this machine, found where other programs keep them. Only looked at, never changed.

Where that is was read in those programs: huggingface_hub's constants, LM Studio's page on importing models, Ollama's
envconfig and manifest layout, llama.cpp's fs_get_cache_directory (whose cache may also have the hub's layout).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

Role = Literal["teacher", "student"]

_DEPTH = 6  # folders below a place; also the end of a circle of links
_LATER_PART = re.compile(r"-(?!0*1-)\d+-of-\d+\.gguf$")
_DIGEST = re.compile(r"sha256[:-][0-9a-f]{64}")
_OLLAMA_HOSTS = ("registry.ollama.ai", "ollama.com")


@dataclass(frozen=True)
class Places:
    """Folders to look in; those that do not exist are passed over. `folders`: the user's own."""

    hub: Path
    lm_studio: tuple[Path, ...]
    ollama: tuple[Path, ...]
    llama_cpp: Path
    folders: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Found:
    """`name` is what --teacher or --student takes, `path` a GGUF file or a model folder, `where` who keeps it there.

    `hub_id`: set where the hub's own libraries find the model by this id.
    """

    name: str
    role: Role
    where: str
    path: Path
    hub_id: str | None = None


def places(environment: Mapping[str, str], home: Path, system: str) -> Places:
    """Where models are kept, given the environment variables and `system` as sys.platform names it."""

    def named(variable: str) -> Path | None:
        return Path(environment[variable]).expanduser() if environment.get(variable) else None

    cache = named("XDG_CACHE_HOME") or home / ".cache"
    hub_home = named("HF_HOME") or cache / "huggingface"
    local = named("LOCALAPPDATA") or home / "AppData" / "Local"
    caches = {"darwin": home / "Library" / "Caches", "win32": local}.get(system, cache)
    service = (Path("/usr/share/ollama/.ollama/models"),) if system == "linux" else ()
    ollama = named("OLLAMA_MODELS")
    own = environment.get("DSA_LITE_MODELS", "").split(os.pathsep)
    return Places(
        hub=named("HF_HUB_CACHE") or named("HUGGINGFACE_HUB_CACHE") or hub_home / "hub",
        lm_studio=(home / ".lmstudio" / "models", home / ".cache" / "lm-studio" / "models"),
        ollama=(ollama,) if ollama else (home / ".ollama" / "models", *service),
        llama_cpp=named("LLAMA_CACHE") or caches / "llama.cpp",
        folders=tuple(Path(folder).expanduser() for folder in own if folder),
    )


def find_models(places: Places) -> list[Found]:
    """Every model, each file once. Names are unique within a role: a second one gets `where:` before it."""
    everywhere = [
        *(f for folder in places.folders for f in _tree(folder, "folder")),
        *_hub(places.hub, "huggingface"),
        *(f for folder in places.lm_studio for f in _tree(folder, "lm-studio")),
        *(f for folder in places.ollama for f in _ollama(folder)),
        *_tree(places.llama_cpp, "llama.cpp"),
        *_hub(places.llama_cpp, "llama.cpp"),
    ]
    return _named_once(everywhere)


def _named_once(everywhere: Iterable[Found]) -> list[Found]:
    holder: dict[Path, str] = {}
    unique: dict[tuple[Role, str], Found] = {}
    for found in everywhere:
        if holder.setdefault(found.path.resolve(), found.where) != found.where:
            continue
        name, number = found.name, 1
        while (found.role, name) in unique:
            name = f"{found.where}:{found.name}" + (f"#{number}" if number > 1 else "")
            number += 1
        unique[found.role, name] = replace(found, name=name)
    return list(unique.values())


def _tree(root: Path, where: str) -> Iterator[Found]:
    """GGUF files and model folders below a folder, named by their path in it."""
    for folder, files in _walk(root):
        for path in _models_in(folder, files):
            name = path.relative_to(root).as_posix() if path != root else root.name
            yield Found(name, "teacher" if path != folder else "student", where, path)


def _hub(root: Path, where: str) -> Iterator[Found]:
    """Repositories in the Hugging Face cache: the snapshot that `main` names, else the latest."""
    for repository in sorted(root.glob("models--*")):
        hub_id = "/".join(repository.name.split("--")[1:])
        snapshot, is_main = _snapshot(repository)
        for folder, files in _walk(snapshot) if snapshot else ():
            for path in _models_in(folder, files):
                inside = path.relative_to(snapshot).as_posix() if snapshot else ""
                name = hub_id if inside == "." else f"{hub_id}/{inside}"
                student = path == folder
                known = hub_id if student and is_main and inside == "." and where == "huggingface" else None
                yield Found(name, "student" if student else "teacher", where, path, known)


def _snapshot(repository: Path) -> tuple[Path | None, bool]:
    try:
        main = (repository / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        main = ""
    snapshots = [p for p in (repository / "snapshots").glob("*") if p.is_dir()]
    for snapshot in snapshots:
        if snapshot.name == main:
            return snapshot, True
    return max(snapshots, key=lambda p: p.stat().st_mtime, default=None), False


def _walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Folders with their files, `root` first; hidden ones and a hub's own (see `_hub`) are passed over."""
    for top, folders, files in os.walk(root, followlinks=True):
        folder = Path(top)
        deep = len(folder.relative_to(root).parts) >= _DEPTH
        folders[:] = [] if deep else sorted(f for f in folders if not f.startswith((".", "models--")))
        yield folder, files


def _models_in(folder: Path, files: list[str]) -> Iterator[Path]:
    """The folder itself where it is a model in Hugging Face's layout, and its GGUF files."""
    whole = {"config.json", "tokenizer.json"} <= set(files) and "adapter_config.json" not in files
    if whole and any(name.endswith(".safetensors") for name in files):
        yield folder
    for name in sorted(files):
        lower = name.lower()
        picture_reader, later_part = "mmproj" in lower, _LATER_PART.search(lower)
        if lower.endswith(".gguf") and not lower.startswith(".") and not picture_reader and not later_part:
            yield folder / name


def _ollama(root: Path) -> Iterator[Found]:
    """Names from Ollama's manifests, each with the blob that holds its weights."""
    for kind in ("manifests", "manifest-v2"):
        for path in sorted(root.glob(f"{kind}/*/*/*/*")):
            blob = _weights(path, root)
            if blob is not None:
                host, space, model, tag = path.parts[-4:]
                owner = "" if space == "library" else f"{space}/"
                yield Found(
                    f"{'' if host in _OLLAMA_HOSTS else host + '/'}{owner}{model}:{tag}", "teacher", "ollama", blob
                )


def _weights(manifest: Path, root: Path) -> Path | None:
    try:
        layers = json.loads(manifest.read_bytes())["layers"]
        (digest,) = [x["digest"] for x in layers if x["mediaType"] == "application/vnd.ollama.image.model"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        return None
    blob = root / "blobs" / digest.replace(":", "-")
    return blob if blob.is_file() else None
