"""A run that is stopped anywhere and started again ends with the same bytes as one that never was."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsa_lite.events import Event, StageProgress
from dsa_lite.io import jsonl
from dsa_lite.io.run_folder.rundir import RunDir

Listener = Callable[[Event], None]


def until_done(desk: Any, session: Callable[[], Any]) -> int:
    """Run again and again until a session is not stopped; how many were."""
    for number in range(400):
        try:
            session()
        except KeyboardInterrupt:
            continue
        return number
    raise AssertionError("400 sessions did not finish the run")


def counting(number: int, wanted: Callable[[Event], bool]) -> Listener:
    """A listener that stops the run at the n-th wanted event."""
    left = iter(range(number - 1))

    def listen(event: Event) -> None:
        if wanted(event) and next(left, None) is None:
            raise KeyboardInterrupt

    return listen


def finish(desk: Any, undisturbed: Any, session: Callable[[], Any], at_least: int) -> None:
    assert until_done(desk, session) >= at_least, "it was hardly ever stopped"
    assert not undisturbed.differs_from(desk.result())


@pytest.mark.parametrize("number", [13, 2, 3, 5])
def test_stopped_at_every_nth_sign_of_progress(training_desk: Any, undisturbed: Any, number: int) -> None:
    def session() -> None:
        training_desk.run(emit=counting(number, lambda e: isinstance(e, StageProgress) and e.stage != "evaluate"))

    finish(training_desk, undisturbed, session, 45 // number)


def test_stopped_after_every_batch_of_the_evaluation(training_desk: Any, undisturbed: Any) -> None:
    shutil.copytree(undisturbed.folder, training_desk.folder / "run")
    shutil.rmtree(training_desk.folder / "run" / "evaluation")
    manifest = training_desk.folder / "run" / "manifest.json"
    stages = json.loads(manifest.read_text())
    stages["stages"]["evaluate"]["status"] = "running"
    del stages["stages"]["report"]
    manifest.write_text(json.dumps(stages))
    seen: set[int] = set()

    def listen(event: Event) -> None:
        if isinstance(event, StageProgress) and event.done not in seen:
            seen.add(event.done)
            raise KeyboardInterrupt

    finish(training_desk, undisturbed, lambda: training_desk.run(emit=listen), 8)
    assert sorted(seen) == [2, 3, 4, 6, 8, 9, 10, 12]


def test_stopped_at_every_beginning_and_end_of_a_stage(training_desk: Any, undisturbed: Any) -> None:
    seen: set[tuple[str, str]] = set()

    def session() -> None:
        def listen(event: Event) -> None:
            moment = (type(event).__name__, event.stage)
            if not isinstance(event, StageProgress) and moment not in seen:
                seen.add(moment)
                raise KeyboardInterrupt

        training_desk.run(emit=listen)

    finish(training_desk, undisturbed, session, 14)


def test_stopped_by_the_teacher_in_the_middle_of_writing(training_desk: Any, undisturbed: Any) -> None:
    def session() -> None:
        training_desk.run(training_desk.Unruly(training_desk.answer, after=6))

    finish(training_desk, undisturbed, session, 4)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_stopped_before_any_line_is_on_disk(
    training_desk: Any, undisturbed: Any, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance, append = random.Random(seed), jsonl.Lines.append_line
    left = 0

    def appending(log: jsonl.Lines, line: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise KeyboardInterrupt
        append(log, line)

    monkeypatch.setattr(jsonl.Lines, "append_line", appending)
    limits = iter(range(30, 10_000, 8))

    def session() -> None:
        nonlocal left
        left = chance.randrange(1, next(limits))
        training_desk.run()

    finish(training_desk, undisturbed, session, 3)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_stopped_around_checkpoints(
    training_desk: Any, undisturbed: Any, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance, save = random.Random(seed), RunDir.save_checkpoint
    left = 0

    def saving(run: RunDir, stage: str, write: Callable[[Path], None], meta: Any) -> None:
        def writing(folder: Path) -> None:
            write(folder)
            stop_if(when == "written")

        stop_if(when == "before")
        save(run, stage, writing, meta)
        stop_if(when == "after")

    def stop_if(now: bool) -> None:
        nonlocal left
        left -= now
        if now and left == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(RunDir, "save_checkpoint", saving)

    def session() -> None:
        nonlocal left, when
        left, when = chance.randrange(2, 5), chance.choice(["before", "written", "after"])
        training_desk.run()

    when = ""
    finish(training_desk, undisturbed, session, 4)


@pytest.mark.parametrize("seed", range(3))
def test_stopped_anywhere_with_another_order_of_arrival_each_time(
    training_desk: Any, undisturbed: Any, seed: int
) -> None:
    chance = random.Random(seed)

    def session() -> None:
        teacher = training_desk.Unruly(training_desk.answer, order=chance.randrange(99))
        training_desk.run(teacher, emit=counting(chance.randrange(2, 20), lambda e: True))

    finish(training_desk, undisturbed, session, 3)
