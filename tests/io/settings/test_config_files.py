"""Settings merged from layers."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsa_lite.config import Config
from dsa_lite.errors import ConfigError, UsageError
from dsa_lite.io.settings.files import changes, load_config, model_settings, read_toml
from dsa_lite.io.toml import lost_backslash, to_toml


def test_later_layers_win() -> None:
    layers: list[tuple[str, dict[str, Any]]] = [
        ("teacher", {"seed": 1, "tune": {"rounds": 2, "epochs": 5}}),
        ("flags", {"tune.rounds": "4", "graph": {}}),
    ]
    config = load_config(layers)
    assert (config.seed, config.tune.rounds, config.tune.epochs) == (1, 4, 5)
    assert changes(config, layers) == [
        ("seed", 1, 0, "teacher"),
        ("tune.rounds", 4, 3, "flags"),
        ("tune.epochs", 5, 2, "teacher"),
    ]
    assert load_config([]) == Config()
    assert changes(Config()) == []


def test_all_problems_with_label_key_and_closest() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config([
            ("a.toml", {"tune": {"round": 3, "order": "upwards"}, "nonsense": 1}),
            ("--set", {"tune.rounds": 0, "seed": "x", "graph": 5, "learning_rat": 1}),
        ])  # fmt: skip
    assert set(caught.value.problems) == {
        "a.toml: tune.round: unknown setting; did you mean tune.rounds?",
        "a.toml: nonsense: unknown setting",
        "--set: graph: got 5, allowed: a table [graph]",
        "--set: learning_rat: unknown setting; did you mean tune.learning_rate?",
        "a.toml: tune.order: got 'upwards', allowed: 'lower_to_higher', 'higher_to_lower' or 'random'",
        "--set: tune.rounds: got 0, allowed: greater than or equal to 1",
        "--set: seed: got 'x', allowed: a valid integer, unable to parse string as an integer",
    }


def test_read_toml(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("x = 1\ny = oops\n")
    with pytest.raises(ConfigError, match=r"a\.toml:2: "):
        read_toml(path)
    path.write_text("x = [1,\n")
    with pytest.raises(ConfigError, match=r"a\.toml:\d+: "):
        read_toml(path)
    path.write_bytes(b"x = \xff")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_toml(path)
    with pytest.raises(UsageError, match="cannot read"):
        read_toml(tmp_path / "none")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (r'folder = "C:\Users\me"', r"needs single quotes, as in 'C:\\models"),
        (r'folder = "C:\models"', "needs single quotes"),
        ("folder = C:", "text needs quotes"),
    ],
)
def test_a_windows_path_in_double_quotes_says_what_to_write(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "a.toml").write_text(line)
    with pytest.raises(ConfigError, match=r"a\.toml:1: ") as caught:
        read_toml(tmp_path / "a.toml")
    assert re.search(words, caught.value.hint)


@pytest.mark.parametrize(
    ("written", "lost"),
    [
        (r"C:\temp", True), (r"C:\new\big.gguf", True), (r"data\train.jsonl", True), (r"a b\bin", True),
        (r"docs\next.md", True), (r"C:/temp", False), (r"Hello,\nworld", False), (r"One\tcolumn. And two", False),
        (r"C:\\temp", False),
    ],
)  # fmt: skip
def test_what_was_a_backslash_is_noticed(written: str, lost: bool) -> None:
    value = tomllib.loads(f'x = "{written}"')["x"]
    assert lost_backslash(value) is lost
    if lost:
        with pytest.raises(ConfigError, match=r"file: docs\.folder: got .*needs single quotes"):
            load_config([("file", {"docs": {"folder": value}})])
    else:
        assert load_config([("file", {"docs": {"folder": value}})]).docs.folder == value


def test_model_settings(tmp_path: Path) -> None:
    gguf = tmp_path / "m.gguf"
    gguf.write_bytes(b"")
    assert model_settings(gguf) == {}
    (tmp_path / "dsa-lite.toml").write_text("seed = 1")
    assert model_settings(gguf) == model_settings(tmp_path) == {"seed": 1}
    (tmp_path / "m.dsa-lite.toml").write_text("seed = 2")
    assert model_settings(gguf) == {"seed": 2}


_SCALARS = (
    st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8"))
)
_TABLES = st.recursive(
    st.dictionaries(st.text(st.characters(codec="utf-8")), _SCALARS | st.lists(_SCALARS, max_size=3), max_size=4),
    lambda inner: st.dictionaries(st.text(st.characters(codec="utf-8")), _SCALARS | inner, max_size=4),
    max_leaves=8,
)


@given(_TABLES)
def test_written_toml_is_read_back(tables: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(tables)) == tables


def test_none_is_left_out() -> None:
    assert to_toml({"a": None, "b": {"c": None, "d": (1, 2)}, "e": {}}) == "[b]\nd = [1, 2]\n\n[e]\n"
