"""Small files, small functions, no drawer for everything."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE_LINES, FUNCTION_LINES = 400, 60
FILES = sorted(p for folder in ("dsa_lite", "backends", "examples") for p in (ROOT / folder).rglob("*.py"))
DRAWERS = {"util", "utils", "common", "helper", "helpers", "manager", "misc"}
TOP_LEVEL = {
    "dsa_lite",
    "backends",
    "tests",
    "examples",
    "pyproject.toml",
    "constraints.txt",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
}
MADE_BY_TOOLS = {"runs", "build", "dist"}


@pytest.mark.parametrize("path", FILES, ids=[str(p.relative_to(ROOT)) for p in FILES])
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= FILE_LINES
    assert path.stem not in DRAWERS
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or node.lineno) - node.lineno < FUNCTION_LINES, f"{node.name} at line {node.lineno}"


def test_the_top_level_holds_nothing_else() -> None:
    found = {p.name for p in ROOT.iterdir() if not p.name.startswith(".") and p.suffix not in (".egg-info",)}
    assert found - TOP_LEVEL - MADE_BY_TOOLS - {"shared"} <= {"__pycache__"}
