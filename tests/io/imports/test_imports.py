"""Own data: every layout of the field, every fault at once."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from dsa_lite.errors import ConfigError, MissingExtra
from dsa_lite.io.skills import load_skill
from dsa_lite.records import SkillPack

HEAD = 'name = "sums"\ntitle = "Sums"\nchecker = "{checker}"\n'
TOPICS = '[[topic]]\nname = "Adding"\n[[topic]]\nname = "Adding twice"\n'


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def skill(folder: Path, data: str, rows: Any = None, *, file: str = "x.jsonl", checker: str = "math") -> SkillPack:
    (folder / "skill.toml").write_text(f"{HEAD.format(checker=checker)}\n[data]\n{data}\n{TOPICS}", encoding="utf-8")
    if isinstance(rows, str):
        (folder / file).write_text(rows, encoding="utf-8")
    elif rows is not None:
        write(folder / file, rows)
    return load_skill(str(folder))


def problems(folder: Path, data: str, rows: Any = None, **more: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        skill(folder, data, rows, **more)
    return [p.replace(f"{folder}/", "") for p in caught.value.problems]


GSM = "He has 2*3=<<2*3=6>>6.\nThen 6+1=<<6+1=7>>7.\n#### 7"
TURNS = [{"role": "user", "content": "What is 3+4?"}, {"role": "assistant", "content": "3+4=7.\n**Answer:** 7"}]
LABELLED = [{"label": "A", "text": "3"}, {"label": "B", "text": "seven"}, {"label": "C", "text": "9"}]
CHAT = [{"role": "system", "content": "Be brief."}, *TURNS]


@pytest.mark.parametrize(
    ("row", "problem", "solution", "answer"),
    [
        ({"messages": TURNS}, "What is 3+4?", "3+4=7.", "7"),
        ({"messages": CHAT}, "Be brief.\n\nWhat is 3+4?", "3+4=7.", "7"),
        ({"prompt": "3+4?", "completion": r"So it is \boxed{7}."}, "3+4?", r"So it is \boxed{7}.", "7"),
        ({"instruction": "Add.", "input": "3, 4", "output": "7"}, "Add.\n\n3, 4", "", "7"),
        (
            {"instruction": "Add 3, 4.", "input": "", "output": "3+4=7\nThe final answer is: 7"},
            "Add 3, 4.",
            "3+4=7",
            "7",
        ),
        ({"question": "q?", "answer": GSM}, "q?", "He has 2*3=6.\nThen 6+1=7.", "7"),
        ({"question": "q?", "answer": 7}, "q?", "", "7"),
        ({"problem": "p?", "solution": "3+4=7", "answer": "7"}, "p?", "3+4=7", "7"),
    ],
)
def test_layouts_become_exercises(
    tmp_path: Path, row: dict[str, Any], problem: str, solution: str, answer: str
) -> None:
    (exercise,) = skill(tmp_path, 'exercises = "x.jsonl"\ntopic = "adding TWICE"', [row]).exercises
    assert (exercise.problem, exercise.solution, exercise.answer) == (problem, solution, answer)
    assert (exercise.skills, exercise.origin) == (("adding-twice",), "imported")


@pytest.mark.parametrize(
    ("row", "letter"),
    [
        ({"question": "q?", "choices": ["3", "seven", "9"], "answer": "B"}, "B"),
        ({"question": "q?", "choices": ["3", "seven", "9"], "answer": "(b)"}, "B"),
        ({"question": "q?", "options": ["3", "seven", "9"], "answer": "seven"}, "B"),
        ({"question": "q?", "choices": {"text": ["3", "seven", "9"], "label": ["1", "2", "3"]}, "answerKey": "2"}, "B"),
        ({"question": "q?", "options": {"A": "3", "B": "seven", "C": "9"}, "answer": "B"}, "B"),
        ({"question": "q?", "A": "3", "B": "seven", "C": "9", "answer": "B"}, "B"),
        ({"question": "q?", "choices": '["3", "seven", "9"]', "answer": "B"}, "B"),
        ({"question": "q?", "options": ["A) 3", "B) seven", "C) 9"], "answer": "B"}, "B"),
        ({"question": {"stem": "q?", "choices": LABELLED}, "answerKey": "B"}, "B"),
    ],
)
def test_choices(tmp_path: Path, row: dict[str, Any], letter: str) -> None:
    row = {**row, "topic": "Adding"}
    (item,) = skill(tmp_path, 'held_out = "x.jsonl"', [row], checker="choice").held_out["eval"]
    assert (item.problem, item.answer) == ("q?\nA) 3\nB) seven\nC) 9", letter)


def test_csv_with_named_columns_json_and_one_file_beside_another(tmp_path: Path) -> None:
    rows = [
        {"q": 'say "2", then\nadd 2', "label": "4", "part": "Adding"},
        {"q": "3+3?", "label": "6", "part": "Adding"},
    ]
    write(tmp_path / "mine.csv", rows)
    write(tmp_path / "test.json", [{"id": "t1", "question": "1+1?", "answer": 2}, {"question": "2+1?", "answer": 3}])
    pack = skill(
        tmp_path,
        'exercises = {file = "mine.csv", columns = {problem = "q", topic = "part"}}\n'
        'held_out = {file = "test.json", topic = "Adding twice"}\n',
    )
    assert [e.problem for e in pack.exercises] == ['say "2", then\nadd 2', "3+3?"]
    assert [(i.id, i.topic, i.answer) for i in pack.held_out["eval"]] == [
        ("t1", "Adding twice", "2"), ("eval-0002", "Adding twice", "3"),
    ]  # fmt: skip


def test_ids_follow_the_text_and_copies_are_read_once(tmp_path: Path) -> None:
    rows = [{"question": f"{i}+1?", "answer": i + 1} for i in range(5)]
    first = skill(tmp_path, 'exercises = "x.jsonl"\ntopic = "Adding"', rows).exercises
    second = skill(tmp_path, 'exercises = "x.jsonl"\ntopic = "Adding"', [*rows[::-1], rows[0]]).exercises
    assert sorted(first, key=lambda e: e.id) == sorted(second, key=lambda e: e.id)
    assert len({e.id for e in first}) == 5


def test_semicolons_and_a_byte_order_mark_as_excel_writes_them(tmp_path: Path) -> None:
    text = "\ufeffquestion;answer;topic\r\n1,5 + 1?;2,5;Adding\r\n\r\n2+2?;4;Adding\r\n"
    assert [e.answer for e in skill(tmp_path, 'exercises = "x.csv"', text, file="x.csv").exercises] == ["2,5", "4"]


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("\ufeffsep=;\r\nquestion;answer\r\nWho, say?;Ada\r\n", {}),
        ("SEP=|\nquestion|answer\nWho, say?|Ada\n", {}),
        ('"sep=\t"\nquestion\tanswer\nWho, say?\tAda\n', {}),
        ("question;answer;;\nWho, say?;Ada;;\n;;;\n;;;;;\n", {}),
        ('question, answer\n"Who, say?", "Ada"\n', {}),
        ('"question, asked";answer\nWho, say?;Ada\n', {"problem": "question, asked"}),
        ("\n\nquestion;answer\nWho, say?;Ada\n", {}),
        ("question|answer\nWho, say?|Ada\n", {}),
    ],
)
def test_csv_as_spreadsheets_write_it(tmp_path: Path, text: str, more: dict[str, str]) -> None:
    data = f'exercises = "x.csv"\ntopic = "Adding"\ncolumns = {json.dumps(more).replace(": ", " = ")}'
    for raw in (text.encode(), text.encode("utf-16")):
        (tmp_path / "x.csv").write_bytes(raw)
        (exercise,) = skill(tmp_path, data).exercises
        assert (exercise.problem, exercise.answer) == ("Who, say?", "Ada")


@pytest.mark.parametrize(
    "text",
    [
        '[{"question": "1?", "answer": "2"}]',
        '{"version": "1", "data": [{"question": "1?", "answer": "2"}]}',
        '{"question": "1?", "answer": "2"}\n{"question": "1?", "answer": "2"}\n',
    ],
)
def test_json_as_it_is_kept(tmp_path: Path, text: str) -> None:
    (exercise,) = skill(tmp_path, 'exercises = "x.json"\ntopic = "Adding"', text, file="x.json").exercises
    assert (exercise.problem, exercise.answer) == ("1?", "2")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": [1], "b": [2]}', "x.json: got {'a': [1], 'b': [2]}, allowed: a list of objects"),
        ('{"question": "1?",\n"answer"}', "x.json:2: no JSON: Expecting ':' delimiter"),
        ('{"question": "1?"}\n{"question"}', "x.json:2: no JSON: Expecting ':' delimiter"),
    ],
)
def test_json_that_cannot_be_read(tmp_path: Path, text: str, words: str) -> None:
    data = 'exercises = "x.json"\ntopic = "Adding"'
    assert any(p.startswith(words) for p in problems(tmp_path, data, text, file="x.json"))


def test_csv_lines_are_counted_from_the_files_start(tmp_path: Path) -> None:
    data = 'exercises = "x.csv"\ntopic = "Adding"'
    (found,) = problems(tmp_path, data, "\nsep=;\nquestion;answer\n1?;1\n2?;\n", file="x.csv")
    assert found.startswith("x.csv:5: answer")
    (found,) = problems(tmp_path, data, "question;;answer\n1?;left?;1\n", file="x.csv")
    assert found == "x.csv:2: 'left?' stands in a column without a name"


def test_a_cell_may_be_longer_than_the_csv_modules_limit(tmp_path: Path) -> None:
    data = 'exercises = "x.csv"\ntopic = "Adding"'
    rows = skill(tmp_path, data, f'question,answer\n"{"word " * 30_000}",1\n2?,2\n', file="x.csv").exercises
    assert [len(e.problem) for e in rows] == [149_999, 2]


def test_parquet(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = arrow.table({"question": ["q1?", "q2?"], "choices": [["a", "b"], ["c", "d"]], "answer": [1, 0]})
    parquet.write_table(table, tmp_path / "x.parquet")
    data = 'held_out = "x.parquet"\ntopic = "Adding"'
    assert [i.answer for i in skill(tmp_path, data, checker="choice").held_out["eval"]] == ["B", "A"]
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no")
    assert "x.parquet: no Parquet file" in problems(tmp_path, data, checker="choice")[0]


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    (tmp_path / "x.parquet").write_bytes(b"")
    with pytest.raises(MissingExtra, match=r"x\.parquet") as caught:
        skill(tmp_path, 'exercises = "x.parquet"')
    assert caught.value.hint == "pip install 'dsa-lite[dataset]'"


def test_a_share_is_set_aside_where_there_is_no_held_out_set(tmp_path: Path) -> None:
    rows = [{"question": f"What is {i} + {i * i}?", "answer": i + i * i} for i in range(600)]
    data = 'exercises = "x.jsonl"\ntopic = "Adding"\n'
    pack = skill(tmp_path, data, rows)
    held = {i.problem for i in pack.held_out["eval"]}
    assert len(held) >= 30
    assert not held & {e.problem for e in pack.exercises}
    assert len(held) + len(pack.exercises) == 600
    assert not skill(tmp_path, data + "hold_out = 0.0").held_out
    few = skill(tmp_path, data, rows[:100])
    assert (len(few.exercises), few.held_out) == (100, {})
    (note,) = few.notes
    assert "hold_out = 0.1 sets fewer than 30 of 100 questions aside" in note
    assert "Raise data.hold_out, or name test questions as data.held_out" in note
    assert not pack.notes
    assert not skill(tmp_path, data + "hold_out = 0.0", rows[:100]).notes  # asked for
    write(tmp_path / "t.jsonl", [{"question": "1+1?", "answer": 2}])
    assert len(skill(tmp_path, data + 'held_out = "t.jsonl"', rows).exercises) == 600


def test_open_ended_rows_are_no_test_questions(tmp_path: Path) -> None:
    rows = [{"question": f"What is {i} + {i}?", "answer": i + i} for i in range(400)]
    rows += [{"question": f"Tell {i}.", "answer": f"Once\nupon {i}"} for i in range(400)]
    pack = skill(tmp_path, 'exercises = "x.jsonl"\ntopic = "Adding"\n', rows)
    assert 30 <= len(pack.held_out["eval"]) < 100
    assert all(item.problem.startswith("What is") for item in pack.held_out["eval"])
    assert sum(not e.graded for e in pack.exercises) == 400
    (found,) = problems(tmp_path, 'held_out = "x.jsonl"\ntopic = "Adding"\n', rows[-1:])
    assert found.startswith("x.jsonl:1: no final answer found, which a test question needs; mark it with")


def test_all_faults_of_the_rows_at_once(tmp_path: Path) -> None:
    text = "\n".join(
        [
            '{"question": "1+1?", "answer": "2", "topic": "Adding"}',
            '{"question": "", "answer": "2", "topic": "Adding"}',
            "no json",
            "[1]",
            '{"question": "2+1?", "topic": "Adding"}',
            '{"question": "2+1?", "answer": ["3"], "topic": "Adding"}',
            '{"question": "3+1?", "answer": "4", "topic": "Addin"}',
            '{"question": "1+1?", "answer": "3", "topic": "Adding"}',
            '{"question": "5+2?", "answer": "x ####", "topic": "Adding"}',
            '{"question": "6+2?", "answer": "8"}',
        ]
    )
    found = problems(tmp_path, 'exercises = "x.jsonl"\nlayout = "question_answer"', text)
    wanted = {
        2: "question: is empty", 3: "no JSON", 4: "got [1], allowed: an object", 5: "answer: is missing",
        6: "answer: got ['3'], allowed: a text", 7: "topic: got 'Addin', which is no topic",
        8: "the problem of", 9: "answer: nothing follows ####", 10: "topic: is missing",
    }  # fmt: skip
    for line, words in wanted.items():
        assert any(p.startswith(f"x.jsonl:{line}: {words}") for p in found), (line, words, found)
    assert len(found) == len(wanted)


def test_twenty_are_shown_and_the_rest_counted(tmp_path: Path) -> None:
    found = problems(tmp_path, 'exercises = "x.jsonl"\ntopic = "Adding"', '{"question": "1+1?", "answer": ""}\n' * 300)
    assert len(found) == 21
    assert found[-1] == "… and 280 more"


@pytest.mark.parametrize(
    ("turns", "words"),
    [
        ([], "the turns are none"),
        ([*TURNS, TURNS[0]], "the turns are user, assistant, user, allowed"),
        ([{"role": "user"}], "allowed: a list of role and content"),
        ([TURNS[0], {"role": "assistant", "content": " "}], "a turn is empty"),
    ],
)
def test_chats_that_are_no_exercise(tmp_path: Path, turns: Any, words: str) -> None:
    (found,) = problems(tmp_path, 'exercises = "x.jsonl"\ntopic = "Adding"', [{"messages": turns}])
    assert found.startswith("x.jsonl:1: messages: ")
    assert words in found


@pytest.mark.parametrize(
    ("choices", "answer", "words"),
    [
        (["a"], "A", "got 1 choices, allowed: 2-10"),
        (["a", "b"], "C", "answer: got 'C', allowed: one of A, B"),
        (["a", "b"], 3, "answer: got 3"),
        (["a", "b"], 1, "no number says whether choices are counted from 0 or from 1; say it: count_from = 0"),
        ({"text": ["a", "b"], "label": ["A"]}, "A", "got 2 texts and the labels A, allowed: one label for each"),
        ({"text": ["a", "b"], "label": ["A", "A"]}, "A", "the labels A, A"),
        (["a", "b"], True, "answer: got True"),
        (["0", "2", "1"], "1", "may mean choice B or C"),
        ("a, b", "A", "choices: got 'a, b'"),
        (["a", None], "A", "allowed: a list of"),
    ],
)
def test_choices_that_are_none(tmp_path: Path, choices: Any, answer: Any, words: str) -> None:
    row = {"question": "q?", "choices": choices, "answer": answer}
    found = problems(tmp_path, 'held_out = "x.jsonl"\ntopic = "Adding"', [row], checker="choice")
    assert any(words in problem for problem in found)


def test_csv_faults_name_the_line_of_the_record(tmp_path: Path) -> None:
    text = 'question,answer\n"two\nlines",2\n1,2,3\n,4\n"open'
    found = problems(tmp_path, 'exercises = "x.csv"\ntopic = "Adding"', text, file="x.csv")
    assert [p.partition(" ")[0] for p in found] == ["x.csv:4:", "x.csv:6:", "x.csv:5:"]
    assert "3 cells, but the header names 2" in found[0]
    found = problems(tmp_path, 'exercises = "x.csv"\ntopic = "Adding"', "answer,answer\n1,2\n", file="x.csv")
    assert "the column 'answer' is there more than once" in found[0]


def test_columns_that_cannot_be_made_out(tmp_path: Path) -> None:
    rows = [{"ask": "1+1?", "reply": "2", "topic": "Adding"}]
    (found,) = problems(tmp_path, 'exercises = "x.jsonl"', rows)
    assert "no column for problem and answer in the layout question_answer (columns: ask, reply, topic)" in found
    (found,) = problems(tmp_path, 'exercises = "x.jsonl"\ncolumns = {problem = "aks", answer = "reply"}', rows)
    assert "columns.problem: there is no column 'aks'; did you mean 'ask'?" in found
    (found,) = problems(tmp_path, 'exercises = "x.jsonl"\nlayout = "alpaca"', rows)
    assert "in the layout alpaca" in found
    del rows[0]["topic"]
    (found,) = problems(tmp_path, 'exercises = "x.jsonl"\ncolumns = {problem = "ask", answer = "reply"}', rows)
    assert "no column says the topic" in found
    (found,) = problems(tmp_path, 'exercises = "x.jsonl"', "\n")
    assert found == "x.jsonl: holds no questions"
    for raw, words in (
        (b'{"a": "\xe4"}', "is not UTF-8 (byte 8): save it as UTF-8"),
        (b"\xff\xfea", "is not UTF-16 (byte 3)"),
        ('{"a": 1}'.encode("utf-16-le"), "is no text: it holds zero bytes (if it is UTF-16: save it as UTF-8)"),
    ):
        (tmp_path / "x.jsonl").write_bytes(raw)
        (found,) = problems(tmp_path, 'exercises = "x.jsonl"')
        assert found.startswith(f"x.jsonl: {words}")


def test_multiple_choice_needs_its_checker(tmp_path: Path) -> None:
    row = {"question": "q?", "choices": ["a", "b"], "answer": "A", "topic": "Adding"}
    assert 'need checker = "choice"' in problems(tmp_path, 'exercises = "x.jsonl"', [row])[0]


def test_faults_of_the_table_name_line_and_field(tmp_path: Path) -> None:
    data = (
        'exercises = "../x.csv"\nheld_out = "none.csv"\ncolumns = {problem = "q", reply = "a"}\nlayout = "alpacca"\n'
        "hold_out = 2\nfiles = 1"
    )
    found = problems(tmp_path, data)
    for words in (
        "skill.toml:8: data.columns.reply: ", "skill.toml:9: data.layout: ",
        "skill.toml:10: data.hold_out: ", "skill.toml:11: data.files: ",
    ):  # fmt: skip
        assert any(p.startswith(words) for p in found), (words, found)
    assert len(found) == 4
    found = problems(tmp_path, 'exercises = {name = "x.csv"}')
    assert [p.partition(" ")[2][:24] for p in found] == ["data.exercises.file: Fie", "data.exercises.name: Ext"]
    found = problems(tmp_path, 'exercises = "../x.csv"\nheld_out = "none.csv"')
    assert found[0] == "skill.toml:6: data.exercises: got '../x.csv', allowed: a file in the skill's folder"
    assert found[1].startswith("skill.toml:7: data.held_out: there is no file")
    (found_one,) = problems(tmp_path, "exercises = 5")
    assert found_one.startswith("skill.toml:6: data.exercises: ")
    (tmp_path / "skill.toml").write_text(HEAD.format(checker="math") + "data = 3\n" + TOPICS, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"skill\.toml:4: data: got 3, allowed: a table"):
        load_skill(str(tmp_path))


def test_two_eval_sets_are_one_too_many(tmp_path: Path) -> None:
    line = {"id": "eval-0001", "problem": "1+1?", "answer": "2", "topic": "Adding"}
    write(tmp_path / "e.jsonl", [line])
    found = problems(tmp_path, 'held_out = "e.jsonl"\n[held_out]\neval = "e.jsonl"')
    assert "skill.toml:6: data.held_out: held_out.eval names one, too" in found
    found = problems(tmp_path, 'held_out = "e.jsonl"\n[held_out]\ngeneral = "e.jsonl"')
    assert "id 'eval-0001' is already used at" in found[0]


def test_a_cell_keeps_its_unusual_line_signs_and_faults_their_lines(tmp_path: Path) -> None:
    text = 'question,answer,topic\n"one\u2028two\x0cthree\x85four","2","Adding"\nfive\x1csix?,3,Adding\n'
    first, second = skill(tmp_path, 'exercises = "x.csv"', text, file="x.csv").exercises
    assert first.problem == "one\u2028two\x0cthree\x85four"
    assert second.problem == "five\x1csix?"
    found = problems(tmp_path, 'exercises = "x.csv"', text + '"a\nb",,Adding\nc,,Adding\n', file="x.csv")
    assert [p.partition(" ")[0] for p in found] == ["x.csv:4:", "x.csv:6:"]
