"""`dsa-lite models` and `dsa-lite config`: what the environment says arrives."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from dsa_lite.cli import cli
from dsa_lite.cli.config import OWN_VARIABLES, _option_variables
from dsa_lite.config import Config
from dsa_lite.io.settings.environment import variable
from dsa_lite.io.settings.files import setting_names

GIANT = 10**15


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own: no model of this machine is seen."""
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "OLLAMA_MODELS", "LLAMA_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("DSA_LITE_MODELS", str(tmp_path / "mine"))
    return tmp_path


def student(folder: Path, shape: list[int], name: str = "LlamaForCausalLM") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"architectures": [name], "max_position_embeddings": 4096}))
    (folder / "tokenizer.json").write_text("{}")
    header = json.dumps({"w": {"dtype": "F16", "shape": shape, "data_offsets": [0, 0]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    return folder


def test_models_are_listed_with_what_one_wants_to_know(home: Path, terminal: CliRunner, width: int) -> None:
    student(home / ".cache/huggingface/hub/models--org--small/snapshots/x", [10, 10])
    student(home / ".lmstudio/models/org/huge", [GIANT])
    (home / "mine").mkdir()
    (home / "mine" / "broken [bold]\x1b[31m.gguf").write_bytes(b"GGUFGGUFGGUFGGUFGGUFGGUFGGUF")
    result = terminal.invoke(cli, ["models"])
    assert result.exit_code == 0, result.output
    assert "\n  org/small\n" in result.stdout, "a name stands alone on its line, to be copied"
    flat = " ".join(result.stdout.split())
    for words in ("MB, Q8_0, context 1,024, chat template", "F16, context 4,096, no chat template",
                  "does not fit", "unreadable", "broken [bold]"):  # fmt: skip
        assert words in flat, words
    assert all(c.isprintable() or c == "\n" for c in result.stdout)


def test_models_as_json(home: Path, terminal: CliRunner) -> None:
    student(home / "elsewhere" / "huge", [GIANT])
    student(home / "elsewhere" / "embedder", [5], "BertModel")
    found = json.loads(terminal.invoke(cli, ["models", "--json", "--folder", str(home / "elsewhere")]).stdout)
    rows = {row["name"]: row for row in found["models"]}
    assert rows.keys() == {
        "dsa-lite-tiny-teacher",
        "dsa-lite-tiny-social-teacher",
        "dsa-lite-tiny-student",
        str(home / "elsewhere" / "huge"),
    }, "a model of --folder is named by its path: run does not know that folder"
    assert rows["dsa-lite-tiny-teacher"]["fits"] is True
    assert rows[str(home / "elsewhere" / "huge")]["fits"] is False
    assert rows[str(home / "elsewhere" / "huge")]["memory_needed"] == 6 * GIANT
    assert str(home / "mine") in found["looked_in"]


def test_a_folder_that_is_not_there(terminal: CliRunner, tmp_path: Path) -> None:
    result = terminal.invoke(cli, ["models", "--folder", str(tmp_path / "none")])
    assert result.exit_code == 2
    assert "does not exist" in result.stderr


def test_config_show_names_every_source(home: Path, terminal: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "my.toml").write_text("[tune]\nepochs = 5\nrounds = 6\n")
    monkeypatch.setenv("DSA_LITE_TUNE_EPOCHS", "7")
    words = ["config", "show", "--preset", "quick", "--config", str(home / "my.toml")]
    result = terminal.invoke(cli, words)
    assert result.exit_code == 0, result.output
    shown = tomllib.loads(result.stdout)
    assert set(shown) == set(Config.model_fields)
    assert (shown["tune"]["epochs"], shown["tune"]["rounds"], shown["evaluate"]["limit"]) == (7, 6, 40)
    found = json.loads(terminal.invoke(cli, [*words, "--json", "--changed"]).stdout)["settings"]
    sources = {row["setting"]: row["source"] for row in found}
    assert sources["tune.epochs"] == "DSA_LITE_TUNE_EPOCHS"
    assert sources["tune.rounds"] == str(home / "my.toml")
    assert sources["evaluate.limit"] == "preset quick"
    assert sources["tune.learning_rate"] == "preset quick"
    assert sources["tune.final_rate"] == "student's own file"
    assert "seed" not in sources


def test_config_show_with_another_student(home: Path, terminal: CliRunner) -> None:
    folder = student(home / "own", [5])
    (folder / "dsa-lite.toml").write_text("[student]\nlora_rank = 3\n")
    result = terminal.invoke(cli, ["config", "show", "--student", str(folder), "--changed"])
    assert "student.lora_rank = 3" in result.stdout
    assert "tune.learning_rate" not in result.stdout, "the bundled student's settings are not this one's"


@pytest.mark.parametrize(
    ("environment", "words", "message"),
    [
        ({"DSA_LITE_TUNE_EPOCH": "3"}, [], "did you mean DSA_LITE_TUNE_EPOCHS"),
        ({"DSA_LITE_TUNE_EPOCHS": "0"}, [], "DSA_LITE_TUNE_EPOCHS: tune.epochs: got '0'"),
        ({}, ["--preset", "papr"], "did you mean paper"),
        ({}, ["--config", "none.toml"], "cannot read none.toml"),
    ],
)
def test_config_show_says_what_is_wrong(
    environment: dict[str, str], words: list[str], message: str, home: Path, terminal: CliRunner
) -> None:
    result = terminal.invoke(cli, ["config", "show", *words], env=environment)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_options_of_commands_are_no_misspelt_settings(home: Path, terminal: CliRunner) -> None:
    environment = {"DSA_LITE_GRAPH_TO": "json", "DSA_LITE_RUN_SEED": "1", "DSA_LITE_REQUIRE": "torch"}
    assert terminal.invoke(cli, ["config", "show"], env=environment).exit_code == 0


def test_no_variable_means_an_option_and_a_setting() -> None:
    options = set(_option_variables(cli, "DSA_LITE"))
    assert "DSA_LITE_GRAPH_TO" in options
    assert not options & {variable(name) for name in setting_names()}
    assert not set(OWN_VARIABLES) & {variable(name) for name in setting_names()}
    assert isinstance(cli, click.Group)


def test_config_init(tmp_path: Path, terminal: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = terminal.invoke(cli, ["config", "init"])
    assert result.exit_code == 0, result.output
    assert "--config my.toml" in result.stdout
    text = Path("my.toml").read_text(encoding="utf-8")
    assert Config.model_validate(tomllib.loads(text)) == Config()
    assert "#rounds = 3" in text
    Path("my.toml").write_text("edited")
    again = terminal.invoke(cli, ["config", "init", "my.toml"])
    assert again.exit_code == 2
    assert "--force" in again.stderr
    assert Path("my.toml").read_text() == "edited"
    forced: Any = terminal.invoke(cli, ["config", "init", "my.toml", "--preset", "quick", "--force"])
    assert forced.exit_code == 0
    assert tomllib.loads(Path("my.toml").read_text())["evaluate"] == {"limit": 40, "max_tokens": 200}
