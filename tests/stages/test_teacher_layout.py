"""How a teacher runs: announced while it writes, kept in the run folder, asked for again where the run goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from dsa_lite.events import StageProgress
from dsa_lite.stages import context as context_module
from dsa_lite.teacher import TeacherOptions
from dsa_lite.testing import ScriptedTeacher

FEW = {"single_per_skill": 1, "composed_per_skill": 0}


class Telling(ScriptedTeacher):
    """Has room for `slots`, or for as many as it is asked to have."""

    slots = 24
    in_flight = 7

    @property
    def layout(self) -> dict[str, int | str]:
        return {"slots": self.slots, "cache": "f16"} if self.requests else {}


def test_in_flight_and_lost_replies_are_announced(desk: Any) -> None:
    def script(request: Any) -> Any:
        cut_off = request.id.startswith("addition") and "." not in request.id
        return desk.reply(request, "", "length") if cut_off else desk.answer(request)

    desk.write_exercises(Telling(script), exercises=FEW)
    seen = [e for e in desk.events if isinstance(e, StageProgress) and e.stage == "exercises"]
    assert seen
    assert all(e.in_flight == 7 for e in seen)
    assert seen[-1].figures["cut off"] >= 1
    assert "failed" not in seen[-1].figures
    desk.events.clear()
    desk.write_exercises(ScriptedTeacher(desk.answer), "silent", exercises=FEW)
    silent = [e for e in desk.events if isinstance(e, StageProgress)]
    assert {e.in_flight for e in silent} == {0}
    assert not (desk.folder / "silent" / "teacher.json").exists()


def test_a_run_that_goes_on_asks_for_as_many_slots(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[TeacherOptions] = []

    def open_teacher(kind: str, source: str, options: TeacherOptions) -> Telling:
        asked.append(options)
        teacher = Telling(desk.answer)
        teacher.slots = options.slots or Telling.slots
        return teacher

    monkeypatch.setattr(context_module, "open_teacher", open_teacher)
    for name, free in (("a", 24), ("b", 6)):
        Telling.slots = free
        desk.write_exercises(None, name, exercises=FEW)
        assert json.loads((desk.folder / name / "teacher.json").read_text()) == {"slots": free, "cache": "f16"}
    Telling.slots = 99
    asked.clear()
    for name in ("a", "b"):
        with desk.context(None, name) as context:
            assert context.teacher.slots == context.folder.teacher_slots()
    assert [options.slots for options in asked] == [24, 6]
    # Nonsense in the file is no number of slots.
    (desk.folder / "a" / "teacher.json").write_text('{"slots": "many"}')
    with desk.context(None, "a") as context:
        assert context.folder.teacher_slots() == 0


def test_what_a_teacher_waits_for_is_a_warning(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Waiting(ScriptedTeacher):
        def listen(self, say: Callable[[str], None]) -> None:
            self.say = say

    teacher = Waiting({})
    monkeypatch.setattr(context_module, "open_teacher", lambda kind, source, options: teacher)
    with desk.context(None) as context:
        assert context.teacher is teacher
        teacher.say("the server is asked again in 11 s")
    assert desk.warnings() == ["the server is asked again in 11 s"]
