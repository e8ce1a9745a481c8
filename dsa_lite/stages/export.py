"""The result in use: the trained student in other tools' formats, each asked afresh before it is called done."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dsa_lite.config import Config
from dsa_lite.core.cards import MADE_BY, dataset_card, model_card
from dsa_lite.core.go_template import modelfile
from dsa_lite.errors import MissingExtra, UsageError
from dsa_lite.io.files import remove, writing
from dsa_lite.io.plugins import answerer, exporter
from dsa_lite.io.rundir import RunDir
from dsa_lite.io.training_data import write_training_data
from dsa_lite.model_folder import FolderTokenizer, find_folder, read_json, stop_ids
from dsa_lite.stages.finished import identity_of, open_finished, probes, prompt_text, replies, require_tuned

#: Format -> the exporter that does its weights; "" for none.
FORMATS = {
    "peft": "peft",
    "merged": "merged",
    "gguf-adapter": "gguf-adapter",
    "gguf": "gguf",
    "ollama": "gguf",
    "mlx": "mlx",
    "dataset": "",
}


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
    return run.path / "export" / (f"{kind}-{quantize}" if quantize else kind)


def export(
    run: RunDir, kind: str, out: Path, *, quantize: str = "", force: bool = False, items: int = 10,
    say: Callable[[str], None] = lambda _: None,
) -> Exported:  # fmt: skip
    """Write the student of a finished run to the folder `out`, which appears whole or not at all.

    `items`: held-out items to compare answers on; 0: none. Raises UsageError when `out` is there (without `force`) or
    the run is unfinished, ModelError for a model that the format cannot hold, MissingExtra with the pip line.
    """
    require_tuned(run)
    if quantize and not FORMATS[kind].startswith(("gguf", "merged")):
        raise UsageError(f"--quantize means nothing for --to {kind}", hint="it goes with --to gguf, ollama or merged")
    result = Exported(kind, out)
    with _appearing(out, force) as folder:
        if kind == "dataset":
            say("writing the examples")
            counts, result.notes = write_training_data(run, folder)
            _write(folder / "README.md", dataset_card(identity_of(run).skill, counts))
        else:
            _export_model(run, kind, folder, quantize, items, result, say)
        result.files = sorted((str(p.relative_to(folder)), p.stat().st_size) for p in folder.rglob("*") if p.is_file())
    return result


def _export_model(
    run: RunDir, kind: str, folder: Path, quantize: str, items: int, result: Exported, say: Callable[[str], None]
) -> None:
    who = identity_of(run)
    base = find_folder(who.student)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{Path(who.student).name}-{who.skill}").strip("-.") or "student"
    say(f"writing {kind}")
    result.notes += exporter(FORMATS[kind])(who.student, run.adapter, folder, quantize, name)
    if kind == "ollama":
        result.notes += _write_modelfile(base, folder)
    if items:
        say("comparing its answers with the student's")
        result.check = _check(run, kind, folder, items, result.notes)
    else:
        result.notes.append("not compared with the student (--no-check)")
    check = result.check
    facts: dict[str, Any] = {
        "kind": kind, "name": name, "base": who.student, "skill": who.skill, "seed": who.seed,
        "licence": _licence(base), "summary": run.read_summary() or {},
        "files": sorted(p.name for p in folder.iterdir()), "check": check and (check.asked, check.same, check.what),
        "settings": read_json(run.adapter / "adapter_config.json"),
    }  # fmt: skip
    _write(folder / "README.md", model_card(facts))


def _check(run: RunDir, kind: str, folder: Path, items: int, notes: list[str]) -> Check | None:
    """Ask the export and the student the same."""
    problems, what = probes(run, items)
    if not problems:
        notes.append("not compared with the student: no held-out items and no exercises found")
        return None
    limit = Config.model_validate(run.settings().get("config", {})).evaluate.max_tokens
    with open_finished(run) as student:
        expected = replies(student, problems, limit)
        texts = [prompt_text(student.tokenizer, problem) for problem in problems]
        longest = max(len(student.tokenizer.encode(text)) for text in texts)
        limit = max(1, min(limit, student.context_tokens - longest))
    try:
        found = answerer(FORMATS[kind])(identity_of(run).student, folder, texts, limit)
    except MissingExtra as error:
        notes.append(f"not compared with the student: {error.message}; {error.hint}")
        return None
    pairs = [(p, a.strip(), b.strip()) for p, a, b in zip(problems, expected, found, strict=True)]
    different = [Difference(*pair) for pair in pairs if pair[1] != pair[2]]
    return Check(len(pairs), len(pairs) - len(different), what, different[0] if different else None)


def _write_modelfile(base: Path, folder: Path) -> list[str]:
    """The Modelfile beside the one GGUF file: template and stops as trained."""
    (weights,) = folder.glob("*.gguf")
    tokenizer = FolderTokenizer(base)
    texts = {entry.get("id"): entry.get("content") for entry in read_json(base / "tokenizer.json")["added_tokens"]}
    stops = [texts[number] for number in sorted(stop_ids(base, tokenizer)) if texts.get(number)]
    text, whole = modelfile(weights.name, tokenizer.chat_template, tokenizer.special_tokens, stops)
    _write(folder / "Modelfile", text)
    told = "its chat template cannot be written as Ollama's: the Modelfile has no TEMPLATE, write one before using it"
    return [] if whole else [told]


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
        with writing(out):
            yield part
            if out.exists():
                out.rename(old)
            try:
                part.rename(out)
            except OSError:
                if old.exists():
                    old.rename(out)
                raise
    finally:
        for folder in (part, old):
            with suppress(OSError):
                remove(folder)


def _is_export(folder: Path) -> bool:
    """Whether --force may replace it: nothing is in it, or its card says that this command wrote it."""
    if not folder.is_dir():
        return False
    card = folder / "README.md"
    return not any(folder.iterdir()) or (
        card.is_file() and MADE_BY in card.read_text(encoding="utf-8", errors="replace")
    )
