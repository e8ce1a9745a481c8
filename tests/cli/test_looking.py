"""`show`, `map`, `skills`, `doctor`, `config schema`: what they say about a run and a machine."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dsa_lite.cli import cli, doctor
from dsa_lite.cli import map as map_command
from dsa_lite.config import Config
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.records import REGIONS

ROOT = Path(__file__).parents[2]


def test_show_tells_stages_and_scores(finished: Path, terminal: CliRunner, width: int) -> None:
    result = terminal.invoke(cli, ["show", str(finished)])
    assert result.exit_code == 0, result.output
    for words in ("tune", "done", "12 s", "to do", "78.3 %", "Chain of", "Round 1: the baseline is low"):
        assert words in result.stdout
    assert all(c.isprintable() or c == "\n" for c in result.stdout)
    found = json.loads(terminal.invoke(cli, ["show", str(finished), "--json"]).stdout)
    assert found["stages"][0] == {"stage": "graph", "status": "done", "seconds": 12.3}
    assert found["summary"]["skill"] == "calculus"


def test_show_works_on_an_unfinished_run(tmp_path: Path, terminal: CliRunner) -> None:
    with RunDir.open(tmp_path / "r", {"skill": "calculus"}, {}) as run:
        run.begin("graph", "x")
    result = terminal.invoke(cli, ["show", str(tmp_path / "r")])
    assert result.exit_code == 0, result.output
    assert "running" in result.stdout
    assert "Not finished" in result.stdout
    assert "Nothing has been mapped" in terminal.invoke(cli, ["map", str(tmp_path / "r")]).stdout


@pytest.mark.parametrize("verb", ["show", "map"])
def test_no_such_run(verb: str, tmp_path: Path, terminal: CliRunner) -> None:
    result = terminal.invoke(cli, [verb, str(tmp_path / "none")])
    assert result.exit_code == 2
    assert "does not exist" in result.stderr


def test_map_by_region_and_skill(finished: Path, terminal: CliRunner, width: int) -> None:
    result = terminal.invoke(cli, ["map", str(finished)])
    assert result.exit_code == 0, result.output
    for words in (
        "error",
        "down-weight",
        "100 %",
        "By skill",
        "a step is wrong",
        "[bold red]3 + 4[/]",
        "11x^2 | 11x^2",
    ):
        assert words in result.stdout
    assert all(c.isprintable() or c == "\n" for c in result.stdout)
    tables = result.stdout.split("By skill")[0].split("loss: mean")[0]
    assert max(map(len, tables.splitlines())) <= width
    hard = terminal.invoke(cli, ["map", str(finished), "--region", "hard", "-n", "0"]).stdout
    assert "hard" in hard
    assert "down-weight" not in hard
    assert "problem" not in hard


def test_map_knows_every_region() -> None:
    assert list(REGIONS) == map_command.REGIONS


def test_what_comes_next_names_the_page_and_the_uses(finished: Path, terminal: CliRunner) -> None:
    assert "report.html" not in terminal.invoke(cli, ["show", str(finished)]).stdout  # not written yet
    RunDir.read(finished).write_report("<html>")
    said = terminal.invoke(cli, ["show", str(finished)]).stdout
    for words in (str(finished / "report.html"), f'dsa-lite ask {finished} "', f"dsa-lite export {finished} --to gguf"):
        assert words in said, words


def test_map_of_one_skill_as_json(finished: Path, terminal: CliRunner) -> None:
    found = json.loads(terminal.invoke(cli, ["map", str(finished), "--skill", "power RULE", "--json"]).stdout)
    assert {row["region"]: row["count"] for row in found["regions"]} == {"error": 1, "hard": 1}
    assert [row["example"] for row in found["examples"]] == ["e1", "e2"]
    assert [row["solved_again"] for row in found["examples"]] == [["11x^2", "11x^2"], []]
    assert found["regions"][0]["share_wrong"] == 1.0
    wrong = terminal.invoke(cli, ["map", str(finished), "--skill", "Powr rule"])
    assert wrong.exit_code == 2
    assert "did you mean 'Power rule'" in wrong.stderr


def test_map_says_which_filter_left_nothing(finished: Path, terminal: CliRunner, tmp_path: Path) -> None:
    def said(*words: str) -> str:
        result = terminal.invoke(cli, ["map", *words])
        assert result.exit_code == 0
        return result.stdout

    for more in ([], ["--scatter"]):
        assert "No exercise is in the region unclassified." in said(str(finished), "--region", "unclassified", *more)
    assert "No exercise of this skill is in the region easy." in said(
        str(finished), "--region", "easy", "--skill", "power-rule"
    )
    with RunDir.open(tmp_path / "begun", {"skill": "sums"}, {}):
        pass
    assert "Nothing has been mapped here yet" in said(str(tmp_path / "begun"), "--skill", "power-rule")


def test_the_schema_is_a_settings_file_with_every_default(terminal: CliRunner) -> None:
    text = terminal.invoke(cli, ["config", "schema"]).stdout
    assert Config.model_validate(tomllib.loads(text)) == Config()
    assert set(tomllib.loads(text)) == set(Config.model_fields)
    assert "int >= 1, default 3; train, look, act" in text
    assert max(map(len, text.splitlines())) <= 120
    schema = json.loads(terminal.invoke(cli, ["config", "schema", "--json"]).stdout)
    assert "TuneSettings" in schema["$defs"]


def test_skills_are_listed(terminal: CliRunner) -> None:
    found = json.loads(terminal.invoke(cli, ["skills", "--json"]).stdout)
    assert "calculus" in [row["name"] for row in found["skills"]]
    assert "calculus" in terminal.invoke(cli, ["skills"]).stdout


def test_doctor_names_what_is_missing(terminal: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda package: None if package == "peft" else "1.2.3")
    monkeypatch.setattr(doctor, "_probe", lambda _: {"device": "abacus"})
    monkeypatch.setattr(doctor, "_bundled", lambda role: {"label": f"tiny {role}", "source": "x"})
    result = terminal.invoke(cli, ["doctor"])
    assert result.exit_code == 1
    assert "pip install 'dsa-lite[torch]'" in result.stdout
    assert "abacus" in result.stdout
    assert "nothing is looked up" in result.stdout
    found = json.loads(terminal.invoke(cli, ["doctor", "--json"]).stdout)
    assert found["extras"]["torch"]["peft"] is None
    assert found["devices"] == {"student": {"missing": "no torch"}, "teacher": {"device": "abacus"}}
    monkeypatch.setattr(doctor, "_version", lambda _: "1.2.3")
    well = terminal.invoke(cli, ["doctor"])
    assert well.exit_code == 0
    assert "Ready" in well.stdout


def machine(monkeypatch: pytest.MonkeyPatch, **given: Any) -> None:
    """A machine with everything, but for what is given."""
    missing = given.get("missing", ())
    monkeypatch.setattr(doctor, "_version", lambda package: None if package in missing else "1.2.3")
    monkeypatch.setattr(doctor, "_probe", lambda _: given.get("device", {"device": "cpu (2 threads)"}))
    monkeypatch.setattr(doctor, "_bundled", lambda role: {"label": f"tiny {role}", "source": "x"})
    monkeypatch.setattr(doctor, "_nvidia_gpus", lambda: given.get("gpus", []))
    monkeypatch.setattr(doctor.shutil, "which", lambda name: given.get("compiler"))
    monkeypatch.setattr("dsa_lite.io.machine.memory", lambda: {"total": 8e9, "available": given.get("free", 4e9)})
    monkeypatch.setattr("dsa_lite.io.machine.free_disk", lambda _: given.get("disk", 9e9))
    monkeypatch.setattr(doctor.platform, "system", lambda: "Linux")


@pytest.mark.parametrize(
    ("given", "title", "line"),
    [
        ({"missing": ("llama-cpp-python",)}, "problems", "sudo apt install build-essential"),
        ({"missing": ("llama-cpp-python",), "compiler": "/bin/c++"}, "problems", "pip install 'dsa-lite[llama-cpp]'"),
        ({"device": {"error": "no libgomp"}}, "problems", "pip install --force-reinstall --no-cache-dir torch"),
        ({"missing": ("jsonschema",)}, "advice", "pip install 'dsa-lite[openai]'"),
        ({"gpus": ["RTX"]}, "advice", "pip install --force-reinstall 'torch"),
        ({"gpus": ["RTX"]}, "advice", "CMAKE_ARGS=-DGGML_CUDA=on pip install"),
        ({"free": 1e9}, "advice", "close other programs"),
        ({"disk": 1e9}, "advice", "dsa-lite runs rm RUN"),
        ({"variable": "0"}, "advice", "unset HF_HUB_OFFLINE"),
    ],
)
def test_doctor_gives_the_line_that_helps(
    given: dict[str, Any], title: str, line: str, terminal: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, **given)
    monkeypatch.setenv("HF_HUB_OFFLINE", given.get("variable", "1"))
    result = terminal.invoke(cli, ["doctor", "--json"])
    found = json.loads(result.stdout)
    assert line in "\n".join(found[title])
    assert result.exit_code == (1 if title == "problems" else 0)
    assert line in terminal.invoke(cli, ["doctor"]).stdout


def test_doctor_has_nothing_to_say_about_a_good_machine(terminal: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, compiler="/bin/c++", device={"device": "cuda (RTX)"}, gpus=["RTX"])
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    found = json.loads(terminal.invoke(cli, ["doctor", "--json"]).stdout)
    assert (found["problems"], found["advice"], found["looked_up"]) == ([], [], [])
    assert "Could be better" not in terminal.invoke(cli, ["doctor"]).stdout


def test_doctor_survives_a_library_that_kills_its_process() -> None:
    assert doctor._probe("print('1'); import os; os.abort()")["error"].endswith("(exit code -6)")
    assert doctor._probe("raise ImportError('no libgomp')")["error"] == "ImportError: no libgomp (exit code 1)"
    assert doctor._probe("print('\"x\"')") == {"device": "x"}


def test_doctor_knows_the_extras_of_the_package() -> None:
    extras: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    named = {
        name: tuple(dict.fromkeys(line.split("[")[0].split("=")[0].split(">")[0] for line in lines))
        for name, lines in extras.items()
    }
    assert {n: p for n, p in named.items() if n not in ("all", "dev")} == doctor.EXTRAS
