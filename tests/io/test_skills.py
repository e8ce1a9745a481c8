"""Skill packs: loading, and every fault at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dsa_lite.errors import ConfigError, UsageError
from dsa_lite.io import skills
from dsa_lite.io.skills import bundled_skills, load_skill

GOOD = """
name = "sums"
title = "Sums"
checker = "math"

[[topic]]
name = "Adding"

[[topic]]
name = "Adding twice"
description = "two sums"
prerequisites = ["Adding"]

[held_out]
eval = "eval.jsonl"
"""


def pack(folder: Path, toml: str = GOOD, items: str | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "skill.toml").write_text(toml)
    line = json.dumps({"id": "e1", "problem": "1+1?", "answer": "2", "topic": "Adding"})
    (folder / "eval.jsonl").write_text(line + "\n" if items is None else items)
    return folder


def test_loads_from_a_folder_or_a_file(tmp_path: Path) -> None:
    folder = pack(tmp_path / "sums")
    skill = load_skill(str(folder))
    assert skill == load_skill(str(folder / "skill.toml"))
    assert [t.name for t in skill.topics] == ["Adding", "Adding twice"]
    assert skill.held_out["eval"][0].answer == "2"


def test_a_skill_may_name_its_teacher(tmp_path: Path) -> None:
    assert load_skill(str(pack(tmp_path / "sums"))).teacher == ""
    named = 'teacher = "big.gguf"\n' + GOOD
    assert load_skill(str(pack(tmp_path / "named", named))).teacher == "big.gguf"
    with pytest.raises(ConfigError) as caught:
        load_skill(str(pack(tmp_path / "wrong", "teacher = 3\n" + GOOD)))
    assert any("teacher: got 3, allowed: a text" in problem for problem in caught.value.problems)


def test_bundled_skills_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack(tmp_path / "sums")
    monkeypatch.setattr(skills, "_bundled", lambda: tmp_path)
    assert bundled_skills() == ["sums"]
    assert load_skill("sums").title == "Sums"
    with pytest.raises(UsageError) as caught:
        load_skill("sum")
    assert "'sum'" in str(caught.value)
    assert "did you mean sums?" in caught.value.hint
    for name in ("", "../x", str(tmp_path / "none.toml")):
        with pytest.raises(UsageError):
            load_skill(name)


@pytest.mark.parametrize("name", bundled_skills() or [None])
def test_shipped_skills_are_valid(name: str | None) -> None:
    if name is None:
        pytest.skip("no skill is shipped yet")
    assert load_skill(name).held_out["eval"]


def test_all_faults_at_once(tmp_path: Path) -> None:
    toml = """
name = 5
titel = "x"
checker = "magic"
[[topic]]
name = "A"
prerequisites = ["B", "Aa"]
[[topic]]
name = "B"
prerequisites = ["A"]
[[topic]]
name = "A"
[held_out]
eval = "eval.jsonl"
general = "../../etc/passwd"
transfer = "none.jsonl"
extra = "x"
"""
    items = '{"id": "1", "problem": "p", "answer": "a", "topic": "C"}\n\n'
    items += '{"id": "1", "problem": " ", "answer": 2, "topic": "A"}\nx\n'
    items += '{"id": "1", "problem": " ", "answer": "2", "topic": "A"}\n'
    folder = pack(tmp_path / "bad", toml, items)
    with pytest.raises(ConfigError) as caught:
        load_skill(str(folder))
    text = str(caught.value)
    for wanted in (
        "titel: unknown field; did you mean 'title'?",
        "name: got 5",
        "title: missing",
        "checker: got 'magic', allowed: math, exact, choice",
        "topic 'A' is already defined at",
        "prerequisite 'Aa' is no topic",
        "held_out.general: got '../../etc/passwd'",
        "held_out.transfer: there is no file",
        "held_out.extra: unknown set",
        "eval.jsonl:1: topic 'C' is no topic",
        "eval.jsonl:3: answer:",
        "eval.jsonl:4:",
        "eval.jsonl:5: id '1' is already used at",
        "eval.jsonl:5: problem: is empty",
    ):
        assert wanted in text
    assert len(caught.value.problems) >= 14


def test_paths_as_windows_writes_them(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_text('{"question": "1+1?", "answer": "2"}\n', encoding="utf-8")
    skill = 'name = "s"\ntitle = "S"\n[data]\nexercises = {}\n[[topic]]\nname = "A"\n'
    (tmp_path / "skill.toml").write_text(skill.format(r"'data\train.jsonl'"), encoding="utf-8")
    assert len(load_skill(str(tmp_path)).exercises) == 1
    (tmp_path / "skill.toml").write_text(skill.format(r'"data\train.jsonl"'), encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"skill\.toml:4: data\.exercises: got 'data\\train\.jsonl'; .* single quotes"
    ):
        load_skill(str(tmp_path))


def test_circles_and_bad_topics(tmp_path: Path) -> None:
    circle = GOOD.replace('name = "Adding"\n', 'name = "Adding"\nprerequisites = ["Adding twice"]\n')
    with pytest.raises(ConfigError, match="in a circle: 'Adding' <- 'Adding twice' <- 'Adding'"):
        load_skill(str(pack(tmp_path / "c", circle)))
    with pytest.raises(ConfigError, match=r"topic 1: name: .*\n.*topic 1: nme"):
        load_skill(str(pack(tmp_path / "d", GOOD.replace('name = "Adding"\n', 'nme = "Adding"\n'))))
    with pytest.raises(ConfigError, match="at least one"):
        load_skill(str(pack(tmp_path / "e", 'name = "a"\ntitle = "b"\n')))
    with pytest.raises(ConfigError, match=r"skill\.toml:2: "):
        load_skill(str(pack(tmp_path / "f", 'name = "a"\ntitle = b\n')))


def test_latex_that_was_escaped_once_too_little_is_restored_or_refused(tmp_path: Path) -> None:
    toml = GOOD.replace('"two sums"', r'"halves like \frac{1}{2}"')
    item = r'{"id": "e1", "problem": "What is half of \theta?", "answer": "\frac{\theta}{2}", "topic": "Adding"}'
    loaded = load_skill(str(pack(tmp_path / "good", toml, item)))
    assert loaded.topics[1].description == r"halves like \frac{1}{2}"
    assert loaded.held_out["eval"][0].problem == r"What is half of \theta?"
    assert loaded.held_out["eval"][0].answer == r"\frac{\theta}{2}"
    with pytest.raises(ConfigError) as caught:
        load_skill(str(pack(tmp_path / "bad", GOOD, item.replace(r"\frac", r"\bad"))))
    assert any("eval.jsonl:1" in p and "control character U+0008" in p for p in caught.value.problems)


def test_rows_of_data_are_restored_or_refused(tmp_path: Path) -> None:
    toml = GOOD.replace("[held_out]", '[data]\nexercises = "x.jsonl"\n[held_out]')
    row = r'{"problem": "Half?", "solution": "It is \frac{1}{2}.", "answer": "\frac{1}{2}", "topic": "Adding"}'
    folder = pack(tmp_path / "good", toml)
    (folder / "x.jsonl").write_text(row)
    assert load_skill(str(folder)).exercises[0].solution == r"It is \frac{1}{2}."
    folder = pack(tmp_path / "bad", toml)
    (folder / "x.jsonl").write_text(row.replace("It is", r"It \u0007is"))
    with pytest.raises(ConfigError) as caught:
        load_skill(str(folder))
    assert any("x.jsonl:1: solution: control character U+0007" in p for p in caught.value.problems)
