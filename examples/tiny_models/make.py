"""The whole recipe: from nothing to the two bundled models, their settings and their model cards.

    python -m examples.tiny_models.make            # about two hours on two processor cores

Every step leaves a file in `examples/tiny_models/work/` and is skipped when that file is there, so the recipe can be
stopped and started again; the trainings go on from their last checkpoint. The two trainings run at the same time, one
processor core each.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from .card import student_card, teacher_card
from .gguf_export import export
from .heldout import main as write_held_out
from .model import CONFIGS, TinyLlama, save_hf

HERE = Path(__file__).parent
WORK = HERE / "work"
BUNDLED = HERE.parents[1] / "dsa_lite" / "bundled"
PACKAGE = "examples.tiny_models"
LICENSE = "Apache-2.0"

#: rows, tokens per row, seed of the text; steps, rows per step, rows per forward pass, seed of the training
ROWS = {"student": (48_000, 256, 1), "teacher": (27_000, 384, 2)}
TRAINING = {"student": (1150, 32, 16, 1), "teacher": (850, 24, 8, 2)}
DOCUMENTS = {"student": "base_documents", "teacher": "teacher_documents"}


def main() -> None:
    """Run every step that is not done yet."""
    WORK.mkdir(exist_ok=True)
    write_held_out()
    _tokenizer()
    for model in ROWS:
        _rows(model)
    _trainings()
    _bundle()
    _score()
    _cards()


def _run(*words: object) -> list[str]:
    return [sys.executable, "-m", *(str(w) for w in words)]


def _tokenizer() -> None:
    if not (WORK / "tokenizer" / "tokenizer.json").exists():
        documents = f"{PACKAGE}.corpus:tokenizer_documents"
        subprocess.run(_run(f"{PACKAGE}.tokenizer", "--documents", documents, "--count", 20000,
                            "--out", WORK / "tokenizer"), check=True)  # fmt: skip


def _rows(model: str) -> None:
    out = WORK / f"{model}_rows"
    if not (out / "docs.npy").exists():
        rows, length, seed = ROWS[model]
        documents = f"{PACKAGE}.corpus:{DOCUMENTS[model]}"
        subprocess.run(_run(f"{PACKAGE}.stream", "--documents", documents, "--tokenizer", WORK / "tokenizer",
                            "--rows", rows, "--length", length, "--seed", seed, "--out", out), check=True)  # fmt: skip


def _trainings() -> None:
    """Both at once, one core each; logs in work/."""
    started: list[tuple[str, subprocess.Popen[bytes]]] = []
    for model, (steps, batch, micro, seed) in TRAINING.items():
        if (WORK / f"{model}_hf" / "config.json").exists():
            continue
        command = _run(f"{PACKAGE}.train", "--model", model, "--data", WORK / f"{model}_rows",
                       "--tokenizer", WORK / "tokenizer", "--out", WORK / f"{model}_hf",
                       "--checkpoint", WORK / f"{model}.pt", "--steps", steps, "--batch", batch,
                       "--micro-rows", micro, "--seed", seed, "--resume")  # fmt: skip
        log = (WORK / f"{model}.log").open("ab")
        print(f"training the {model}: see {log.name}")
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        started.append((model, subprocess.Popen(command, stdout=log, stderr=log, env=environment)))
    failed = [model for model, process in started if process.wait()]
    if failed:
        raise SystemExit(f"the training of {', '.join(failed)} failed: see the logs in {WORK}")


def _bundle() -> None:
    """The student in bfloat16 (half the size, loaded as float32), the teacher as Q8_0 GGUF."""
    save_hf(_trained("student"), WORK / "tokenizer", BUNDLED / "student", torch.bfloat16)
    (BUNDLED / "teacher").mkdir(parents=True, exist_ok=True)
    export(WORK / "teacher_hf", BUNDLED / "teacher" / "dsa-lite-tiny-teacher.gguf", "dsa-lite tiny teacher", LICENSE,
           "A demonstration teacher for dsa-lite: writes prerequisites, textbooks and exercises on calculus.")  # fmt: skip
    for model in ROWS:
        shutil.copy(HERE / f"{model}.dsa-lite.toml", BUNDLED / model / "dsa-lite.toml")


def _trained(model: str) -> TinyLlama:
    network = TinyLlama(CONFIGS[model])
    network.load_state_dict(torch.load(WORK / f"{model}.pt", weights_only=True)["model"])
    return network


def _score() -> None:
    subprocess.run(_run(f"{PACKAGE}.score", "--student", BUNDLED / "student", "--teacher",
                        BUNDLED / "teacher" / "dsa-lite-tiny-teacher.gguf", "--out", WORK), check=True)  # fmt: skip


def _cards() -> None:
    facts: dict[str, Any] = {name: json.loads((WORK / f"{name}.json").read_text()) for name in ROWS}
    sizes: dict[str, Sequence[int]] = {}
    for name in ROWS:
        parameters = sum(p.numel() for p in TinyLlama(CONFIGS[name]).parameters())
        steps, batch, _, _ = TRAINING[name]
        sizes[name] = (parameters, steps * batch * ROWS[name][1])
    (BUNDLED / "student" / "README.md").write_text(student_card(facts["student"], *sizes["student"]), encoding="utf-8")
    (BUNDLED / "teacher" / "README.md").write_text(teacher_card(facts["teacher"], *sizes["teacher"]), encoding="utf-8")


if __name__ == "__main__":
    main()
