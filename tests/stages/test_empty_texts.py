"""Texts of which nothing can be learnt: left out and listed; a set of nothing else is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dsa_lite.errors import TrainingError
from dsa_lite.records import NO_TARGET, Textbook
from dsa_lite.stages import graph, pretrain
from dsa_lite.stages.context import Context
from dsa_lite.testing import ScriptedTeacher

pytest.importorskip("dsa_lite_torch")

SETTINGS: dict[str, Any] = {"graph": {"expand": False}, "textbooks": {"min_chars": 0}}


@contextmanager
def passages(desk: Any, *texts: str) -> Iterator[Context]:
    """A run with these passages, before pre-training. The model has no token that opens a text."""
    with desk.context(ScriptedTeacher(desk.answer), **SETTINGS) as context:
        graph.run(context)
        for number, text in enumerate(texts):
            context.folder.textbooks().append(Textbook(id=f"t{number}", skill="addition", text=text))
        try:
            yield context
        finally:
            context.close()


def test_an_empty_passage_is_listed_and_the_others_are_trained(training_desk: Any) -> None:
    with passages(training_desk, "", "3 + 4 = 7", "") as context:
        assert pretrain.run(context).startswith("3 passages, ")
        listed = [(r.id, r.stage, r.reason) for r in context.folder.rejected().read()]
        assert listed == [("t0", "pretrain", NO_TARGET), ("t2", "pretrain", NO_TARGET)]  # once, in two epochs
        found = context.folder.load_checkpoint("pretrain")
        assert found is not None
        assert found[1]["tokens"] == 2 * len(context.student.tokenizer.encode("3 + 4 = 7"))


def test_passages_that_are_all_empty_are_refused(training_desk: Any) -> None:
    with (
        passages(training_desk, "", "") as context,
        pytest.raises(TrainingError, match=r"none of 2 passages has a token") as e,
    ):
        pretrain.run(context)
    assert "min_chars" in e.value.hint
