"""Two columns of a page whose text comes line by line."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dsa_lite.core.columns import Piece, in_columns

LEFT, RIGHT = 72.0, 320.0


def across(left: list[str], right: list[str], y: float = 700) -> list[Piece]:
    """Both columns, line by line; the longer one goes on alone."""
    pieces: list[Piece] = []
    for n in range(max(len(left), len(right))):
        pieces += [(LEFT, y - 14 * n, left[n])] if n < len(left) else []
        pieces += [(RIGHT, y - 14 * n, f" {right[n]}")] if n < len(right) else []
    return pieces


LINES = st.lists(
    st.sampled_from(["a line of four words", "another one of five words", "and some more of it"]), min_size=8
)


@settings(deadline=None)
@given(LINES, LINES)
def test_the_left_column_comes_first(left: list[str], right: list[str]) -> None:
    short, long = sorted((len(left), len(right)))
    found = in_columns(across(left, right))
    if 2 * short >= long:
        assert found == "\n".join([*left, *right])
    else:
        assert found in ("", "\n".join([*left, *right]))  # too few lines in two columns to be sure of it


def test_lines_across_the_page_divide_the_columns() -> None:
    left, right = [f"left line number {n}" for n in range(6)], [f"right line number {n}" for n in range(6)]
    title, note = "A title that goes over both columns", "A note that goes over both columns, too"
    pieces = [(LEFT, 720.0, title), *across(left, right), (LEFT, 600.0, note), *across(left, right, 580)]
    assert in_columns(pieces) == "\n".join([title, *left, *right, note, *left, *right])


def test_other_pages_stay_as_they_are() -> None:
    text = ["a line of prose with words"] * 20
    assert in_columns([]) == ""
    assert in_columns(across(text, [])) == ""
    assert in_columns([*across(text, []), *((RIGHT, y, t) for _, y, t in across(text, []))]) == ""  # in order already
    assert in_columns(across(["name"] * 20, text)) == ""  # a table
    assert in_columns(across(["1."] * 20, text)) == ""  # a list
    assert in_columns(across(text[:5], text[:5])) == ""  # too few to say
    words = [(LEFT + 31.7 * n + 11 * (row % 5), 700.0 - 14 * row, " word") for row in range(20) for n in range(8)]
    assert in_columns(words) == ""  # each word by itself, none below another
