"""The skill graph: a syllabus merged with a teacher's decomposition.

Nodes are skills, an edge leads from a prerequisite to what depends on it (DSA, arXiv 2412.19361). How names are merged,
where the teacher stops and how cycles are broken is ours: the paper is silent.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import networkx as nx
from pydantic import ValidationError

from dsa_lite.core.cycles import Edge, keep_acyclic
from dsa_lite.errors import ConfigError
from dsa_lite.records import Skill, Topic


def skill_id(name: str) -> str:
    """Slug by which names are compared: Unicode NFKC, casefolded, everything but letters and digits one "-".

    A name of symbols alone ("∫") is spelled by its code points; a blank one gives "".
    """
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    plain = re.findall("[a-z0-9]+", text) if text.isascii() else []
    if plain:
        return "-".join(plain)
    kept = "".join(c if c.isalnum() or unicodedata.category(c).startswith("M") else " " for c in text)
    return "-".join(kept.split()) or "-".join(f"u{ord(c):04x}" for c in text if not c.isspace())


@dataclass(frozen=True)
class SkillGraph:
    """`skills` by id, in position order; `edges` (prerequisite, dependent), sorted."""

    skills: dict[str, Skill]
    edges: tuple[Edge, ...]

    @cached_property
    def _prerequisites(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {id: [] for id in self.skills}
        for prerequisite, dependent in self.edges:
            found[dependent].append(prerequisite)
        return found

    def sort_key(self, id: str) -> tuple[int, int, str]:
        """(level, position, id): a skill's key is larger than that of everything it depends on."""
        return self.skills[id].level, self.skills[id].position, id

    def prerequisites(self, id: str) -> list[str]:
        """Direct prerequisites, sorted by (level, position, id)."""
        return sorted(self._prerequisites[id], key=self.sort_key)

    def ancestors(self, id: str) -> list[str]:
        """Everything the skill depends on, directly or not, sorted by (level, position, id)."""
        seen: set[str] = set()
        stack = list(self._prerequisites[id])
        while stack:
            other = stack.pop()
            if other not in seen:
                seen.add(other)
                stack += self._prerequisites[other]
        return sorted(seen, key=self.sort_key)

    def by_level(self) -> list[list[str]]:
        """Ids by level, lowest first; inside a level by (position, id)."""
        levels: dict[int, list[str]] = defaultdict(list)
        for id in sorted(self.skills, key=self.sort_key):
            levels[self.skills[id].level].append(id)
        return [levels[level] for level in sorted(levels)]


class GraphBuilder:
    """Collects the teacher's answers about a syllabus; `build` may be called at any time, as often as wanted."""

    def __init__(self, topics: Sequence[Topic], max_new_skills: int) -> None:
        self._max_new = max_new_skills
        self._found: set[str] = set()  # the teacher's skills
        self._over: set[str] = set()  # named by the teacher, beyond the limit
        self._answers: dict[str, dict[str, str]] = defaultdict(dict)  # skill -> prerequisite -> name as answered
        self._spellings: dict[str, set[str]] = defaultdict(set)
        self._notes: list[str] = []
        self._syllabus: dict[str, Skill] = {}
        self._syllabus_edges: set[Edge] = set()
        self._read_syllabus(topics)

    def _read_syllabus(self, topics: Sequence[Topic]) -> None:
        for topic in topics:
            id = self._spell(topic.name)
            if id in self._syllabus:
                self._notes.append(f'The syllabus names "{self._syllabus[id].name}" more than once; they were merged.')
            elif id:
                name, position = topic.name.strip(), len(self._syllabus)
                self._syllabus[id] = Skill(id=id, name=name, description=topic.description, position=position)
        for topic in topics:
            for name in topic.prerequisites:
                self._read_prerequisite(topic, name.strip())

    def _read_prerequisite(self, topic: Topic, name: str) -> None:
        id, dependent = self._spell(name), skill_id(topic.name)
        if not id or not dependent:
            return
        if id == dependent:
            self._notes.append(f'"{topic.name}" is its own prerequisite in the syllabus; that was ignored.')
            return
        if id not in self._syllabus:
            self._syllabus[id] = Skill(id=id, name=name, position=len(self._syllabus))
            self._notes.append(f'"{name}", a prerequisite of "{topic.name}", is no topic; it was added as a skill.')
        self._syllabus_edges.add((id, dependent))

    def _spell(self, name: str) -> str:
        id = skill_id(name)
        self._spellings[id].add(name.strip())
        return id

    def add(self, skill: str, prerequisites: Sequence[str]) -> list[str]:
        """The teacher's answer about one skill of the graph; returns the ids of skills that are new.

        Names are merged by `skill_id`; blank ones and the skill itself are ignored. Once `max_new_skills` are found,
        unknown names are left out: only then does the order of the calls matter.
        """
        asked = skill_id(skill)
        if asked not in self._syllabus and asked not in self._found:
            raise ValueError(f"{skill!r} is not in the graph")
        new = []
        for name in prerequisites:
            id = self._spell(name)
            if not id or id == asked:
                continue
            if id not in self._syllabus and id not in self._found:
                if len(self._found) >= self._max_new:
                    self._over.add(id)
                    continue
                self._found.add(id)
                new.append(id)
            self._answers[asked].setdefault(id, name.strip())
        return new

    def build(self) -> tuple[SkillGraph, list[str]]:
        """The graph so far, without cycles, and what had to be changed, as sentences.

        An edge that closes a cycle is dropped if it is the teacher's; among syllabus edges the one goes whose
        prerequisite stands later in the syllabus.
        """
        skills = self._positioned()
        position = {id: s.position for id, s in skills.items()}
        ordered = sorted(self._syllabus_edges, key=lambda e: (position[e[0]], e))
        forward = [e for e in ordered if position[e[0]] < position[e[1]]]
        backward = [e for e in ordered if position[e[0]] > position[e[1]]]
        kept, from_syllabus = keep_acyclic(list(skills), forward, backward)
        fixed = [*forward, *kept]
        offered = {(p, d) for d, answer in self._answers.items() for p in answer} - self._syllabus_edges
        ranked = sorted(offered, key=lambda e: (self._doubt(e), position[e[1]], position[e[0]]))
        taken, from_teacher = keep_acyclic(list(skills), fixed, ranked)
        edges = tuple(sorted([*fixed, *taken]))
        notes = [*self._notes, *self._spelling_notes(skills)]
        notes += [_cycle_note(skills, edge, "the syllabus") for edge in from_syllabus]
        notes += [_cycle_note(skills, edge, "the teacher") for edge in from_teacher]
        if self._over:
            notes.append(f"{len(self._over)} skills of the teacher's were left out: at most {self._max_new} are added.")
        return _with_levels(skills.values(), edges), notes

    def _positioned(self) -> dict[str, Skill]:
        """The syllabus, then the teacher's skills breadth-first by who asked for them, whatever the order of `add`."""
        skills = dict(self._syllabus)
        queue = deque(skills)
        while queue:
            for id, name in self._answers.get(queue.popleft(), {}).items():
                if id not in skills:
                    skills[id] = Skill(id=id, name=name, source="teacher", position=len(skills))
                    queue.append(id)
        return skills

    def _doubt(self, edge: Edge) -> int:
        """How readily a teacher's edge is given up: least where it follows the syllabus, most where it opposes it."""
        ends = [self._syllabus.get(id) for id in edge]
        if ends[0] is None or ends[1] is None:
            return 1
        return 0 if ends[0].position < ends[1].position else 2

    def _spelling_notes(self, skills: Mapping[str, Skill]) -> list[str]:
        notes = []
        for id, skill in skills.items():
            others = sorted(self._spellings[id] - {skill.name})
            if others:
                quoted = ", ".join(f'"{name}"' for name in others)
                notes.append(f'{quoted} and "{skill.name}" are one skill; they were merged.')
        return notes


def _cycle_note(skills: Mapping[str, Skill], edge: Edge, source: str) -> str:
    prerequisite, dependent = (skills[id].name for id in edge)
    return f'"{prerequisite}" as a prerequisite of "{dependent}" (from {source}) closes a cycle; it was left out.'


def _with_levels(skills: Iterable[Skill], edges: tuple[Edge, ...]) -> SkillGraph:
    """Set every level to the longest path from a root. Raises networkx.NetworkXUnfeasible on a cycle."""
    ordered = sorted(skills, key=lambda s: (s.position, s.id))
    graph = nx.DiGraph()
    graph.add_nodes_from(s.id for s in ordered)
    graph.add_edges_from(edges)
    level: dict[str, int] = {}
    for id in nx.topological_sort(graph):
        level[id] = 1 + max((level[p] for p in graph.predecessors(id)), default=-1)
    return SkillGraph({s.id: s.model_copy(update={"level": level[s.id]}) for s in ordered}, edges)


def to_node_link(graph: SkillGraph) -> dict[str, Any]:
    """The graph in networkx's node-link layout; `networkx.node_link_graph(data, edges="edges")` reads it."""
    return {
        "directed": True,
        "multigraph": False,
        "graph": {},
        "nodes": [skill.model_dump() for skill in graph.skills.values()],
        "edges": [{"source": source, "target": target} for source, target in graph.edges],
    }


def from_node_link(data: Mapping[str, Any]) -> SkillGraph:
    """Read node-link data, edited by hand or not; levels are computed anew. ConfigError lists all that is wrong."""
    problems: list[str] = []
    skills: dict[str, Skill] = {}
    for i, node in enumerate(data.get("nodes", [])):
        try:
            skill = Skill.model_validate(node)
        except ValidationError as error:
            problems += [f"nodes[{i}].{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
            continue
        if skill.id in skills:
            problems.append(f"nodes[{i}].id: {skill.id!r} is there twice")
        skills[skill.id] = skill
    edges = {(str(e.get("source")), str(e.get("target"))) for e in data.get("edges", [])}
    problems += [f"edges: {id!r} is not a node" for id in sorted({id for e in edges for id in e} - skills.keys())]
    if not problems:
        try:
            return _with_levels(skills.values(), tuple(sorted(edges)))
        except nx.NetworkXUnfeasible:
            problems.append("edges: they form a cycle")
    hint = "correct it or have it made again"
    raise ConfigError("The skill graph cannot be read.", problems=tuple(problems), hint=hint)
