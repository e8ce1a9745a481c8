"""LaTeX whose backslashes were escaped once too little."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsa_lite.core.escapes import BrokenText, all_restored, load_json, restored
from dsa_lite.core.replies import ExerciseReply, PrerequisitesReply, read_exercise, read_prerequisites

COMMANDS = [
    r"\frac{3}{4}", r"\forall x", r"\beta", r"\bar{x}", r"\binom{2}{1}", r"\begin{align}", r"\boxed{5}", r"\big(",
    r"3\times 4", r"\theta+1", r"12\text{ cm}", r"\textbf{5}", r"\tfrac{1}{2}", r"\tau", r"\tan(x)", r"\tan^2 x",
    r"x \to 0", r"x \to \infty", r"\nabla f", r"a \neq b", r"x \notin A", r"x \rightarrow 0", r"\rho",
    r"\left(x\right)", r"\lfloor x\rfloor", r"\mathbf{x}", r"\langle u, v\rangle", r"x \ne 0",
]  # fmt: skip


@pytest.mark.parametrize("text", COMMANDS)
def test_commands_in_json_are_restored(text: str) -> None:
    assert load_json(f'{{"a": ["{text}"]}}') == {"a": [text]}
    assert load_json(json.dumps(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "a\tb", "first\nsecond", "x = 1\n\tso\tx = 1", "one\nexists", "name\tan apple", "\ttext of a line", "a\nnot b",
        "1\t0", "e\ne", "x\ntheta", "a\n u",
    ],
)  # fmt: skip
def test_white_space_stays(text: str) -> None:
    assert restored(text) == text


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a\fb", "U+000C"), ("\bx", "U+0008"), ("\x1b[31m", "U+001B"), ("a\0", "U+0000"), ("a\ud83d", "U+D83D"),
        ("\x7f", "U+007F"),
    ],
)  # fmt: skip
def test_what_cannot_be_restored_is_named(text: str, named: str) -> None:
    with pytest.raises(BrokenText, match=named.replace("+", r"\+")):
        restored(text)
    with pytest.raises(BrokenText):
        all_restored({"x": [1, text]})


def test_line_ends_are_one_kind() -> None:
    assert restored("a\r\nb\rc") == "a\nb\nc"


def test_escapes_that_json_does_not_have() -> None:
    assert (
        load_json(r'"\sqrt{2} \(x\) \cdot \pi \u00e9 \underline{x} \" \\"')
        == r'\sqrt{2} \(x\) \cdot \pi é \underline{x} " ' + "\\"
    )
    with pytest.raises(json.JSONDecodeError):
        load_json('{"a": ')


def test_a_teachers_reply_is_restored_or_refused() -> None:
    reply = r'{"problem": "Add $\frac{1}{2}$.", "solution": "So \text{it} is \frac{2}{2}.", "answer": "\frac{2}{2}"}'
    assert read_exercise(reply) == ExerciseReply(
        problem=r"Add $\frac{1}{2}$.", solution=r"So \text{it} is \frac{2}{2}.", answer=r"\frac{2}{2}"
    )
    found = read_exercise(r'{"problem": "p", "solution": "\bad", "answer": "1"}')
    assert isinstance(found, str)
    assert "control character U+0008" in found
    assert "escaped once too little" in found


def test_one_bad_name_costs_no_list_of_names() -> None:
    found = read_prerequisites(r'{"prerequisites": ["Sums", "\u001b[31m", "Products"]}')
    assert found == PrerequisitesReply(prerequisites=["Sums", "Products"])


@given(st.text(max_size=40) | st.text(alphabet="\t\n\r\f\b ratehoximes{}\\", max_size=20))
def test_nothing_with_control_characters_gets_through(text: str) -> None:
    try:
        once = restored(text)
    except BrokenText:
        return
    assert not any((ord(c) < 32 and c not in "\n\t") or 0xD800 <= ord(c) < 0xE000 for c in once)
    assert restored(once) == once
