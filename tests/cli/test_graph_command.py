"""`dsa-lite graph` and `dsa-lite map --scatter`: drawn in text, exported for other programs."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from click.testing import CliRunner
from rich.text import Text

from dsa_lite.cli import cli
from dsa_lite.cli.scatter import LETTERS, scatter
from dsa_lite.core.graph import SkillGraph, from_node_link
from dsa_lite.io.graph_files import scores_by_skill, to_graphml, to_json, to_mermaid
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.io.skills import load_skill

EVIL = "[bold red]3 + 4[/] \x1b[31m\x1b]0;title\x07 [link=x]y"


def figure(accuracy: float) -> dict[str, Any]:
    return {"accuracy": accuracy, "n": 100, "low": 0.0, "high": 1.0}


@pytest.fixture
def graph() -> SkillGraph:
    names = {"numbers": "Numbers", "sums": "Sums", "power-rule": "Power rule", "evil": f'{EVIL} "]; end; %% <b>'}
    nodes = [
        {"id": id, "name": name, "source": "teacher" if id == "evil" else "syllabus", "position": i}
        for i, (id, name) in enumerate(names.items())
    ]
    edges = [("numbers", "sums"), ("sums", "power-rule"), ("numbers", "power-rule"), ("sums", "evil")]
    return from_node_link({"nodes": nodes, "edges": [{"source": s, "target": t} for s, t in edges]})


@pytest.fixture
def mapped(finished: Path, graph: SkillGraph) -> Path:
    """A finished run with a graph."""
    RunDir.read(finished).write_graph(to_json(graph, {}))
    return finished


def test_the_tree_has_levels_scores_and_every_skill_once(mapped: Path, terminal: CliRunner, width: int) -> None:
    result = terminal.invoke(cli, ["graph", str(mapped)])
    assert result.exit_code == 0, result.output
    flat = " ".join(result.stdout.split())
    assert "4 skills on 3 levels, 4 prerequisites" in flat
    assert "0 Numbers" in flat
    assert "2 Power rule 0 % -> 88 % (17) needs Numbers" in flat
    assert flat.count("Sums") == 1
    assert "[bold red]3 + 4[/]" in flat
    assert all(c.isprintable() or c == "\n" for c in result.stdout)


def test_a_syllabus_has_no_scores(terminal: CliRunner) -> None:
    result = terminal.invoke(cli, ["graph", "calculus"])
    assert result.exit_code == 0, result.output
    for topic in load_skill("calculus").topics:
        assert topic.name in result.stdout
    assert "%" not in result.stdout


def test_graphml_is_read_back(mapped: Path, tmp_path: Path, terminal: CliRunner, graph: SkillGraph) -> None:
    target = tmp_path / "g.graphml"
    result = terminal.invoke(cli, ["graph", str(mapped), "--to", "graphml", "--out", str(target)])
    assert result.exit_code == 0, result.output
    assert "4 skills" in result.stdout
    back = nx.read_graphml(target)
    assert set(back.edges) == set(graph.edges)
    assert back.nodes["power-rule"]["name"] == "Power rule"
    assert (back.nodes["power-rule"]["level"], back.nodes["power-rule"]["after"]) == (2, 0.88)
    assert "after" not in back.nodes["numbers"]
    assert "\x1b" not in back.nodes["evil"]["name"]


def test_json_is_read_back(mapped: Path, terminal: CliRunner, graph: SkillGraph) -> None:
    found = json.loads(terminal.invoke(cli, ["graph", str(mapped), "--to", "json"]).stdout)
    assert nx.node_link_graph(found, edges="edges").number_of_edges() == 4
    nodes: dict[str, dict[str, Any]] = {node["id"]: node for node in found["nodes"]}
    assert (nodes["power-rule"]["before"], nodes["power-rule"]["items"]) == (0.0, 17)
    assert "before" not in nodes["sums"]


def test_nothing_in_a_name_is_mermaid(graph: SkillGraph) -> None:
    lines = to_mermaid(graph, {}).splitlines()
    assert lines[0] == "flowchart LR"
    (evil,) = [line for line in lines if line.startswith("    s3[")]
    inside = evil.removeprefix('    s3["').removesuffix('"]')
    assert not set(inside) & set('"[]<>%\x1b')
    assert "    s0 --> s1" in lines
    assert "    class s3 teacher" in lines
    assert to_graphml(graph, {}).isascii()  # whatever the encoding of the output is
    assert nx.read_graphml(io.BytesIO(to_graphml(graph, {}).encode())).number_of_nodes() == 4


def test_the_questions_about_what_was_taught_come_before_those_about_what_was_known() -> None:
    rows = [
        {"topic": "Sums", "set": "general", "n": 5, "before": figure(0.5), "after": figure(0.4)},
        {"topic": "Sums", "set": "transfer", "n": 6, "before": figure(0.0), "after": figure(0.1)},
        {"topic": "Sums", "set": "eval", "n": 7, "before": figure(0.2), "after": None},
        {"topic": "Power rule", "set": "general", "n": 8, "before": figure(0.5), "after": figure(0.4)},
    ]
    found = scores_by_skill({"topics": rows})
    assert found == {"sums": (0.2, None, 7), "power-rule": (0.5, 0.4, 8)}
    assert scores_by_skill(None) == {}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["graph", "clculus"], "did you mean calculus"),
        (["graph", "calculus", "--out", "x"], "add --to"),
        (["graph", "calculus", "--to", "png"], "'graphml', 'mermaid', 'json'"),
    ],
)
def test_wrong_usage(words: list[str], message: str, terminal: CliRunner) -> None:
    result = terminal.invoke(cli, words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_run_without_a_graph(finished: Path, terminal: CliRunner) -> None:
    result = terminal.invoke(cli, ["graph", str(finished)])
    assert result.exit_code == 2
    assert "has no graph.json yet" in result.stderr


def test_the_scatter_of_a_run(finished: Path, terminal: CliRunner, width: int) -> None:
    result = terminal.invoke(cli, ["map", str(finished), "--scatter"])
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= width
    for words in ("X error 1", "H hard 1", "o easy 1", "1.23", "0.20"):
        assert words in result.stdout
    only = terminal.invoke(cli, ["map", str(finished), "--scatter", "--region", "hard", "--skill", "power-rule"]).stdout
    assert "H hard 1" in only
    assert "error" not in only


def test_letters_stand_where_the_numbers_say() -> None:
    lines = [str(line) for line in scatter([(0.0, 0.0, "easy"), (0.5, 4.0, "error"), (0.5, 1.0, "hard")], 60)]
    plot = {i: line for i, line in enumerate(lines) if "│" in line or "┤" in line}
    rows = list(plot.values())
    assert rows[0].endswith("X"), "the highest loss is the top line"
    assert rows[-1].strip().endswith("┤o"), "no loss is the bottom line"
    assert rows[0].index("X") == 59 == max(len(r) for r in rows) - 1, "the largest deviation is the last column"
    (hard,) = [i for i, row in enumerate(rows) if "H" in row]
    assert hard == len(rows) // 2 - 1, "square-root axis: a quarter of the largest stands half way up"


def test_a_cell_shows_its_majority_and_nan_is_counted() -> None:
    points = [(1.0, 1.0, "easy")] * 3 + [(1.0, 1.0, "error")] * 2 + [(float("nan"), 1.0, "unclassified")]
    lines = [line.plain for line in scatter(points, 40) if isinstance(line, Text)]
    assert sum(line.count("o") for line in lines if "│" in line or "┤" in line) == 1
    assert "1 without a finite loss are not drawn" in lines[-1]
    assert [line.plain for line in scatter([], 40)] == ["No example has a loss that can be drawn."]
    assert len(set(LETTERS.values())) == len(LETTERS)
