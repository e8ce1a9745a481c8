"""`dsa-lite map`: the data map of a run, example by example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dsa_lite.cli.failure import debug_option
from dsa_lite.cli.run_name import read_run, run_path

if TYPE_CHECKING:
    from dsa_lite.io.run_folder.rundir import RunDir
    from dsa_lite.records import Decision, Exercise
    from dsa_lite.stages.report import RegionRow

    Found = Mapping[str, list[tuple[Exercise, Decision]]]

#: As in dsa_lite.records, which would slow --help down; a test compares.
REGIONS = ["error", "hard", "easy", "ambiguous", "unclassified"]
NOTHING = "Nothing has been mapped here yet: the map is drawn after the first round of tuning."


@click.command(
    "map",
    short_help="Show the data map of a run.",
    epilog="\b\nExamples:\n  dsa-lite map runs/mine\n  dsa-lite map runs/mine --region hard --skill chain-rule -n 5"
    "\n  dsa-lite map runs/mine --scatter",
)
@click.argument("run", type=run_path)
@click.option("--region", type=click.Choice(REGIONS), help="Only this region.")
@click.option("--skill", metavar="NAME", help="Only exercises that teach this skill.")
@click.option(
    "-n", "--num-examples", type=click.IntRange(0), default=2, show_default=True, help="Examples shown per region."
)
@click.option("--scatter", is_flag=True, help="Draw mean loss against spread instead, one letter per region.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with every example and nothing else.")
@debug_option
def map_command(
    run: Path, region: str | None, skill: str | None, num_examples: int, scatter: bool, as_json: bool
) -> None:
    """Show where each exercise of RUN landed: error, hard, easy or ambiguous.

    RUN is a run folder or the name of a run. The most telling examples of each region stand first.
    """
    from dsa_lite.stages.report import by_region

    folder = read_run(run)
    mapped: Found = by_region(folder)
    found = mapped
    if skill is not None and mapped:
        found = _of_skill(found, skill)
    if region is not None:
        found = {name: pairs for name, pairs in found.items() if name == region}
    if as_json:
        _print_json(folder, found)
    elif not found:
        click.echo(f"No exercise{' of this skill' if skill else ''} is in the region {region}." if mapped else NOTHING)
    elif scatter:
        _print_scatter(found)
    else:
        _print_tables(folder, found, skill, num_examples)


def _of_skill(found: Found, skill: str) -> Found:
    """The examples of one skill, by its id or its name, in any case."""
    from dsa_lite.core.graph import skill_id
    from dsa_lite.errors import UsageError

    known = {d.skill.casefold(): d.skill for pairs in found.values() for _, d in pairs}
    by_id = {skill_id(name): name for name in known.values()}
    name = known.get(skill.casefold()) or by_id.get(skill_id(skill))
    if name is None:
        close = get_close_matches(skill.casefold(), known, n=3, cutoff=0.5)
        hint = (
            f"did you mean {' or '.join(repr(known[c]) for c in close)}?"
            if close
            else f"skills: {', '.join(sorted(known.values()))}"
        )
        raise UsageError(f"no exercise here teaches {skill!r}", hint=hint)
    kept = {region: [(e, d) for e, d in pairs if d.skill == name] for region, pairs in found.items()}
    return {region: pairs for region, pairs in kept.items() if pairs}


def _print_json(run: RunDir, found: Found) -> None:
    from dsa_lite.cli.text import one_json
    from dsa_lite.stages.report import map_rows

    examples = map_rows(run, [pair for pairs in found.values() for pair in pairs])
    rows = [asdict(row) for row in _rows(run, found)]
    click.echo(one_json({"regions": rows, "examples": examples}))


def _print_scatter(found: Found) -> None:
    from dsa_lite.cli.scatter import scatter
    from dsa_lite.cli.tables import stdout_console

    console = stdout_console()
    points = [(d.deviation, d.loss, d.region) for pairs in found.values() for _, d in pairs]
    for line in scatter(points, console.width):
        console.print(line)


def _print_tables(run: RunDir, found: Found, skill: str | None, examples: int) -> None:
    from dsa_lite.cli.outcome import LEGEND, print_examples
    from dsa_lite.cli.tables import data_map, heading, skills_by_region, stdout_console

    console = stdout_console()
    console.print(data_map(_rows(run, found)))
    console.print(LEGEND)
    if skill is None:
        console.print(heading("By skill"))
        console.print(skills_by_region(_counts(found), list(found)))
    if examples:
        print_examples(console, run, [pair for pairs in found.values() for pair in pairs[:examples]])


def _counts(found: Found) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for region, pairs in found.items():
        for _, decision in pairs:
            row = counts.setdefault(decision.skill, {})
            row[region] = row.get(region, 0) + 1
    return dict(sorted(counts.items()))


def _rows(run: RunDir, found: Found) -> list[RegionRow]:
    from dsa_lite.stages.report import region_rows

    decisions = [decision for pairs in found.values() for _, decision in pairs]
    return [row for row in region_rows(run, decisions) if row.count]
