"""The result in use: the trained student in other tools' formats, each asked afresh before it is called done."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dsa_lite.core.cards import MADE_BY, dataset_card, model_card
from dsa_lite.core.encoding import prompt_text
from dsa_lite.core.go_template import modelfile
from dsa_lite.errors import DsaError, MissingExtra, UsageError
from dsa_lite.formats import FORMATS, check_numbers
from dsa_lite.io.files import cannot_write, path_name, remove, system_error, writing
from dsa_lite.io.plugins import answerer, exporter
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.io.training_data import training_data, write_training_data
from dsa_lite.model_files import read_json
from dsa_lite.model_folder import FolderTokenizer, find_folder, stop_ids
from dsa_lite.stages.finished import config_of, identity_of, open_finished, probes, replies, require_tuned


@dataclass(frozen=True)
class Difference:
    """The first item on which an export answers otherwise than the student."""

    problem: str
    student: str
    export: str


@dataclass(frozen=True)
class Check:
    """Greedy answers of the export against the student's own. `what`: where the questions are from."""

    asked: int
    same: int
    what: str
    first: Difference | None = None


@dataclass
class Exported:
    """What stands in `out` now. `check`: None where nothing was asked; `notes` say why, and what else matters."""

    kind: str
    out: Path
    files: list[tuple[str, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    check: Check | None = None


def default_out(run: RunDir, kind: str, quantize: str) -> Path:
    return run.exports / (f"{kind}-{quantize}" if quantize else kind)


def file_stem(student: str, skill: str) -> str:
    """What exported files are called, and the model in Ollama, which takes 80 plain letters."""
    return path_name(f"{Path(student).name}-{skill}", 80, ascii_only=True)


def export(
    run: RunDir, kind: str, out: Path, *, quantize: str = "", force: bool = False, items: int = 10,
    say: Callable[[str], None] = lambda _: None,
) -> Exported:  # fmt: skip
    """Write the student of a finished run to the folder `out`, which appears whole or not at all.

    `items`: held-out items to compare answers on; 0: none. Raises UsageError when `out` is there (without `force`), the
    run is unfinished or the format has no number format `quantize`, ConfigError for a run.toml that does not fit,
    ModelError for a model that the format cannot hold, MissingExtra with the pip line.
    """
    check_numbers(kind, quantize)
    require_tuned(run)
    config_of(run)
    result = Exported(kind, out)
    with _appearing(out, force) as folder:
        if kind == "dataset":
            say("writing the examples")
            files = training_data(run)
            name = path_name(identity_of(run).skill)
            card = dataset_card(name, {file: len(rows) for file, rows in files.items()})
            with writing(out):
                result.notes = write_training_data(files, folder, name)
                _write(folder / "README.md", card)
        else:
            _export_model(run, kind, folder, quantize, items, result, say)
        result.files = sorted((str(p.relative_to(folder)), p.stat().st_size) for p in folder.rglob("*") if p.is_file())
    return result


def _export_model(
    run: RunDir, kind: str, folder: Path, quantize: str, items: int, result: Exported, say: Callable[[str], None]
) -> None:
    who = identity_of(run)
    base = find_folder(who.student)
    name = file_stem(who.student, who.skill)
    say(f"writing {kind}")
    with _blamed(result.out, folder):
        result.notes += exporter(FORMATS[kind].exporter)(who.student, run.adapter, folder, quantize, name)
    if kind == "ollama":
        text, notes = _modelfile(base, folder)
        result.notes += notes
        with writing(result.out):
            _write(folder / "Modelfile", text)
    if items:
        say("comparing its answers with the student's")
        result.check = _check(run, kind, folder, items, result.notes)
    else:
        result.notes.append("not compared with the student (--no-check)")
    check = result.check
    facts: dict[str, Any] = {
        "kind": kind, "name": name, "base": who.student, "skill": " ".join(who.skill.split()), "seed": who.seed,
        "licence": _licence(base), "summary": run.read_summary() or {},
        "files": sorted(p.name for p in folder.iterdir()), "check": check and (check.asked, check.same, check.what),
        "settings": read_json(run.adapter / "adapter_config.json"),
    }  # fmt: skip
    with writing(result.out):
        _write(folder / "README.md", model_card(facts))


@contextmanager
def _blamed(out: Path, folder: Path) -> Iterator[None]:
    """An exporter reads base and adapter and writes into `folder`: says which of the two an OSError inside is about."""
    try:
        yield
    except DsaError:
        raise
    except Exception as told:
        error = system_error(told)
        if error is None:
            raise
        read = error.filename2 is None and error.filename is not None  # a failed copy names both
        if read and not Path(os.fsdecode(error.filename)).is_relative_to(folder):
            reason = error.strerror or str(error)
            hint = "the student's folder and the run's adapter/ must be there and readable"
            raise DsaError(f"cannot read {os.fsdecode(error.filename)}: {reason}", hint=hint) from told
        raise cannot_write(out, error) from told


def _check(run: RunDir, kind: str, folder: Path, items: int, notes: list[str]) -> Check | None:
    """Ask the export and the student the same."""
    problems, what = probes(run, items)
    if not problems:
        notes.append("not compared with the student: no held-out items and no exercises found")
        return None
    limit = config_of(run).evaluate.max_tokens
    with open_finished(run) as student:
        expected = replies(student, problems, limit)
        texts = [prompt_text(student.tokenizer, problem) for problem in problems]
        longest = max(len(student.tokenizer.encode(text)) for text in texts)
        limit = max(1, min(limit, student.context_tokens - longest))
    try:
        found = answerer(FORMATS[kind].exporter)(identity_of(run).student, folder, texts, limit)
    except MissingExtra as error:
        notes.append(f"not compared with the student: {error.message}; {error.hint}")
        return None
    pairs = [(p, a.strip(), b.strip()) for p, a, b in zip(problems, expected, found, strict=True)]
    different = [Difference(*pair) for pair in pairs if pair[1] != pair[2]]
    return Check(len(pairs), len(pairs) - len(different), what, different[0] if different else None)


def _modelfile(base: Path, folder: Path) -> tuple[str, list[str]]:
    """(text, notes) of the Modelfile beside the one GGUF file: template and stops as trained."""
    (weights,) = folder.glob("*.gguf")
    tokenizer = FolderTokenizer(base)
    texts = {entry.get("id"): entry.get("content") for entry in read_json(base / "tokenizer.json")["added_tokens"]}
    stops = [texts[number] for number in sorted(stop_ids(base, tokenizer)) if texts.get(number)]
    text, whole = modelfile(weights.name, tokenizer.chat_template, tokenizer.special_tokens, stops)
    told = "its chat template cannot be written as Ollama's: the Modelfile has no TEMPLATE, write one before using it"
    return text, [] if whole else [told]


def _licence(base: Path) -> str:
    """What the base's own card states; "" for none."""
    card = base / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    head = re.match(r"---\n(.*?)\n---", text, re.DOTALL)
    found = re.search(r"^license:\s*([\w.+-]{1,60})\s*$", head[1], re.MULTILINE) if head else None
    return found[1] if found else ""


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


@contextmanager
def _appearing(out: Path, force: bool) -> Iterator[Path]:
    """An empty folder beside `out` that takes its place once it is filled; gone when filling fails."""
    if (out.exists() or out.is_symlink()) and not force:
        raise UsageError(f"{out} is there already", hint="choose another --out, or replace it with --force")
    if out.exists() and not _is_export(out):
        raise UsageError(f"{out} was not written by dsa-lite export: it is not replaced", hint="choose another --out")
    part, old = (out.with_name(f".{out.name}.{word}-{os.getpid()}") for word in ("part", "old"))
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        remove(part)
        part.mkdir()
    try:
        yield part
        with writing(out):
            _replace(part, out, old)
    finally:
        for folder in (part, old) if out.exists() else (part,):
            with suppress(OSError):
                remove(folder)


def _replace(part: Path, out: Path, old: Path) -> None:
    """Put `part` in the place of `out`, which is `old` meanwhile, and is back whatever comes between."""
    try:
        if out.exists():
            out.rename(old)
        part.rename(out)
    except BaseException:
        if old.exists() and not out.exists():
            old.rename(out)
        raise


def _is_export(folder: Path) -> bool:
    """Whether --force may replace it: nothing is in it, or its card says that this command wrote it."""
    if not folder.is_dir():
        return False
    card = folder / "README.md"
    return not any(folder.iterdir()) or (
        card.is_file() and MADE_BY in card.read_text(encoding="utf-8", errors="replace")
    )
