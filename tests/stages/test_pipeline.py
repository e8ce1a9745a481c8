"""Whole runs on a small skill: a scripted teacher, a random student trained through the real torch backend."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from dsa_lite.errors import RunFolderError
from dsa_lite.events import STAGES, Event, Note, StageFinished, StageProgress, StageStarted
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.stages import pipeline
from dsa_lite.testing import ScriptedTeacher

FIELDS = {
    "skill", "seed", "teacher", "student", "backend", "seconds", "teacher_tokens", "trained_tokens", "before", "after",
    "mcnemar_p", "regions", "rejected", "rounds",
}  # fmt: skip


@pytest.fixture
def desk(training_desk: Any, undisturbed: Any) -> Any:
    """A desk whose `run` is a copy of the undisturbed one; `runs` elsewhere start anew."""
    shutil.copytree(undisturbed.folder, training_desk.folder / "run")
    return training_desk


def stages(desk: Any, kind: type, **fields: Any) -> list[str]:
    events = [e for e in desk.events if isinstance(e, kind)]
    return [e.stage for e in events if all(getattr(e, name) == value for name, value in fields.items())]


def at_progress(number: int) -> Callable[[Event], None]:
    """Stops the run at its n-th sign of progress."""
    left = iter(range(number - 1))

    def listen(event: Event) -> None:
        if isinstance(event, StageProgress) and next(left, None) is None:
            raise KeyboardInterrupt

    return listen


def test_the_summary_has_every_promised_figure(undisturbed: Any) -> None:
    summary = json.loads((undisturbed.folder / "evaluation" / "summary.json").read_text())
    assert summary.keys() >= FIELDS
    for when in ("before", "after"):
        assert {split: set(f) for split, f in summary[when].items()} == {
            split: {"accuracy", "n", "low", "high"} for split in ("eval", "transfer", "general")
        }
    assert [summary["after"][split]["n"] for split in ("eval", "transfer", "general")] == [3, 1, 2]
    assert set(summary["regions"]) >= {"error", "hard", "easy", "ambiguous"}
    assert summary["teacher_tokens"] > 0
    assert summary["trained_tokens"] > 0


def test_the_small_run_uses_every_part_of_the_engine(undisturbed: Any) -> None:
    """So that the comparisons below compare something."""
    with RunDir.read(undisturbed.folder) as run:
        origins = Counter(e.origin for e in run.exercises().read())
        reasons = Counter(r.reason for r in run.rejected().read())
        actions = Counter(d.action for r in run.rounds() for d in run.decisions(r).read())
        assert [len(run.observations(r).read()) > 8 for r in run.rounds()] == [True] * 3
    assert set(origins) >= {"single", "composed", "variant"}
    assert set(reasons) >= {"unfinished", "skill not named"}
    assert set(actions) >= {"keep", "down-weight"}


def test_a_second_run_does_nothing_again(desk: Any, undisturbed: Any) -> None:
    summary = desk.run(ScriptedTeacher({}))
    assert stages(desk, StageFinished, status="reused") == list(STAGES)
    assert not stages(desk, StageStarted)
    assert not desk.teacher.requests
    assert not undisturbed.differs_from(desk.result("run"))
    assert {k: summary[k] for k in undisturbed.result["summary"]} == undisturbed.result["summary"]


def test_the_same_seed_gives_the_same_run_in_any_order_of_arrival(desk: Any, undisturbed: Any) -> None:
    desk.run(desk.Unruly(desk.answer, order=7), "again", student={"checkpoint_seconds": 1000.0})
    assert not undisturbed.differs_from(desk.result("again"))


def test_another_seed_gives_another_run(desk: Any, undisturbed: Any) -> None:
    desk.run(None, "other", seed=1)
    assert {"exercises", "adapter/adapter_model.safetensors"} <= set(undisturbed.differs_from(desk.result("other")))


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "graph": ({"graph": {"max_depth": 1}}, "graph"),
    "textbooks": ({"textbooks": {"min_chars": 30}}, "textbooks"),
    "exercises": ({"exercises": {"single_per_skill": 4}}, "exercises"),
    "pretrain": ({"pretrain": {"epochs": 1}}, "pretrain"),
    "tune": ({"tune": {"epochs": 2}}, "tune"),
    "evaluate": ({"evaluate": {"limit": 2}}, "evaluate"),
    "nothing that matters": ({"student": {"checkpoint_seconds": 50.0}, "teacher": {"in_flight": 2}}, ""),
}


@pytest.mark.parametrize(
    "change",
    ["exercises", "tune", "evaluate", "nothing that matters"],
)
def test_a_changed_setting_redoes_what_depends_on_it_and_says_so(desk: Any, undisturbed: Any, change: str) -> None:
    changed, first = CHANGES[change]
    desk.run(**changed)
    redone = STAGES[STAGES.index(first) :] if first else ()
    assert tuple(stages(desk, StageStarted)) == tuple(stages(desk, StageFinished, status="done")) == redone
    said = [e.text for e in desk.events if isinstance(e, Note) and "changed" in e.text]
    assert said == ([f"{first}: inputs changed; it and all later stages are done again"] if first else [])
    if not first:
        return
    desk.run(None, "new", **changed)
    assert desk.result("run") == desk.result("new")


@pytest.mark.parametrize("change", CHANGES)
def test_changing_a_setting_and_back_in_a_stopped_run_ends_like_a_run_that_never_changed(
    desk: Any, undisturbed: Any, change: str
) -> None:
    for number in (9, 35, 60):
        # What goes on from far along may end before the stop.
        with contextlib.suppress(KeyboardInterrupt):
            desk.run(None, "stopped", emit=at_progress(number))
        with contextlib.suppress(KeyboardInterrupt):
            desk.run(None, "stopped", emit=at_progress(number), **CHANGES[change][0])
    desk.run(None, "stopped")
    assert not undisturbed.differs_from(desk.result("stopped"))


def test_another_seed_in_the_same_folder_is_refused_and_fresh_starts_over(desk: Any, undisturbed: Any) -> None:
    with pytest.raises(RunFolderError, match="seed: was 0, asked for 1") as caught:
        desk.run(seed=1)
    assert caught.value.exit_code == 4
    assert "--fresh" in caught.value.hint
    assert not undisturbed.differs_from(desk.result("run"))
    desk.run(fresh=True)
    assert stages(desk, StageStarted) == list(STAGES)
    assert not undisturbed.differs_from(desk.result("run"))


def test_a_damaged_checkpoint_in_mid_stage_is_said_and_the_stage_begun_again(desk: Any, undisturbed: Any) -> None:
    def listen(event: Event) -> None:
        if isinstance(event, StageProgress) and event.stage == "tune" and "round 3" in event.label:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        desk.run(None, "stopped", emit=listen)
    for path in (desk.folder / "stopped" / "checkpoints").glob("tune-*/*.safetensors"):
        path.write_bytes(path.read_bytes()[:-1])
    desk.run(None, "stopped")
    assert any("is not used" in text for text in desk.warnings())
    assert not undisturbed.differs_from(desk.result("stopped"))


def test_the_page_of_a_finished_run_without_held_out_questions_calls_it_finished(training_desk: Any) -> None:
    training_desk.pack = training_desk.pack.model_copy(update={"held_out": {}})
    training_desk.run(tune={"rounds": 1}, pretrain={"epochs": 1}, rehearsal={"share": 0.0})
    page = (training_desk.folder / "run" / "report.html").read_text(encoding="utf-8")
    assert '"sets":[]' in page
    # story.js names the first stage that is not done, else says that the skill has no held-out questions
    assert '["report","done"]' in page
    assert '","running"]' not in page


def test_a_skill_names_its_teacher_unless_the_user_does() -> None:
    assert pipeline.prepare("social-studies").teacher.label == "dsa-lite-tiny-social-teacher"
    assert pipeline.prepare("calculus").teacher.label == "dsa-lite-tiny-teacher"
    assert pipeline.prepare("social-studies", teacher="dsa-lite-tiny-teacher").teacher.label == "dsa-lite-tiny-teacher"
