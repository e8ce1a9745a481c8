"""A skill's `[data]`: exercises of one's own and held-out questions from files in the field's layouts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import Field, ValidationError

from dsa_lite.core.graph import skill_id
from dsa_lite.core.hold_out import LEAST, hold_out
from dsa_lite.io.imports.choices import CountFrom
from dsa_lite.io.imports.items import Item, ItemReader
from dsa_lite.io.imports.layouts import Binding, Layout, Part, bind, unnested
from dsa_lite.io.imports.rows import Row, read_rows
from dsa_lite.io.imports.turns import Turns
from dsa_lite.io.jsonl import short
from dsa_lite.io.toml_places import Places
from dsa_lite.records import Checker, Exercise, HeldOutItem, Record

_FILES = ("exercises", "held_out")
_NO_ANSWER = (
    r'no final answer found, which a test question needs; mark it with "Answer: …" on the last line, \boxed{…} or ####'
)


class _Reading(Record):
    """How a file is read. `topic`: what its questions belong to where no column says it.

    turns: which replies of a chat are taken; count_from: the number of the first choice, None to find it out.
    """

    layout: Layout | None = None
    columns: dict[Part, str] = Field(default_factory=dict)
    topic: str = ""
    turns: Turns = "last"
    count_from: CountFrom | None = None


class _Source(_Reading):
    file: str


class _Data(_Reading):
    """The table. What it says about reading holds for every file that does not say it itself."""

    exercises: _Source | None = None
    held_out: _Source | None = None
    hold_out: float = Field(default=0.1, ge=0, lt=1)

    def source(self, name: str) -> _Source | None:
        own: _Source | None = getattr(self, name)
        if own is None:
            return None
        shared = {k: getattr(self, k) for k in _Reading.model_fields if k not in own.model_fields_set}
        return own.model_copy(update=shared)


@dataclass(frozen=True)
class Imported:
    """What `[data]` brings. `notes`: what one should know of it."""

    exercises: tuple[Exercise, ...] = ()
    held_out: tuple[HeldOutItem, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Importer:
    """Reads the files of one skill. `topics`: names of its topics; faults are added to `problems`, what is
    left out without being one to `notes`."""

    toml: Path
    topics: Sequence[str]
    checker: Checker
    places: Places
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def read(self, raw: Any, *, has_held_out: bool) -> Imported:
        """The content of the table `[data]`; has_held_out: the skill names an eval set elsewhere.

        A skill without any gets the share `hold_out` of its exercises, chosen by the hash of their text.
        Raises MissingExtra for a Parquet file without pyarrow.
        """
        data = self._table(raw)
        if data is None:
            return Imported()
        if data.held_out is not None and has_held_out:
            self.problems.append(
                f"{self.places.where('data', 'held_out')}: data.held_out: held_out.eval names one, too"
            )
        items = self._items("exercises", data.source("exercises"))
        asked = self._items("held_out", data.source("held_out"))
        self.problems.extend(f"{item.where}: {_NO_ANSWER}" for item in asked if not item.answer)
        tests = tuple(_tests(asked))
        if data.held_out is not None or has_held_out:
            return Imported(tuple(map(_exercise, items)), tests, tuple(self.notes))
        graded = [item for item in items if item.answer]
        aside = hold_out([i.problem for i in graded], data.hold_out)
        chosen = [i for i, out in zip(graded, aside, strict=True) if out]
        gone = set(map(id, chosen))
        kept = [item for item in items if id(item) not in gone]
        if items and data.hold_out > 0 and not chosen:
            self.notes.append(_none_aside(len(graded), data.hold_out))
        return Imported(tuple(map(_exercise, kept)), tuple(_tests(chosen)), tuple(self.notes))

    def _table(self, raw: Any) -> _Data | None:
        """The checked table; a file's name alone is short for a table that holds it."""
        if not isinstance(raw, Mapping):
            self.problems.append(f"{self.places.where('data')}: data: got {short(raw)}, allowed: a table [data]")
            return None
        short_form = {k: {"file": raw[k]} for k in _FILES if k in raw and not isinstance(raw[k], Mapping)}
        try:
            return _Data.model_validate({**raw, **short_form})
        except ValidationError as error:
            for fault in error.errors(include_url=False):
                loc = tuple(part for part in fault["loc"] if part != "[key]")
                loc = loc[:-1] if loc[-1] == "file" and loc[0] in short_form else loc
                got = "" if fault["type"] == "missing" else f" (got {short(fault['input'])})"
                field = ".".join(map(str, ("data", *loc)))
                self.problems.append(f"{self.places.where('data', *loc)}: {field}: {fault['msg']}{got}")
            return None

    def _items(self, name: str, source: _Source | None) -> list[Item]:
        if source is None:
            return []
        where = f"{self.places.where('data', name)}: data.{name}"
        path = self.toml.parent / source.file
        if not path.exists():
            path = self.toml.parent / source.file.replace("\\", "/")  # written on Windows
        if not inside(source.file):
            self.problems.append(f"{where}: got {short(source.file)}, allowed: a file in the skill's folder")
            return []
        if not path.is_file():
            self.problems.append(f"{where}: there is no file {path}")
            return []
        before = len(self.problems)
        rows = unnested(read_rows(path, self.problems))
        if not rows and len(self.problems) == before:
            self.problems.append(f"{path}: holds no questions")
        binding = bind(path, rows, source.layout, source.columns, self.problems)
        if binding is None:
            return []
        if binding.layout == "choice" and self.checker != "choice":
            self.problems.append(
                f'{path}: holds multiple-choice questions, which need checker = "choice" in {self.toml}'
            )
        read = ItemReader(binding, source.turns, source.count_from).read(path, rows, self.problems)
        items = self._unique(read)
        if len(items) < len(read):
            self.notes.append(f"{path}: exact copies, read once: {len(read) - len(items):,}")
        self._note(path, rows, binding, source, items)
        return self._placed(path, binding, source, items)

    def _note(self, path: Path, rows: Sequence[Row], binding: Binding, source: _Source, items: Sequence[Item]) -> None:
        """What of the file is not in the items, or not as one would expect."""
        but: tuple[Part, ...] = ("topic",) if source.topic and "topic" not in source.columns else ()
        if unread := binding.unread(rows, but=but):
            self.notes.append(f"{path}: columns that are not read: {', '.join(unread)}")
        open_ended = [item for item in items if not item.answer]
        if open_ended:
            self.notes.append(
                f"{path}: without a final answer, so trained on as they are and never graded: {len(open_ended):,} of "
                f"{len(items):,} (the first at {open_ended[0].where}). Answer: … on a reply's last line marks one."
            )
        if earlier := sum(bool(item.earlier) for item in items):
            self.notes.append(
                f"{path}: {earlier:,} of {len(items):,} questions come after other turns of a chat, which stand before "
                f'them as text; turns = "{source.turns}"'
            )

    def _placed(self, path: Path, binding: Binding, source: _Source, items: Sequence[Item]) -> list[Item]:
        default = source.topic or (self.topics[0] if len(self.topics) == 1 else "")
        if "topic" not in binding.columns and not default:
            self.problems.append(
                f'{path}: no column says the topic; name it, as in columns = {{topic = "…"}}, or give one to all of '
                'them, as in topic = "…"'
            )
            return []
        fixed = source.topic if "topic" not in source.columns else ""
        return list(self._with_topics(items, binding.columns.get("topic", "topic"), fixed, default))

    def _with_topics(self, items: Sequence[Item], column: str, fixed: str, default: str) -> Iterator[Item]:
        """The items with their topics as the skill spells them."""
        known = {skill_id(name): name for name in self.topics}
        meant: dict[str, str] = {}
        for item in items:
            said = fixed or item.topic or default
            if said not in meant:
                meant[said] = skill_id(said)
            if meant[said] in known:
                yield item._replace(topic=known[meant[said]])
            elif known:  # else the syllabus is faulty: nothing can be said about topics
                what = f"got {short(said)}, which is no topic of this skill" if said else "is missing"
                self.problems.append(f"{item.where}: {column}: {what}")

    def _unique(self, items: Sequence[Item]) -> list[Item]:
        """Exact copies are read once; one problem with two answers, or one id for two problems, is a fault."""
        seen: dict[str, Item] = {}
        ids: dict[str, str] = {}
        for item in items:
            key = " ".join(item.problem.split())
            other = seen.setdefault(key, item)
            if other.answer != item.answer:
                self.problems.append(f"{item.where}: the problem of {other.where} again, with another answer")
            elif other is item and item.id:
                if item.id in ids:
                    self.problems.append(f"{item.where}: id {item.id!r} is already used at {ids[item.id]}")
                ids.setdefault(item.id, item.where)
        return list(seen.values())


def _none_aside(questions: int, share: float) -> str:
    return (
        f"no question of your own is held out: hold_out = {share:g} sets fewer than {LEAST} of {questions:,} questions "
        "aside. Raise data.hold_out, or name test questions as data.held_out."
    )


def inside(name: str) -> bool:
    """Whether a file name stays in the skill's folder."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return bool(parts) and parts[0] != "/" and ".." not in parts and ":" not in name


def _exercise(item: Item) -> Exercise:
    """The id comes from the text, so that it stays the same when others are added."""
    text = " ".join(item.problem.split()).encode("utf-8", "replace")
    return Exercise(
        id=f"own-{hashlib.sha256(text).hexdigest()[:12]}", problem=item.problem, solution=item.solution,
        answer=item.answer, skills=(skill_id(item.topic),), origin="imported",
    )  # fmt: skip


def _tests(items: Sequence[Item]) -> Iterator[HeldOutItem]:
    taken = {item.id for item in items}
    for number, item in enumerate(items, start=1):
        id = item.id or f"eval-{number:04d}"
        while not item.id and id in taken:
            id += "-"
        yield HeldOutItem(id=id, problem=item.problem, answer=item.answer, topic=item.topic, skills=(item.topic,))
