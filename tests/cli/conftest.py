"""A pretended pipeline over a real run folder: the command line is tested without models."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

import dsa_lite.stages
from dsa_lite.config import Config
from dsa_lite.core.estimates import Counts, Kind, Measured
from dsa_lite.core.fitting import with_budget
from dsa_lite.events import Note, StageFinished, StageProgress, StageStarted
from dsa_lite.io.models.choosing import ModelChoice
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.io.settings.files import load_config
from dsa_lite.records import Decision, Exercise, HeldOutItem, SkillPack, Topic, Vote
from dsa_lite.stages import planning
from dsa_lite.stages.context import Job
from dsa_lite.stages.planning import Survey

EVIL = "[bold red]3 + 4[/] \x1b[31m\x1b]0;title\x07 [link=x]y"


def figure(accuracy: float, n: int = 100) -> dict[str, Any]:
    return {"accuracy": accuracy, "n": n, "low": max(0.0, accuracy - 0.08), "high": min(1.0, accuracy + 0.08)}


def summary(out: Path) -> dict[str, Any]:
    topic = {"set": "eval", "n": 17, "before": figure(0.0, 17), "after": figure(0.88, 17)}
    return {
        "skill": "calculus", "title": "Calculus", "seed": 0, "teacher": "tiny-teacher", "student": "tiny-student",
        "backend": "torch", "device": "cpu (2 threads, float32)", "seconds": 253.4, "teacher_tokens": 123456,
        "trained_tokens": 654321, "skills": 29, "textbooks": 29, "exercises": 464,
        "before": {"eval": figure(0.021, 400), "transfer": figure(0.0), "general": figure(0.91, 200)},
        "after": {"eval": figure(0.783, 400), "transfer": figure(0.31), "general": figure(0.905, 200)},
        "mcnemar_p": 1e-60, "mcnemar": {"eval": 1e-60, "transfer": 1e-9, "general": 0.79},
        "topics": [
            {**topic, "topic": "Power rule"}, {**topic, "topic": "Derivatives of products of polynomials"},
            {**topic, "topic": "Chain of powers", "set": "transfer"},
        ],
        "regions": {"error": 1, "hard": 1, "easy": 1, "ambiguous": 0}, "rejected": {"duplicate": 12, "wrong shape": 3},
        "rounds": [
            {"round": 1, "examples": 464, "new": 0, "removed": 20, "loss": 0.7, "regions": {}, "baseline": 2.1,
             "warnings": ["the baseline is low"]},
            {"round": 2, "examples": 444, "new": 60, "removed": 0, "loss": float("nan"),
             "regions": {}, "baseline": None},
        ],
        "notes": [], "adapter": str(out / "adapter"), "out": str(out),
    }  # fmt: skip


def exercise(name: str, skill: str, right: bool | None = None) -> Exercise:
    return Exercise(
        id=name, problem=f"Differentiate {EVIL}", solution="a\nb " * 100, answer="12x^3", skills=(skill,),
        origin="single", steps_right=right,
    )  # fmt: skip


def decision(name: str, skill: str, region: Any, action: Any, weight: float) -> Decision:
    return Decision(
        example=name, skill=skill, region=region, action=action, weight=weight, loss=1.234, deviation=0.2, score=1.0
    )


def write_run(out: Path) -> dict[str, Any]:
    """A finished run as the stages leave it, as far as the command line reads it."""
    identity = {"skill": "calculus", "teacher": "t", "student": "s", "backend": "torch", "seed": "0"}
    with RunDir.open(out, identity, Config().model_dump()) as run:
        for stage in ("graph", "textbooks", "exercises", "pretrain", "tune"):
            run.begin(stage, "x")
            run.add_seconds(stage, 12.3)
            run.finish(stage)
        for row in (
            exercise("e1", "Power rule", False),
            exercise("e2", "Power rule"),
            exercise("e3", "Chain rule", True),
        ):
            run.exercises().append(row)
        run.decisions(1).append(decision("e1", "Power rule", "error", "remove", 0.0))
        run.decisions(1).append(decision("e2", "Power rule", "hard", "keep", 1.0))
        run.decisions(1).append(decision("e3", "Chain rule", "easy", "down-weight", 0.3))
        for number, answer in enumerate(("11x^2", None, "11x^2"), start=1):
            run.votes().append(Vote(id=f"e1/{number}", exercise="e1", round=1, answer=answer))
        found = summary(out)
        run.write_summary(found)
    return found


class FakePipeline(ModuleType):
    """Records what it was asked for; `fails` is raised in the middle of the run."""

    def __init__(self, folder: Path) -> None:
        super().__init__("dsa_lite.stages.pipeline")
        self.folder = folder
        self.asked: dict[str, Any] = {}
        self.fails: BaseException | None = None
        self.refuses: BaseException | None = None

    def prepare(self, skill: str, **asked: Any) -> Any:
        if self.refuses is not None:
            raise self.refuses
        self.asked = {"skill": skill, **asked}
        item = HeldOutItem(id="1", problem="p", answer="a", topic="t")
        pack = SkillPack(
            name="calculus", title="Calculus", topics=(Topic(name="Power rule"),), held_out={"eval": (item,)}
        )
        own = {"student": {"lora_rank": 32}}
        teacher = ModelChoice("teacher", "llama_cpp", "/m/teacher", "tiny-teacher", True)
        student = ModelChoice("student", "torch", "/m/student", "tiny-student", True, own)
        within = asked["within"] or {}
        config = load_config([("own", own), *with_budget(asked["layers"], within)])
        out = asked["out"] or self.folder / "runs" / "calculus-1"
        return Job(pack, teacher, student, config, out, ("a note",), within=within)

    def run(self, job: Any, emit: Any, *, fresh: bool = False) -> dict[str, Any]:
        self.asked |= {"fresh": fresh, "job": job}
        for stage, unit in (("graph", "skills"), ("exercises", "")):
            emit(StageStarted(stage, 40, unit))
            for done in (1, 20, 40):
                emit(StageProgress(stage, done, 40, tokens=100 * done, figures={"rejected": 2}, label=EVIL))
            emit(Note(stage, f"1 of 40 given up {EVIL}", "warning"))
            if self.fails is not None:
                raise self.fails
            emit(StageFinished(stage, "done" if unit else "reused", 12.3, "40 skills"))
        return write_run(job.out)

    def survey(self, job: Job, say: Any, *, fresh: bool = False, compare: bool = False) -> Survey:
        """As on a machine that writes an exercise in 2 s and trains a token in 1 ms; the textbooks are done."""
        say("measuring")
        self.asked["surveyed"] = fresh
        measured = Measured({"exercise": Kind(2.0, 50, 1.0)}, tune_token=1e-3, exercise_tokens=100)
        return Survey(
            job, Counts(skills=25, composable=20, imported=0, held_out=100), measured,
            {"graph": "done", "textbooks": "done"}, {"graph": 1.0, "textbooks": 75.0}, seconds=6.2,
            basis=("30 replies of the teacher",), teacher_memory=10**9, device="cpu",
            static="to do" if compare else "",
        )  # fmt: skip


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePipeline:
    fake = FakePipeline(tmp_path)
    monkeypatch.setitem(sys.modules, "dsa_lite.stages.pipeline", fake)
    monkeypatch.setattr(dsa_lite.stages, "pipeline", fake, raising=False)
    monkeypatch.setattr(planning, "survey", fake.survey)
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    return fake


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    write_run(tmp_path / "done")
    return tmp_path / "done"


@pytest.fixture(params=[60, 120])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("COLUMNS", str(request.param))
    return int(request.param)


@pytest.fixture
def terminal() -> CliRunner:
    return CliRunner()
