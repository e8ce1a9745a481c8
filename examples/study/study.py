"""A study on disk: one folder, in it study.json and an ordinary run folder per seed and arm (seed-0/static, …)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dsa_lite.io.files import read_json, write_json
from dsa_lite.io.settings.files import read_toml
from dsa_lite.stages import pipeline
from dsa_lite.stages.context import Job

from . import arms

FILE, DEV_SKILL, DEV_SEED = "study.json", "dev-skill", 100


@dataclass(frozen=True)
class Study:
    """`skill`: name or folder; `budget`: target tokens in place of the size's, 0: the size's; `config`: a TOML file of
    settings for all arms; empty models: the bundled ones."""

    skill: str = "calculus"
    size: str = "small"
    dev: bool = False
    budget: int = 0
    config: str = ""
    teacher: str = ""
    student: str = ""
    backend: str = "auto"

    @property
    def first_seed(self) -> int:
        """Choices are made on other seeds than those of the final table."""
        return DEV_SEED if self.dev else 0

    def skill_in(self, out: Path) -> str:
        """What the arms are taught: the skill, or its copy with a development split."""
        return str(out / DEV_SKILL) if self.dev else self.skill

    def job(self, out: Path, seed: int, arm: str) -> Job:
        """The run of one arm. Raises what `pipeline.prepare` raises."""
        own = [(self.config, read_toml(Path(self.config)))] if self.config else []
        return pipeline.prepare(
            self.skill_in(out),
            teacher=self.teacher or None,
            student=self.student or None,
            backend=self.backend,
            out=folder(out, seed, arm),
            layers=[
                ("size", arms.SIZES[self.size].writing),
                *own,
                (f"arm {arm}", arms.settings(arm, self.size, seed, self.budget)),
            ],
            within={},
        )


def folder(out: Path, seed: int, arm: str) -> Path:
    return out / f"seed-{seed}" / arm


def seeds(out: Path) -> list[int]:
    """The seeds that were begun."""
    return sorted(int(p.name.removeprefix("seed-")) for p in out.glob("seed-[0-9]*") if p.is_dir())


def begin(out: Path, study: Study, command: str) -> None:
    """Write down what is studied in a folder. Raises SystemExit where another study is in there."""
    written = read_json(out / FILE)
    if written is not None and written["study"] != asdict(study):
        differing = [k for k, v in asdict(study).items() if written["study"].get(k) != v]
        raise SystemExit(f"{out} holds another study (other: {', '.join(differing)}); choose another --out")
    commands: list[str] = written["commands"] if written is not None else []
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / FILE, {"study": asdict(study), "commands": [*commands, *({command} - set(commands))]})


def load(out: Path) -> tuple[Study, list[str]]:
    """The study in a folder, and the commands that made it. Raises SystemExit where there is none."""
    written: dict[str, Any] | None = read_json(out / FILE)
    if written is None:
        raise SystemExit(f"{out} holds no study: python -m examples.study.run --out {out}")
    return Study(**written["study"]), list(written["commands"])


def summary(out: Path, seed: int, arm: str) -> dict[str, Any] | None:
    """What a finished arm found; None while it is not."""
    path = folder(out, seed, arm) / "evaluation" / "summary.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
