"""`dsa-lite graph`: the skills of a run or a syllabus, what rests on what, and what was learned of each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dsa_lite.cli.failure import debug_option
from dsa_lite.cli.run_name import RUNS, named_run, read_run

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

    from dsa_lite.core.graph import SkillGraph
    from dsa_lite.io.graph_files import Score

EPILOG = """\b
Examples:
  dsa-lite graph runs/mine
  dsa-lite graph calculus --to mermaid
  dsa-lite graph runs/mine --to graphml --out skills.graphml
"""


@click.command("graph", short_help="Show the skill graph of a run or a skill.", epilog=EPILOG)
@click.argument("source", metavar="RUN|SKILL")
@click.option("--to", type=click.Choice(["graphml", "mermaid", "json"]), help="Write this format instead of a tree.")
@click.option("-o", "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Where to write it.")
@debug_option
def graph_command(source: str, to: str | None, out: Path | None) -> None:
    """Show the skills of RUN or SKILL by level, each with the accuracy on its questions before and after.

    RUN is a run folder or the name of a run; its graph has what the teacher added. SKILL is a bundled skill or a folder
    with a skill.toml.
    """
    from dsa_lite.errors import UsageError

    if out is not None and to is None:
        raise UsageError("--out needs a format", hint="add --to graphml, mermaid or json")
    graph, scores, title = _read(source)
    if to is None:
        _print(graph, scores, title)
        return
    text = _exported(graph, scores, to)
    if out is None:
        click.echo(text, nl=not text.endswith("\n"))
        return
    from dsa_lite.cli.text import clean
    from dsa_lite.io.files import write_atomic

    write_atomic(out, text)
    click.echo(f"Wrote {clean(str(out))}: {len(graph.skills)} skills, {len(graph.edges)} prerequisites")


def _read(source: str) -> tuple[SkillGraph, Mapping[str, Score], str]:
    """Graph, scores by skill id (none for a syllabus), and what it is the graph of."""
    from dsa_lite.core.graph import GraphBuilder, from_node_link
    from dsa_lite.errors import UsageError
    from dsa_lite.io.graph_files import scores_by_skill
    from dsa_lite.io.run_folder.run_list import close_runs
    from dsa_lite.io.skills import load_skill

    if (path := named_run(source)) is not None:
        run = read_run(path)
        return from_node_link(run.read_graph()), scores_by_skill(run.read_summary()), f"Run {path}"
    try:
        pack = load_skill(source)
    except UsageError as error:
        if close := close_runs(source, RUNS):
            raise UsageError(error.message, hint=f"did you mean the run {' or '.join(close)}?\n{error.hint}") from error
        raise
    return GraphBuilder(pack.topics, 0).build()[0], {}, f"{pack.title}: the syllabus"


def _exported(graph: SkillGraph, scores: Mapping[str, Score], to: str) -> str:
    from dsa_lite.io import graph_files

    if to == "graphml":
        return graph_files.to_graphml(graph, scores)
    if to == "mermaid":
        return graph_files.to_mermaid(graph, scores)
    from dsa_lite.cli.text import one_json

    return one_json(graph_files.to_json(graph, scores))


def _print(graph: SkillGraph, scores: Mapping[str, Score], title: str) -> None:
    from rich.text import Text

    from dsa_lite.cli.tables import stdout_console
    from dsa_lite.cli.text import clean

    console = stdout_console()
    levels = max((skill.level for skill in graph.skills.values()), default=-1) + 1
    console.print(
        Text(clean(f"{title}: {len(graph.skills)} skills on {levels} levels, {len(graph.edges)} prerequisites"))
    )
    for tree in _trees(graph, scores):
        console.print(tree)
    notes = ["number: the skill's level", "needs: further prerequisites than the one it hangs from"]
    if any(skill.source == "teacher" for skill in graph.skills.values()):
        notes.append("*: added by the teacher")
    if scores:
        notes.append("per cent: held-out questions answered, before -> after (number of questions)")
    console.print(Text("; ".join(notes), style="dim"))


def _trees(graph: SkillGraph, scores: Mapping[str, Score]) -> list[Tree]:
    """Every skill once: below the prerequisite that comes last in the order of learning."""
    from rich.tree import Tree

    nodes: dict[str, Tree] = {}
    roots: list[Tree] = []
    for id in sorted(graph.skills, key=graph.sort_key):
        needed = graph.prerequisites(id)
        label = _label(graph, id, scores.get(id), [graph.skills[other].name for other in needed[:-1]])
        nodes[id] = nodes[needed[-1]].add(label) if needed else Tree(label)
        if not needed:
            roots.append(nodes[id])
    return roots


def _label(graph: SkillGraph, id: str, score: Score | None, others: list[str]) -> Text:
    from rich.text import Text

    from dsa_lite.cli.text import clean, percent

    skill = graph.skills[id]
    text = Text(f"{skill.level} ", style="dim")
    text.append(clean(skill.name, 80) + ("*" if skill.source == "teacher" else ""), style="bold")
    if score is not None and (score.before is not None or score.after is not None):
        better = (score.after or 0) - (score.before or 0)
        style = "green" if better > 0 else "red" if better < 0 else ""
        text.append(f"  {percent(score.before)} -> {percent(score.after)}", style=style).append(f" ({score.n})", "dim")
    if others:
        text.append(f"  needs {clean(', '.join(others))}", style="dim")
    return text
