"""Skill packs: a folder with skill.toml (the syllabus) and held-out sets as JSON lines."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any, get_args

from pydantic import ValidationError

from dsa_lite.errors import ConfigError, UsageError
from dsa_lite.io.jsonl import line_problems, short, shortened
from dsa_lite.io.toml import read_toml
from dsa_lite.records import Checker, HeldOutItem, SkillPack, Split, Topic

_FILE = "skill.toml"
_FIELDS = ("name", "title", "description", "checker", "topic", "held_out")


def bundled_skills() -> list[str]:
    """Names of the skills that come with the package."""
    return sorted(p.name for p in _bundled().iterdir() if (p / _FILE).is_file()) if _bundled().is_dir() else []


def _bundled() -> Path:
    return Path(str(files("dsa_lite"))) / "skills"


def load_skill(name_or_path: str) -> SkillPack:
    """A bundled skill by name, or the one in a folder or skill.toml file. All its faults are reported at once."""
    path = _locate(name_or_path)
    raw = read_toml(path)
    problems = [*_unknown_fields(path, raw)]
    topics = _topics(path, raw.get("topic", []), problems)
    held_out = _held_out(path, raw.get("held_out", {}), {t.name for t in topics}, problems)
    checker = raw.get("checker", "math")
    if checker not in get_args(Checker):
        problems.append(f"{path}: checker: got {short(checker)}, allowed: {', '.join(get_args(Checker))}")
    for field in ("name", "title", "description"):
        value = raw.get(field, "" if field == "description" else None)
        if not isinstance(value, str) or (field != "description" and not value.strip()):
            got = "missing" if value is None else f"got {short(value)}, allowed: a text"
            problems.append(f"{path}: {field}: {got}")
    if problems:
        raise ConfigError(
            f"{path} is no valid skill",
            problems=shortened(problems, 40),
            hint=f"a complete example: {_bundled() / 'calculus' / _FILE}",
        )
    return SkillPack(
        name=raw["name"],
        title=raw["title"],
        description=raw.get("description", ""),
        checker=checker,
        topics=tuple(topics),
        held_out=held_out,
    )


def _locate(name_or_path: str) -> Path:
    names = bundled_skills()
    if name_or_path in names:
        return _bundled() / name_or_path / _FILE
    path = Path(name_or_path).expanduser()
    looks_like_path = path.exists() or len(path.parts) > 1 or path.suffix == ".toml"
    if not name_or_path or not looks_like_path:
        close = difflib.get_close_matches(name_or_path, names, n=3, cutoff=0.5)
        meant = f"did you mean {' or '.join(close)}? " if close else ""
        raise UsageError(
            f"there is no skill called {name_or_path!r}",
            hint=f"{meant}bundled skills: {', '.join(names) or 'none'}; or give the path of a skill.toml",
        )
    file = path / _FILE if path.is_dir() else path
    if not file.is_file():
        raise UsageError(f"there is no skill at {file}", hint=f"bundled skills: {', '.join(names) or 'none'}")
    return file


def _unknown_fields(path: Path, raw: Mapping[str, Any]) -> Iterator[str]:
    for key in raw:
        if key not in _FIELDS:
            yield f"{path}: {key}: unknown field{_meant(key, _FIELDS)} (allowed: {', '.join(_FIELDS)})"


def _meant(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _topics(path: Path, raw: Any, problems: list[str]) -> list[Topic]:
    if not isinstance(raw, list) or not raw:
        problems.append(f"{path}: topic: a skill needs at least one [[topic]]")
        return []
    topics = []
    for i, entry in enumerate(raw, start=1):
        try:
            topics.append(Topic.model_validate(entry))
        except ValidationError as error:
            for fault in error.errors(include_url=False):
                field = ".".join(map(str, fault["loc"]))
                where = f"{path}: topic {i}: {field + ': ' if field else ''}"
                problems.append(f"{where}{fault['msg']} (got {short(fault['input'])})")
    if len(topics) < len(raw):
        return topics  # names would be missing: the checks between topics would mislead
    names = {t.name for t in topics}
    counts = Counter(t.name for t in topics)
    problems += [f"{path}: topic {name!r} is defined {k} times" for name, k in counts.items() if k > 1]
    for topic in topics:
        for wanted in topic.prerequisites:
            if wanted not in names:
                meant = _meant(wanted, names)
                problems.append(f"{path}: topic {topic.name!r}: prerequisite {wanted!r} is no topic{meant}")
    circle = _circle({t.name: [p for p in t.prerequisites if p in names] for t in topics})
    if circle:
        problems.append(f"{path}: topics rest on each other in a circle: {' <- '.join(map(repr, circle))}")
    return topics


def _circle(prerequisites: Mapping[str, list[str]]) -> list[str]:
    """One circle of prerequisites, or nothing: what stays when settled topics are taken out in turn."""
    open_ = dict(prerequisites)
    while settled := [name for name, needs in open_.items() if not any(n in open_ for n in needs)]:
        for name in settled:
            del open_[name]
    if not open_:
        return []
    trail = [next(iter(open_))]
    while trail[-1] not in trail[:-1]:
        trail.append(next(n for n in open_[trail[-1]] if n in open_))
    return trail[trail.index(trail[-1]) :]


def _held_out(path: Path, raw: Any, topics: set[str], problems: list[str]) -> dict[Split, tuple[HeldOutItem, ...]]:
    sets: dict[Split, tuple[HeldOutItem, ...]] = {}
    if not isinstance(raw, Mapping):
        problems.append(f"{path}: held_out: got {short(raw)}, allowed: a table [held_out]")
        return sets
    seen: dict[str, str] = {}
    for split, name in raw.items():
        if split not in get_args(Split):
            problems.append(f"{path}: held_out.{split}: unknown set (allowed: {', '.join(get_args(Split))})")
        elif not isinstance(name, str) or not _inside(name):
            problems.append(f"{path}: held_out.{split}: got {short(name)}, allowed: a file in the skill's folder")
        elif not (path.parent / name).is_file():
            problems.append(f"{path}: held_out.{split}: there is no file {path.parent / name}")
        else:
            known = topics if split == "eval" else None
            sets[split] = tuple(_items(path.parent / name, known, seen, problems))
    return sets


def _inside(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return bool(parts) and parts[0] != "/" and ".." not in parts and ":" not in name


def _items(path: Path, topics: set[str] | None, seen: dict[str, str], problems: list[str]) -> Iterator[HeldOutItem]:
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            item = HeldOutItem.model_validate_json(line)
        except ValidationError as error:
            problems += line_problems(path, number, error)
            continue
        if item.id in seen:
            problems.append(f"{where}: id {item.id!r} is already used at {seen[item.id]}")
        seen.setdefault(item.id, where)
        for field in ("id", "problem", "answer"):
            if not getattr(item, field).strip():
                problems.append(f"{where}: {field}: is empty")
        if topics is not None and item.topic not in topics:
            problems.append(f"{where}: topic {item.topic!r} is no topic of this skill{_meant(item.topic, topics)}")
        yield item
