"""What a run is going to do, said before it starts."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dsa_lite.cli.tables import heading
from dsa_lite.cli.text import clean

if TYPE_CHECKING:
    from dsa_lite.stages.context import Job

Layers = Sequence[tuple[str, Mapping[str, Any]]]


def print_plan(console: Console, job: Job, layers: Layers, reasons: Sequence[str] = ()) -> None:
    """Skill, models, unusual settings and the run folder. `reasons`: what was chosen for a time budget, and why."""
    held_out = " + ".join(f"{len(items)} {split}" for split, items in job.skill.held_out.items()) or "no"
    rows = [
        ("skill", f"{job.skill.title}: {len(job.skill.topics)} topics, {held_out} held-out questions"),
        ("teacher", _model(job.teacher)),
        ("student", _model(job.student)),
        ("run folder", str(job.out)),
    ]
    grid = Table.grid(padding=(0, 2))
    for name, words in rows:
        grid.add_row(Text(name, style="bold"), Text(clean(words), overflow="fold"))
    console.print(grid)
    _print_settings(console, job, layers)
    if reasons:
        console.print(heading("Within the time"))
        for reason in reasons:
            console.print(Text(f"  {clean(reason)}"))
    if job.teacher.bundled or job.student.bundled:
        console.print(Text(f"\n{_demonstration(job)}"))
        console.print(Text(f"  {_real_models(job)}", style="cyan"), soft_wrap=True)
    for note in job.notes:
        console.print(Text(f"Note: {clean(note)}", style="yellow"))
    console.print()


def _print_settings(console: Console, job: Job, layers: Layers) -> None:
    from dsa_lite.core.fitting import with_budget
    from dsa_lite.io.settings.files import changes

    models = [(f"{choice.role}'s own file", choice.settings) for choice in (job.teacher, job.student)]
    rows = changes(job.config, [*models, *with_budget(layers, job.within)])
    if not rows:
        return
    console.print(heading("Settings that differ from the defaults"))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, min_width=max(len(name) for name, *_ in rows) + 2)
    for name, value, default, source in rows:
        grid.add_row(
            Text(f"  {name}", no_wrap=True, overflow="ignore"),
            Text(f"{clean(str(value), 60)} (not {default})"),
            Text(clean(source), style="dim"),
        )
    console.print(grid)


def _model(choice: Any) -> str:
    return f"{choice.label} ({choice.kind}){', bundled demonstration model' if choice.bundled else ''}"


def _demonstration(job: Job) -> str:
    which = [choice.role for choice in (job.teacher, job.student) if choice.bundled]
    models = (
        "teacher and student are demonstration models that come"
        if len(which) == 2
        else f"the {which[0]} is a demonstration model that comes"
    )
    return (
        f"The {models.removeprefix('the ')} with dsa-lite: so small that the whole method runs in minutes, "
        "too small for anything else. With real models, type:"
    )


def _real_models(job: Job) -> str:
    teacher = " --teacher MODEL.gguf" if job.teacher.bundled else ""
    student = " --student MODEL_FOLDER" if job.student.bundled else ""
    return f"dsa-lite run {shlex.quote(clean(job.source or job.skill.name))}{teacher}{student}"
