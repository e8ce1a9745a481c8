"""Rehearsal: the base's own chats are drawn, trained along, and neither watched nor judged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dsa_lite.core.encoding import encode_prompt
from dsa_lite.events import Note
from dsa_lite.records import HeldOutItem, Rehearsed
from dsa_lite.stages import exercises, graph, pretrain, rehearsal, textbooks, tune
from dsa_lite.stages.context import Context
from dsa_lite.student import Sampling
from dsa_lite.testing import ScriptedTeacher

pytest.importorskip("dsa_lite_torch")

ANSWER = 200  # tokens
SETTINGS: dict[str, Any] = {
    "graph": {"expand": False},
    "rehearsal": {"share": 1.0, "max_tokens": ANSWER, "max_prompt_tokens": 60},
    "tune": {"rounds": 1, "epochs": 1, "batch_size": 4, "learning_rate": 1e-3},
    "dynamics": {"probes": 0},
}


@pytest.fixture
def desk(desk: Any) -> Any:
    """A desk with the bundled student, which has something to say."""
    desk.student = str(Path(__file__).parents[2] / "dsa_lite" / "bundled" / "student")
    return desk


@contextmanager
def written(desk: Any, out: str, /, **settings: Any) -> Iterator[Context]:
    """A run up to the exercises."""
    with desk.context(ScriptedTeacher(desk.answer), out, **{**SETTINGS, **settings}) as context:
        graph.run(context)
        exercises.run(context)
        yield context


def texts(chats: list[Rehearsed]) -> list[tuple[str, str]]:
    return [(c.prompt, c.reply) for c in chats]


def test_the_base_writes_both_sides(desk: Any) -> None:
    with written(desk, "run") as context:
        rehearsal.run(context)
        chats, student = rehearsal.load(context), context.student
        assert len(chats) == len(exercises.load(context)) == rehearsal.wanted(context)
        assert len({c.prompt for c in chats}) == len(chats)
        for chat in chats[:5]:
            asked = encode_prompt(student.tokenizer, chat.prompt)
            (reply,) = student.generate([asked], ANSWER, adapter=False)
            assert student.tokenizer.decode(reply).strip() == chat.reply
        begun = student.tokenizer.encode("<|user|>")
        (first,) = student.generate([begun], 60, sampling=Sampling(1.0, [rehearsal.seed_of(0, "rehearsal/m00000")]))
        assert student.tokenizer.decode(first).startswith(chats[0].prompt)


def test_held_out_prompts_are_refused_and_the_rest_is_drawn_further(desk: Any) -> None:
    with written(desk, "run") as context:
        rehearsal.run(context)
        chats = rehearsal.load(context)
    stolen = HeldOutItem(id="stolen", problem=chats[1].prompt, answer="1", topic="letters")
    general = (*desk.pack.held_out["general"], stolen)
    desk.pack = desk.pack.model_copy(update={"held_out": {**desk.pack.held_out, "general": general}})
    with written(desk, "guarded") as context:
        rehearsal.run(context)
        others = rehearsal.load(context)
        reasons = {r.id: r.reason for r in context.folder.rejected().read() if r.stage == rehearsal.STAGE}
    assert reasons[chats[1].id] == "held out"
    assert chats[1].prompt not in {c.prompt for c in others}
    assert len(others) == len(chats)


@pytest.mark.parametrize("lines", [0, 1, 7])
def test_an_interrupted_stage_ends_with_the_same_chats(desk: Any, lines: int) -> None:
    with written(desk, "run") as context:
        rehearsal.run(context)
        whole = rehearsal.load(context)
        context.folder.rehearsed().truncate(lines)
        assert len(rehearsal.load(context)) == lines
        rehearsal.run(context)
        assert texts(rehearsal.load(context)) == texts(whole)


def test_none_are_drawn_when_none_are_wanted(desk: Any) -> None:
    with written(desk, "run", rehearsal={"share": 0.0}) as context:
        rehearsal.run(context)
        assert rehearsal.load(context) == []


def test_they_are_trained_but_not_watched(desk: Any) -> None:
    tokens = {}
    for weight in (0.0, 1.0):
        with written(desk, f"run{weight}", rehearsal={**SETTINGS["rehearsal"], "weight": weight}) as context:
            rehearsal.run(context)
            context.folder.save_checkpoint("pretrain", context.student.save_state, {})
            tune.run(context)
            known = {e.id for e in exercises.load(context)}
            assert {o.example for o in context.folder.observations(1).read()} == known
            assert {d.example for d in context.folder.decisions(1).read()} == known
            checkpoint = context.folder.load_checkpoint("tune")
            assert checkpoint is not None
            tokens[weight] = checkpoint[1]["tokens"]
            chats = rehearsal.load(context)
    own = [tune.encode_exercise(context.student.tokenizer, c.id, c.prompt, c.reply) for c in chats]
    assert tokens[1.0] - tokens[0.0] == sum(int(e.mask.sum()) for e in own)


@pytest.mark.parametrize("share", [1.0, 0.0])
def test_the_adapter_begins_where_the_chats_use_the_base_least(desk: Any, share: float) -> None:
    """Without chats it begins anywhere, and says so; a stage that is done does not begin again."""
    begun = {}
    for asked in (False, True):
        own = {"rehearsal": {**SETTINGS["rehearsal"], "share": share, "null_space": asked}, "pretrain": {"epochs": 0}}
        with written(desk, f"run{asked}", **own) as context:
            textbooks.run(context)
            rehearsal.run(context)
            for _ in range(2):
                pretrain.run(context)
            found = context.folder.load_checkpoint("pretrain")
            assert found is not None
            begun[asked] = (found[0] / "student_state.safetensors").read_bytes()
            assert ("avoided" in pretrain.inputs(context)) == asked
            said = [e.text for e in desk.events if isinstance(e, Note)]
            assert any("begins anywhere" in text for text in said) == (asked and not share)
    assert (begun[True] == begun[False]) == (share == 0.0)
