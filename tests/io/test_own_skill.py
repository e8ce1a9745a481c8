"""Skills that are not bundled: templates, the example, and names that mean nothing."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from dsa_lite.errors import ConfigError, UsageError
from dsa_lite.io.skill_template import skill_toml, write_skill
from dsa_lite.io.skills import load_skill
from dsa_lite.records import Topic

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_skill"
DIGITS = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
EVIL = 'a"]\n[[topic]]\nname = "b \\ \u202e'


def test_the_template_is_a_skill(tmp_path: Path) -> None:
    write_skill(tmp_path / "new", skill_toml("x", "X"))
    pack = load_skill(str(tmp_path / "new"))
    assert (pack.name, pack.title, len(pack.topics), pack.held_out) == ("x", "X", 2, {})
    with pytest.raises(UsageError, match=r"there is already .*skill\.toml"):
        write_skill(tmp_path / "new", "")
    assert load_skill(str(tmp_path / "new")) == pack


def test_what_stands_in_the_templates_comments_is_what_the_loader_knows(tmp_path: Path) -> None:
    text = re.sub(r"^# (?=\[|\w+ = )", "", skill_toml("x", "X"), flags=re.MULTILINE)
    assert {"held_out", "data"} <= tomllib.loads(text).keys()
    (tmp_path / "skill.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_skill(str(tmp_path))
    assert all("there is no file" in problem for problem in caught.value.problems)
    assert len(caught.value.problems) == 5


def test_texts_of_a_model_stay_texts(tmp_path: Path) -> None:
    topics = (Topic(name=EVIL, description=EVIL), Topic(name="b", prerequisites=(EVIL,)))
    write_skill(tmp_path, skill_toml("x", EVIL, description=EVIL, topics=topics))
    pack = load_skill(str(tmp_path))
    assert (pack.title, pack.description, pack.topics) == (EVIL, EVIL, topics)
    write_skill(tmp_path / "bell", skill_toml("x", "\x07" + EVIL, topics=topics))
    assert tomllib.loads((tmp_path / "bell" / "skill.toml").read_text())["title"] == "\x07" + EVIL
    with pytest.raises(ConfigError) as caught:
        load_skill(str(tmp_path / "bell"))
    assert "control character U+0007" in caught.value.problems[0]


def test_a_description_that_is_no_skill_leads_to_new() -> None:
    with pytest.raises(UsageError, match="no skill called 'SQL window functions'") as caught:
        load_skill("SQL window functions")
    assert "dsa-lite new 'SQL window functions'" in caught.value.hint
    assert "did you mean" not in caught.value.hint
    with pytest.raises(UsageError) as caught:
        load_skill("Calculs")
    assert caught.value.hint.startswith("did you mean calculus? ")
    with pytest.raises(UsageError) as caught:
        load_skill("TCP/IP it's")
    assert """dsa-lite new 'TCP/IP it'"'"'s'""" in caught.value.hint
    with pytest.raises(UsageError, match=r"there is no skill at nowhere/skill\.toml"):
        load_skill("nowhere/skill.toml")


def roman(text: str) -> int:
    values = [DIGITS[letter] for letter in text]
    return sum(-v if v < max(values[i:]) else v for i, v in enumerate(values))


def test_the_example_loads_and_its_answers_are_right() -> None:
    pack = load_skill(str(EXAMPLE))
    assert load_skill(str(EXAMPLE / "skill.toml")) == pack
    assert {i.topic for i in pack.held_out["eval"]} == {t.name for t in pack.topics}
    for item in (*pack.held_out["eval"], *pack.held_out["transfer"]):
        numerals = [roman(n) for n in re.findall(r"\b[IVXLCDM]+\b", item.problem)]
        answer = int(item.answer) if item.answer.isdigit() else roman(item.answer)
        if item.topic == "Writing Roman numerals":
            expected = int(re.findall(r"\d+", item.problem)[0])
        else:
            first = item.problem.split()[0]
            expected = {"Add": sum, "Subtract": lambda n: n[1] - n[0], "Which": max}[first](numerals)
        assert answer == expected, item
    problems = [i.problem for items in pack.held_out.values() for i in items]
    assert len(set(problems)) == len(problems)
