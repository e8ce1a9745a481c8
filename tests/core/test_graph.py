"""Skill graph: merging, cycles, levels, node-link."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsa_lite.core.cycles import keep_acyclic
from dsa_lite.core.graph import GraphBuilder, SkillGraph, from_node_link, skill_id, to_node_link
from dsa_lite.errors import ConfigError
from dsa_lite.records import Topic

NAMES = st.sampled_from([f"t{i}" for i in range(7)] + ["New", "new", "Other one"])
SYLLABUS = st.lists(st.builds(Topic, name=NAMES, prerequisites=st.lists(NAMES, max_size=3).map(tuple)), max_size=8)
ANSWERS = st.lists(st.tuples(st.integers(0, 20), st.lists(NAMES | st.just("∫"), max_size=4)), max_size=8)


def topics(*pairs: tuple[str, tuple[str, ...]]) -> list[Topic]:
    return [Topic(name=name, prerequisites=needs) for name, needs in pairs]


def dig(graph: SkillGraph) -> nx.DiGraph:
    found = nx.DiGraph()
    found.add_nodes_from(graph.skills)
    found.add_edges_from(graph.edges)
    return found


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("Chain Rule", "chain-rule"),
        ("  chain_rule! ", "chain-rule"),
        ("ﬁnite Sums", "finite-sums"),
        ("Straße", "strasse"),
        ("Ableitung höherer Ordnung", "ableitung-höherer-ordnung"),
        ("∫", "u222b"),
        ("  ", ""),
        ("", ""),
    ],
)
def test_skill_id(name: str, id: str) -> None:
    assert skill_id(name) == id


@given(st.text(max_size=30))
def test_skill_id_is_stable(name: str) -> None:
    id = skill_id(name)
    assert skill_id(id) == id
    assert "/" not in id
    assert "." not in id
    assert " " not in id


def test_a_small_graph_by_hand() -> None:
    builder = GraphBuilder(topics(("Limits", ("Functions",)), ("Derivatives", ("limits",)), ("Chain rule", ())), 5)
    assert builder.add("chain-rule", ["Derivatives", "Composition", "chain RULE"]) == ["composition"]
    assert builder.add("derivatives", ["composition", "Limits"]) == []
    graph, notes = builder.build()
    assert list(graph.skills) == ["limits", "derivatives", "chain-rule", "functions", "composition"]
    assert [s.level for s in graph.skills.values()] == [1, 2, 3, 0, 0]
    assert [s.source for s in graph.skills.values()] == ["syllabus"] * 4 + ["teacher"]
    assert graph.edges == (
        ("composition", "chain-rule"), ("composition", "derivatives"), ("derivatives", "chain-rule"),
        ("functions", "limits"), ("limits", "derivatives"),
    )  # fmt: skip
    assert graph.ancestors("chain-rule") == ["functions", "composition", "limits", "derivatives"]
    assert graph.prerequisites("chain-rule") == ["composition", "derivatives"]
    assert graph.by_level() == [["functions", "composition"], ["limits"], ["derivatives"], ["chain-rule"]]
    assert any('"Functions"' in n and "no topic" in n for n in notes)
    assert any('"limits" and "Limits" are one skill' in n for n in notes)


def test_a_teachers_edge_is_dropped_before_a_syllabus_edge() -> None:
    builder = GraphBuilder(topics(("a", ()), ("b", ("a",)), ("c", ("b",))), 5)
    builder.add("a", ["c", "z"])
    builder.add("c", ["a"])
    graph, notes = builder.build()
    assert graph.edges == (("a", "b"), ("a", "c"), ("b", "c"), ("z", "a"))
    assert notes == ['"c" as a prerequisite of "a" (from the teacher) closes a cycle; it was left out.']


def test_a_syllabus_cycle_loses_the_edge_from_the_latest_topic() -> None:
    graph, notes = GraphBuilder(topics(("a", ("c",)), ("b", ("a",)), ("c", ("b",))), 0).build()
    assert graph.edges == (("a", "b"), ("b", "c"))
    assert len(notes) == 1
    assert "the syllabus" in notes[0]
    assert "cycle" in notes[0]


def test_limit_of_new_skills_and_unknown_skill() -> None:
    builder = GraphBuilder(topics(("a", ())), 1)
    assert builder.add("a", ["x", "y", "", "x"]) == ["x"]
    graph, notes = builder.build()
    assert list(graph.skills) == ["a", "x"]
    assert any("1 skills" in n and "at most 1" in n for n in notes)
    with pytest.raises(ValueError, match="not in the graph"):
        builder.add("y", [])


@settings(max_examples=50)
@given(SYLLABUS, ANSWERS, st.randoms(use_true_random=False))
def test_any_graph_is_sound_and_does_not_depend_on_the_order_of_answers(syllabus, answers, random) -> None:  # type: ignore[no-untyped-def]
    builder = GraphBuilder(syllabus, 100)
    given_answers: dict[str, list[str]] = {}
    for number, names in answers:
        known = list(builder.build()[0].skills)
        if known and known[number % len(known)] not in given_answers:
            given_answers[known[number % len(known)]] = names
            builder.add(known[number % len(known)], names)
    graph, notes = builder.build()
    whole = dig(graph)
    assert nx.is_directed_acyclic_graph(whole)
    for id, skill in graph.skills.items():
        assert skill.id == id
        assert skill.level == max((1 + graph.skills[p].level for p in whole.predecessors(id)), default=0)
        assert set(graph.ancestors(id)) == nx.ancestors(whole, id)
    assert [s.position for s in graph.skills.values()] == list(range(len(graph.skills)))
    again = GraphBuilder(syllabus, 100)
    waiting = list(given_answers)
    random.shuffle(waiting)
    while waiting:
        ready = next(id for id in waiting if id in again.build()[0].skills)
        waiting.remove(ready)
        again.add(ready, given_answers[ready])
    assert again.build() == (graph, notes)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=40), st.permutations(range(10)))
def test_keep_acyclic_against_a_slow_reference(edges, nodes) -> None:  # type: ignore[no-untyped-def]
    offered = list(dict.fromkeys((str(a), str(b)) for a, b in edges))
    slow = nx.DiGraph()
    slow.add_nodes_from(map(str, nodes))
    expected = []
    component = {n: i for i, c in enumerate(nx.strongly_connected_components(nx.DiGraph(offered))) for n in c}
    for edge in sorted(offered, key=lambda e: component[e[0]] == component[e[1]]):
        if edge[0] != edge[1] and not nx.has_path(slow, edge[1], edge[0]):
            slow.add_edge(*edge)
            expected.append(edge)
    taken, refused = keep_acyclic([str(n) for n in nodes], [], offered)
    assert set(taken) == set(expected)
    assert sorted(taken + refused) == sorted(offered)


@given(SYLLABUS)
def test_node_link_there_and_back(syllabus: list[Topic]) -> None:
    graph = GraphBuilder(syllabus, 0).build()[0]
    data = to_node_link(graph)
    assert from_node_link(data) == graph
    read = nx.node_link_graph(data, edges="edges")
    assert set(read.edges) == set(graph.edges)
    assert list(read.nodes) == list(graph.skills)


def test_broken_node_link_names_every_problem() -> None:
    nodes = [{"id": "a", "name": "A"}, {"id": "a", "name": "A"}, {"id": "b"}]
    with pytest.raises(ConfigError) as caught:
        from_node_link({"nodes": nodes, "edges": [{"source": "a", "target": "z"}]})
    assert len(caught.value.problems) == 3
    two = [{"id": "a", "name": "A"}, {"id": "b", "name": "B"}]
    with pytest.raises(ConfigError, match="cycle"):
        from_node_link({"nodes": two, "edges": [{"source": "a", "target": "b"}, {"source": "b", "target": "a"}]})
