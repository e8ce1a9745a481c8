"""`dsa-lite run`: teach a skill, from the skill graph to the adapter and the report."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsa_lite.cli.config import chosen_layers, environment
from dsa_lite.cli.failure import debug_option, set_resume_line

if TYPE_CHECKING:
    from dsa_lite.stages.context import Job

Layers = list[tuple[str, Mapping[str, Any]]]

#: Set unless the user has: no look-up, no telemetry, no fragmented GPU memory, no warning about forked tokenizers.
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True",
}

EPILOG = """\b
Examples:
  dsa-lite run calculus
  dsa-lite run calculus --teacher big.gguf --student ./small-model
  dsa-lite run ./my_skill --config my.toml --out runs/mine --json

The same command with the same --out goes on where it was stopped.
"""


@click.command("run", short_help="Teach a skill to a student model.", epilog=EPILOG)
@click.argument("skill")
@click.option(
    "--teacher",
    metavar="MODEL",
    help="The model that writes: a GGUF file, a URL, or a name from `dsa-lite models`. Default: the bundled one.",
)
@click.option(
    "--student",
    metavar="MODEL",
    help="The model that learns: a folder, or a name from `dsa-lite models`. Default: the bundled one.",
)
@click.option(
    "--backend",
    type=click.Choice(["auto", "torch", "mlx"]),
    default="auto",
    show_default=True,
    help="What trains the student.",
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
@click.option("--preset", metavar="NAME", help="Settings that come with dsa-lite: paper, quick or thorough.")
@click.option("--rounds", type=click.IntRange(1), metavar="N", help="Rounds of train, look, act. Default: 3.")
@click.option("--epochs", type=click.IntRange(1), metavar="N", help="Epochs per round. Default: 2.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object and nothing else.")
@click.option("-q", "--quiet", is_flag=True, help="No plan and no progress, only the result.")
@click.option("--fresh", is_flag=True, help="Forget what the run folder holds and start again.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and leave.")
@debug_option
@click.pass_context
def run_command(
    context: click.Context, /, skill: str, as_json: bool, quiet: bool, fresh: bool, dry_run: bool, **given: Any
) -> None:
    """Teach SKILL to a student model.

    SKILL is a bundled skill (see dsa-lite skills) or a folder with a skill.toml.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with _sigterm_like_ctrl_c():
        layers = _layers(context, given)
        job = _prepare(skill, given, layers)
        if dry_run:
            _dry_run(job, layers, as_json=as_json)
            return
        set_resume_line(context, resume_line(skill, job.out, given, [name for name, _ in environment(context)]))
        if not (as_json or quiet):
            from dsa_lite.cli.plan import print_plan
            from dsa_lite.cli.tables import stdout_console

            print_plan(stdout_console(), job, layers)
        _run(job, fresh=fresh, as_json=as_json, quiet=quiet)


def resume_line(skill: str, out: Path, given: Mapping[str, Any], variables: Sequence[str] = ()) -> str:
    """The command that goes on: the same settings and the run folder, without --fresh.

    `variables`: names of those that set something, in front of it for a shell that does not know them.
    """
    words = ["dsa-lite", "run", skill, "--out", str(out)]
    for name in ("teacher", "student", "backend", "seed", "preset", "config", "rounds", "epochs"):
        value = given.get(name)
        if value is not None and (name, value) != ("backend", "auto"):
            words += [f"--{name}", str(value)]
    return " ".join([*(f"{name}={shlex.quote(os.environ[name])}" for name in variables), shlex.join(words)])


def _layers(context: click.Context, given: Mapping[str, Any]) -> Layers:
    """Settings from the user: the preset, the file, the environment, then the flags."""
    layers: Layers = [*chosen_layers(given["preset"], given["config"]), *environment(context)]
    flags: dict[str, Any] = {} if given["seed"] is None else {"seed": given["seed"]}
    tune = {name: given[name] for name in ("rounds", "epochs") if given[name] is not None}
    if tune:
        flags["tune"] = tune
    if flags:
        layers.append(("flags", flags))
    return layers


def _prepare(skill: str, given: Mapping[str, Any], layers: Layers) -> Job:
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
    )


def _run(job: Job, *, fresh: bool, as_json: bool, quiet: bool) -> None:
    from dsa_lite.cli.render import progress
    from dsa_lite.stages import pipeline

    with progress(quiet=quiet) as emit:
        summary = pipeline.run(job, emit, fresh=fresh)
    if as_json:
        from dsa_lite.cli.text import one_json

        click.echo(one_json(summary))
        return
    from dsa_lite.cli.outcome import print_outcome
    from dsa_lite.cli.tables import stdout_console
    from dsa_lite.io.rundir import RunDir

    print_outcome(stdout_console(), summary, RunDir.read(job.out))


def _dry_run(job: Job, layers: Layers, *, as_json: bool) -> None:
    from dsa_lite.stages import pipeline

    steps = pipeline.plan(job)
    if as_json:
        from dsa_lite.cli.text import one_json

        plan: dict[str, Any] = {"skill": job.skill.name, "out": str(job.out), "config": job.config.model_dump()}
        for choice in (job.teacher, job.student):
            plan[choice.role] = {"kind": choice.kind, "source": choice.source, "bundled": choice.bundled}
        plan["stages"] = steps
        click.echo(one_json(plan))
        return
    from dsa_lite.cli.plan import print_plan, print_steps
    from dsa_lite.cli.tables import stdout_console

    console = stdout_console()
    print_plan(console, job, layers)
    print_steps(console, steps)


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
        signal.signal(signal.SIGTERM, before)
