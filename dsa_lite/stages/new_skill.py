"""A syllabus proposed by the teacher, for a skill of which only the title is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import networkx as nx

from dsa_lite.config import TeacherSettings
from dsa_lite.core.graph import GraphBuilder
from dsa_lite.core.prompts import syllabus_request
from dsa_lite.core.replies import SyllabusReply, plausible_name, read_syllabus
from dsa_lite.errors import TeacherError
from dsa_lite.records import Checker, Topic
from dsa_lite.teacher import Reply, Teacher

MIN_TOPICS = 3
MAX_TOKENS = 3072
_DESCRIPTION_CHARS = 300


@dataclass(frozen=True)
class Proposal:
    """A syllabus without cycles, every prerequisite a topic, lower levels first. `notes`: what had to be changed."""

    description: str
    checker: Checker
    topics: tuple[Topic, ...]
    notes: tuple[str, ...]


def propose(
    teacher: Teacher, title: str, settings: TeacherSettings, seed: int, tell: Callable[[str], None] = lambda _: None,
    outline: Sequence[str] = (),
) -> Proposal:  # fmt: skip
    """Ask for a syllabus up to `settings.attempts` times; `tell` hears of every further attempt.

    `outline`: what documents the course has to cover say, a line per section.

    Raises TeacherError when no reply was usable.
    """
    reasons: list[str] = []
    for attempt in range(settings.attempts):
        if attempt:
            tell(f"not usable, asking again ({attempt + 1} of {settings.attempts})")
        id = f"syllabus.{attempt}" if attempt else "syllabus"
        request = syllabus_request(id, title, settings, seed, max_tokens=MAX_TOKENS, outline=outline)
        (reply,) = teacher.write([request])
        found = _judge(reply)
        if isinstance(found, Proposal):
            return found
        reasons.append(found)
    raise TeacherError(
        "\n".join(
            [
                f"the teacher {teacher.name} proposed no usable syllabus for {title!r}, asked {len(reasons)} times:",
                *(f"  - {reason[:300]}" for reason in dict.fromkeys(reasons)),
            ]
        ),
        hint="a new subject needs a real teacher: --teacher with a GGUF file, or the URL of an OpenAI-compatible "
        "server; or write the topics yourself: the same command with --empty and without --teacher",
    )


def _judge(reply: Reply) -> Proposal | str:
    """The syllabus in a reply, or why there is none."""
    if reply.finish == "error":
        return reply.error or "not written"
    if reply.finish == "length":
        return f"cut off after {reply.tokens_out} tokens"
    parsed = read_syllabus(reply.text)
    if isinstance(parsed, str):
        return parsed
    proposal = _merged(parsed)
    if len(proposal.topics) < MIN_TOPICS:
        return f"{len(proposal.topics)} usable topics, at least {MIN_TOPICS} are needed"
    return proposal


def _merged(reply: SyllabusReply) -> Proposal:
    """Unusable names left out, duplicates merged, unknown prerequisites made topics, cycles broken; what follows from
    other prerequisites dropped."""
    left_out: dict[str, None] = {}

    def usable(name: str) -> bool:
        good = plausible_name(name) and name.isprintable()
        if not good:
            left_out[name] = None
        return good

    topics = [
        Topic(
            name=topic.name,
            description=_one_line(topic.description),
            prerequisites=tuple(name for name in topic.prerequisites if usable(name)),
        )
        for topic in reply.topics
        if usable(topic.name)
    ]
    graph, notes = GraphBuilder(topics, max_new_skills=0).build()
    direct = nx.transitive_reduction(nx.DiGraph(graph.edges)).edges  # teachers name all that was learnt before
    ordered = sorted(graph.skills, key=graph.sort_key)
    return Proposal(
        description=_one_line(reply.description),
        checker=reply.checker,
        topics=tuple(
            Topic(
                name=graph.skills[id].name,
                description=graph.skills[id].description,
                prerequisites=tuple(graph.skills[p].name for p in graph.prerequisites(id) if (p, id) in direct),
            )
            for id in ordered
        ),
        notes=(*(f'"{name[:60]}" is no name of a topic; it was left out.' for name in left_out), *notes),
    )


def _one_line(text: str) -> str:
    return "".join(c for c in " ".join(text.split()) if c.isprintable())[:_DESCRIPTION_CHARS]
