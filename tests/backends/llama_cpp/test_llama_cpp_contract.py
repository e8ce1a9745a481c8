"""The bundled teacher keeps the contract that `dsa_lite.testing` checks for every teacher."""

from __future__ import annotations

from dsa_lite.io.models.choosing import choose_teacher
from dsa_lite.testing import check_teacher
from dsa_lite_llama_cpp import open_teacher


def test_the_bundled_teacher_keeps_the_contract() -> None:
    source = choose_teacher(None).source
    check_teacher(lambda options: open_teacher(source, options.model_copy(update={"threads": 1})))
