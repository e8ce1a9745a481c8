"""Presets, environment variables, and the settings file that people edit."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from dsa_lite.config import Config
from dsa_lite.errors import ConfigError, UsageError
from dsa_lite.io.settings.environment import environment_layers, variable
from dsa_lite.io.settings.files import changes, load_config, preset, preset_names, setting_names, settings_with_sources
from dsa_lite.io.settings.text import as_toml


@pytest.mark.parametrize("name", ["paper", "quick", "thorough"])
def test_presets_change_something_and_say_why(name: str) -> None:
    assert name in preset_names()
    assert changes(load_config([("preset", preset(name))]))
    text = (Path(str(files("dsa_lite"))) / "presets" / f"{name}.toml").read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert max(map(len, text.splitlines())) <= 120


def test_the_paper_preset_holds_what_the_paper_says() -> None:
    config = load_config([("preset", preset("paper"))])
    assert (config.tune.epochs, config.tune.order, config.pretrain.order) == (3, "lower_to_higher", "lower_to_higher")
    assert (config.dynamics.probe_epochs, config.dynamics.burn_in, config.dynamics.filter_errors) == (3, 0, True)


def test_an_unknown_preset() -> None:
    with pytest.raises(UsageError, match="no preset called 'papr'") as caught:
        preset("papr")
    assert caught.value.hint == "did you mean paper? presets: paper, quick, thorough"


def test_every_setting_has_a_variable_of_its_own() -> None:
    names = setting_names()
    assert len({variable(name) for name in names}) == len(names) > 50
    assert variable("tune.epochs") == "DSA_LITE_TUNE_EPOCHS"
    assert variable("seed") == "DSA_LITE_SEED"


def test_the_environment_can_set_every_setting() -> None:
    rows = settings_with_sources(Config())
    # An empty value is as good as none, so a text that is empty by default gets another.
    environment = {variable(key): str(default).lower() or "x" for key, _, default, _ in rows}
    layers = environment_layers(environment)
    assert len(layers) == len(rows)
    set_there = {name: value for _, layer in layers for name, value in layer.items()}
    empty = {key: "" for key, _, default, _ in rows if default == ""}
    assert load_config([("environment", set_there | empty)]) == Config()


def test_the_environment_wins_over_a_file_and_loses_to_flags() -> None:
    file = ("my.toml", {"tune": {"epochs": 5, "rounds": 5}, "graph": {"expand": True}})
    environment = environment_layers({
        "DSA_LITE_TUNE_EPOCHS": " 6 ", "DSA_LITE_GRAPH_EXPAND": "false", "DSA_LITE_TUNE_ORDER": "random",
        "DSA_LITE_TUNE_ROUNDS": "", "DSA_LITE_RUN_QUIET": "1", "DSA_LITE_MODELS": "/x", "PATH": "/bin",
    })  # fmt: skip
    layers = [file, *environment, ("flags", {"tune": {"order": "higher_to_lower"}})]
    config = load_config(layers)
    assert (config.tune.epochs, config.tune.rounds, config.graph.expand) == (6, 5, False)
    sources = {key: source for key, _, _, source in changes(config, layers)}
    assert sources["tune.epochs"] == "DSA_LITE_TUNE_EPOCHS"
    assert sources["tune.order"] == "flags"


def test_a_bad_value_is_named_by_its_variable() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(environment_layers({"DSA_LITE_TUNE_EPOCHS": "many", "DSA_LITE_TUNE_ORDER": "[1, 2"}))
    assert [p.split(": got")[0] for p in caught.value.problems] == [
        "DSA_LITE_TUNE_EPOCHS: tune.epochs",
        "DSA_LITE_TUNE_ORDER: tune.order",
    ]


def test_variables_that_look_like_settings_are_refused_all_at_once() -> None:
    names = ["DSA_LITE_TUNE_EPOCH", "DSA_LITE_STUDENT_RANK", "DSA_LITE_TUNEEPOCHS", "DSA_LITE_GRAPH_TO"]
    with pytest.raises(ConfigError) as caught:
        environment_layers(dict.fromkeys([*names, "DSA_LITE_REQUIRE", "DSA_LITE_RUN_SEED"], "1"), ["DSA_LITE_GRAPH_TO"])
    problems = caught.value.problems
    assert len(problems) == 3
    meant = "DSA_LITE_TUNE_EPOCH: unknown setting; did you mean DSA_LITE_TUNE_EPOCHS"
    assert any(problem.startswith(meant) for problem in problems)


def test_the_file_to_edit_loads_back_to_the_defaults_and_sets_nothing() -> None:
    text = as_toml(Config(), only_changed=True)
    assert not any(tomllib.loads(text)[section] for section in tomllib.loads(text))
    assert load_config([("file", tomllib.loads(text))]) == Config()
    uncommented = re.sub(r"(?m)^#(?=\S)", "", text)
    assert tomllib.loads(uncommented) == tomllib.loads(as_toml(Config()))
    assert load_config([("file", tomllib.loads(uncommented))]) == Config()
    for name in Config.model_fields:
        assert name in tomllib.loads(uncommented)


def test_a_preset_stands_in_the_file_and_the_rest_is_commented_out() -> None:
    config = load_config([("preset", preset("quick"))])
    text = as_toml(config, only_changed=True)
    set_there = tomllib.loads(text)
    assert load_config([("file", set_there)]) == config
    assert {f"{s}.{k}" for s, table in set_there.items() for k in table} == {key for key, *_ in changes(config)}


def test_every_kind_of_value_can_be_written() -> None:
    class Odd(BaseModel):
        text: str = 'a "quoted" \\ word'
        words: tuple[str, ...] = ("a", "b")
        nothing: int | None = None
        word: Literal["x", "y"] = "x"

    text = as_toml(Odd())
    assert tomllib.loads(text) == {"text": Odd().text, "words": ["a", "b"], "word": "x"}
    assert "#nothing = none" in text


def test_lists_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    from dsa_lite.io.settings import environment as config_environment

    read: Any = config_environment._value
    assert read('["a", "b"]') == ["a", "b"]
    assert read("[broken") == "[broken"
