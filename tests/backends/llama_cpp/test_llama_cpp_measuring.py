"""Embeddings and scores of the llama.cpp teacher, against llama-cpp-python one text at a time."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dsa_lite.errors import TeacherError
from dsa_lite.records import Message
from dsa_lite.teacher import Embeds, Request, Scores, TeacherOptions
from dsa_lite_formats.answering import without_amx
from dsa_lite_llama_cpp.teacher import LlamaCppTeacher

from .conftest import write_model

llama_cpp = pytest.importorskip("llama_cpp")

TEXTS = [f"text {n} of some" + " words and more" * (n % 11) for n in range(80)] + [
    "x",
    "über <|im_end|> 数",
    "last " * 60,
]
SYSTEM = Message(role="system", content="You answer questions about sums, briefly and with every step that is needed.")
ITEMS = [
    ((SYSTEM, Message(role="user", content=f"question {n}" + " more" * (n % 5))), "answer " * (1 + n % 4) + str(n))
    for n in range(20)
] + [((Message(role="user", content="?"),), "a long reply, word after word, " * 20), ((SYSTEM,), "<|im_end|>")]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.gguf", bos=True)


@pytest.fixture(scope="module")
def teacher(model: Path) -> Iterator[LlamaCppTeacher]:
    with LlamaCppTeacher(str(model), TeacherOptions(threads=1)) as opened:
        yield opened


def high_level(model: Path, **settings: Any) -> Any:
    sizes = {"n_ctx": 1024, "n_batch": 1024, "n_ubatch": 1024, "n_threads": 1, "n_threads_batch": 1}
    with without_amx():
        return llama_cpp.Llama(str(model), **sizes, verbose=False, **settings)


def nll_of(llama: Any, prompt: str, reply: str) -> tuple[float, int]:
    """All logits of one text through the high-level API, summed in plain Python."""
    start = llama.tokenize(prompt.encode(), add_bos=True, special=True)
    tokens = llama.tokenize(reply.encode(), add_bos=False, special=False)
    llama.reset()
    llama.eval([*start, *tokens])
    rows = np.asarray(llama.scores[: llama.n_tokens], np.float64)
    found = 0.0
    for i, token in enumerate(tokens):
        row = rows[len(start) + i - 1]
        found += math.log(sum(math.exp(x) for x in row)) - row[token]
    return found, len(tokens)


def test_embeddings_are_those_of_one_text_at_a_time(model: Path, teacher: LlamaCppTeacher) -> None:
    assert isinstance(teacher, Embeds)
    found = teacher.embed(TEXTS)
    assert found.shape == (len(TEXTS), 64)
    assert found.dtype == np.float32
    llama = high_level(model, embedding=True, pooling_type=llama_cpp.LLAMA_POOLING_TYPE_MEAN)
    expected = np.array([llama.embed(text, normalize=True) for text in TEXTS], np.float32)
    llama.close()
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert (found * expected).sum(axis=1).min() > 0.99999
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    # Different texts differ by far more than rounding.
    assert np.abs(found[0] - found[1]).max() > 0.01
    np.testing.assert_allclose(teacher.embed(TEXTS[5:7]), found[5:7], atol=2e-3)
    assert teacher.embed([]).shape == (0, 0)


def test_scores_are_those_of_one_item_at_a_time(model: Path, teacher: LlamaCppTeacher) -> None:
    assert isinstance(teacher, Scores)
    found = teacher.score(ITEMS)
    llama = high_level(model, logits_all=True)
    expected = [nll_of(llama, teacher._prompter.prompt(tuple(messages))[0], reply) for messages, reply in ITEMS]
    llama.close()
    assert [s.tokens for s in found] == [tokens for _, tokens in expected]
    assert found[-1].tokens > 1, "a control token's name in a reply is text"
    np.testing.assert_allclose([s.nll for s in found], [nll for nll, _ in expected], rtol=2e-3)
    assert teacher.score(ITEMS[3:4]) == found[3:4]
    assert teacher.score(ITEMS[::-1]) == found[::-1]
    assert teacher.score([]) == []
    assert teacher.score([(ITEMS[0][0], "")])[0].tokens == 0


def test_what_does_not_fit_is_named(teacher: LlamaCppTeacher) -> None:
    with pytest.raises(TeacherError, match=r"text 2 .*tokens exceed the model's context of 1024") as caught:
        teacher.embed(["a", "b", "c" * 3000])
    assert caught.value.hint
    with pytest.raises(TeacherError, match=r"item 1 .*exceed the model's context of 1024"):
        teacher.score([ITEMS[0], (ITEMS[0][0], "c" * 3000)])
    with pytest.raises(TeacherError, match=r"item 0 .*at least one message"):
        teacher.score([((), "reply")])
    assert len(teacher.embed(["a", "b"])) == 2


def test_writing_is_not_changed_by_measuring_in_between(teacher: LlamaCppTeacher) -> None:
    requests = [
        Request(id=f"r{n}", messages=ITEMS[n][0], max_tokens=30, seed=n, temperature=1.0, top_p=1.0) for n in range(20)
    ]
    expected = {r.id: r.text for r in teacher.write(requests)}
    found, scores = {}, teacher.score(ITEMS[:5])
    for n, reply in enumerate(teacher.write(requests)):
        found[reply.id] = reply.text
        if n == 3:
            assert teacher.score(ITEMS[:5]) == scores
            assert teacher.embed(TEXTS[:5]).shape == (5, 64)
    assert found == expected


def test_measuring_survives_the_death_of_the_child(teacher: LlamaCppTeacher) -> None:
    vectors, scores = teacher.embed(TEXTS[:40]), teacher.score(ITEMS)
    talk = teacher._conversation
    assert talk is not None
    os.kill(talk.pid or 0, signal.SIGKILL)
    np.testing.assert_allclose(teacher.embed(TEXTS[:40]), vectors, atol=2e-3)
    os.kill(talk.pid or 0, signal.SIGKILL)
    assert teacher.score(ITEMS) == scores
