"""The equal-budget baseline: real tiny runs with and without it."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from dsa_lite.cli import cli
from dsa_lite.errors import TrainingError, UsageError
from dsa_lite.events import Event, StageFinished, StageProgress
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.stages import context as context_module
from dsa_lite.stages import pipeline, static_arm
from dsa_lite.stages.comparing_runs import compare
from dsa_lite.stages.planning import StagePlan, survey
from dsa_lite.teacher import Request
from dsa_lite.testing import ScriptedTeacher


@pytest.fixture
def desk(training_desk: Any, undisturbed: Any) -> Any:
    shutil.copytree(undisturbed.folder, training_desk.folder / "run")
    return training_desk


def unasked(request: Request) -> str:
    raise AssertionError(f"the teacher was asked for {request.id}")


@contextlib.contextmanager
def silent_teacher() -> Iterator[None]:
    """A teacher that is opened for its fingerprint and has nothing to write."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(context_module, "open_teacher", lambda kind, source, options: ScriptedTeacher(unasked))
        yield


def train(desk: Any, emit: Any = lambda event: None) -> dict[str, Any]:
    """The arm of `desk`'s run."""
    with silent_teacher():
        return static_arm.run(desk.job("run"), emit)


def longest_step(run: RunDir) -> int:
    """Target tokens of a batch at most: batch size times the longest example."""
    return 4 * max(o.tokens for o in run.observations(1).read())


def test_it_trains_on_the_first_exercises_for_as_many_tokens(desk: Any) -> None:
    main = RunDir.read(desk.folder / "run").read_summary()
    assert main is not None
    arm = train(desk)
    run = RunDir.read(desk.folder / "run" / "static")
    assert main["trained_tokens"] <= arm["trained_tokens"] < main["trained_tokens"] + longest_step(run)
    assert {e.round for e in run.exercises().read()} == {0}
    assert run.rounds() == [1]
    assert arm["before"] == main["before"]
    seen = {o.epoch for o in run.observations(1).read()}
    assert seen == set(range(len(seen)))
    assert len(seen) > 3  # the textbooks and the later rounds are spent on further epochs


def test_it_is_in_the_plan_until_it_is_done(desk: Any) -> None:
    def look() -> StagePlan:
        with silent_teacher():
            found = survey(desk.job("run"), lambda _: None, compare=True)
        return found.plan(found.job.config)[-1]

    to_do = look()
    arm = train(desk)
    assert (to_do.stage, to_do.status) == ("static arm", "to do")
    assert to_do.seconds is not None
    assert to_do.seconds > 0
    assert to_do.cost.trained_tokens == pytest.approx(arm["trained_tokens"], rel=0.1)
    done = look()
    assert (done.status, done.seconds) == ("done", 0.0)


def test_what_the_run_has_written_is_taken_as_it_is(desk: Any) -> None:
    events: list[Event] = []
    train(desk, events.append)
    reused = [e.stage for e in events if isinstance(e, StageFinished) and e.status == "reused"]
    assert reused == ["graph", "textbooks", "exercises", "rehearsal"]
    for name in ("graph.json", "textbooks.jsonl"):
        assert (desk.folder / "run" / "static" / name).read_bytes() == (desk.folder / "run" / name).read_bytes()


@pytest.mark.parametrize("after", [1, 4, 9])
def test_stopped_and_gone_on_with_it_ends_the_same(desk: Any, after: int) -> None:
    train(desk)
    whole = desk.result("run/static")
    shutil.rmtree(desk.folder / "run" / "static")
    left = iter(range(after))

    def stop(event: Event) -> None:
        if isinstance(event, StageProgress) and event.stage == "tune" and next(left, None) is None:
            raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        train(desk, stop)
    assert RunDir.read(desk.folder / "run" / "static").read_summary() is None
    train(desk)
    assert desk.result("run/static") == whole


def test_progress_never_goes_backwards(desk: Any) -> None:
    events: list[Event] = []
    train(desk, events.append)
    done = [e.done for e in events if isinstance(e, StageProgress) and e.stage == "tune"]
    assert done == sorted(done)


def test_both_side_by_side(desk: Any) -> None:
    train(desk)
    folders = [desk.folder / "run" / "static", desk.folder / "run"]
    found = compare(folders)
    assert list(found["runs"]) == ["static", "run"]
    assert found["paired"]["run"]["eval"]["n"] == 3
    assert found["differing"]["tune.rounds"] == {"static": 1, "run": 3}
    result = CliRunner().invoke(cli, ["compare", *map(str, folders)])
    assert result.exit_code == 0, result.output
    for words in ("Against static", "tune.budget_tokens", "gained"):
        assert words in result.output
    as_json = json.loads(CliRunner().invoke(cli, ["compare", *map(str, folders), "--json", "--debug"]).output)
    assert as_json["runs"]["run"]["after"] == found["runs"]["run"]["after"]


@pytest.mark.parametrize("json_too", [True, False])
def test_run_compare_trains_the_arm_after_the_run(desk: Any, monkeypatch: pytest.MonkeyPatch, json_too: bool) -> None:
    job = desk.job("run")
    monkeypatch.setattr(pipeline, "prepare", lambda skill, **asked: job)
    monkeypatch.setattr(context_module, "open_teacher", lambda kind, source, options: ScriptedTeacher(unasked))
    words = ["run", "sums", "--out", str(job.out), "--compare", "static", *(["--json"] if json_too else [])]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    if json_too:
        found = json.loads(result.stdout)
        assert found["compare"]["against"] == "static"
        assert found["compare"]["runs"]["run"]["after"] == found["after"]
    else:
        assert "Against static, on the same questions" in result.stdout


def test_a_run_twice_or_unfinished_is_refused(desk: Any) -> None:
    run = desk.folder / "run"
    with pytest.raises(UsageError, match="named twice"):
        compare([run, run / ".." / "run"])
    shutil.copytree(run, desk.folder / "other")
    (run / "evaluation" / "summary.json").unlink()
    with pytest.raises(UsageError, match="not finished"):
        compare([run, desk.folder / "other"])


@pytest.fixture(scope="module")
def pretrained(undisturbed: Any) -> int:
    """Target tokens of the run's textbooks."""
    found = RunDir.read(undisturbed.folder).load_checkpoint("pretrain")
    assert found is not None
    return int(found[1]["tokens"])


@pytest.mark.parametrize(("share", "rounds"), [(0.5, [1]), (1.5, [1, 2]), (2.4, [1, 2, 3]), (5.0, [1, 2, 3])])
def test_a_budget_over_rounds(training_desk: Any, undisturbed: Any, pretrained: int, share: float, rounds: Any) -> None:
    """`share`: of the first epoch's tokens. Textbooks count; the last round is stretched, others cut or left out."""
    epoch = sum(o.tokens for o in RunDir.read(undisturbed.folder).observations(1).read())
    budget = pretrained + int(share * epoch)
    summary = training_desk.run(tune={"budget_tokens": budget})
    run = RunDir.read(training_desk.folder / "run")
    assert run.rounds() == rounds
    assert budget <= summary["trained_tokens"] < budget + longest_step(run)
    epochs = [sorted({o.epoch for o in run.observations(r).read()}) for r in rounds]
    assert [e for each in epochs for e in each] == list(range(sum(map(len, epochs))))
    assert all(len(e) == 1 for e in epochs[:-1])
    assert {e.round for e in run.exercises().read()} <= {0, *rounds[:-1]}


def test_no_more_is_written_than_the_budget_can_show(training_desk: Any, undisturbed: Any, pretrained: int) -> None:
    first = list(RunDir.read(undisturbed.folder).observations(1).read())
    training_desk.run(tune={"budget_tokens": pretrained + int(1.2 * sum(o.tokens for o in first))})
    rounds = [e.round for e in RunDir.read(training_desk.folder / "run").exercises().read()]
    assert 0 < rounds.count(1) <= 0.2 * len(first)  # half as many as there are without a budget


@pytest.mark.parametrize("number", [7, 2, 3])
def test_a_budget_over_rounds_stopped_and_gone_on_with(training_desk: Any, undisturbed: Any, number: int) -> None:
    budget = {
        "tune": {"budget_tokens": 2 * sum(o.tokens for o in RunDir.read(undisturbed.folder).observations(1).read())}
    }
    training_desk.run(None, "whole", **budget)

    def stop(event: Event) -> None:
        if isinstance(event, StageProgress) and event.stage == "tune" and next(left, None) is None:
            raise KeyboardInterrupt

    for _ in range(100):
        left = iter(range(number))
        try:
            training_desk.run(emit=stop, **budget)
        except KeyboardInterrupt:
            continue
        break
    assert training_desk.result() == training_desk.result("whole")


def test_a_budget_that_ends_before_every_skill_was_seen(training_desk: Any, pretrained: int) -> None:
    """Errors are constructed from what was trained on alone: the other skills have no losses to compare with."""
    training_desk.run(tune={"budget_tokens": pretrained + 1, "order": "higher_to_lower"})
    run = RunDir.read(training_desk.folder / "run")
    seen = {o.example for o in run.observations(1).read()}
    assert len(seen) == 4
    assert {d.example for d in run.decisions(1).read()} == seen


def test_a_budget_that_the_textbooks_use_up(training_desk: Any, pretrained: int) -> None:
    with pytest.raises(TrainingError, match="nothing is left to tune with"):
        training_desk.run(tune={"budget_tokens": pretrained})
