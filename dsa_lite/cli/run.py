"""`dsa-lite run`: teach a skill, from the skill graph to the adapter and the report."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsa_lite.cli.config import environment
from dsa_lite.cli.environment import quiet_environment
from dsa_lite.cli.failure import debug_option, set_resume_line
from dsa_lite.cli.new import skill_in_words
from dsa_lite.cli.processes import LaunchedCommand, refuse_single_process
from dsa_lite.cli.run_name import read_run
from dsa_lite.cli.within import fit_job, kept, seconds_of

if TYPE_CHECKING:
    from dsa_lite.stages.context import Job
    from dsa_lite.stages.planning import Survey

Layers = list[tuple[str, Mapping[str, Any]]]

EPILOG = """\b
Examples:
  dsa-lite run calculus
  dsa-lite run calculus --teacher big.gguf --student ./small-model
  dsa-lite run ./my_skill --docs ./handbook
  dsa-lite run "SQL window functions" --teacher big.gguf
  dsa-lite run ./my_skill --within 2h --dry-run
  dsa-lite run ./my_skill --config my.toml --out runs/mine --json

The same command with the same --out goes on where it was stopped.
"""


@click.command("run", cls=LaunchedCommand, short_help="Teach a skill to a student model.", epilog=EPILOG)
@click.argument("skill")
@click.option(
    "--teacher",
    metavar="MODEL",
    help="The model that writes: a GGUF file, a URL, a name from `dsa-lite models`, or PLUGIN:SOURCE. "
    "Default: the bundled one.",
)
@click.option(
    "--student",
    metavar="MODEL",
    help="The model that learns: a folder, or a name from `dsa-lite models`. Default: the bundled one.",
)
@click.option(
    "--backend",
    metavar="NAME",
    default="auto",
    show_default=True,
    help="What trains the student: auto, torch, mlx, or the name that a plugin has.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="The run folder. Default: a new one under runs/.",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), metavar="N", help="Fixes everything left to chance. Default: 0."
)
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Settings as TOML; see dsa-lite config schema.",
)
@click.option(
    "--docs",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Documents to write textbooks and exercises from: text, Markdown, HTML and PDF files.",
)
@click.option("--preset", metavar="NAME", help="Settings that come with dsa-lite: paper, quick or thorough.")
@click.option("--rounds", type=click.IntRange(1), metavar="N", help="Rounds of train, look, act. Default: 3.")
@click.option("--epochs", type=click.IntRange(1), metavar="N", help="Epochs per round. Default: 2.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object and nothing else.")
@click.option("-q", "--quiet", is_flag=True, help="No plan and no progress, only the result.")
@click.option("--fresh", is_flag=True, help="Forget what the run folder holds and start again.")
@click.option(
    "--within",
    type=seconds_of,
    metavar="TIME",
    help="Choose exercises, rounds and epochs that take no longer: 2h, 45m, 1h30m.",
)
@click.option(
    "--compare",
    type=click.Choice(["static"]),
    help="Also train on the same exercises, shuffled, for as many tokens, and show both.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done and how long it takes, and leave.")
@debug_option
@click.pass_context
def run_command(
    context: click.Context, /, skill: str, as_json: bool, quiet: bool, fresh: bool, dry_run: bool, **given: Any
) -> None:
    """Teach SKILL to a student model.

    SKILL is a bundled skill (see dsa-lite skills), a folder with a skill.toml, or, with --teacher, the subject in
    quotes: the teacher's syllabus is then written to a new folder first.
    """
    quiet_environment()
    with _sigterm_like_ctrl_c():
        skill = skill_in_words(context, skill, given, dry_run=dry_run)
        layers = _layers(context, given)
        job = _prepare(skill, given, layers, {} if fresh else None)
        refuse_single_process(job.student.kind)
        found, reasons = _fitted(skill, given, layers, job, fresh=fresh, quiet=quiet)
        job = found.job if found is not None else job
        if dry_run:
            _dry_run(
                job, layers, reasons, lambda: found or _survey(job, given, fresh=fresh, quiet=quiet), as_json=as_json
            )
            return
        line = resume_line(skill, job.out, given, [name for name, _ in environment(context)])
        job = replace(job, command=line)
        set_resume_line(context, line)
        if not (as_json or quiet):
            from dsa_lite.cli.plan import print_plan
            from dsa_lite.cli.tables import stdout_console

            print_plan(stdout_console(), job, layers, reasons)
        _run(job, compare=given["compare"], fresh=fresh, as_json=as_json, quiet=quiet)


def resume_line(skill: str, out: Path, given: Mapping[str, Any], variables: Sequence[str] = ()) -> str:
    """The command that goes on: the same settings and the run folder, without --fresh.

    `variables`: names of those that set something, in front of it for a shell that does not know them.
    """
    words = ["dsa-lite", "run", skill, "--out", str(out)]
    for name in ("teacher", "student", "backend", "seed", "preset", "config", "docs", "rounds", "epochs", "compare"):
        value = given.get(name)
        if value is not None and (name, value) != ("backend", "auto"):
            words += [f"--{name}", str(value)]
    return " ".join([*(f"{name}={shlex.quote(os.environ[name])}" for name in variables), shlex.join(words)])


def _layers(context: click.Context, given: Mapping[str, Any]) -> Layers:
    """Settings from the user: the preset, the file, the environment, then the flags."""
    from dsa_lite.io.settings.files import chosen_layers, flag_layers

    chosen = chosen_layers(given["preset"], given["config"])
    docs: Layers = [] if given["docs"] is None else [("--docs", {"docs": {"folder": str(given["docs"])}})]
    return [*chosen, *environment(context), *flag_layers(given["seed"], given["rounds"], given["epochs"]), *docs]


def _prepare(skill: str, given: Mapping[str, Any], layers: Layers, within: Mapping[str, Any] | None) -> Job:
    from dsa_lite.cli.models import machine_places
    from dsa_lite.stages import pipeline

    return pipeline.prepare(
        skill,
        teacher=given["teacher"],
        student=given["student"],
        backend=given["backend"],
        out=given["out"],
        places=machine_places(),
        layers=layers,
        within=within,
    )


def _fitted(
    skill: str, given: Mapping[str, Any], layers: Layers, job: Job, *, fresh: bool, quiet: bool
) -> tuple[Survey | None, list[str]]:
    """With --within: what was measured, with the fitted job, and what was chosen. A run goes on with what it has."""
    if given["within"] is None or job.within:
        return None, [kept(job)] if job.within else []

    def again(within: Mapping[str, Any]) -> Job:
        return _prepare(skill, {**given, "out": job.out}, layers, within)

    return fit_job(_survey(job, given, fresh=fresh, quiet=quiet), layers, given["within"], again)


def _saying(quiet: bool) -> Callable[[str], None]:
    return lambda text: None if quiet else click.echo(f"{text} …", err=True)


def _run(job: Job, *, compare: str | None, fresh: bool, as_json: bool, quiet: bool) -> None:
    from dsa_lite.cli.render import progress
    from dsa_lite.stages import pipeline

    with progress(quiet=quiet) as emit:
        summary = pipeline.run(job, emit, fresh=fresh)
    compared = _with_static_arm(job, as_json=as_json, quiet=quiet) if compare else None
    if as_json:
        from dsa_lite.cli.text import one_json

        click.echo(one_json(summary | ({"compare": compared} if compared else {})))
        return
    from dsa_lite.cli.outcome import print_outcome
    from dsa_lite.cli.tables import stdout_console

    print_outcome(stdout_console(), summary, read_run(job.out))
    if compared:
        from dsa_lite.cli.compare import print_comparison

        print_comparison(stdout_console(), compared)


def _with_static_arm(job: Job, *, as_json: bool, quiet: bool) -> dict[str, Any]:
    """The static arm, trained after the run itself, and both side by side."""
    from dsa_lite.cli.render import progress
    from dsa_lite.stages import static_arm
    from dsa_lite.stages.comparing_runs import compare

    if not (as_json or quiet):
        click.echo("\nThe static arm: the same exercises, shuffled, for as many tokens")
    with progress(quiet=quiet) as emit:
        arm = static_arm.run(job, emit)
    return compare([Path(arm["out"]), job.out])


def _survey(job: Job, given: Mapping[str, Any], *, fresh: bool, quiet: bool) -> Survey:
    from dsa_lite.stages import planning

    return planning.survey(job, _saying(quiet), fresh=fresh, compare=bool(given["compare"]))


def _dry_run(job: Job, layers: Layers, reasons: Sequence[str], measure: Callable[[], Survey], *, as_json: bool) -> None:
    """The plan is printed before `measure` is called."""
    from dsa_lite.cli.estimate import estimate_json, print_estimate
    from dsa_lite.cli.plan import print_plan
    from dsa_lite.cli.tables import stdout_console
    from dsa_lite.cli.text import one_json

    if as_json:
        click.echo(one_json(estimate_json(measure(), reasons)))
        return
    console = stdout_console()
    print_plan(console, job, layers, reasons)
    print_estimate(console, measure())
    console.print("\nNothing was started (--dry-run).")


@contextmanager
def _sigterm_like_ctrl_c() -> Iterator[None]:
    """A polite kill ends the run as Ctrl-C does: models closed, the line that goes on printed."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is interrupt:  # not when someone has seen a reason to ignore it
            signal.signal(signal.SIGTERM, before)
