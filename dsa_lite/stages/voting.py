"""Verification by vote: the teacher solves exercises again, and the answers must agree."""

from __future__ import annotations

from collections.abc import Sequence

from dsa_lite.core.replies import read_solution
from dsa_lite.io.answers.checker import AnswerChecker
from dsa_lite.records import Exercise, Vote
from dsa_lite.stages import graph as graph_stage
from dsa_lite.stages.context import Context
from dsa_lite.teacher import Reply, Request


def agreement(
    context: Context, stage: str, round: int, items: Sequence[Exercise], checker: AnswerChecker, votes: int
) -> dict[str, int]:
    """How many of `votes` new solutions of each exercise end in its own answer, by id.

    Solutions are on disk as they arrive and asked for once; a solution that is cut off or malformed agrees with
    nothing. A solution's seed follows from its id, so that an interruption changes no vote.
    """
    own = {e.id: e.answer for e in items}
    given = [(id, answer) for id, answers in _solved(context, stage, round, items, votes).items() for answer in answers]
    counts = dict.fromkeys(own, 0)
    for (id, _), same in zip(given, checker.same([(own[id], answer) for id, answer in given]), strict=True):
        counts[id] += same
    return counts


def verdicts(
    context: Context, stage: str, round: int, items: Sequence[Exercise], checker: AnswerChecker, votes: int
) -> dict[str, bool]:
    """Whether the teacher confirms each exercise's answer, by id: no entry where its solutions say neither.

    One solution that agrees confirms. Where it does not there are `votes` of them: if most agree with the exercise it
    is confirmed, if most agree with one another on something else it is refuted.
    """
    agreeing = agreement(context, stage, round, items, checker, 1)
    found = {id: True for id, count in agreeing.items() if count}
    doubted = [e for e in items if e.id not in found]
    answers = _solved(context, stage, round, doubted, votes)
    for e in doubted:
        if 2 * sum(checker.same([(e.answer, answer) for answer in answers[e.id]])) > votes:
            found[e.id] = True
        elif 2 * _most_alike(answers[e.id], checker) > votes:
            found[e.id] = False
    return found


def _most_alike(answers: Sequence[str], checker: AnswerChecker) -> int:
    """The number of answers in the largest group that is the same as one of them."""
    return max((sum(checker.same([(one, other) for other in answers])) for one in answers), default=0)


def _solved(
    context: Context, stage: str, round: int, items: Sequence[Exercise], votes: int
) -> dict[str, list[str]]:  # fmt: skip
    """The answers that new solutions come to, by id: none of those that were cut off or malformed."""
    log = context.folder.votes()
    found = {v.id: v for v in log.read()}
    wanted = _requests(context, items, votes)
    requests = [r for r in wanted if r.id not in found]
    for done, reply in enumerate(context.teacher.write(requests) if requests else (), start=1):
        vote = _vote(reply, round)
        log.append(vote)
        found[vote.id] = vote
        context.progress(stage, done, len(requests), label="solved again")
    log.sync()
    answers: dict[str, list[str]] = {e.id: [] for e in items}
    for vote in (found[r.id] for r in wanted if r.id in found):
        if vote.answer is not None:
            answers[vote.exercise].append(vote.answer)
    return answers


def _requests(context: Context, items: Sequence[Exercise], votes: int) -> list[Request]:
    """Each solver sees what the documents say on it, as the writer did."""
    graph, tokens = graph_stage.load(context), context.config.exercises.max_tokens
    return [
        context.prompts.solve(
            f"{e.id}/{n}", [graph.skills[s] for s in e.skills], e.problem, max_tokens=tokens,
            passages=context.library.named(e.sources),
        )
        for e in items
        for n in range(1, votes + 1)
    ]  # fmt: skip


def _vote(reply: Reply, round: int) -> Vote:
    parsed = read_solution(reply.text) if reply.finish == "stop" else "unfinished"
    return Vote(
        id=reply.id, exercise=reply.id.rpartition("/")[0], round=round,
        answer=None if isinstance(parsed, str) else parsed.answer,
        tokens_in=reply.tokens_in, tokens_out=reply.tokens_out,
    )  # fmt: skip
