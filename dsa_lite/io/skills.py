"""Skill packs: a folder with skill.toml (the syllabus), held-out sets as JSON lines, and data of one's own."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from dsa_lite.core.escapes import BrokenText, all_restored
from dsa_lite.core.graph import skill_id
from dsa_lite.errors import ConfigError, UsageError
from dsa_lite.io.imports.data import Importer, inside
from dsa_lite.io.jsonl import line_problems, short, shortened
from dsa_lite.io.toml import BACKSLASHES, lost_backslash, read_toml
from dsa_lite.io.toml_places import Places
from dsa_lite.records import Checker, HeldOutItem, SkillPack, Split, Topic

_FILE = "skill.toml"
_FIELDS = ("name", "title", "description", "checker", "teacher", "topic", "held_out", "data")


def bundled_skills() -> list[str]:
    """Names of the skills that come with the package."""
    return sorted(p.name for p in _bundled().iterdir() if (p / _FILE).is_file()) if _bundled().is_dir() else []


def _bundled() -> Path:
    return Path(str(files("dsa_lite"))) / "skills"


def load_skill(name_or_path: str) -> SkillPack:
    """A bundled skill by name, or the one in a folder or skill.toml file. All its faults are reported at once.

    Raises UsageError where there is no such skill, ConfigError with every fault, MissingExtra for a Parquet file
    without pyarrow.
    """
    path = _locate(name_or_path)
    raw = read_toml(path)
    places = Places(path, path.read_text(encoding="utf-8-sig"))
    problems = [*_words(places, raw)]
    for name in ("teacher", "held_out", "data"):
        problems += _paths(places, raw.get(name), (name,))
    try:
        raw = all_restored(raw)
    except BrokenText as fault:
        problems.append(f"{path}: {fault}")
    topics = _topics(places, raw.get("topic", []), problems)
    seen: dict[str, str] = {}
    held_out = _held_out(path, places, raw.get("held_out", {}), {t.name for t in topics}, seen, problems)
    checker = raw.get("checker", "math")
    if checker not in get_args(Checker):
        problems.append(
            f"{places.where('checker')}: checker: got {short(checker)}, allowed: {', '.join(get_args(Checker))}"
        )
    importer = Importer(path, [t.name for t in topics], checker, places, problems)
    own = importer.read(raw.get("data", {}), has_held_out="eval" in held_out)
    problems += [f"{path}: data: id {i.id!r} is already used at {seen[i.id]}" for i in own.held_out if i.id in seen]
    if problems:
        raise ConfigError(
            f"{path} is no valid skill",
            problems=shortened(problems),
            hint=f"a complete example: {_bundled() / 'calculus' / _FILE}",
        )
    return SkillPack(
        name=raw["name"],
        title=raw["title"],
        description=raw.get("description", ""),
        checker=checker,
        teacher=raw.get("teacher", ""),
        topics=tuple(topics),
        held_out={"eval": own.held_out, **held_out} if own.held_out else held_out,
        exercises=own.exercises,
        notes=own.notes,
    )


def _locate(name_or_path: str) -> Path:
    names = bundled_skills()
    if name_or_path in names:
        return _bundled() / name_or_path / _FILE
    path = Path(name_or_path).expanduser()
    file = path / _FILE if path.is_dir() else path
    if name_or_path.strip() and file.is_file():
        return file
    raise _no_such_skill(name_or_path, file, names)


def _no_such_skill(given: str, file: Path, names: Sequence[str]) -> UsageError:
    known = f"bundled skills: {', '.join(names) or 'none'}"
    if file.name == _FILE or file.suffix == ".toml":
        return UsageError(f"there is no skill at {file}", hint=f"give the path of a skill.toml or its folder; {known}")
    close = difflib.get_close_matches(given.casefold(), names, n=3, cutoff=0.5)
    meant = f"did you mean {' or '.join(close)}? " if close else ""
    subject = " ".join(given.split()) or "My subject"
    new = f"a new one begins with: dsa-lite new {shlex.quote(subject)}"
    return UsageError(
        f"there is no skill called {given!r}, and no folder either",
        hint=f"{meant}{known}\n{new}",
    )


def _words(places: Places, raw: Mapping[str, Any]) -> Iterator[str]:
    for key in raw:
        if key not in _FIELDS:
            yield f"{places.where(key)}: {key}: unknown field{_meant(key, _FIELDS)} (allowed: {', '.join(_FIELDS)})"
    for field in ("name", "title", "description", "teacher"):
        optional = field in ("description", "teacher")
        value = raw.get(field, "" if optional else None)
        if not isinstance(value, str) or not (optional or value.strip()):
            got = "missing" if value is None else f"got {short(value)}, allowed: a text"
            yield f"{places.where(field)}: {field}: {got}"


def _paths(places: Places, raw: Any, key: tuple[str, ...]) -> Iterator[str]:
    """Texts that name files and hold what was a backslash once."""
    if isinstance(raw, Mapping):
        for name, value in raw.items():
            yield from _paths(places, value, (*key, name))
    elif isinstance(raw, str) and lost_backslash(raw):
        yield f"{places.where(*key)}: {'.'.join(key)}: got {short(raw)}; {BACKSLASHES}"


def _meant(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _topics(places: Places, raw: Any, problems: list[str]) -> list[Topic]:
    if not isinstance(raw, list) or not raw:
        problems.append(f"{places.where('topic')}: topic: a skill needs at least one [[topic]]")
        return []
    topics = []
    for i, entry in enumerate(raw):
        try:
            topics.append(Topic.model_validate(entry))
        except ValidationError as error:
            for fault in error.errors(include_url=False):
                field = ".".join(map(str, fault["loc"]))
                where = f"{places.where('topic', i, *fault['loc'])}: topic {i + 1}: {field + ': ' if field else ''}"
                got = "" if fault["type"] == "missing" else f" (got {short(fault['input'])})"
                problems.append(f"{where}{fault['msg']}{got}")
    if len(topics) < len(raw):
        return topics  # names would be missing: the checks between topics would mislead
    names = {t.name for t in topics}
    first: dict[str, int] = {}
    for i, topic in enumerate(topics):
        same = first.setdefault(skill_id(topic.name), i)
        if same != i:
            before = places.where("topic", same, "name")
            problems.append(f"{places.where('topic', i, 'name')}: topic {topic.name!r} is already defined at {before}")
        for wanted in topic.prerequisites:
            if wanted not in names:
                where = places.where("topic", i, "prerequisites")
                problems.append(
                    f"{where}: topic {topic.name!r}: prerequisite {wanted!r} is no topic{_meant(wanted, names)}"
                )
    circle = _circle({t.name: [p for p in t.prerequisites if p in names] for t in topics})
    if circle:
        where = places.where("topic", [t.name for t in topics].index(circle[0]), "prerequisites")
        problems.append(f"{where}: topics rest on each other in a circle: {' <- '.join(map(repr, circle))}")
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


def _held_out(
    path: Path, places: Places, raw: Any, topics: set[str], seen: dict[str, str], problems: list[str]
) -> dict[Split, tuple[HeldOutItem, ...]]:
    """seen: id -> where it stands, filled here."""
    sets: dict[Split, tuple[HeldOutItem, ...]] = {}
    if not isinstance(raw, Mapping):
        problems.append(f"{places.where('held_out')}: held_out: got {short(raw)}, allowed: a table [held_out]")
        return sets
    for split, name in raw.items():
        where = f"{places.where('held_out', split)}: held_out.{split}"
        if split not in get_args(Split):
            problems.append(f"{where}: unknown set (allowed: {', '.join(get_args(Split))})")
        elif not isinstance(name, str) or not inside(name):
            problems.append(f"{where}: got {short(name)}, allowed: a file in the skill's folder")
        elif not (path.parent / name).is_file():
            problems.append(f"{where}: there is no file {path.parent / name}")
        else:
            known = topics if split == "eval" else None
            sets[split] = tuple(_items(path.parent / name, known, seen, problems))
    return sets


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
        try:
            item = item.model_copy(update=all_restored({"problem": item.problem, "answer": item.answer}))
        except BrokenText as fault:
            problems.append(f"{where}: {fault}")
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
