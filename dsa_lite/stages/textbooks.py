"""Stage 2: textbooks. One or more passages per skill, for curriculum pre-training (DSA).

In the form "text" a passage is the skill's procedure with worked cases. Several are written, their cases solved again
without the procedure, and the best confirmed one is kept: all exercises of the skill follow it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence

from dsa_lite.core.graph import SkillGraph
from dsa_lite.core.procedures import numbers, steadiness
from dsa_lite.core.replies import read_procedure
from dsa_lite.core.steps import arithmetic_steps
from dsa_lite.io.answers.checker import AnswerChecker
from dsa_lite.records import Exercise, Skill, Textbook, WorkedCase
from dsa_lite.stages import graph as graph_stage
from dsa_lite.stages.context import Context
from dsa_lite.stages.held_out import HeldOutGuard
from dsa_lite.stages.voting import on_topic, verdicts
from dsa_lite.stages.writing import SPARE, Refusal, Slot, Writing, fill
from dsa_lite.teacher import Reply, Request

STAGE = "textbooks"
_VOTES = 3  # new solutions of a worked case that the first one does not confirm


def inputs(context: Context) -> dict[str, object]:
    return {
        "textbooks": context.config.textbooks.model_dump(),
        "teacher": context.config.teacher.model_dump(include={"form", "temperature", "top_p", "attempts"}),
        **context.document_inputs,
    }


def run(context: Context) -> str:
    """Write every passage. Returns a one-line summary."""
    graph = graph_stage.load(context)
    with AnswerChecker(context.job.skill.checker) as checker:
        kept = fill(context, plan(context, graph, _best(context, checker) if by_procedure(context) else _repeated))
    skills = {t.skill for t in kept}
    if by_procedure(context) and (lacking := [s.name for id, s in graph.skills.items() if id not in skills]):
        named = ", ".join(lacking[:5]) + (" …" if len(lacking) > 5 else "")
        context.note(STAGE, f"no procedure was confirmed for {len(lacking)} skills: {named}", warning=True)
    return f"{len(kept)} passages for {len(skills)} skills, {sum(t.tokens_out for t in kept):,} tokens"


def by_procedure(context: Context) -> bool:
    """Whether passages are procedures."""
    return context.config.teacher.form == "text"


def plan(
    context: Context, graph: SkillGraph, settle: Callable[[Sequence[Textbook]], dict[str, Refusal]] | None = None
) -> Writing[Textbook]:
    """The wanted passages as slots, with their checks."""
    settings, candidates = context.config.textbooks, context.config.candidates
    guard = HeldOutGuard(context)
    slots: list[Slot] = []
    skill_by_slot: dict[str, Skill] = {}
    sources: dict[str, tuple[str, ...]] = {}
    for skill in graph.skills.values():
        needed = [graph.skills[p] for p in graph.prerequisites(skill.id)]
        for number in range(settings.per_skill * candidates):
            id = f"text-{skill.id}-{number:03d}"
            skill_by_slot[id], sources[id] = skill, context.sources([skill], number // candidates)
            slots.append(_slot(context, id, skill, needed, sources[id]))

    def read(slot: Slot, reply: Reply) -> Textbook | Refusal:
        text = reply.text.strip()
        if reply.finish == "length":  # what is whole of it may be worth keeping
            text = text.rpartition("\n" if by_procedure(context) else "\n\n")[0].rstrip()
        skill = skill_by_slot[slot.id]
        found = _procedure(skill, text) if by_procedure(context) else Textbook(id=reply.id, skill=skill.id, text=text)
        if isinstance(found, Refusal):
            cut = Refusal("unfinished", f"cut off after {reply.tokens_out} tokens")
            return cut if reply.finish == "length" else found
        if len(found.text) < settings.min_chars:
            return Refusal("too short", f"{len(found.text)} characters, {settings.min_chars} needed")
        if clash := guard.inside(found.text):
            return Refusal("held out", f"contains held-out item {clash}")
        update = {"id": reply.id, "sources": sources[slot.id], "tokens_in": reply.tokens_in}
        return found.model_copy(update=update | {"tokens_out": reply.tokens_out})

    def enough(kept: Sequence[Textbook]) -> Collection[str]:
        count: dict[str, int] = defaultdict(int)
        for book in kept:
            count[book.skill] += 1
        return {id for id, skill in skill_by_slot.items() if count[skill.id] >= settings.per_skill}

    return Writing(STAGE, "passages", slots, context.folder.textbooks(), read, settle or _repeated, reads_cut=True,
                   enough=enough, show=lambda book: f"begins: {' '.join(book.text.split())[:300]}")  # fmt: skip


def _slot(context: Context, id: str, skill: Skill, needed: Sequence[Skill], sources: Sequence[str]) -> Slot:
    tokens, passages = context.config.textbooks.max_tokens, context.library.named(sources)

    def ask(id: str, why: str) -> Request:
        return context.prompts.textbook(id, skill, needed, max_tokens=tokens, passages=passages, why=why)

    return Slot(id, ask)


def _procedure(skill: Skill, text: str) -> Textbook | Refusal:
    """The procedure in a reply, without cases whose arithmetic is wrong."""
    parsed = read_procedure(text)
    if isinstance(parsed, str):
        return Refusal("malformed", parsed)
    steps, worked = parsed
    cases = [WorkedCase(**each._asdict()) for each in worked[:2]]
    right = tuple(case for case in cases if not arithmetic_steps(case.solution).wrong)
    if not right:
        return Refusal("wrong step", "in every worked case")
    lines = [f"{skill.name}. {skill.description}".strip(), *(f"{i}. {step}" for i, step in enumerate(steps, start=1))]
    lines += [f"Problem: {c.problem}\nSolution:\n{c.solution}\nAnswer: {c.answer}" for c in right]
    return Textbook(id="", skill=skill.id, text="\n".join(lines), steps=steps, cases=right)


def _best(context: Context, checker: AnswerChecker) -> Callable[[Sequence[Textbook]], dict[str, Refusal]]:
    """Of each skill's procedures those whose worked cases new solutions confirm, the steadiest and then the shortest
    first; no more than are wanted."""

    def settle(items: Sequence[Textbook]) -> dict[str, Refusal]:
        cases = [case for item in items for case in _as_exercises(item)]
        readable = checker.readable([case.answer for case in cases])
        sound = [case for case, ok in zip(cases, readable, strict=True) if ok]
        confirmed = verdicts(context, STAGE, 0, sound, checker, _VOTES)
        sorted_there = on_topic(context, STAGE, 0, sound)
        refused: dict[str, Refusal] = {}
        by_skill: dict[str, list[Textbook]] = defaultdict(list)
        for item in items:
            found = [confirmed.get(case.id) for case in _as_exercises(item)]
            if not all(found):
                words = "new solutions end otherwise" if False in found else "new solutions do not agree"
                refused[item.id] = Refusal("worked case not confirmed", words, item.text)
            elif not all(sorted_there.get(case.id, True) for case in _as_exercises(item)):
                refused[item.id] = Refusal("off topic", "a worked case belongs to another skill", item.text)
            else:
                by_skill[item.skill].append(item)
        for same in by_skill.values():
            ranked = sorted(same, key=_rank)
            for item in ranked[context.config.textbooks.per_skill :]:
                refused[item.id] = Refusal(SPARE, "", item.text, again=False)
        return refused

    return settle


def _rank(book: Textbook) -> tuple[int, int, int, str]:
    """The steadiest first, then those whose problems say most numbers, then the shortest."""
    said = min(len(set(numbers(case.problem))) for case in book.cases)
    return -steadiness(book.cases), -said, sum(map(len, book.steps)), book.id


def _as_exercises(book: Textbook) -> Iterator[Exercise]:
    for number, case in enumerate(book.cases, start=1):
        yield Exercise(id=f"{book.id}-case-{number}", skills=(book.skill,),
                       origin="single", sources=book.sources, **case.model_dump())  # fmt: skip


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
