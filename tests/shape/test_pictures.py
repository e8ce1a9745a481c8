"""The pictures of the README: there, small, and without anything from the network."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "examples" / "pictures"


def test_pictures_are_small_and_load_nothing() -> None:
    files = [path for path in PICTURES.iterdir() if path.is_file()]
    assert {path.suffix for path in files} == {".png", ".svg"}
    assert sum(path.stat().st_size for path in files) < 300_000
    text = (PICTURES / "terminal.svg").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\"') ]+", text)) <= {
        "http://www.w3.org/2000/svg",
        "https://www.textualize.io/rich",
        "https://www.textualize.io",
    }
    assert "font-face" not in text


def test_what_the_readme_shows_is_there() -> None:
    shown = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert not [path for path in shown if not path.startswith("http") and not (ROOT / path).is_file()]
