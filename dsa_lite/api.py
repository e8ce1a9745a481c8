"""The library from Python: what `dsa-lite run`, `ask`, `export` and `map` do, without a terminal.

    import dsa_lite

    run = dsa_lite.run("calculus", out="runs/mine", rounds=1)
    print(run.summary["after"]["eval"], run.ask("Differentiate 3x^2."))

Nothing is printed and no environment variable is read: settings are arguments, and whoever wants to watch gives
`on_event`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dsa_lite.errors import UsageError
from dsa_lite.events import Emit, Event
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.io.settings.files import chosen_layers, flag_layers
from dsa_lite.stages import pipeline
from dsa_lite.stages.export import Exported, default_out
from dsa_lite.stages.export import export as write_export
from dsa_lite.stages.finished import asking
from dsa_lite.stages.report import map_rows


class Run:
    """A run folder. Nothing stays open: everything is read from the folder when it is asked for."""

    def __init__(self, folder: str | Path) -> None:
        """Raises UsageError where the folder is no run."""
        self.folder = Path(folder)
        RunDir.read(self.folder)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    def _read(self) -> RunDir:
        """What is not there as it was written comes as a Python warning."""
        return RunDir.read(self.folder, lambda text: warnings.warn(text, stacklevel=4))

    @property
    def summary(self) -> dict[str, Any]:
        """What evaluation/summary.json holds. Raises UsageError while the run is unfinished."""
        found = self._read().read_summary()
        if found is None:
            raise UsageError(f"{self.folder} is not finished", hint="go on with it: the same call with the same out")
        return found

    @property
    def adapter(self) -> Path:
        """The LoRA adapter's folder."""
        return RunDir.read(self.folder).adapter

    @property
    def report(self) -> Path:
        """The page that shows the run in a browser."""
        return RunDir.read(self.folder).report

    def ask(self, question: str, *, before: bool = False, max_tokens: int | None = None) -> str:
        """The student's greedy answer; `before`: that of the student without its adapter.

        The model is opened for every call: for many questions at once see `ask_all`.
        """
        return self.ask_all([question], before=before, max_tokens=max_tokens)[0]

    def ask_all(self, questions: list[str], *, before: bool = False, max_tokens: int | None = None) -> list[str]:
        """Greedy answers in the questions' order. `max_tokens`: the longest answer; None: evaluate.max_tokens.

        Raises UsageError while there is no trained student, or for a question longer than its context.
        """
        with asking(self._read(), max_tokens) as reply:
            return [reply(question, not before) for question in questions]

    def data_map(self) -> list[dict[str, Any]]:
        """One row per exercise, sorted by its id (`example`): what was last decided about it, and the exercise.

        `loss` and `deviation` in nats per token, `weight` (see the setting `dynamics.easy_by`), `region`, `action`,
        `skill`, `problem`, `solved_again` (the teacher's answers when it solved it again), ...
        """
        return map_rows(self._read())

    def export(self, kind: str, out: Path | str | None = None, *, quantize: str = "", force: bool = False) -> Exported:
        """Write the student in another tool's format, as `dsa-lite export --to KIND`."""
        folder = self._read()
        target = default_out(folder, kind, quantize.upper()) if out is None else Path(out)
        return write_export(folder, kind, target, quantize=quantize.upper(), force=force)


def run(
    skill: str | Path, *, teacher: str | Path | None = None, student: str | Path | None = None, backend: str = "auto",
    out: str | Path | None = None, seed: int | None = None, preset: str | None = None,
    config: str | Path | None = None, docs: str | Path | None = None, rounds: int | None = None,
    epochs: int | None = None, settings: Mapping[str, Any] | None = None, fresh: bool = False,
    on_event: Emit | None = None,
) -> Run:  # fmt: skip
    """Teach a skill to a student, as `dsa-lite run SKILL` does; the same call goes on with an unfinished `out`.

    `settings`: any of those that `dsa-lite config schema` prints, nested or dotted; they win over `config` and
    `preset`, and docs, seed, rounds and epochs win over them. `on_event` gets every `dsa_lite.events.Event` as it
    happens. Raises a `dsa_lite.errors.DsaError`, whose message and hint say what to do; what was accepted stays in
    `out`.
    """
    given = [("settings", settings)] if settings else []
    documents = [] if docs is None else [("docs", {"docs": {"folder": str(docs)}})]
    job = pipeline.prepare(
        str(skill),
        teacher=None if teacher is None else str(teacher),
        student=None if student is None else str(student),
        backend=backend,
        out=None if out is None else Path(out),
        layers=[
            *chosen_layers(preset, None if config is None else Path(config)),
            *given,
            *flag_layers(seed, rounds, epochs),
            *documents,
        ],
        within={} if fresh else None,
    )
    pipeline.run(job, on_event or _nobody, fresh=fresh)
    return Run(job.out)


def _nobody(_: Event) -> None:
    """Hears of nothing."""
