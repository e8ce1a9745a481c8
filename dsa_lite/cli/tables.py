"""The tables of a run. Cells are Text, never markup: model output is data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dsa_lite.cli.text import clean, number, percent, points, verdict

if TYPE_CHECKING:
    from dsa_lite.records import Decision, Exercise, SkillPack
    from dsa_lite.stages.report import RegionRow

Row = Mapping[str, Any]

#: Held-out set -> its name in the table, and what it asks.
SPLITS = {
    "eval": ("all topics", "what was taught"),
    "transfer": ("transfer", "topics combined in ways never shown"),
    "general": ("general", "what it knew before"),
}
REGION_STYLE = {"error": "red", "hard": "yellow", "easy": "green", "ambiguous": "cyan"}


def stdout_console() -> Console:
    """Where results go. Colours only on a terminal and without NO_COLOR (rich looks)."""
    return Console(markup=False, highlight=False, emoji=False)


def indented(text: str, style: str = "") -> Padding:
    return Padding(Text(text, style=style), (0, 0, 0, 2))


def heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def before_after(summary: Row, *, splits: Sequence[str] = ("eval",)) -> Table:
    """Accuracy with its 95 % interval by topic of the named splits, then the total of every split."""
    table = empty_table(("", "left"), ("items", "right"), ("before", "right"), ("after", "right"), ("points", "right"))
    for topic in (t for t in summary.get("topics", ()) if t["set"] in splits):
        table.add_row(*_accuracy_cells(clean(topic["topic"]), topic["n"], topic.get("before"), topic.get("after")))
    if table.row_count:
        table.add_section()
    before, after = summary.get("before") or {}, summary.get("after") or {}
    for split, (name, _) in SPLITS.items():
        old, new = before.get(split), after.get(split)
        if (known := old or new) and known["n"]:
            table.add_row(*_accuracy_cells(name, known["n"], old, new, digits=1), style="bold")
    return table


def verdicts(summary: Row) -> Iterable[str]:
    """One sentence per held-out set: what the change means."""
    before, after, ps = summary.get("before") or {}, summary.get("after") or {}, summary.get("mcnemar") or {}
    for split, (name, meaning) in SPLITS.items():
        if before.get(split, {}).get("n") and after.get(split, {}).get("n"):
            yield f"{name} ({meaning}): {verdict(before[split]['accuracy'], after[split]['accuracy'], ps.get(split))}"


def data_map(rows: Iterable[RegionRow]) -> Table:
    """What the training data turned out to be."""
    table = empty_table(
        ("region", "left"), ("count", "right"), ("loss", "right"), ("spread", "right"), ("weight", "right"),
        ("action", "left"), ("wrong", "right"),
    )  # fmt: skip
    for row in rows:
        table.add_row(
            Text(row.region, style=REGION_STYLE.get(row.region, "")),
            f"{row.count:,}",
            number(row.loss),
            number(row.deviation),
            number(row.weight),
            Text(row.action or "-"),
            percent(row.share_wrong),
        )
    return table


def example(exercise: Exercise, decision: Decision, again: Sequence[str] = ()) -> Iterable[RenderableType]:
    """One example of a region, in a few lines. `again`: what the teacher answered when it solved it again."""
    checked = "" if exercise.steps_right is None else "steps right" if exercise.steps_right else "a step is wrong"
    facts = (
        decision.region,
        clean(decision.skill, 40),
        f"loss {decision.loss:.2f} ± {decision.deviation:.2f}",
        checked,
    )
    yield Text(" · ".join(filter(None, facts)), style=REGION_STYLE.get(decision.region, ""))
    grid = Table.grid(padding=(0, 1, 0, 2), pad_edge=True)
    grid.add_column(no_wrap=True, style="dim")
    for name, text in (("problem", exercise.problem), ("solution", exercise.solution), ("answer", exercise.answer)):
        grid.add_row(name, Text(clean(text, 160), overflow="fold"))
    if again:
        grid.add_row("again", Text(clean(" | ".join(again), 160), overflow="fold"))
    if exercise.sources:
        grid.add_row("source", Text(clean("; ".join(exercise.sources), 160), overflow="fold"))
    yield grid


def skills_by_region(counts: Mapping[str, Mapping[str, int]], regions: Sequence[str]) -> Table:
    """Skill x region."""
    table = empty_table(("skill", "left"), *((r, "right") for r in regions))
    for skill, row in counts.items():
        table.add_row(Text(clean(skill)), *(f"{row[r]:,}" if row.get(r) else "·" for r in regions))
    return table


def counts_table(name: str, counts: Mapping[str, int]) -> Table:
    table = empty_table((name, "left"), ("count", "right"))
    for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(Text(clean(reason)), f"{count:,}")
    return table


def rounds_table(rounds: Iterable[Row]) -> Table:
    """How the set and the loss went from round to round."""
    table = empty_table(*((n, "right") for n in ("round", "examples", "new", "removed", "loss", "baseline")))
    for row in rounds:
        table.add_row(
            str(row["round"]), f"{row['examples']:,}", f"{row['new']:,}", f"{row['removed']:,}", number(row["loss"]),
            number(row.get("baseline")),
        )  # fmt: skip
    return table


def stages_table(rows: Iterable[Sequence[str]], columns: Sequence[str]) -> Table:
    table = empty_table(*((name, "left") for name in columns))
    for row in rows:
        table.add_row(*(Text(clean(cell)) for cell in row))
    return table


def skills_table(packs: Iterable[SkillPack]) -> Table:
    table = empty_table(("name", "left"), ("topics", "right"), ("held out", "right"), ("", "left"))
    for pack in packs:
        held_out = sum(len(items) for items in pack.held_out.values())
        table.add_row(
            Text(clean(pack.name)), str(len(pack.topics)), str(held_out), Text(clean(pack.description or pack.title))
        )
    return table


def _accuracy_cells(name: str, n: int, old: Row | None, new: Row | None, digits: int = 0) -> list[Text]:
    known = bool(old and new and old.get("n") and new.get("n"))
    change, style = "", ""
    if known and old and new:
        change = points(new["accuracy"] - old["accuracy"], digits)
        style = "green" if new["low"] > old["high"] else "red" if new["high"] < old["low"] else ""
    return [Text(name), Text(f"{n:,}"), accuracy(old, digits), accuracy(new, digits), Text(change, style=style)]


def accuracy(figure: Row | None, digits: int) -> Text:
    if not figure or not figure.get("n"):  # no such questions
        return Text("-")
    text = Text(percent(figure["accuracy"], digits))
    interval = f"({100 * figure['low']:.0f}-{100 * figure['high']:.0f})"
    return text.append(f"{interval:>9}", style="dim")


def empty_table(*columns: tuple[str, str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for name, justify in columns:
        right = justify == "right"
        table.add_column(Text(name), justify="right" if right else "left", no_wrap=right, overflow="fold")
    return table
