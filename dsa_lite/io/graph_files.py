"""A skill graph in the formats of other programs, with what was measured of each skill."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, NamedTuple

import networkx as nx

from dsa_lite.core.graph import SkillGraph, skill_id, to_node_link


class Score(NamedTuple):
    """Accuracy on one skill's held-out questions, 0-1; None: not measured. `n`: questions."""

    before: float | None
    after: float | None
    n: int


def scores_by_skill(summary: Mapping[str, Any] | None) -> dict[str, Score]:
    """Skill id -> its score: on the questions about what was taught, else on those about what was known before."""
    found: dict[str, Score] = {}
    for held_out in ("eval", "general"):
        for row in (summary or {}).get("topics") or ():
            if row.get("set") == held_out:
                before, after = ((row.get(when) or {}).get("accuracy") for when in ("before", "after"))
                found.setdefault(skill_id(str(row["topic"])), Score(before, after, int(row["n"])))
    return found


def to_json(graph: SkillGraph, scores: Mapping[str, Score]) -> dict[str, Any]:
    """networkx's node-link layout; nodes carry `before`, `after` and `items` where they were measured."""
    data = to_node_link(graph)
    for node in data["nodes"]:
        if score := scores.get(node["id"]):
            node |= {"before": score.before, "after": score.after, "items": score.n}
    return data


def to_graphml(graph: SkillGraph, scores: Mapping[str, Score]) -> str:
    """For yEd, Gephi, Cytoscape and networkx."""
    drawn = nx.DiGraph()
    for node in to_json(graph, scores)["nodes"]:
        facts = {key: _plain(value) for key, value in node.items() if key != "id" and value is not None}
        drawn.add_node(_plain(node["id"]), **facts)
    drawn.add_edges_from((_plain(source), _plain(target)) for source, target in graph.edges)
    file = io.BytesIO()
    nx.write_graphml_xml(drawn, file, encoding="us-ascii", prettyprint=True)  # whatever the output's encoding is
    return file.getvalue().decode("ascii")


def to_mermaid(graph: SkillGraph, scores: Mapping[str, Score]) -> str:
    """A flowchart for Markdown; levels from left to right."""
    number = {id: f"s{i}" for i, id in enumerate(graph.skills)}
    lines = ["flowchart LR"]
    for id, skill in graph.skills.items():
        score = scores.get(id)
        below = "" if score is None or score.after is None else f"<br/>{_shares(score)}"
        lines.append(f'    {number[id]}["{_harmless(skill.name)}{below}"]')
    lines += [f"    {number[source]} --> {number[target]}" for source, target in graph.edges]
    added = [number[id] for id, skill in graph.skills.items() if skill.source == "teacher"]
    if added:
        lines += ["    classDef teacher stroke-dasharray: 4", f"    class {','.join(added)} teacher"]
    return "\n".join(lines) + "\n"


def _shares(score: Score) -> str:
    shares = [f"{100 * share:.0f} %" for share in (score.before, score.after) if share is not None]
    return " to ".join(shares)


def _harmless(text: str) -> str:
    """Letters, digits and white space as they are; of everything else Mermaid's code, so that nothing is markup."""
    return "".join(c if c.isalnum() or c in " -.,+" else f"#{ord(c)};" for c in " ".join(_plain(text).split()))


def _plain(value: Any) -> Any:
    """Text without the control characters that XML does not know."""
    if not isinstance(value, str):
        return value
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in value)
