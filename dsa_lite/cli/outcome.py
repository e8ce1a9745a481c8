"""What a run has done, said at its end: scores, data map, rejects, the adapter, and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from dsa_lite.cli.tables import (
    before_after,
    counts_table,
    data_map,
    example,
    heading,
    indented,
    rounds_table,
    verdicts,
)
from dsa_lite.cli.text import clean, duration

if TYPE_CHECKING:
    from dsa_lite.io.run_folder.rundir import RunDir
    from dsa_lite.records import Decision, Exercise

LEGEND = Text(
    "loss: mean nats per token; spread: its deviation over the epochs; wrong: share with a wrong step, where checked; "
    "again: what the teacher answered when it solved an exercise again",
    style="dim",
)


def print_outcome(console: Console, summary: Mapping[str, Any], run: RunDir) -> None:
    """Everything one wants to know after `dsa-lite run`."""
    print_scores(console, summary)
    console.print(heading("Data map: what each exercise turned out to be"))
    print_map(console, run, examples=2)
    rejected = summary.get("rejected") or {}
    if rejected:
        console.print(heading(f"Written but not used: {sum(rejected.values()):,}"))
        console.print(counts_table("reason", rejected))
    print_next(console, summary, run)


def print_scores(console: Console, summary: Mapping[str, Any], *, splits: tuple[str, ...] = ("eval",)) -> None:
    """Before and after on the same held-out items, and what the difference means."""
    title = clean(str(summary.get("title") or summary.get("skill") or ""))
    console.print(heading(f"{title}: held-out questions answered, before and after (95 % interval)"))
    console.print(before_after(summary, splits=splits))
    for sentence in verdicts(summary):
        console.print(indented(sentence))
    method = "exact McNemar test on the same items; one seed: how much seeds differ is not in these figures"
    console.print(indented(method, "dim"))
    for note in summary.get("notes") or ():
        console.print(Text(f"Note: {clean(str(note))}", style="yellow"))


def print_rounds(console: Console, summary: Mapping[str, Any]) -> None:
    if summary.get("rounds"):
        console.print(heading("Rounds"))
        console.print(rounds_table(summary["rounds"]))
        for row in summary["rounds"]:
            for warning in row.get("warnings") or ():
                console.print(Text(f"Round {row['round']}: {clean(str(warning))}", style="yellow"))


def print_map(console: Console, run: RunDir, *, examples: int) -> None:
    """The map as a table, then the most telling examples of each region."""
    from dsa_lite.stages.report import by_region, region_rows

    rows = [row for row in region_rows(run) if row.count]
    console.print(data_map(rows))
    console.print(LEGEND)
    if examples:
        print_examples(console, run, [pair for pairs in by_region(run).values() for pair in pairs[:examples]])


def print_examples(console: Console, run: RunDir, pairs: Iterable[tuple[Exercise, Decision]]) -> None:
    """Exercises with what was decided about them and what the teacher answered when it solved them again."""
    from dsa_lite.core.report_examples import solved_again

    again = solved_again(run.votes().read())
    for exercise, decision in pairs:
        console.print()
        for line in example(exercise, decision, again.get(exercise.id, ())):
            console.print(line)


def print_next(console: Console, summary: Mapping[str, Any], run: RunDir) -> None:
    """Cost, the adapter's place and the commands that go on from here. Long commands stay on one line, to be copied."""
    console.print(heading("Result"))
    facts = [
        f"{duration(float(summary.get('seconds') or 0))} on {summary.get('device') or 'an unknown device'}",
        f"{summary.get('teacher_tokens') or 0:,} tokens written",
        f"{summary.get('trained_tokens') or 0:,} trained on",
    ]
    console.print(indented(clean(", ".join(facts))))
    console.print(Text(f"  adapter: {clean(str(run.adapter))}"), soft_wrap=True)
    if run.report.is_file():
        console.print(Text(f"  report:  {clean(str(run.report))} (opens in any browser)"), soft_wrap=True)
    console.print(heading("Next"))
    path = shlex.quote(clean(str(run.path)))
    lines = [f'dsa-lite ask {path} "…"', f"dsa-lite export {path} --to gguf"]
    lines += [f"dsa-lite {verb} {path}" for verb in ("show", "map")]
    if summary.get("backend") == "torch":
        lines += load_lines(run)
    for line in lines:
        console.print(Text(f"  {line}", style="cyan"), soft_wrap=True)


def load_lines(run: RunDir) -> list[str]:
    """Python that opens the student with its new adapter."""
    base = clean(str(run.settings().get("identity", {}).get("student", "STUDENT")))
    model = f"PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained({base!r}), {clean(str(run.adapter))!r})"
    return [
        "python:",
        "  from peft import PeftModel; from transformers import AutoModelForCausalLM",
        f"  model = {model}",
    ]
