"""The plan: a run folder looked into, a teacher and a student measured; nothing written, nothing claimed unmeasured."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsa_lite.core.fitting import FREE
from dsa_lite.errors import RunFolderError, TeacherError
from dsa_lite.events import STAGES, Event, StageProgress
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.records import Rejected
from dsa_lite.stages import context as context_module
from dsa_lite.stages import measuring_student, pipeline, setting_aside
from dsa_lite.stages.measuring_teacher import kinds_of_run
from dsa_lite.stages.planning import Survey, fitted, survey
from dsa_lite.testing import ScriptedTeacher


@pytest.fixture
def desk(training_desk: Any, undisturbed: Any) -> Any:
    """A desk whose `run` is a copy of the undisturbed one."""
    shutil.copytree(undisturbed.folder, training_desk.folder / "run")
    return training_desk


@pytest.fixture
def look(desk: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Survey]:
    """Surveys a folder of the desk with the desk's teacher."""

    def run(out: str = "run", script: Any = None, fresh: bool = False, **settings: Any) -> Survey:
        desk.teacher = ScriptedTeacher(script or desk.answer)
        monkeypatch.setattr(context_module, "open_teacher", lambda kind, source, options: desk.teacher)
        return survey(desk.job(out, **settings), lambda _: None, fresh=fresh)

    return run


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def statuses(found: Survey) -> dict[str, str]:
    return {stage.stage: stage.status for stage in found.plan(found.job.config)}


def test_a_new_run_is_measured_and_nothing_is_written(desk: Any, look: Callable[..., Survey], undisturbed: Any) -> None:
    found = look("none")
    assert not (desk.folder / "none").exists()
    plan = {stage.stage: stage for stage in found.plan(found.job.config)}
    assert {stage.status for stage in plan.values()} == {"to do"}
    assert plan["report"].seconds is None
    assert all((plan[name].seconds or 0) > 0 for name in STAGES[:-1])
    assert {stage.basis for stage in plan.values()} == {"calibration", "not measured"}
    assert {r.messages[-1].content.split("\n")[0] for r in desk.teacher.requests} >= {
        "task: prerequisites", "task: textbook", "task: exercise", "task: variant",
    }  # fmt: skip
    assert 0 < found.measured.kind("exercise").usable < 1  # every sixth of the script is not
    with RunDir.read(undisturbed.folder) as run:
        written = len([e for e in run.exercises().read() if e.round == 0])
        texts = len(run.textbooks().read())
    assert plan["exercises"].cost.items == pytest.approx(written, rel=0.4)
    assert plan["textbooks"].cost.items == pytest.approx(texts, abs=2)
    assert plan["evaluate"].cost.items == 12
    assert found.student_memory > 0
    assert found.seconds > 0


def test_where_answers_take_long_a_few_tokens_are_scaled_up(
    look: Callable[..., Survey], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring_student, "SECONDS", 0.0)
    quick = {"evaluate": {"max_tokens": 100}, "rehearsal": {"max_tokens": 100}}
    found = look("none", **quick)
    many = measuring_student.SIZES[1]
    assert found.measured.answer.seconds(many, many) > 0
    assert found.measured.draw.seconds(many, many) > 0
    assert found.measured.after == 1.0, "no answer was seen to its end"


def test_a_finished_run_needs_no_measurement(desk: Any, look: Callable[..., Survey]) -> None:
    before = content(desk.folder / "run")
    found = look()
    assert set(statuses(found).values()) == {"done"}
    assert not desk.teacher.requests
    assert (found.basis, found.seconds, found.left(found.job.config)) == ((), 0.0, 0.0)
    plan = {stage.stage: stage for stage in found.plan(found.job.config)}
    assert all(stage.taken > 0 for stage in plan.values())
    summary = json.loads((desk.folder / "run" / "evaluation" / "summary.json").read_text(encoding="utf-8"))
    assert sum(stage.cost.teacher_tokens for stage in plan.values()) == summary["teacher_tokens"]
    assert sum(stage.cost.trained_tokens for stage in plan.values()) == summary["trained_tokens"]
    assert plan["graph"].cost.items == summary["skills"]
    assert content(desk.folder / "run") == before


def test_a_changed_setting_shows_what_would_be_done_again(desk: Any, look: Callable[..., Survey]) -> None:
    before = content(desk.folder / "run")
    found = look(tune={"epochs": 2})
    assert statuses(found) == {s: "done" if i < STAGES.index("tune") else "changed" for i, s in enumerate(STAGES)}
    assert not desk.teacher.requests, "the run's own exercises say how long one takes"
    tune = found.plan(found.job.config)[STAGES.index("tune")]
    assert tune.seconds == tune.cost.seconds > 0
    assert tune.cost.requests > 0
    assert content(desk.folder / "run") == before
    _, held = fitted(found, (), 1e6)
    assert held == {name for name in FREE if name.startswith("exercises.")}
    assert set(statuses(look(fresh=True)).values()) == {"to do"}


def test_a_stopped_stage_is_continued_at_its_own_pace(desk: Any, look: Callable[..., Survey]) -> None:
    def listen(event: Event) -> None:
        if isinstance(event, StageProgress) and event.stage == "exercises" and event.done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        desk.run(None, "stopped", emit=listen)
    found = look("stopped")
    assert statuses(found)["exercises"] == "unfinished"
    assert 0 < found.progress["exercises"] < 1
    stage = found.plan(found.job.config)[STAGES.index("exercises")]
    share = found.progress["exercises"]
    assert stage.basis == "its own pace so far"
    assert stage.seconds == pytest.approx(stage.taken * (1 - share) / share)


def test_a_stopped_tuning_is_as_far_as_its_budget_is_spent(desk: Any, look: Callable[..., Survey]) -> None:
    budgeted: dict[str, Any] = {"tune": {"rounds": 1, "budget_tokens": 3000}, "student": {"checkpoint_seconds": 0.001}}

    def listen(event: Event) -> None:
        if isinstance(event, StageProgress) and event.stage == "tune" and event.done >= 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        desk.run(None, "stopped", emit=listen, **budgeted)
    found = look("stopped", **budgeted)
    with RunDir.read(desk.folder / "stopped") as run:
        read, tuned = (int(run.load_checkpoint(stage)[1]["tokens"]) for stage in ("pretrain", "tune"))
    assert 0 < found.progress["tune"] == tuned / (3000 - read) < 1


def test_solving_and_setting_aside_are_no_cost_of_writing(desk: Any) -> None:
    settings = {"exercises": {"verify": "vote:3", "single_per_skill": 2, "composed_per_skill": 0}}
    desk.write_exercises(ScriptedTeacher(desk.answer), "voted", **settings)
    with desk.context(ScriptedTeacher({}), "voted", **settings) as context:
        folder = context.folder
        folder.begin("exercises", "x")
        folder.add_seconds("exercises", 6.0)
        folder.rejected().append(Rejected(id="aside", stage="exercises", reason=setting_aside.KEPT))
        kinds = kinds_of_run(context, {"exercises"})
        votes = folder.votes().read()
        written = [e for e in folder.exercises().read() if e.tokens_out]
        lost = [r for r in folder.rejected().read() if r.stage == "exercises" and r.id != "aside"]
    replies = len(written) + sum(r.tokens_out > 0 for r in lost)
    assert len(votes) >= 3 * 8
    assert kinds["exercise"].seconds == kinds["solve"].seconds == 6.0 / (replies + len(votes))
    assert kinds["exercise"].usable == pytest.approx(1 - len(lost) / replies)
    assert kinds["solve"].tokens == sum(v.tokens_out for v in votes) / len(votes)


def test_the_errors_of_the_run_itself(desk: Any, look: Callable[..., Survey]) -> None:
    with pytest.raises(RunFolderError, match="seed: was 0, asked for 1"):
        look(seed=1)
    with pytest.raises(TeacherError, match="answers none of 6 requests: not in the script"):
        look("none", {"another request": "x"})


def test_a_teacher_without_a_usable_reply_still_leaves_a_plan(look: Callable[..., Survey]) -> None:
    found = look("none", lambda request: "no JSON, and long enough for a passage")
    assert found.measured.kind("exercise").usable == 0
    assert found.measured.tune_token > 0


def test_a_run_that_asks_the_teacher_nothing_is_planned_all_the_same(desk: Any, look: Callable[..., Survey]) -> None:
    nothing = {"single_per_skill": 0, "composed_per_skill": 0}
    found = look("none", graph={"expand": False}, textbooks={"per_skill": 0}, exercises=nothing)
    assert not desk.teacher.requests
    assert found.plan(found.job.config)


def test_what_was_chosen_for_a_time_is_read_back(tmp_path: Path) -> None:
    chosen = {"seconds": 60.0, "settings": {"tune": {"rounds": 2, "epochs": 5}}}
    job = pipeline.prepare("calculus", out=tmp_path / "r", within=chosen)
    with RunDir.open(job.out, pipeline.identity(job), job.config.model_dump(), within=job.within):
        pass
    layers = [("preset quick", {"tune": {"rounds": 1}}), ("flags", {"tune": {"epochs": 3}})]
    again = pipeline.prepare("calculus", out=tmp_path / "r", layers=layers)
    assert again.within == chosen
    assert (again.config.tune.rounds, again.config.tune.epochs) == (2, 3)
    assert pipeline.prepare("calculus", out=tmp_path / "r", within={}).config.tune.epochs != 5
