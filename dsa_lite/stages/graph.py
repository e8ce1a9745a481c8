"""Stage 1: the skill graph. The syllabus, merged with the teacher's recursive decomposition (DSA, skill graphs)."""

from __future__ import annotations

from dsa_lite.core.graph import GraphBuilder, SkillGraph, from_node_link, to_node_link
from dsa_lite.core.replies import plausible_name, read_prerequisites
from dsa_lite.records import Decomposition, Skill
from dsa_lite.stages.context import Context
from dsa_lite.stages.writing import Refusal, Slot, Writing, fill
from dsa_lite.teacher import Reply

STAGE = "graph"


def inputs(context: Context) -> dict[str, object]:
    """What the graph depends on."""
    return {
        "topics": [t.model_dump() for t in context.job.skill.topics],
        "graph": context.config.graph.model_dump(),
        "model": context.teacher.fingerprint,
        "teacher": context.config.teacher.model_dump(include={"temperature", "top_p", "attempts"}),
    }


def run(context: Context) -> str:
    """Ask for the prerequisites of every skill, depth by depth; write graph.json. Returns a one-line summary."""
    settings = context.config.graph
    builder = GraphBuilder(context.job.skill.topics, settings.max_new_skills)
    frontier = list(builder.build()[0].skills.values()) if settings.expand else []
    for depth in range(settings.max_depth):
        if not frontier:
            break
        found = []
        for answer in sorted(_ask(context, builder, frontier, depth), key=lambda a: a.id):
            found += builder.add(answer.skill, answer.prerequisites)
        known = builder.build()[0].skills
        frontier = [known[id] for id in found]
    graph, notes = builder.build()
    for note in notes:
        context.note(STAGE, note, warning="closes a cycle" in note)
    context.folder.write_graph(to_node_link(graph))
    added = sum(s.source == "teacher" for s in graph.skills.values())
    levels = 1 + max((s.level for s in graph.skills.values()), default=0)
    return f"{len(graph.skills)} skills ({added} found by the teacher), {len(graph.edges)} edges, {levels} levels"


def load(context: Context) -> SkillGraph:
    return from_node_link(context.folder.read_graph())


def _ask(context: Context, builder: GraphBuilder, frontier: list[Skill], depth: int) -> list[Decomposition]:
    settings = context.config.graph
    names = [s.name for s in builder.build()[0].skills.values()]
    skills = {f"need-{depth}-{s.id}": s for s in frontier}

    def slot(id: str, skill: Skill) -> Slot:
        return Slot(id, lambda ask_id, _: context.prompts.prerequisites(
            ask_id, skill, names, limit=settings.max_prerequisites, max_tokens=settings.max_tokens))  # fmt: skip

    def read(slot: Slot, reply: Reply) -> Decomposition | Refusal:
        parsed = read_prerequisites(reply.text)
        if isinstance(parsed, str):
            return Refusal("malformed", parsed)
        wanted = [n for n in parsed.prerequisites if plausible_name(n)]
        return Decomposition(
            id=reply.id, skill=skills[slot.id].id, depth=depth,
            prerequisites=tuple(wanted[: settings.max_prerequisites]),
            tokens_in=reply.tokens_in, tokens_out=reply.tokens_out,
        )  # fmt: skip

    slots = [slot(id, skill) for id, skill in sorted(skills.items())]
    return fill(context, Writing(STAGE, "decompositions", slots, context.folder.decompositions(), read))
