"""What every teacher backend should pass."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing

from dsa_lite.config import TeacherSettings
from dsa_lite.core.prompts import Prompts
from dsa_lite.records import Skill, SkillPack, Topic
from dsa_lite.teacher import Reply, Request, Teacher, TeacherOptions

OpenTeacher = Callable[[TeacherOptions], Teacher]
Check = Callable[[OpenTeacher, Sequence[Request]], None]

_SKILLS = ("Power rule", "Chain rule")
_TOKENS = 240


def check_teacher(open_teacher: OpenTeacher, skills: Sequence[str] = _SKILLS, *, subject: str = "Calculus") -> None:
    """Every check below, with what a run would ask about two `skills` of `subject` that the teacher can write about."""
    requests = _requests(skills, subject)
    for check in TEACHER_CHECKS:
        check(open_teacher, requests)


def check_describes_itself(open_teacher: OpenTeacher, requests: Sequence[Request]) -> None:
    """A name, and a fingerprint that is the same whenever the same model is opened; closing twice does no harm."""
    seen = []
    for _ in range(2):
        with open_teacher(TeacherOptions()) as teacher:
            assert teacher.name, "the teacher has no name"
            seen.append(teacher.fingerprint)
        teacher.close()
    assert seen[0], "the fingerprint is empty"
    assert seen[0] == seen[1], "the fingerprint changes although the model does not"


def check_one_reply_each(open_teacher: OpenTeacher, requests: Sequence[Request]) -> None:
    """Exactly one reply per request, no longer than allowed; none for no request; a dead end is an error reply."""
    with closing(open_teacher(TeacherOptions())) as teacher:
        assert list(teacher.write([])) == [], "replies to no request"
        replies = list(teacher.write(iter(requests)))
    assert sorted(r.id for r in replies) == sorted(r.id for r in requests), "not exactly one reply per request"
    for request, reply in _pairs(requests, replies):
        assert reply.tokens_out <= request.max_tokens, f"{reply.id}: {reply.tokens_out} tokens, allowed were fewer"
        assert bool(reply.error) == (reply.finish == "error"), f"{reply.id}: an error is told exactly when it is one"
    written = [r for r in replies if r.finish == "stop"]
    assert len(written) > len(replies) / 2, "most requests were not answered: " + _sample(replies)
    assert all(r.text.strip() for r in written), "an empty reply is called finished"


def check_schema(open_teacher: OpenTeacher, requests: Sequence[Request]) -> None:
    """A finished reply to a request with a schema is one JSON object with the schema's keys."""
    asked = [r for r in requests if r.json_schema is not None]
    with closing(open_teacher(TeacherOptions())) as teacher:
        replies = list(teacher.write(asked))
    for request, reply in _pairs(asked, replies):
        if reply.finish != "stop":
            continue
        assert request.json_schema is not None
        try:
            found = json.loads(reply.text)
        except json.JSONDecodeError as error:
            raise AssertionError(f"{reply.id}: a schema was asked for and this is no JSON: {reply.text!r}") from error
        assert isinstance(found, dict), f"{reply.id}: no JSON object: {reply.text!r}"
        assert set(found) >= set(request.json_schema["required"]), f"{reply.id}: keys are missing: {reply.text!r}"


def check_neighbours(open_teacher: OpenTeacher, requests: Sequence[Request]) -> None:
    """A reply depends on its request alone: not on its id, its neighbours or what was asked before."""
    with closing(open_teacher(TeacherOptions())) as teacher:
        together = {r.id: r for r in teacher.write(requests)}
        for request in reversed(requests):
            (alone,) = teacher.write([request.model_copy(update={"id": f"again {request.id}"})])
            mine = together[request.id]
            assert (alone.text, alone.finish) == (mine.text, mine.finish), f"{request.id} is answered otherwise alone"


def check_seeds(open_teacher: OpenTeacher, requests: Sequence[Request]) -> None:
    """The seed makes replies differ: a run asks for many exercises in the same words."""
    exercise = next(r for r in requests if "task: exercise" in r.messages[-1].content)
    many = [exercise.model_copy(update={"id": str(seed), "seed": seed}) for seed in range(8)]
    with closing(open_teacher(TeacherOptions())) as teacher:
        texts = {r.text for r in teacher.write(many) if r.finish == "stop"}
    assert len(texts) > 1, "eight seeds give one and the same exercise"


def check_cut_off(open_teacher: OpenTeacher, requests: Sequence[Request]) -> None:
    """What does not fit is never called finished."""
    short = [r.model_copy(update={"max_tokens": 1}) for r in requests]
    with closing(open_teacher(TeacherOptions())) as teacher:
        for reply in teacher.write(short):
            whole = reply.finish == "stop" and len(reply.text.split()) > 1
            assert not whole, f"{reply.id}: one token was allowed, and this is called finished: {reply.text!r}"


def check_left_early(open_teacher: OpenTeacher, requests: Sequence[Request]) -> None:
    """Replies that nobody waits for are abandoned; the teacher stays usable."""
    with closing(open_teacher(TeacherOptions())) as teacher:
        whole = {r.id: r.text for r in teacher.write(requests)}
        replies = teacher.write(requests)
        next(replies)
        getattr(replies, "close", lambda: None)()
        assert {r.id: r.text for r in teacher.write(requests)} == whole, "an iterator left early changes later replies"


TEACHER_CHECKS: tuple[Check, ...] = (
    check_describes_itself,
    check_one_reply_each,
    check_schema,
    check_neighbours,
    check_seeds,
    check_cut_off,
    check_left_early,
)


def _requests(skills: Sequence[str], subject: str) -> list[Request]:
    """What a run asks: a passage, prerequisites and exercises of one and of two skills."""
    pack = SkillPack(name="check", title=subject, topics=tuple(Topic(name=name) for name in skills))
    prompts = Prompts(pack, TeacherSettings(form="json"), seed=0)
    one, two = [Skill(id=f"s{i}", name=name) for i, name in enumerate(skills[:2])]
    return [
        prompts.textbook("textbook", one, [], max_tokens=_TOKENS),
        prompts.prerequisites("prerequisites", two, skills, limit=3, max_tokens=_TOKENS),
        *(prompts.exercise(f"exercise {i}", [one], "medium", max_tokens=_TOKENS) for i in range(3)),
        prompts.exercise("composed", [one, two], "medium", max_tokens=_TOKENS),
    ]


def _pairs(requests: Sequence[Request], replies: Sequence[Reply]) -> list[tuple[Request, Reply]]:
    asked = {request.id: request for request in requests}
    return [(asked[reply.id], reply) for reply in replies]


def _sample(replies: Sequence[Reply]) -> str:
    return "; ".join(f"{r.id}: {r.finish} {r.error}" for r in replies if r.finish != "stop")
