"""The whole recipe: from nothing to the three bundled models, their settings and their model cards.

    python -m examples.tiny_models.make            # about four hours on two processor cores

Every step leaves a file in `examples/tiny_models/work/` and is skipped when that file is there, so the recipe can be
stopped and started again; the trainings go on from their last checkpoint.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from . import heldout, social_forms, social_heldout
from .card import student_card, teacher_card
from .corpus import sample_texts
from .gguf_export import export
from .model import CONFIGS, TinyLlama, save_hf
from .stream import read_documents
from .tokenizer import build, load, save

HERE = Path(__file__).parent
WORK = HERE / "work"
BUNDLED = HERE.parents[1] / "dsa_lite" / "bundled"
PACKAGE = "examples.tiny_models"
LICENSE = "Apache-2.0"
#: The teachers: their files, and what these say of themselves.
TEACHERS = {
    "teacher": ("dsa-lite-tiny-teacher", "writes prerequisites, textbooks and exercises on calculus"),
    "social-teacher": (
        "dsa-lite-tiny-social-teacher",
        "writes prerequisites, textbooks and exercises on social studies",
    ),
}


@dataclass(frozen=True)
class Phase:
    """One training: its text, then its steps, from the (mean) weights of earlier phases or from scratch."""

    start: str | tuple[str, ...] | None
    documents: str  # module:function
    rows: int
    length: int  # tokens per row
    text_seed: int
    steps: int
    batch: int  # rows per step
    micro: int  # rows per forward pass
    seed: int
    matrix_rate: float
    other_rate: float
    threads: int


#: The teacher goes on from the student: who knows arithmetic learns to teach it in a fraction of the time.
PHASES = {
    "student_1": Phase(None, "corpus:base_documents", 48_000, 256, 1, 1150, 32, 16, 1, 0.01, 0.005, 1),
    "student_2": Phase("student_1", "corpus:base_documents", 43_000, 256, 3, 1800, 16, 16, 3, 0.007, 0.003, 1),
    "student_3": Phase("student_2", "corpus:revision_documents", 14_000, 256, 5, 800, 16, 16, 5, 0.006, 0.0025, 1),
    "student_4": Phase("student_3", "corpus:revision_documents", 45_000, 256, 7, 2800, 16, 16, 7, 0.006, 0.0025, 1),
    "student_5": Phase("student_4", "corpus:last_documents", 24_000, 256, 9, 1500, 16, 16, 9, 0.005, 0.002, 1),
    "student_6": Phase("student_5", "social_reading:base_documents", 20_000, 256, 11, 1200, 16, 16, 11,
                       0.005, 0.002, 1),
    "student_7": Phase(("student_5", "student_6"), "social_reading:base_documents", 14_400, 256, 13, 900, 16, 16, 13,
                       0.0035, 0.0014, 1),
    "student_8": Phase(("student_5", "student_6"), "social_reading:base_documents", 14_400, 256, 15, 900, 16, 16, 15,
                       0.0035, 0.0014, 1),
    "teacher_1": Phase("student_3", "teaching:teacher_documents", 18_000, 384, 4, 1500, 12, 12, 4, 0.007, 0.003, 2),
    "teacher_2": Phase("teacher_1", "teaching:practice_documents", 32_000, 384, 6, 2600, 12, 12, 6, 0.006, 0.0025, 1),
    "teacher_3": Phase("teacher_2", "teaching:revision_documents", 8_500, 384, 8, 700, 12, 12, 8, 0.005, 0.002, 1),
    "teacher_4": Phase(("teacher_2", "teacher_3"), "social_teaching:both_documents", 15_000, 384, 10, 1200, 12, 12, 10,
                       0.006, 0.0025, 1),
    "teacher_5": Phase("teacher_4", "social_teaching:equal_documents", 19_200, 384, 12, 1600, 12, 12, 12,
                       0.006, 0.0025, 1),
    # Not shipped, and not trained by the recipe: teachers of both skills (see README.md).
    "teacher_6": Phase(("teacher_4", "teacher_5"), "social_teaching:choosing_documents", 13_800, 384, 14, 1150, 12, 12,
                       14, 0.006, 0.0025, 1),
    "teacher_7": Phase(("student_5", "student_6"), "social_teaching:few_choice_documents", 26_500, 384, 16, 2200, 12,
                       12, 16, 0.007, 0.003, 1),
    "teacher_8": Phase("teacher_5", "social_teaching:short_documents", 5_400, 384, 18, 450, 12, 12, 18,
                       0.006, 0.0025, 1),
}  # fmt: skip
#: What is shipped: the mean of the weights that these phases ended with.
LAST = {
    "student": ("student_7", "student_8"),
    "teacher": ("teacher_2", "teacher_3"),
    "social-teacher": ("teacher_8",),
}


def main() -> None:
    """Run every step that is not done yet."""
    WORK.mkdir(exist_ok=True)
    heldout.main()
    social_heldout.main()
    social_forms.main()
    _tokenizer()
    phases = _rests_on(*(name for last in LAST.values() for name in last))
    for name in phases:
        _rows(name, PHASES[name])
    _prove(phases)
    _trainings(phases)
    _bundle()
    _score()
    _cards()


def _run(*words: object) -> list[str]:
    return [sys.executable, "-m", *(str(w) for w in words)]


def _tokenizer() -> None:
    """The shipped tokenizer where there is one: other ids would make all trained weights worthless."""
    if (WORK / "tokenizer" / "tokenizer.json").exists():
        return
    shipped = BUNDLED / "student"
    known = (shipped / "tokenizer.json").exists()
    save(load(shipped) if known else build(sample_texts(20_000)), WORK / "tokenizer")


def _rows(name: str, phase: Phase) -> None:
    out = WORK / f"{name}_rows"
    if not (out / "docs.npy").exists():
        subprocess.run(_run(f"{PACKAGE}.stream", "--documents", f"{PACKAGE}.{phase.documents}",
                            "--tokenizer", WORK / "tokenizer", "--rows", phase.rows, "--length", phase.length,
                            "--seed", phase.text_seed, "--out", out), check=True)  # fmt: skip


def _rests_on(*ends: str) -> list[str]:
    """These phases and all that they go on from, in their order."""
    wanted = list(ends)
    for name in wanted:  # grows
        start = PHASES[name].start
        wanted += [start] if isinstance(start, str) else start or []
    return [name for name in PHASES if name in wanted]


def _prove(phases: Sequence[str]) -> None:
    """No held-out problem stands in anything the models are trained on."""
    tokenizer = load(WORK / "tokenizer")
    for name in (f"{phase}_rows" for phase in phases):
        documents = list(read_documents(tokenizer, WORK / name))
        found = heldout.scan(documents, len(documents))
        found += heldout.scan(documents, len(documents), social_heldout.problems())
        print(f"{name}: {found} held-out problems in {len(documents):,} documents")
        if found:
            raise SystemExit(f"{WORK / name} holds held-out problems: it must not be trained on")


def _trainings(phases: Sequence[str]) -> None:
    """One phase after the other; logs in work/."""
    for name in phases:
        phase = PHASES[name]
        if (WORK / f"{name}_hf" / "config.json").exists():
            continue
        command = _run(f"{PACKAGE}.train", "--model", "student", "--data", WORK / f"{name}_rows",
                       "--tokenizer", WORK / "tokenizer", "--out", WORK / f"{name}_hf",
                       "--checkpoint", WORK / f"{name}.pt", "--steps", phase.steps, "--batch", phase.batch,
                       "--micro-rows", phase.micro, "--seed", phase.seed, "--matrix-rate", phase.matrix_rate,
                       "--other-rate", phase.other_rate, "--threads", phase.threads, "--resume")  # fmt: skip
        command += ["--start", str(_start(name, phase.start))] if phase.start else []
        log = WORK / f"{name}.log"
        print(f"training {name}: see {log}")
        with log.open("ab") as out:
            subprocess.run(command, check=True, stdout=out, stderr=out)


def _start(name: str, phases: str | tuple[str, ...]) -> Path:
    """The file of weights that a training begins with."""
    if isinstance(phases, str):
        return WORK / f"{phases}.pt"
    torch.save({"model": _mean(phases)}, WORK / f"{name}_start.pt")
    return WORK / f"{name}_start.pt"


def _mean(phases: Sequence[str]) -> dict[str, torch.Tensor]:
    """The mean of the weights that phases ended with."""
    ends = [torch.load(WORK / f"{phase}.pt", weights_only=True)["model"] for phase in phases]
    return {name: sum(end[name] for end in ends) / len(ends) for name in ends[0]}


def _bundle() -> None:
    """The student in bfloat16 (half the size, loaded as float32), the teachers as Q8_0 GGUF."""
    save_hf(_trained("student"), WORK / "tokenizer", BUNDLED / "student", torch.bfloat16)
    for name, (file, about) in TEACHERS.items():
        folder = BUNDLED / name
        folder.mkdir(parents=True, exist_ok=True)
        save_hf(_trained(name), WORK / "tokenizer", WORK / f"{name}_hf")
        export(
            WORK / f"{name}_hf",
            folder / f"{file}.gguf",
            file,
            LICENSE,
            f"A demonstration teacher for dsa-lite: {about}.",
        )
        shutil.copy(HERE / "teacher.dsa-lite.toml", folder / "dsa-lite.toml")
    shutil.copy(HERE / "student.dsa-lite.toml", BUNDLED / "student" / "dsa-lite.toml")


def _trained(model: str) -> TinyLlama:
    network = TinyLlama(CONFIGS["student"])
    network.load_state_dict(_mean(LAST[model]))
    return network


def _score() -> None:
    """The student at calculus, and each teacher at what it teaches."""
    for name, skill in (("teacher", "calculus"), ("social-teacher", "social-studies")):
        words = ["--teacher", BUNDLED / name / f"{TEACHERS[name][0]}.gguf", "--skill", skill, "--out", WORK]
        subprocess.run(_run(f"{PACKAGE}.score", *words), check=True)
    subprocess.run(_run(f"{PACKAGE}.score", "--student", BUNDLED / "student", "--out", WORK), check=True)


def _cards() -> None:
    scores: dict[str, Any] = {
        name: json.loads((WORK / f"{name}.json").read_text())
        for name in ("student", "student_social", "teacher", "teacher_social")
    }
    parameters = sum(p.numel() for p in TinyLlama(CONFIGS["student"]).parameters())
    phases = {name: [PHASES[phase] for phase in _rests_on(*last)] for name, last in LAST.items()}
    tokens = {name: sum(p.steps * p.batch * p.length for p in each) for name, each in phases.items()}
    cards = {
        "student": student_card(scores["student"], scores["student_social"], parameters, tokens["student"]),
        "teacher": teacher_card("calculus", scores["teacher"], parameters, tokens["teacher"]),
        "social-teacher": teacher_card(
            "social studies", scores["teacher_social"], parameters, tokens["social-teacher"]
        ),
    }
    for name, text in cards.items():
        (BUNDLED / name / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
