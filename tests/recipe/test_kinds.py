"""The text half of the recipe: exercises are right, held-out ones stay out, files agree with the registry."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # `examples` is not an installed package

from examples.tiny_models import corpus, heldout, teaching  # noqa: E402
from examples.tiny_models.composing import compose  # noqa: E402
from examples.tiny_models.expressions import BadExpression, equal, parse  # noqa: E402
from examples.tiny_models.kinds import BASE, CALCULUS, KINDS, LEVELS, NAMES, SUBJECT, Item, ancestors, make  # noqa: E402
from examples.tiny_models.solver import same, solve  # noqa: E402
from examples.tiny_models.writable import FITTED, is_writable  # noqa: E402

FOLDER = ROOT / "dsa_lite" / "skills" / "calculus"
STREAMS = [
    corpus.base_documents,
    corpus.revision_documents,
    teaching.teacher_documents,
    teaching.practice_documents,
    teaching.revision_documents,
]
TEACHERS_OWN = {"Negative numbers", "Multiplying powers"}


def check_item(item: Item) -> None:
    truth = solve(item.problem)
    assert truth is not None, item
    assert same(item.answer, truth), (item, truth)
    assert item.solution.startswith(item.skills[0] + ":")
    assert all(f"{skill}:" in item.solution for skill in item.skills)
    assert item.answer.split("; ")[-1] + "." in item.solution[-80:]
    check_steps(item)


def check_steps(item: Item) -> None:
    """Every written equation between expressions is true."""
    single = len(item.parts) == 0
    for left, right in re.findall(r"(?<![^\s])([^\s=,:]+)=([^\s=,]+?)(?=[,.]?(?:\s|$))", item.solution):
        if re.fullmatch(r"[a-z]'?", left) or (single and right == "0" and "x" in left):
            continue
        try:
            one, two = parse(left), parse(right)
        except BadExpression:
            pytest.fail(f"{left}={right} in {item.solution}")
        assert equal(one, two) or (right == "0" and "x" in left), (left, right, item)


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_is_right(name: str) -> None:
    rng = Random(name)
    for i in range(300):
        item = make(rng, name, LEVELS[i % 3])
        assert item is not None
        assert item.skills == (name,)
        check_item(item)
        assert len(item.solution) < 460, item


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.lists(st.sampled_from(NAMES), min_size=2, max_size=3), st.sampled_from(LEVELS))
def test_every_composition_is_right(seed: int, names: list[str], level: str) -> None:
    item = compose(Random(seed), tuple(names), level)
    assert item.skills == tuple(names)
    check_item(item)


def test_an_answer_must_be_finished() -> None:
    assert same("6x+2x^2", "2x^2+6x")
    assert same("(x+3)(x+2)", "(x+2)(x+3)")
    assert same("5; x^2", "5;x^2")
    for wrong, truth in [
        ("x^2+5x+6", "(x+2)(x+3)"), ("(x+2)(x+3)", "x^2+5x+6"), ("23*4", "92"), ("2^5", "32"), ("2x+3x", "5x"),
        ("3x^4", "3x^4+C"), ("12", "12; 3"), ("", "5"), ("x+", "x"), ("2(x+1)(3x+6)", "6(x+1)(x+2)"), ("3*x", "2x"),
    ]:  # fmt: skip
        assert not same(wrong, truth), (wrong, truth)


@pytest.mark.parametrize("text", ["", "Hello", "Compute .", "Compute 3+.", "Compute 1/0.", "First: a Second: b"])
def test_what_the_solver_cannot_read_is_none(text: str) -> None:
    assert solve(text) is None


def test_the_prerequisites_have_no_cycle_and_are_few() -> None:
    for name in NAMES:
        assert name not in ancestors(name)
        assert len(KINDS[name].prerequisites) <= 3
    assert not any(set(ancestors(name)) & set(CALCULUS) for name in BASE)


def test_the_skill_file_agrees_with_the_registry() -> None:
    skill = tomllib.loads((FOLDER / "skill.toml").read_text(encoding="utf-8"))
    assert skill["title"] == SUBJECT
    topics = {topic["name"]: topic for topic in skill["topic"]}
    assert list(topics) == [name for name in NAMES if name not in TEACHERS_OWN]
    seen: set[str] = set()
    for name, topic in topics.items():
        assert set(topic["prerequisites"]) <= seen & set(ancestors(name))
        assert topic["description"] == KINDS[name].description
        seen.add(name)


def test_the_held_out_files_are_the_made_ones() -> None:
    for name, least in (("eval", 408), ("transfer", 120), ("general", 216)):
        lines = (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        assert lines == heldout.lines(name)
        items = [json.loads(line) for line in lines]
        assert len(items) >= least
        assert len({item["problem"] for item in items}) == len(items)
        for item in items:
            assert item["topic"] == "Reading" or same(item["answer"], solve(item["problem"]) or "")


@pytest.mark.parametrize("documents", STREAMS)
def test_no_document_holds_a_held_out_problem(documents) -> None:
    assert heldout.scan(documents(7), 10_000) == 0
    planted = [f"<|text|>{item.problem}<|end|>" for item in heldout.held_out()["eval"][:3]]
    assert heldout.scan(planted, 3) == 3


def test_the_base_is_told_no_calculus() -> None:
    for document in islice(corpus.base_documents(3), 4000):
        text = "".join(part for part, _ in document)
        assert not re.search(r"(Differentiate|Integrate|limit of|derivative of|slope of) \S*\d", text), text


@pytest.mark.parametrize("task", teaching.TASKS)
@pytest.mark.parametrize("fits", [is_writable, lambda item: True], ids=["writable", "anything"])
def test_every_reply_has_the_form_asked_for(task: str, fits) -> None:
    draw = teaching.Draw(Random(task), dict.fromkeys(NAMES, 1.0), fits)
    for _ in range(200):
        (asked, low), (written, high) = teaching.TASKS[task][0](draw)
        assert (low, high) == (corpus.ASKED, corpus.WRITTEN)
        assert asked.startswith("<|user|>task: ")
        assert f"\nsubject: {SUBJECT}\n" in asked
        reply = written.removesuffix("<|end|>")
        if task == "textbook":
            assert reply.count("xample: ") == 3
            continue
        fields = json.loads(reply)
        assert json.dumps(fields, separators=(",", ":")) == reply
        if task == "prerequisites":
            assert set(fields["prerequisites"]) <= set(NAMES)
            continue
        problem = fields.get("problem") or asked.split("problem: ")[1].removesuffix("<|assistant|>")
        assert same(fields["answer"], solve(problem) or ""), (problem, fields)


def test_documents_depend_on_their_seed_alone() -> None:
    for documents in STREAMS:
        assert list(islice(documents(1), 50)) == list(islice(documents(1), 50))
        assert list(islice(documents(1), 50)) != list(islice(documents(2), 50))


def test_the_tokenizers_text_has_no_mathematics() -> None:
    for text in corpus.sample_texts(2000):
        assert not re.search(r"[0-9+*^()=]|\bx\b", text), text


def test_what_the_teacher_makes_up_divides_by_the_table() -> None:
    draw = teaching.Draw(Random(3), dict.fromkeys(NAMES, 1.0), is_writable)
    for name in FITTED:
        for _ in range(100):
            item = draw.item(name, draw.rng.choice(LEVELS))
            quotients = re.findall(r"-?\d+/\d+=(-?\d+)", item.solution)
            assert all(abs(int(q)) <= 10 for q in quotients), item


@pytest.mark.parametrize(
    ("name", "text"),
    [("Antiderivatives", r"[2-9]\d\dx\^8"), ("Linear equations", r"4x\+3=\d+\."), ("Limits", r"\)/\(x")],
)
def test_what_does_not_fit_is_not_made_up(name: str, text: str) -> None:
    rng = Random(5)
    made = (make(rng, name, rng.choice(LEVELS)) for _ in range(20_000))
    found = [item for item in made if item is not None and re.search(text, item.problem)]
    assert found
    assert not any(map(is_writable, found))
