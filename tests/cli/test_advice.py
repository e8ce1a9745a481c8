"""Every command line that is advised is one that works: it is taken out of what was said, and typed."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dsa_lite.cli import cli
from dsa_lite.io import plugins
from dsa_lite.io.models.choosing import choose_student, choose_teacher
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.io.skill_template import skill_toml, write_skill
from dsa_lite.stages import planning
from dsa_lite.testing import ScriptedTeacher


def advised(text: str) -> list[list[str]]:
    """The words of each dsa-lite line in a text, without the shell's own."""
    return [shlex.split(line) for line in re.findall(r"dsa-lite ([a-z][^\n]*)", text)]


def typed(terminal: CliRunner, words: list[str], *more: str) -> Result:
    """Type a line; what it leaves to the reader (MODEL.gguf, MODEL_FOLDER) are the bundled models."""
    stand_ins = {"MODEL.gguf": lambda: choose_teacher(None).source, "MODEL_FOLDER": lambda: _student()}
    return terminal.invoke(cli, [*(stand_ins[w]() if w in stand_ins else w for w in words), *more])


def _student() -> str:
    return choose_student(None, "auto").source


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_dry_run_advises_the_skill_that_was_named(
    here: Path, terminal: CliRunner, monkeypatch: Any, pipeline: Any
) -> None:
    """With the pipeline's own `prepare`, which loads the skill and finds the models."""
    monkeypatch.undo()
    monkeypatch.chdir(here)
    monkeypatch.setattr(planning, "survey", pipeline.survey)
    for folder in ("sql", "my skills/it's"):
        write_skill(here / folder, skill_toml("sql-window-functions", "SQL window functions"))
        first = typed(terminal, ["run", f"./{folder}", "--dry-run"])
        assert first.exit_code == 0, first.output
        (line,) = [words for words in advised(first.stdout) if words[0] == "run"]
        assert line[1] == f"./{folder}"
        assert line[2::2] == ["--teacher", "--student"]
        again = typed(terminal, line, "--dry-run")
        assert again.exit_code == 0, again.output


def test_a_dry_run_without_a_skill_advises_how_to_make_it(
    here: Path, terminal: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = [{"name": name, "description": "d", "prerequisites": []} for name in ("Rows", "Ranks", "Frames")]
    text = json.dumps({"description": "All.", "checker": "exact", "topics": topics})
    monkeypatch.setattr(plugins, "open_teacher", lambda kind, source, options: ScriptedTeacher(lambda _: text))
    said = terminal.invoke(cli, ["run", "it's SQL", "--teacher", "http://localhost:1/v1", "--dry-run"])
    assert said.exit_code == 2
    (line,) = advised(said.stderr)
    made = typed(terminal, line)
    assert made.exit_code == 0, made.output
    (line,) = advised(made.stdout)
    assert (here / line[1] / "skill.toml").is_file()


def test_what_a_finished_run_advises_works(pipeline: Any, terminal: CliRunner, here: Path) -> None:
    out = here / "my runs" / "it's"
    done = terminal.invoke(cli, ["run", "calculus", "--out", str(out)])
    assert done.exit_code == 0, done.output
    lines = [words for words in advised(done.stdout) if words[1] == str(out)]
    assert {words[0] for words in lines} == {"ask", "export", "show", "map"}
    for words in lines:
        result = typed(terminal, words)
        if words[0] in ("show", "map"):
            assert result.exit_code == 0, result.output
        else:  # this run has no models: the line is understood, the run is found
            assert "adapter" in result.stderr, result.output


def test_the_line_that_goes_on_stands_in_the_run(pipeline: Any, terminal: CliRunner, here: Path) -> None:
    """Whoever finds the student damaged or missing is told it, from any folder."""
    terminal.invoke(cli, ["run", "calculus", "--seed", "3", "--out", "a b"])
    job = pipeline.asked["job"]
    identity = {"skill": "calculus", "teacher": "t", "student": "s", "backend": "torch", "seed": "0"}
    RunDir.open(here / "a b", identity, {}, command=job.command, fresh=True).close()
    run = RunDir.read(here / "a b")
    assert run.goes_on() == "go on with: dsa-lite run calculus --out 'a b' --seed 3"
    refused = terminal.invoke(cli, ["ask", "a b", "What is 1 + 1?"])
    assert refused.exit_code == 2
    (line,) = advised(refused.stderr)
    assert typed(terminal, line).exit_code == 0
    assert (pipeline.asked["skill"], pipeline.asked["out"]) == ("calculus", Path("a b"))


def test_elsewhere_the_line_says_where_it_was_typed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    RunDir.open(here / "r", {"skill": "calculus"}, {}, command="dsa-lite run calculus --out r").close()
    (here / "deep").mkdir()
    monkeypatch.chdir(here / "deep")
    assert (
        RunDir.read(here / "r").goes_on() == f"go on with: cd {shlex.quote(str(here))} && dsa-lite run calculus --out r"
    )
    RunDir.open(here / "r", {"skill": "calculus"}, {}).close()  # from Python, without a line: the earlier one stays
    assert "cd " in RunDir.read(here / "r").goes_on()


def test_warnings_of_readers_are_on_stderr(finished: Path, terminal: CliRunner) -> None:
    with RunDir.open(
        finished, {"skill": "calculus", "teacher": "t", "student": "s", "backend": "torch", "seed": "0"}, {}
    ) as run:
        run.finish("tune")
    path = finished / "rounds" / "01" / "decisions.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    for command in (["map", str(finished), "--json"], ["report", str(finished)]):
        result = terminal.invoke(cli, command)
        assert result.exit_code == 0, result.output
        assert "decisions.jsonl holds 1 of 3 lines" in result.stderr
        assert "holds" not in result.stdout
