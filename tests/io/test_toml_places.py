"""Lines of TOML: what tomllib reads, and where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsa_lite.io.toml_places import Places

TEXT = '''# a comment
name = "x"

[held_out]   # another
eval = "a"
"strange key" = """
[not.a.table]
name = 1
"""
deep.er = 3

[[topic]]
name = "one"
prerequisites = [
  "a",   # with ]
  "b",
]
[[topic]]
name = "two"
[topic.extra]
x = 1
[[topic.part]]
y = 1
[[topic.part]]
y = 2
[ a . b ]
c = [{d = 1}, {d = 2}]
'''


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (("name",), 2), (("held_out",), 4), (("held_out", "eval"), 5), (("held_out", "strange key"), 6),
        (("held_out", "deep", "er"), 10), (("topic",), 12), (("topic", 0), 12), (("topic", 0, "name"), 13),
        (("topic", 0, "prerequisites", 1), 14), (("topic", 1), 18), (("topic", 1, "name"), 19),
        (("topic", 1, "extra", "x"), 21), (("topic", 1, "part", 0, "y"), 23), (("topic", 1, "part", 1, "y"), 25),
        (("a", "b", "c", 1, "d"), 27),
        (("topic", 1, "missing"), 18), (("topic", 9), 12),
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines(key: tuple[str | int, ...], line: int, end: str) -> None:
    assert Places(Path("f.toml"), TEXT.replace("\n", end)).where(*key) == f"f.toml:{line}"


def test_what_is_not_there_is_in_the_file() -> None:
    assert Places(Path("f.toml"), TEXT).where("title") == "f.toml"
    assert Places(Path("f.toml"), "").where("title", 3) == "f.toml"
