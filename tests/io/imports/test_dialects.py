"""Chats and tables of other tools: what is read, what is refused by name, and what is said to be left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dsa_lite.io.imports.data import Importer
from dsa_lite.io.toml_places import Places
from dsa_lite.records import Exercise

ASKED, SAID = {"role": "user", "content": "What is 3+4?"}, {"role": "assistant", "content": "3+4=7. The answer is 7."}
MORE = [{"role": "user", "content": "And 7+1?"}, {"role": "assistant", "content": "8"}]


def read(folder: Path, *rows: Any, file: str = "x.jsonl", **source: Any) -> tuple[list[Exercise], list[str], list[str]]:
    """(exercises, problems, notes)"""
    (folder / file).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    toml = folder / "skill.toml"
    importer = Importer(toml, ["data"], "choice", Places(toml, ""))
    found = importer.read({"exercises": {"file": file, "topic": "data", **source}}, has_held_out=True)
    return (
        list(found.exercises),
        [p.replace(f"{folder}/", "") for p in importer.problems],
        [n.replace(f"{folder}/", "") for n in found.notes],
    )


def parts(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [ASKED, SAID]},
        {"messages": json.dumps([ASKED, SAID])},
        {"conversations": [{"from": "human", "value": ASKED["content"]}, {"from": "gpt", "value": SAID["content"]}]},
        {"conversation": [{"human": ASKED["content"], "assistant": SAID["content"]}]},
        {"conversations": [{"role": "User", "value": ASKED["content"]}, {"role": "model", "value": SAID["content"]}]},
        {"messages": [{**ASKED, "content": parts(ASKED["content"])}, {**SAID, "content": parts(SAID["content"])}]},
        {"messages": [ASKED, {**SAID, "content": "The answer is 7.", "reasoning_content": "3+4=7."}]},
        {"messages": [ASKED, {**SAID, "tool_calls": None}]},
        {"prompt": [ASKED], "completion": [SAID]},
        {"prompt": ASKED["content"], "completion": [SAID]},
        {"prompt": ASKED["content"], "completion": SAID["content"]},
        {"prompt": ASKED["content"], "completion": "7", "reasoning": "3+4=7."},
        {"query": ASKED["content"], "response": SAID["content"]},
        {"problem": ASKED["content"], "solution": SAID["content"]},
        {"problem": ASKED["content"], "solution": "3+4=7.", "expected_answer": "7"},
        {"instruction": ASKED["content"], "instances": [{"input": "", "output": SAID["content"]}]},
    ],
)
def test_one_exchange_in_many_dialects(tmp_path: Path, row: dict[str, Any]) -> None:
    (exercise,), problems, notes = read(tmp_path, row)
    assert (exercise.problem, exercise.solution, exercise.answer) == ("What is 3+4?", "3+4=7.", "7")
    assert (problems, notes) == ([], [])


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"instruction": "Who?", "context": "Ada left.", "response": "Ada"}, "Who?\n\nAda left."),
        ({"question": "Who?", "context": "Ada left.", "answer": "Ada"}, "Who?\n\nAda left."),
        ({"instruction": "Who?", "input": "Ada left.", "output": "Ada"}, "Who?\n\nAda left."),
        ({"system_prompt": "Be brief.", "question": "Who?", "response": "Ada"}, "Be brief.\n\nWho?"),
        ({"system": "Be brief.", "conversations": [{"from": "human", "value": "Who?"}, {"from": "ai", "value": "Ada"}]},
         "Be brief.\n\nWho?"),
        ({"messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Who?"},
                       {"role": "assistant", "content": "Ada"}]}, "Be brief.\n\nWho?"),
    ],
)  # fmt: skip
def test_what_a_question_is_about_stands_with_it(tmp_path: Path, row: dict[str, Any], problem: str) -> None:
    (exercise,), problems, notes = read(tmp_path, row)
    assert (exercise.problem, exercise.answer) == (problem, "Ada")
    assert (problems, notes) == ([], [])


def test_the_last_reply_of_a_chat_or_all_of_them(tmp_path: Path) -> None:
    chat = {"messages": [{"role": "system", "content": "Add."}, ASKED, SAID, *MORE]}
    whole = f"Add.\n\nUser: What is 3+4?\n\nAssistant: {SAID['content']}\n\nUser: And 7+1?"
    (last,), _, notes = read(tmp_path, chat)
    assert (last.problem, last.answer) == (whole, "8")
    assert notes == ["x.jsonl: 1 of 1 questions come after other turns of a chat, which stand before them as text; "
                     'turns = "last"']  # fmt: skip
    every, _, _ = read(tmp_path, chat, turns="all")
    assert [(e.problem, e.answer) for e in every] == [("Add.\n\nWhat is 3+4?", "7"), (whole, "8")]
    greeted, _, _ = read(tmp_path, {"messages": [{"role": "assistant", "content": "Hello"}, ASKED, SAID]})
    assert greeted[0].problem == "Assistant: Hello\n\nUser: What is 3+4?"
    light = {"messages": [ASKED, {**SAID, "weight": 0}, *MORE]}
    weighted, _, _ = read(tmp_path, light, turns="all")
    assert [e.answer for e in weighted] == ["8"]


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([{"role": "user", "content": [{"type": "image", "image": "a.png"}, *parts("What?")]}, SAID],
         "turn 1 holds image data, which is not read: only text is"),
        ([{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}, SAID], "turn 1 holds audio data"),
        ([{"role": "user", "content": [{"type": "refusal"}]}, SAID], "turn 1 holds a part of type 'refusal'"),
        ([ASKED, {"role": "assistant", "tool_calls": [{"id": "1"}]}, SAID], "turn 2 is a call of a tool"),
        ([ASKED, {"from": "observation", "value": "12"}, SAID], "turn 2 is of a tool (observation)"),
        ([{"role": "narrator", "content": "Once"}, SAID], "turn 1: got 'narrator' as role, allowed: system, user"),
        (["What is 3+4?", "7"], "allowed: a list of role and content, or of from and value"),
        ([ASKED, ASKED, SAID], "the turns are user, user, assistant, allowed"),
        ([ASKED, {**SAID, "weight": 0}], "no reply has a weight"),
    ],
)  # fmt: skip
def test_what_is_no_text_is_refused_by_name(tmp_path: Path, messages: Any, words: str) -> None:
    _, (problem,), _ = read(tmp_path, {"messages": messages})
    assert problem.startswith("x.jsonl:1: messages: ")
    assert words in problem


def question(answer: Any, *texts: str) -> dict[str, Any]:
    return {"question": f"q{answer}?", "choices": texts or ("a", "b", "c"), "answer": answer}


@pytest.mark.parametrize(
    ("answers", "source", "letters"),
    [
        ((0, 1, 2), {}, "ABC"),
        ((1, 2, 3), {}, "ABC"),
        (("0", "1"), {}, "AB"),
        ((1.0, 3.0), {}, "AC"),
        ((1, 2), {"count_from": 0}, "BC"),
        ((1, 2), {"count_from": 1}, "AB"),
        (("a", "C", 0), {}, "ACA"),
    ],
)
def test_where_choices_are_counted_from_is_read_off_all_rows(
    tmp_path: Path, answers: tuple[Any, ...], source: dict[str, Any], letters: str
) -> None:
    found, problems, _ = read(tmp_path, *map(question, answers), **source)
    assert ("".join(e.answer for e in found), problems) == (letters, [])


def test_a_doubt_about_numbers_is_said(tmp_path: Path) -> None:
    _, (mixed, *_), _ = read(tmp_path, question(0), question(3))
    assert mixed.startswith("x.jsonl: answer: the choices are counted from 0 at ")
    assert "x.jsonl:1 and from 1 at" in mixed
    _, (open_,), _ = read(tmp_path, question("B"), question(1), question(2))
    assert open_.startswith("x.jsonl:2: answer: no number says whether")


def test_columns_that_are_not_read_are_named(tmp_path: Path) -> None:
    row = {"question": "q?", "answer": "7", "source": "web", "category": "sums", "hint": "add"}
    _, _, (note,) = read(tmp_path, row)
    assert note == "x.jsonl: columns that are not read: source, category, hint"
    assert read(tmp_path, {**row, "category": "data"}, columns={"topic": "category"})[2] == [
        "x.jsonl: columns that are not read: source, hint"
    ]


def test_replies_without_an_answer_are_kept_as_they_are_and_counted(tmp_path: Path) -> None:
    write = {"instruction": "Write.", "output": "Dear Ada,\nhow are you?"}
    add = {"instruction": "Add.", "output": "7"}
    found, problems, notes = read(tmp_path, write, add)
    letter, sum_ = found
    assert (letter.solution, letter.answer, letter.graded) == ("Dear Ada,\nhow are you?", "", False)
    assert (sum_.answer, sum_.graded, problems) == ("7", True, [])
    assert notes == ["x.jsonl: without a final answer, so trained on as they are and never graded: 1 of 2 (the first "
                     "at x.jsonl:1). Answer: … on a reply's last line marks one."]  # fmt: skip


def test_headings_do_not_make_a_file_gsm8k(tmp_path: Path) -> None:
    (first, second), problems, _ = read(
        tmp_path, {"question": "q1?", "answer": "#### Way\n3+4=7\n\nAnswer: 7"}, {"question": "q2?", "answer": "8"}
    )
    assert (first.answer, second.answer, problems) == ("7", "8", [])
