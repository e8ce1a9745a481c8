"""Verification by vote: the teacher solves exercises again, and the answers must agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dsa_lite.core.graph import skill_id
from dsa_lite.core.instructions import SHOWN
from dsa_lite.core.replies import read_solution
from dsa_lite.errors import TeacherError
from dsa_lite.io.answers.checker import AnswerChecker
from dsa_lite.io.jsonl import Log
from dsa_lite.records import Exercise, Vote
from dsa_lite.stages import graph as graph_stage
from dsa_lite.stages.context import Context
from dsa_lite.teacher import Reply, Request

TEXTBOOKS = "textbooks"  # the stage whose votes stand in a file of its own: it is redone with the textbooks


def agreement(
    context: Context, stage: str, round: int, items: Sequence[Exercise], checker: AnswerChecker, votes: int
) -> dict[str, int]:
    """How many of `votes` new solutions of each exercise end in its own answer, by id.

    Solutions are on disk as they arrive and asked for once; a solution that is cut off or malformed agrees with
    nothing. A solution's seed follows from its id, so that an interruption changes no vote. Raises TeacherError where
    the teacher answers nothing at all.
    """
    return _agreeing(items, _solved(context, stage, round, items, range(1, votes + 1)), checker)


def verdicts(
    context: Context, stage: str, round: int, items: Sequence[Exercise], checker: AnswerChecker, votes: int, *,
    ask: bool = True,
) -> dict[str, bool]:  # fmt: skip
    """Whether the teacher confirms each exercise's answer, by id: no entry where its solutions say neither.

    One solution that agrees confirms. Where it does not there are `votes` of them: if most agree with the exercise it
    is confirmed, if most agree with one another on something else it is refuted. The solutions that let it in
    (`exercises.verify`) do not count: they agreed. `ask`: otherwise only what was said before holds.
    """
    first = context.config.exercises.votes + 1

    def solved(of: Sequence[Exercise], count: int) -> dict[str, list[str]]:
        return _solved(context, stage, round, of, range(first, first + count), ask=ask)

    found = {id: True for id, count in _agreeing(items, solved(items, 1), checker).items() if count}
    doubted = [e for e in items if e.id not in found]
    answers = solved(doubted, votes)
    for id, count in _agreeing(doubted, answers, checker).items():
        if 2 * count > votes:
            found[id] = True
        elif 2 * _most_alike(answers[id], checker) > votes:
            found[id] = False
    return found


def on_topic(context: Context, stage: str, round: int, items: Sequence[Exercise]) -> dict[str, bool]:
    """Whether the teacher, shown all skills of the graph, sorts each problem under the exercise's own, by id.

    Asked once and on disk, as votes are; a reply that failed or names no skill says nothing and is left out.
    """
    skills = graph_stage.load(context).skills
    prompts = context.prompts
    listed = list(skills.values())
    asked = {f"{e.id}/topic": e for e in items}
    log = context.folder.textbook_votes() if stage == TEXTBOOKS else context.folder.topics()
    found = {v.id: v for v in log.read() if v.id in asked}
    missing = [prompts.topic(id, listed, e.problem) for id, e in asked.items() if id not in found]
    found |= _asked(context, stage, round, missing, log, "sorted by topic") if missing else {}
    named = {id: skill_id(found[id].answer or "") for id in asked if id in found}
    known = {*skills, skill_id(SHOWN[context.job.skill.checker][0])}
    return {e.id: named[id] == e.skill for id, e in asked.items() if named.get(id) in known}


def _agreeing(
    items: Sequence[Exercise], answers: Mapping[str, Sequence[str]], checker: AnswerChecker
) -> dict[str, int]:
    """How many of the answers to each exercise are its own, by id."""
    given = [(e.id, e.answer, answer) for e in items for answer in answers[e.id]]
    counts = {e.id: 0 for e in items}
    for (id, *_), same in zip(given, checker.same([(own, answer) for _, own, answer in given]), strict=True):
        counts[id] += same
    return counts


def _most_alike(answers: Sequence[str], checker: AnswerChecker) -> int:
    """The number of answers in the largest group that is the same as one of them."""
    return max((sum(checker.same([(one, other) for other in answers])) for one in answers), default=0)


def _solved(
    context: Context, stage: str, round: int, items: Sequence[Exercise], numbers: range, *, ask: bool = True
) -> dict[str, list[str]]:
    """The answers that the new solutions of these numbers come to, by id: none of those cut off or malformed."""
    wanted = _requests(context, items, numbers)
    log = context.folder.textbook_votes() if stage == TEXTBOOKS else context.folder.votes()
    found = {v.id: v for v in log.read()}
    if missing := [r for r in wanted if r.id not in found] if ask else []:
        found |= _asked(context, stage, round, missing, log)
    answers: dict[str, list[str]] = {e.id: [] for e in items}
    for vote in (found[r.id] for r in wanted if r.id in found):
        if vote.answer is not None:
            answers[vote.exercise].append(vote.answer)
    return answers


def _asked(
    context: Context, stage: str, round: int, requests: Sequence[Request], log: Log[Vote], label: str = "solved again"
) -> dict[str, Vote]:
    """New votes by id. A reply that failed is none: it is asked for again when the run goes on."""
    tokens = 0
    found: dict[str, Vote] = {}
    failed: list[str] = []
    context.progress(stage, 0, len(requests), label=label, in_flight=context.look_at_teacher())
    for done, reply in enumerate(context.teacher.write(requests), start=1):
        if reply.finish == "error":
            failed.append(reply.error)
        else:
            vote = found[reply.id] = _vote(reply, round)
            log.append(vote)
        tokens += reply.tokens_out
        context.progress(
            stage, done, len(requests), tokens, label=label, in_flight=context.look_at_teacher(),
            **({"failed": len(failed)} if failed else {}),
        )  # fmt: skip
    log.sync()
    if failed:
        text = f"{len(failed)} of {len(requests)} new solutions failed, the last one with: {failed[-1]}"
        if len(failed) == len(requests) >= context.config.teacher.min_replies:
            raise TeacherError(text, hint="see to the teacher, then start again: what was written is kept")
        context.note(stage, text, warning=True)
    return found


def _requests(context: Context, items: Sequence[Exercise], numbers: range) -> list[Request]:
    """Each solver sees what the documents say on it, as the writer did."""
    graph, tokens = graph_stage.load(context), context.config.exercises.max_tokens
    return [
        context.prompts.solve(
            f"{e.id}/{n}", [graph.skills[s] for s in e.skills], e.problem, max_tokens=tokens,
            passages=context.library.named(e.sources),
        )
        for e in items
        for n in numbers
    ]  # fmt: skip


def _vote(reply: Reply, round: int) -> Vote:
    parsed = read_solution(reply.text) if reply.finish == "stop" else "unfinished"
    return Vote(
        id=reply.id, exercise=reply.id.rpartition("/")[0], round=round,
        answer=None if isinstance(parsed, str) else parsed.answer,
        tokens_in=reply.tokens_in, tokens_out=reply.tokens_out,
    )  # fmt: skip
