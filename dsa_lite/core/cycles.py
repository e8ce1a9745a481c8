"""Edges added one at a time to an acyclic graph: which of them would close a cycle.

Incremental topological order of Pearce and Kelly ("A dynamic topological sort algorithm for directed acyclic graphs",
JEA 2006): only the part of the order between the two ends of an edge is looked at, so tens of thousands of edges take
well under a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import networkx as nx

Edge = tuple[str, str]


class AcyclicGraph:
    """A directed acyclic graph that refuses the edges it cannot take."""

    def __init__(self, nodes: Sequence[str], edges: Iterable[Edge]) -> None:
        """`edges` must be acyclic already. The nearer the order of `nodes` is to a topological one, the quicker."""
        graph = nx.DiGraph()
        graph.add_nodes_from(nodes)
        graph.add_edges_from(edges)
        self._after: dict[str, set[str]] = {n: set(graph.successors(n)) for n in graph}
        self._before: dict[str, set[str]] = {n: set(graph.predecessors(n)) for n in graph}
        wish = {n: i for i, n in enumerate(nodes)}
        ordered = nx.lexicographical_topological_sort(graph, key=wish.__getitem__)
        self._place: dict[str, int] = {n: i for i, n in enumerate(ordered)}

    def add(self, source: str, target: str) -> bool:
        """Add source -> target unless it would close a cycle; whether it was added."""
        if source == target:
            return False
        low, high = self._place[target], self._place[source]
        if low < high:
            forward = self._reach(target, self._after, low, high, source)
            if source in forward:
                return False
            self._reorder(forward, self._reach(source, self._before, low, high, target))
        self._after[source].add(target)
        self._before[target].add(source)
        return True

    def _reach(self, start: str, neighbours: dict[str, set[str]], low: int, high: int, until: str) -> set[str]:
        """Everything reached from `start` that stands between the places `low` and `high`; less if `until` is met."""
        place, seen, stack = self._place, {start}, [start]
        while stack:
            fresh = neighbours[stack.pop()] - seen
            if until in fresh:
                return seen | {until}
            inside = [other for other in fresh if low <= place[other] <= high]
            seen.update(inside)
            stack += inside
        return seen

    def _reorder(self, forward: set[str], backward: set[str]) -> None:
        """Put `backward` before `forward` in the places both hold, each in its own order."""
        moved = sorted(backward, key=self._place.__getitem__) + sorted(forward, key=self._place.__getitem__)
        for place, node in zip(sorted(self._place[n] for n in moved), moved, strict=True):
            self._place[node] = place


def keep_acyclic(nodes: Sequence[str], fixed: Sequence[Edge], offered: Sequence[Edge]) -> tuple[list[Edge], list[Edge]]:
    """Take the `offered` edges, in their order, next to the acyclic `fixed` ones.

    Returns (taken, refused): an offered edge is refused when it closes a cycle with the fixed ones and those taken
    before it. An edge between two strongly connected components of the whole cannot, and costs no search.
    """
    if not offered:
        return [], []
    whole = nx.DiGraph()
    whole.add_nodes_from(nodes)
    whole.add_edges_from([*fixed, *offered])
    component = {n: i for i, members in enumerate(nx.strongly_connected_components(whole)) for n in members}
    safe = {e for e in offered if component[e[0]] != component[e[1]]}
    if len(safe) == len(set(offered)):
        return list(offered), []
    graph = AcyclicGraph(nodes, [*fixed, *safe])
    refused = {e for e in offered if e not in safe and not graph.add(*e)}
    return [e for e in offered if e not in refused], [e for e in offered if e in refused]
