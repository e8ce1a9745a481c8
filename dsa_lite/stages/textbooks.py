"""Stage 2: textbooks. One or more passages per skill, for curriculum pre-training (DSA)."""

from __future__ import annotations

from collections.abc import Sequence

from dsa_lite.core.graph import SkillGraph
from dsa_lite.records import Skill, Textbook
from dsa_lite.stages import graph as graph_stage
from dsa_lite.stages.context import Context
from dsa_lite.stages.held_out import HeldOutGuard
from dsa_lite.stages.writing import Refusal, Slot, Writing, fill
from dsa_lite.teacher import Reply

STAGE = "textbooks"


def inputs(context: Context) -> dict[str, object]:
    return {
        "textbooks": context.config.textbooks.model_dump(),
        "teacher": context.config.teacher.model_dump(include={"temperature", "top_p", "attempts"}),
        **context.document_inputs,
    }


def run(context: Context) -> str:
    """Write every passage. Returns a one-line summary."""
    kept = fill(context, plan(context, graph_stage.load(context)))
    skills = {t.skill for t in kept}
    return f"{len(kept)} passages for {len(skills)} skills, {sum(t.tokens_out for t in kept):,} tokens"


def plan(context: Context, graph: SkillGraph) -> Writing[Textbook]:
    """The wanted passages as slots, with their checks."""
    settings = context.config.textbooks
    guard = HeldOutGuard(context)
    slots: list[Slot] = []
    skill_by_slot: dict[str, Skill] = {}
    sources: dict[str, tuple[str, ...]] = {}
    for skill in graph.skills.values():
        needed = [graph.skills[p] for p in graph.prerequisites(skill.id)]
        for number in range(settings.per_skill):
            id = f"text-{skill.id}-{number:03d}"
            skill_by_slot[id], sources[id] = skill, context.sources([skill], number)
            slots.append(_slot(context, id, skill, needed, sources[id]))

    def read(slot: Slot, reply: Reply) -> Textbook | Refusal:
        text = reply.text.strip()
        if len(text) < settings.min_chars:
            return Refusal("too short", f"{len(text)} characters, {settings.min_chars} needed")
        if clash := guard.inside(text):
            return Refusal("held out", f"contains held-out item {clash}")
        return Textbook(id=reply.id, skill=skill_by_slot[slot.id].id, text=text, sources=sources[slot.id],
                        tokens_in=reply.tokens_in, tokens_out=reply.tokens_out)  # fmt: skip

    return Writing(STAGE, "passages", slots, context.folder.textbooks(), read, _repeated)


def _slot(context: Context, id: str, skill: Skill, needed: Sequence[Skill], sources: Sequence[str]) -> Slot:
    tokens, passages = context.config.textbooks.max_tokens, context.library.named(sources)
    return Slot(
        id, lambda ask_id: context.prompts.textbook(ask_id, skill, needed, max_tokens=tokens, passages=passages)
    )


def _repeated(items: Sequence[Textbook]) -> dict[str, Refusal]:
    first: dict[str, str] = {}
    refused = {}
    for item in items:
        key = " ".join(item.text.split())
        if key in first:
            refused[item.id] = Refusal("duplicate", f"the same text as {first[key]}", item.text)
        first.setdefault(key, item.id)
    return refused


def load(context: Context) -> list[Textbook]:
    """The passages in use, sorted by id."""
    refused = {r.id for r in context.folder.rejected().read() if r.stage == STAGE}
    return sorted((t for t in context.folder.textbooks().read() if t.id not in refused), key=lambda t: t.id)
