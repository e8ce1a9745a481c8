"""Social studies in the recipe: exercises are right, held-out wordings stay out, requests are the product's own."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # `examples` is not an installed package

from dsa_lite.config import ExerciseSettings, TeacherSettings  # noqa: E402
from dsa_lite.core.overlap import OverlapIndex  # noqa: E402
from dsa_lite.core.prompts import Prompts  # noqa: E402
from dsa_lite.core.replies import read_exercise, read_prerequisites, read_solution  # noqa: E402
from dsa_lite.io.skills import load_skill  # noqa: E402
from dsa_lite.records import Exercise, Skill  # noqa: E402
from examples.tiny_models import corpus, heldout, social_forms, social_heldout, social_reading, social_teaching  # noqa: E402
from examples.tiny_models.social_composing import compose, unasked, unasked_ways  # noqa: E402
from examples.tiny_models.social_facts import short  # noqa: E402
from examples.tiny_models.social_kinds import LETTERS, NAMES, SUBJECT, ancestors, filled, make  # noqa: E402
from examples.tiny_models.social_solver import same, solve  # noqa: E402
from examples.tiny_models.social_wordings import CENTURY, EARLIER, LATER, TOPICS  # noqa: E402
from examples.tiny_models.steps import Item  # noqa: E402

FOLDER = ROOT / "dsa_lite" / "skills" / "social-studies"
LEVELS = ("easy", "medium", "hard")
STREAMS = [
    social_reading.base_documents,
    social_teaching.both_documents,
    social_teaching.equal_documents,
    social_teaching.choosing_documents,
    social_teaching.few_choice_documents,
]
TOLD = [topic for topic in TOPICS.values() if topic.facts]


def check_item(item: Item) -> None:
    truth = solve(item.problem)
    assert truth is not None, item
    assert same(item.answer, truth), (item, truth)
    assert item.solution.startswith(f"{item.skills[0]}: ")
    assert all(f"{skill}: " in item.solution for skill in item.skills)


def test_the_facts_are_pairs_without_contradiction() -> None:
    assert 150 <= sum(len(topic.facts) for topic in TOLD) <= 220
    for topic in TOLD:
        assert len({short(x).lower() for x, _ in topic.facts}) == len(topic.facts)
        if topic.both_ways:
            assert len({short(y).lower() for _, y in topic.facts}) == len(topic.facts), topic.name
        assert all(re.fullmatch(r"[A-Za-z]+( [A-Za-z]+)*|\d{4}", name) for fact in topic.facts for name in fact)


def test_every_relation_has_wordings_enough_and_none_is_held_out_and_trained() -> None:
    for topic in TOLD:
        assert len(topic.ask) >= 5, topic.name
        assert len(topic.back) >= (5 if topic.both_ways else 3), topic.name
        assert len(topic.held_ask) >= 2, topic.name
        assert len(topic.held_back) >= 2, topic.name
    trained = {heldout.normal(w) for t in TOLD for w in (*t.ask, *t.back, t.says, t.turned)}
    held = {heldout.normal(w) for t in TOLD for w in (*t.held_ask, *t.held_back, t.held_claim)}
    assert not trained & held
    assert min(map(len, (CENTURY, EARLIER, LATER))) >= 5


@pytest.mark.parametrize("held", [False, True], ids=["trained", "held out"])
@pytest.mark.parametrize("name", NAMES)
def test_every_exercise_is_right(name: str, held: bool) -> None:
    rng = Random(name)
    for i in range(200):
        item = make(rng, name, LEVELS[i % 3], held)
        assert item.skills == (name,)
        check_item(item)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.sampled_from([(old, name) for name in NAMES for old in ancestors(name)]))
def test_every_composition_is_right(seed: int, pair: tuple[str, str]) -> None:
    item = compose(Random(seed), pair)
    assert sorted(item.skills) == sorted(pair)
    check_item(item)


@pytest.mark.parametrize(
    ("problem", "truth"),
    [
        ("What is the capital of Peru?", "Lima"),
        ("Give the capital of Atlantis.", None),
        ("What is the best capital of Peru?", None),
        ("Which of these countries is in Asia? A) Peru B) India C) Mali D) Iran", None),
        ("Which of these countries is in Asia? A) Peru B) India C) Mali D) Chile", "B"),
        ("Which of these countries is in Asia?", None),
        ("True or false: The capital of Peru is Paris.", "false"),
        ("True or false: Lima is the capital of Peru.", "true"),
        ("True or false: The capital of Peru is Atlantis.", None),
        ("Which came later: the Magna Carta or the Magna Carta?", None),
        ("In which century was the Battle of Hastings?", "11"),
        ("First: What is the capital of Peru? Second: When was the Magna Carta?", "Lima; 1215"),
        ("First: What is the capital of Peru? Second: Hello?", None),
        ("Let k be the answer to: Where does the Sphinx stand? What is the capital of k?", "Cairo"),
        ("Let k be the answer to: Where does the Sphinx stand? What is the capital of Peru?", None),
        ("Compute 3+4.", None),
        ("", None),
    ],
)
def test_the_solver_reads_known_wordings_alone(problem: str, truth: str | None) -> None:
    assert solve(problem) == truth


def test_answers_are_compared_part_by_part() -> None:
    assert same("the Nile; Peru", "Nile; peru")
    assert same("B) Rome", "B")
    assert not same("Nile", "Nile; Peru")
    assert not same("Peru; Nile", "Nile; Peru")


def test_the_skill_file_agrees_with_the_registry() -> None:
    skill = tomllib.loads((FOLDER / "skill.toml").read_text(encoding="utf-8"))
    assert (skill["title"], skill["checker"]) == (SUBJECT, "exact")
    assert [topic["name"] for topic in skill["topic"]] == NAMES
    seen: set[str] = set()
    for topic in skill["topic"]:
        assert topic["prerequisites"] == list(TOPICS[topic["name"]].needs)
        assert set(topic["prerequisites"]) <= seen
        assert topic["description"] == TOPICS[topic["name"]].text
        seen.add(topic["name"])


def test_the_skill_loads() -> None:
    sets = load_skill(str(FOLDER)).held_out
    assert {name: len(items) for name, items in sets.items()} == {"eval": 306, "transfer": 120, "general": 234}
    assert [i.problem for i in sets["general"]] == [i.problem for i in load_skill("calculus").held_out["general"]]


@pytest.mark.parametrize("name", ["eval", "transfer", "general"])
def test_the_held_out_files_are_the_made_ones(name: str) -> None:
    assert (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines() == social_heldout.lines(name)


def test_the_skills_own_exercises_are_the_made_ones_and_right() -> None:
    lines = (FOLDER / "exercises.jsonl").read_text(encoding="utf-8").splitlines()
    assert lines == social_forms.lines()
    rows = [json.loads(line) for line in lines]
    assert len({row["problem"] for row in rows}) == len(rows) == 10 + 15 * 24
    assert not {heldout.normal(row["problem"]) for row in rows} & social_heldout.problems()
    for row in rows:
        truth = solve(row["problem"])
        assert truth is not None
        assert same(row["answer"], truth), row


def test_held_out_questions_are_right_and_mostly_short() -> None:
    items = social_heldout.held_out()
    for item in (*items["eval"], *items["transfer"]):
        check_item(item)
    assert Counter(i.skills[0] for i in items["eval"]) == dict.fromkeys(NAMES, social_heldout.PER_TOPIC)
    guessed = [i for i in items["eval"] if i.answer in (*LETTERS, "true", "false")]
    assert len(guessed) < 0.25 * len(items["eval"])
    assert social_heldout.chance() < 0.2
    for item in items["transfer"]:
        assert unasked(item.skills), item
        assert item.skills in unasked_ways()


@pytest.mark.parametrize("documents", STREAMS)
def test_no_document_holds_a_held_out_problem(documents) -> None:
    assert heldout.scan(documents(7), 4000, social_heldout.problems()) == 0
    assert heldout.scan(documents(8), 2000) == 0
    planted = [f"<|text|>{item.problem}<|end|>" for item in social_heldout.held_out()["eval"][:3]]
    assert heldout.scan(planted, 3, social_heldout.problems()) == 3


def test_hardly_an_exercise_repeats_a_held_out_question_or_another() -> None:
    threshold = ExerciseSettings().near_duplicate
    held, seen, rng = OverlapIndex(threshold), OverlapIndex(threshold), Random(5)
    for items in social_heldout.held_out().values():
        for item in items:
            held.add(item.key, item.problem)
    repeated = 0
    for i in range(900):
        item = make(rng, NAMES[i % len(NAMES)], LEVELS[i % 3])
        assert held.find(item.problem) is None, item
        repeated += seen.find(item.problem) is not None
        seen.add(str(i), item.problem)
    assert repeated < 200


def test_the_base_is_told_no_true_fact_and_every_word() -> None:
    rng = Random(3)
    told = {filled(says, x, y) for t in TOLD for x, y in t.facts for says in (t.says, t.turned) if says}
    for _ in range(1500):
        item = social_reading.reading(rng)
        if item.problem.startswith("Text: "):
            text = item.problem.removeprefix("Text: ").split("\n")[0]
            assert not {f"{sentence.rstrip('.')}." for sentence in text.split(". ")} & told, item
    words = {
        w for items in social_heldout.held_out().values() for i in items for w in re.findall("[A-Za-z]{2,}", i.problem)
    }
    known = {word.lower() for word in social_reading.VOCABULARY} | {"let", "be", "answer", "to"}
    assert {word.lower() for word in words} <= known


def rebuilt(asked: str, prompts: Prompts) -> str:
    """The same request as the product writes it, from what a document's request names."""
    fields = [line.partition(": ") for line in asked.splitlines()]
    values = {key: value for key, _, value in fields}
    given = [value for key, _, value in fields if key == "problem"]
    names = (values.get("skills") or values.get("skill") or NAMES[0]).split("; ")
    skills = [Skill(id=name, name=name) for name in names]
    parents = [Exercise(id=p, problem=p, solution="s", answer="a", skills=tuple(names), origin="single") for p in given]
    match values["task"]:
        case "prerequisites":
            request = prompts.prerequisites("r", skills[0], NAMES, limit=4, max_tokens=9)
        case "textbook":
            needs = [] if values["prerequisites"] == "none" else values["prerequisites"].split("; ")
            request = prompts.textbook("r", skills[0], [Skill(id=n, name=n) for n in needs], max_tokens=9)
        case "exercise":
            request = prompts.exercise("r", skills, values["difficulty"], max_tokens=9)
        case "solve":
            request = prompts.solve("r", skills, given[0], max_tokens=9)
        case _:
            request = prompts.remake("r", skills, parents, max_tokens=9)
    return request.messages[-1].content


@pytest.mark.parametrize("choices", [(4,), social_teaching.FEW])
@pytest.mark.parametrize("task", social_teaching.TASKS)
def test_requests_are_the_products_own_and_every_reply_is_right(task: str, choices: tuple[int, ...]) -> None:
    rng, prompts = Random(task), Prompts(load_skill(str(FOLDER)), TeacherSettings(), 0)
    for _ in range(150):
        (asked, low), (written, high) = social_teaching.TASKS[task][0](social_teaching.Draw(rng, choices))
        assert (low, high) == (corpus.ASKED, corpus.WRITTEN)
        request = asked.removeprefix("<|user|>").removesuffix("<|assistant|>")
        assert rebuilt(request, prompts) == request
        reply = written.removesuffix("<|end|>")
        if task == "textbook":
            assert "Example: " in reply
        elif task == "prerequisites":
            parsed = read_prerequisites(reply)
            assert not isinstance(parsed, str)
            assert set(parsed.prerequisites) <= set(NAMES)
        elif task == "solve":
            solution = read_solution(reply)
            assert not isinstance(solution, str)
            assert same(solution.answer, solve(request.split("problem: ")[1]) or "")
        else:
            exercise = read_exercise(reply)
            assert not isinstance(exercise, str)
            assert same(exercise.answer, solve(exercise.problem) or ""), exercise
            assert json.dumps(exercise.model_dump(), separators=(",", ":")) == reply


def test_documents_depend_on_their_seed_alone() -> None:
    for documents in STREAMS:
        assert list(islice(documents(1), 50)) == list(islice(documents(1), 50))
        assert list(islice(documents(1), 50)) != list(islice(documents(2), 50))


def test_documents_fit_their_rows_and_hold_the_share_of_the_skill() -> None:
    tokenizer = pytest.importorskip("examples.tiny_models.tokenizer")
    learned = tokenizer.load(ROOT / "dsa_lite" / "bundled" / "student")
    for documents, length in ((social_teaching.social_documents, 384), (social_reading.base_documents, 256)):
        texts = ["".join(part for part, _ in document) for document in islice(documents(4), 1500)]
        lengths = [len(found.ids) for found in learned.encode_batch(texts)]
        assert sum(n > length for n in lengths) <= 0.01 * len(lengths)
    texts = ["".join(part for part, _ in d) for d in islice(social_teaching.both_documents(4), 1500)]
    share = sum(f"subject: {SUBJECT}" in text for text in texts) / len(texts)
    assert share == pytest.approx(social_teaching.SHARE, abs=0.05)
