"""Stage 3: exercises. Single-skill ones and ones that join a skill with earlier ones (DSA, section on exercises)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from dsa_lite.core.answers import reduced
from dsa_lite.core.graph import SkillGraph
from dsa_lite.core.in_use import in_use
from dsa_lite.core.overlap import OverlapIndex
from dsa_lite.core.procedures import constants, naming, shape
from dsa_lite.core.replies import read_exercise
from dsa_lite.core.steps import arithmetic_steps
from dsa_lite.io.answers.checker import AnswerChecker
from dsa_lite.records import Difficulty, Exercise, Origin, Textbook, WorkedCase
from dsa_lite.stages import graph as graph_stage
from dsa_lite.stages import setting_aside
from dsa_lite.stages import textbooks as textbook_stage
from dsa_lite.stages.context import Context
from dsa_lite.stages.held_out import HeldOutGuard
from dsa_lite.stages.own_exercises import take_over
from dsa_lite.stages.voting import agreement, on_topic
from dsa_lite.stages.writing import Refusal, Slot, Writing, fill
from dsa_lite.teacher import Reply, Request

STAGE = "exercises"
DIFFICULTIES: tuple[Difficulty, ...] = ("easy", "medium", "hard")


def inputs(context: Context) -> dict[str, object]:
    unused = set() if setting_aside.needed(context) else {"hold_out", "hold_out_votes"}
    return {
        "exercises": context.config.exercises.model_dump(exclude=unused),
        "teacher": context.config.teacher.model_dump(include={"form", "temperature", "top_p", "attempts"}),
        "imported": [e.model_dump() for e in context.job.skill.exercises],
        **context.document_inputs,
        "held_out": sorted(i.problem for items in context.job.skill.held_out.values() for i in items),
    }


def run(context: Context) -> str:
    """Take over the skill's own exercises, then have the others written. Returns a one-line summary."""
    own = take_over(context)
    wanted = plan(context, graph_stage.load(context))
    kept = setting_aside.set_aside(context, own, write(context, wanted, STAGE, 0, own))
    composed = sum(len(e.skills) > 1 for e in kept)
    imported = f"{len(own)} imported, " if own else ""
    return f"{imported}{len(kept)} exercises ({composed} composed), {sum(e.tokens_out for e in kept):,} tokens"


def plan(context: Context, graph: SkillGraph) -> dict[str, Exercise]:
    """The wanted exercises by slot id: drafts that say all but their text, which is still empty."""
    settings = context.config.exercises
    drafts: dict[str, Exercise] = {}
    for skill in graph.skills:
        rng = context.rng("compose", skill)
        ancestors = graph.ancestors(skill)
        for number in range(settings.single_per_skill):
            id = f"{skill}-s-{number:03d}"
            drafts[id] = _draft(context, graph, id, (skill,), "single", number)
        for number in range(settings.composed_per_skill if ancestors else 0):
            most = min(settings.max_composed_skills - 1, len(ancestors))
            count = int(rng.integers(1, most + 1))
            chosen = sorted(rng.choice(len(ancestors), size=count, replace=False))
            id = f"{skill}-c-{number:03d}"
            drafts[id] = _draft(context, graph, id, (*(ancestors[i] for i in chosen), skill), "composed", number)
    return drafts


def _draft(
    context: Context, graph: SkillGraph, id: str, skills: tuple[str, ...], origin: Origin, number: int
) -> Exercise:
    sources = context.sources([graph.skills[s] for s in skills], number)
    return Exercise(id=id, problem="", solution="", answer="", skills=skills, origin=origin, sources=sources,
                    difficulty=DIFFICULTIES[number % 3])  # fmt: skip


def write(
    context: Context, drafts: dict[str, Exercise], stage: str, round: int, existing: Sequence[Exercise]
) -> list[Exercise]:
    """Have the teacher fill in the drafts, each checked; none repeats `existing` or a held-out item."""
    graph = graph_stage.load(context)
    by_id = {e.id: e for e in existing}
    tokens = context.config.exercises.max_tokens
    books = textbook_stage.load(context)
    prompts = context.prompts_by(books)

    def slot(draft: Exercise) -> Slot:
        skills = [graph.skills[s] for s in draft.skills]
        parents = [by_id[p] for p in draft.parents]
        passages = context.library.named(draft.sources)

        def ask(id: str, why: str) -> Request:
            if parents:
                return prompts.remake(id, skills, parents, max_tokens=tokens, passages=passages, why=why)
            return prompts.exercise(id, skills, draft.difficulty, max_tokens=tokens, passages=passages, why=why)

        return Slot(draft.id, ask)

    with AnswerChecker(context.job.skill.checker) as checker:
        writing = Writing(
            stage, "exercises", [slot(d) for _, d in sorted(drafts.items())], context.folder.exercises(),
            reader(context, drafts, graph, HeldOutGuard(context), books),
            _settler(context, stage, round, existing, checker), round,
            show=lambda e: f"the first: {e.problem} {e.solution} Answer: {e.answer}"[:400],
        )  # fmt: skip
        return fill(context, writing)


def reader(
    context: Context, drafts: dict[str, Exercise], graph: SkillGraph, guard: HeldOutGuard, books: Sequence[Textbook]
) -> Callable[[Slot, Reply], Exercise | Refusal]:
    """Judges one reply by itself, as the exercise its draft says."""
    ways = {b.skill: {taken for case in b.cases if (taken := shape(case.solution))} for b in books}
    found = {b.skill: [own for case in b.cases if (own := constants(case)) is not None] for b in books}
    known = {skill: frozenset[str]().union(*each) for skill, each in found.items() if each}
    verify, checker = context.config.exercises.verify, context.job.skill.checker
    says_what_it_uses = context.config.teacher.form == "json"  # such teachers name what they use, and nothing else

    def read(slot: Slot, reply: Reply) -> Exercise | Refusal:
        parsed = read_exercise(reply.text)
        if isinstance(parsed, str):
            return Refusal("malformed", parsed)
        draft = drafts[slot.id]
        names = [graph.skills[s].name for s in draft.skills]
        if says_what_it_uses and len(names) > 1 and naming(names, parsed.solution) != parsed.solution:
            return Refusal("skill not named", f"the solution does not name all of {', '.join(names)}")
        solution = naming(names, parsed.solution)
        if clash := guard.clash(parsed.problem, solution):
            return Refusal("held out", clash)
        steps = arithmetic_steps(parsed.solution)
        if steps.wrong and verify != "none":
            return Refusal("wrong step", f"{steps.wrong} of {sum(steps)} arithmetic steps")
        way = ways.get(draft.skill, set()) if len(draft.skills) == 1 else set()
        if way and (taken := shape(parsed.solution)) not in way:
            return Refusal("another way", f"{taken} instead of {' or '.join(sorted(way))}")
        case = WorkedCase(problem=parsed.problem, solution=parsed.solution, answer=parsed.answer)
        if way and draft.skill in known and (unfounded := (constants(case) or frozenset()) - known[draft.skill]):
            return Refusal("number from nowhere", f"the problem does not say {', '.join(sorted(unfounded))}")
        answer = reduced(parsed.answer) if checker == "math" else parsed.answer
        update = {
            "id": reply.id, "problem": parsed.problem, "solution": solution, "answer": answer,
            "steps_right": steps.all_right, "tokens_in": reply.tokens_in, "tokens_out": reply.tokens_out,
        }  # fmt: skip
        return draft.model_copy(update=update)

    return read


def _settler(
    context: Context, stage: str, round: int, existing: Iterable[Exercise], checker: AnswerChecker
) -> Callable[[Sequence[Exercise]], dict[str, Refusal]]:
    threshold, votes = context.config.exercises.near_duplicate, context.config.exercises.votes
    old = [(e.id, e.problem) for e in sorted(existing, key=lambda e: e.id)]

    def settle(items: Sequence[Exercise]) -> dict[str, Refusal]:
        index = OverlapIndex(threshold)
        for id, problem in old:
            index.add(id, problem)
        refused: dict[str, Refusal] = {}
        by_id = {item.id: item for item in items}
        for item, readable in zip(items, checker.readable([i.answer for i in items]), strict=True):
            if not readable:
                refused[item.id] = Refusal("answer cannot be checked", item.answer, item.problem)
            elif twin := index.find(item.problem):
                refused[item.id] = Refusal("duplicate", f"the same problem as {twin}", item.problem)
            else:
                index.add(item.id, item.problem)
        left = [item for item in items if item.id not in refused]
        if context.config.exercises.on_topic and context.config.teacher.form == "text":
            single = [item for item in left if len(item.skills) == 1]
            for id, there in on_topic(context, stage, round, single).items():
                if not there:
                    refused[id] = Refusal("off topic", "it belongs to another skill", by_id[id].problem)
        left = [item for item in left if item.id not in refused] if votes else []
        agreeing = agreement(context, stage, round, left, checker, votes) if left else {}
        for item in left:
            if 2 * agreeing[item.id] <= votes:
                found = f"{agreeing[item.id]} of {votes} new solutions agree"
                refused[item.id] = Refusal("outvoted", found, item.problem)
        return refused

    return settle


def load(context: Context, *, up_to_round: int = 0) -> list[Exercise]:
    """The exercises in use that were written up to a round, sorted by id."""
    return _up_to(context, context.folder.exercises().read(), up_to_round)


def lessons(context: Context, *, up_to_round: int = 0) -> list[Exercise]:
    """Those of them that are trained on, in the base's own words where it has some."""
    return _up_to(context, context.folder.lessons(), up_to_round)


def _up_to(context: Context, written: list[Exercise], round: int) -> list[Exercise]:
    return [e for e in in_use(written, context.folder.rejected().read()) if e.round <= round]
