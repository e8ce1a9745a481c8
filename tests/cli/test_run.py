"""`dsa-lite run` over a pretended pipeline: what it asks for, what it prints where, how it ends."""

from __future__ import annotations

import errno
import json
import os
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dsa_lite.cli import cli
from dsa_lite.cli.run import resume_line
from dsa_lite.cli.within import seconds_of
from dsa_lite.errors import ConfigError, Interrupted, RunFolderError, TeacherError, UsageError


def control_codes(text: str) -> list[str]:
    return [c for c in text if not c.isprintable() and c != "\n"]


def test_the_plan_the_progress_and_the_result(pipeline: Any, terminal: CliRunner, width: int) -> None:
    result = terminal.invoke(cli, ["run", "calculus"])
    assert result.exit_code == 0, result.output
    for words in ("demonstration models", "--teacher MODEL.gguf", "lora_rank 32 (not 16)", "own file", "a note"):
        assert words in " ".join(result.stdout.split())
    for words in (
        "Power rule",
        "78.3 %",
        "duplicate",
        "dsa-lite map",
        "adapter",
    ):
        assert words in result.stdout
    for words in ("better, and not by chance (p < 0.001)", "no change that chance could not explain (p = 0.79)"):
        assert words in " ".join(result.stdout.split())
    assert "1/40 skills" in result.stderr
    assert "exercises: done: 40 skills (as before)" in result.stderr
    table = [line for line in result.stdout.splitlines() if "%" in line or "─" in line]
    assert max(map(len, table)) <= width


def test_no_control_codes_when_piped_even_from_a_model(pipeline: Any, terminal: CliRunner, width: int) -> None:
    result = terminal.invoke(cli, ["run", "calculus"])
    assert control_codes(result.stdout) == []
    assert control_codes(result.stderr) == []


def test_model_output_is_never_markup(pipeline: Any, terminal: CliRunner) -> None:
    result = terminal.invoke(cli, ["run", "calculus"])
    assert "[bold red]3 + 4[/]" in result.stdout
    assert "[link=x]y" in result.stderr


def test_json_is_one_object_and_nothing_else(pipeline: Any, terminal: CliRunner) -> None:
    result = terminal.invoke(cli, ["run", "calculus", "--json"])
    found = json.loads(result.stdout, parse_constant=pytest.fail)
    assert found["after"]["eval"]["accuracy"] == 0.783
    assert found["rounds"][1]["loss"] is None
    assert "1/40 skills" in result.stderr


def test_quiet_keeps_only_the_result(pipeline: Any, terminal: CliRunner) -> None:
    result = terminal.invoke(cli, ["run", "calculus", "-q"])
    assert result.stderr == ""
    assert "demonstration" not in result.stdout
    assert "78.3 %" in result.stdout
    assert terminal.invoke(cli, ["run", "calculus", "--json", "--quiet", "--fresh"]).stderr == ""
    assert pipeline.asked["fresh"] is True


def test_documents_are_a_setting_and_stay_in_the_line_that_goes_on(pipeline: Any, terminal: CliRunner) -> None:
    result = terminal.invoke(cli, ["run", "calculus", "--docs", "my docs"])
    assert result.exit_code == 0, result.output
    assert ("--docs", {"docs": {"folder": "my docs"}}) in pipeline.asked["layers"]
    assert resume_line("calculus", Path("o"), {"docs": Path("my docs")}).endswith("--out o --docs 'my docs'")


def test_settings_from_file_and_flags_arrive_as_layers(pipeline: Any, terminal: CliRunner, tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text("[tune]\nepochs = 4\n", encoding="utf-8")
    words = ["run", "calculus", "--config", str(file), "--seed", "7", "--rounds", "2", "--teacher", "t.gguf"]
    result = terminal.invoke(cli, [*words, "--student", "s", "--backend", "torch", "--out", str(tmp_path / "o")])
    assert result.exit_code == 0, result.output
    layers = [(str(file), {"tune": {"epochs": 4}}), ("flags", {"seed": 7, "tune": {"rounds": 2}})]
    assert pipeline.asked["layers"] == layers
    asked = {k: pipeline.asked[k] for k in ("teacher", "student", "backend", "out")}
    assert asked == {"teacher": "t.gguf", "student": "s", "backend": "torch", "out": tmp_path / "o"}
    assert "flags" in result.stdout


def test_options_come_from_the_environment_too(pipeline: Any, terminal: CliRunner) -> None:
    terminal.invoke(cli, ["run", "calculus"], env={"DSA_LITE_RUN_SEED": "5"})
    assert pipeline.asked["layers"] == [("flags", {"seed": 5})]


def test_dry_run_starts_nothing(pipeline: Any, terminal: CliRunner, tmp_path: Path, width: int) -> None:
    pipeline.fails = AssertionError("started")
    result = terminal.invoke(cli, ["run", "calculus", "--dry-run"])
    assert result.exit_code == 0, result.output
    flat = " ".join(result.stdout.split())
    for words in ("reused", "took", "380 exercises and", "Measured in 6.2 s on this machine",
                  "30 replies of the teacher", "teacher 1.0 GB", "Nothing was started"):  # fmt: skip
        assert words in flat, words
    assert max(map(len, result.stdout.partition("a note")[2].split("In all")[0].splitlines())) <= width
    assert not (tmp_path / "runs").exists()


def test_dry_run_as_json(pipeline: Any, terminal: CliRunner) -> None:
    done = terminal.invoke(cli, ["run", "calculus", "--dry-run", "--json", "--fresh"])
    assert pipeline.asked["surveyed"] is True
    found = json.loads(done.stdout, parse_constant=pytest.fail)
    stages = {stage["stage"]: stage for stage in found["stages"]}
    assert (stages["textbooks"]["status"], stages["textbooks"]["taken"], stages["textbooks"]["seconds"]) == (
        "done",
        75,
        0,
    )
    # written and solved once more, 2 s each
    assert (stages["exercises"]["items"], stages["exercises"]["seconds"]) == (380, 1520)
    assert stages["exercises"]["teacher_tokens"] == 38000
    assert stages["report"]["seconds"] is None
    assert found["total"]["seconds"] == pytest.approx(sum(s["seconds"] or 0 for s in found["stages"]))
    assert found["calibration"]["seconds"] == 6.2
    assert found["config"]["student"]["lora_rank"] == 32
    assert found["memory"] == {"teacher": 10**9, "student": None}
    assert found["within"] is None


def test_dry_run_counts_the_static_arm(pipeline: Any, terminal: CliRunner) -> None:
    plain, both = (
        json.loads(terminal.invoke(cli, ["run", "calculus", "--dry-run", "--json", *more]).stdout)
        for more in ([], ["--compare", "static"])
    )
    *stages, arm = both["stages"]
    assert stages == plain["stages"]
    trained = sum(stage["trained_tokens"] for stage in stages)
    assert (arm["stage"], arm["status"], arm["trained_tokens"]) == ("static arm", "to do", trained)
    assert both["total"]["seconds"] - plain["total"]["seconds"] == pytest.approx(arm["seconds"])
    assert arm["seconds"] == pytest.approx(trained * 1e-3)


def test_within_chooses_and_says_why(pipeline: Any, terminal: CliRunner) -> None:
    result = terminal.invoke(cli, ["run", "calculus", "--within", "1h", "--rounds", "2", "--dry-run", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    chosen = found["within"]["settings"]
    assert found["within"]["seconds"] == 3600
    assert chosen.keys() == {"exercises", "tune"}
    assert "rounds" not in chosen["tune"]  # the flag is the user's
    assert found["config"]["tune"]["rounds"] == 2
    assert found["config"]["exercises"]["single_per_skill"] == chosen["exercises"]["single_per_skill"]
    assert 0.7 * 3600 < found["total"]["seconds"] <= 3600
    shown = " ".join(terminal.invoke(cli, ["run", "calculus", "--within", "1h", "--rounds", "2"]).stdout.split())
    for words in ("For 1 h 00 min:", "instead of 12 single", "Not changed, because they were set or begun: tune.rounds",
                  "the time budget"):  # fmt: skip
        assert words in shown, words


def test_within_refuses_what_cannot_fit(pipeline: Any, terminal: CliRunner) -> None:
    pipeline.fails = AssertionError("started")
    result = terminal.invoke(cli, ["run", "calculus", "--within", "90s"])
    assert result.exit_code == 2
    words = " ".join(result.stderr.split())
    assert (
        "does not fit into 1 min 30 s: even 4 single and 1 composed exercises per skill in 1 round of 1 epoch" in words
    )
    assert "exercises 8 min 00 s" in words


def test_a_run_goes_on_with_what_was_chosen(
    pipeline: Any, terminal: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = pipeline.prepare
    recorded = {"seconds": 7200.0, "settings": {"tune": {"epochs": 7}}}
    monkeypatch.setattr(
        pipeline, "prepare", lambda skill, **asked: prepare(skill, **asked | {"within": asked["within"] or recorded})
    )
    result = terminal.invoke(cli, ["run", "calculus", "--within", "1h"])
    assert "chosen for 2 h 00 min when this run began are kept" in " ".join(result.stdout.split())
    assert "tune.epochs 7 (not 2)" in " ".join(result.stdout.split())
    assert "surveyed" not in pipeline.asked


@pytest.mark.parametrize(
    ("text", "seconds"), [("2h", 7200), ("45m", 2700), ("90s", 90), ("1h30m", 5400), ("1.5 h", 5400), ("10min", 600)]
)
def test_times(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "-1h", "0s", "1m2h", "two hours", "1e3s"])
def test_what_is_no_time_is_a_usage_error(text: str, pipeline: Any, terminal: CliRunner) -> None:
    result = terminal.invoke(cli, ["run", "calculus", "--within", text])
    assert result.exit_code == 2
    assert "1h30m" in result.stderr


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), Interrupted("stopped")])
def test_ctrl_c_prints_the_line_that_goes_on(pipeline: Any, terminal: CliRunner, stop: BaseException) -> None:
    pipeline.fails = stop
    result = terminal.invoke(cli, ["run", "calculus", "--seed", "3", "--fresh"])
    assert result.exit_code == 130
    out = pipeline.folder / "runs" / "calculus-1"
    assert f"  dsa-lite run calculus --out {shlex.quote(str(out))} --seed 3\n" in result.stderr
    assert "Traceback" not in result.stderr


def test_sigterm_is_ctrl_c(pipeline: Any, terminal: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(pipeline, "run", lambda *a, **k: os.kill(os.getpid(), signal.SIGTERM))
    result = terminal.invoke(cli, ["run", "calculus"])
    assert result.exit_code == 130
    assert "Go on with" in result.stderr
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_resume_line_can_be_pasted() -> None:
    given = {"teacher": "my model.gguf", "backend": "auto", "rounds": 2, "seed": None}
    assert (
        resume_line("calculus", Path("a b"), given)
        == "dsa-lite run calculus --out 'a b' --teacher 'my model.gguf' --rounds 2"
    )


def test_a_resume_line_carries_what_the_environment_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSA_LITE_STUDENT_DEVICE", "cpu; rm")
    line = resume_line("calculus", Path("a"), {}, ["DSA_LITE_STUDENT_DEVICE"])
    assert line == "DSA_LITE_STUDENT_DEVICE='cpu; rm' dsa-lite run calculus --out a"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (TeacherError("writes garbage:\n\x1b[2J{"), 1, "Once this is solved, go on with"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/y"), 1, "no space left on the disk that holds /x/y"),
        (MemoryError(), 1, "out of memory"),
        (RuntimeError("boom"), 1, "this is a bug"),
        (RunFolderError("in use", hint="wait"), 4, "  wait"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 1, "Permission denied"),
    ],
)
def test_errors_have_a_message_and_a_code(
    pipeline: Any, terminal: CliRunner, error: BaseException, code: int, words: str
) -> None:
    pipeline.fails = error
    result = terminal.invoke(cli, ["run", "calculus"])
    assert result.exit_code == code
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert control_codes(result.stderr) == []
    debug = terminal.invoke(cli, ["run", "calculus", "--debug"])
    assert debug.exit_code == code
    assert "Traceback" in debug.stderr


@pytest.mark.parametrize("error", [UsageError("no skill 'calculs'", hint="did you mean calculus?"), ConfigError("bad")])
def test_what_was_asked_wrongly_is_a_usage_error(pipeline: Any, terminal: CliRunner, error: UsageError) -> None:
    pipeline.refuses = error
    result = terminal.invoke(cli, ["run", "calculs", "--json"])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert error.message in result.stderr
    assert error.hint in result.stderr
    assert "go on with" not in result.stderr
