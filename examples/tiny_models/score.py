"""How good the two models are, by the recipe's own solver: the figures of the model cards.

    python -m examples.tiny_models.score --student FOLDER --teacher FILE.gguf --out FOLDER

writes `student.json` and `teacher.json` (calculus), `student_social.json` and `teacher_social.json` into the folder:
shares with the number of items each was measured on.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from dsa_lite.config import TeacherSettings
from dsa_lite.core.encoding import encode_prompt
from dsa_lite.core.grading import extract_answer
from dsa_lite.core.prompts import Prompts
from dsa_lite.core.replies import read_exercise, read_prerequisites
from dsa_lite.io.skills import load_skill
from dsa_lite.records import Exercise, HeldOutItem, Skill
from dsa_lite.student import Student, StudentOptions
from dsa_lite.teacher import Reply, Request, Teacher, TeacherOptions
from dsa_lite_llama_cpp import open_teacher
from dsa_lite_torch import open_student

from .comparing import same
from .composing import compose
from .heldout import is_held_out
from .kinds import BASE, LEVELS, NAMES, SUBJECT, always, ancestors
from .solver import solve

#: Replies are scored as a run samples them.
SETTINGS = Path(__file__).parent / "teacher.dsa-lite.toml"
Share = dict[str, float | int]
Alike = Callable[[str, str], bool]  # answer, true answer


def share(results: Sequence[bool]) -> Share:
    """The share of True among n results."""
    return {"share": round(sum(results) / max(1, len(results)), 4), "n": len(results)}


def score_student(student: Student, batch: int = 128) -> dict[str, Any]:
    """Shares right on what the base was made for and on the calculus pack's held-out sets, by topic."""
    sets: dict[str, Sequence[HeldOutItem]] = {"made for": _made_for(40), **load_skill("calculus").held_out}
    scores: dict[str, Any] = {}
    for name, items in sets.items():
        by_topic: dict[str, list[bool]] = defaultdict(list)
        for item, right in zip(items, answers_right(student, items, same, batch), strict=True):
            by_topic[item.topic].append(right)
        scores[name] = share([r for results in by_topic.values() for r in results])
        scores[f"{name} by topic"] = {topic: share(results) for topic, results in by_topic.items()}
    return scores


def _made_for(per_kind: int, seed: int = 1234) -> list[HeldOutItem]:
    """Fresh arithmetic and algebra of all levels, which may by chance have stood in the training text."""
    rng = Random(seed)
    items = [(name, always(rng, name, LEVELS[i % 3], is_held_out)) for name in BASE for i in range(per_kind)]
    return [
        HeldOutItem(id=f"made-for-{i}", problem=item.problem, answer=item.answer, topic=name)
        for i, (name, item) in enumerate(items)
    ]


def answers_right(student: Student, items: Sequence[HeldOutItem], alike: Alike, batch: int = 128) -> list[bool]:
    """For each item whether the base alone, greedy, gives an answer that is `alike` the true one."""
    results = []
    for start in range(0, len(items), batch):
        part = items[start : start + batch]
        prompts = [encode_prompt(student.tokenizer, i.problem) for i in part]
        for item, ids in zip(part, student.generate(prompts, 256, adapter=False), strict=True):
            answer = extract_answer(student.tokenizer.decode(ids))
            results.append(answer is not None and alike(answer, item.answer))
    return results


def score_teacher(teacher: Teacher, per_skill: int, seed: int = 0) -> dict[str, Any]:
    """Shares of each kind of request that come back well-formed, and of the exercises that are right."""
    settings = TeacherSettings.model_validate(tomllib.loads(SETTINGS.read_text(encoding="utf-8"))["teacher"])
    prompts = Prompts(load_skill("calculus"), settings, seed)
    rng = Random(seed)
    scores: dict[str, Any] = {}
    for task, requests in _exercise_requests(prompts, rng, per_skill).items():
        scores[task] = score_exercises(teacher.write(requests.values()), solve, same)
    solving = {f"solve-{i}": _problem(rng) for i in range(per_skill * len(NAMES) // 2)}
    asked = [_solve_request(prompts, id, problem) for id, problem in solving.items()]
    scores["solve"] = share([solved(r, solve(solving[r.id]), same) for r in teacher.write(asked)])
    skills = [Skill(id=n, name=n) for n in NAMES]
    needs = [prompts.prerequisites(f"need-{s.id}", s, NAMES, limit=4, max_tokens=100) for s in skills]
    scores["prerequisites"] = share([names_skills(r, NAMES) for r in teacher.write(needs)])
    books = [prompts.textbook(f"text-{s.id}-{i}", s, [], max_tokens=400) for s in skills for i in range(4)]
    scores["textbook"] = share([r.finish == "stop" and "xample" in r.text for r in teacher.write(books)])
    return scores


def _exercise_requests(prompts: Prompts, rng: Random, per_skill: int) -> dict[str, dict[str, Request]]:
    requests: dict[str, dict[str, Request]] = {"single": {}, "composed": {}, "variant": {}, "compose": {}}
    for name in NAMES:
        for i in range(per_skill):
            skill, id = Skill(id=name, name=name), f"{name}-{i}"
            parent = _exercise(rng, name)
            requests["single"][id] = prompts.exercise(id, [skill], LEVELS[i % 3], max_tokens=300)
            requests["variant"][id] = prompts.remake(id, [skill], [parent], max_tokens=300)
            if ancestors(name):
                old = rng.choice(ancestors(name))
                pair = [Skill(id=old, name=old), skill]
                requests["composed"][id] = prompts.exercise(id, pair, LEVELS[i % 3], max_tokens=300)
                requests["compose"][id] = prompts.remake(id, pair, [_exercise(rng, old), parent], max_tokens=300)
    return requests


def _exercise(rng: Random, name: str) -> Exercise:
    item = always(rng, name, "easy", is_held_out)
    return Exercise(id=item.key, problem=item.problem, solution=item.solution, answer=item.answer,
                    skills=(name,), origin="single")  # fmt: skip


def _problem(rng: Random) -> str:
    name = rng.choice(NAMES)
    if rng.random() < 0.7 or not ancestors(name):
        return _exercise(rng, name).problem
    return compose(rng, (rng.choice(ancestors(name)), name), "medium", is_held_out).problem


def _solve_request(prompts: Prompts, id: str, problem: str) -> Request:
    like = prompts.exercise(id, [Skill(id="x", name="x")], "easy", max_tokens=300)
    user = like.messages[1].model_copy(update={"content": f"task: solve\nsubject: {SUBJECT}\nproblem: {problem}"})
    return like.model_copy(update={"messages": (like.messages[0], user), "json_schema": None})


def solved(reply: Reply, truth: str | None, alike: Alike) -> bool:
    """Whether a reply to a problem holds its true answer."""
    try:
        answer = json.loads(reply.text).get("answer", "")
    except (json.JSONDecodeError, AttributeError):
        return False
    return truth is not None and alike(str(answer), truth)


def names_skills(reply: Reply, names: Sequence[str]) -> bool:
    """Whether a decomposition names known skills only."""
    parsed = read_prerequisites(reply.text)
    return not isinstance(parsed, str) and all(n in names for n in parsed.prerequisites)


def score_exercises(replies: Iterable[Reply], truth_of: Callable[[str], str | None], alike: Alike) -> dict[str, Any]:
    """Among all replies: finished with valid JSON, about a problem the solver reads, and right."""
    valid, readable, right, by_skill = [], [], [], defaultdict(list)
    for reply in replies:
        parsed = read_exercise(reply.text) if reply.finish == "stop" else "cut off"
        valid.append(not isinstance(parsed, str))
        truth = None if isinstance(parsed, str) else truth_of(parsed.problem)
        readable.append(truth is not None)
        good = truth is not None and not isinstance(parsed, str) and alike(parsed.answer, truth)
        right.append(good)
        by_skill[reply.id.rpartition("-")[0]].append(good)
    return {"valid": share(valid), "readable": share(readable), "right": share(right),
            "right by skill": {name: share(r) for name, r in sorted(by_skill.items())}}  # fmt: skip


def main() -> None:
    """Command line: score what is named and write the figures."""
    # Needs this module's names, so it is only asked for once they exist.
    from .social_score import score_social_student, score_social_teacher

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--student", type=Path)
    parser.add_argument("--teacher", type=Path)
    parser.add_argument("--skill", choices=("calculus", "social-studies", "both"), default="both")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: all cores")
    parser.add_argument("--per-skill", type=int, default=30, help="exercises asked for per skill and task")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    calculus, social = (options.skill in (skill, "both") for skill in ("calculus", "social-studies"))
    if options.student:
        student = open_student(str(options.student), StudentOptions(threads=options.threads))
        if calculus:
            _write(options.out / "student.json", score_student(student))
        if social:
            _write(options.out / "student_social.json", score_social_student(student))
    if options.teacher:
        with open_teacher(str(options.teacher), TeacherOptions(threads=options.threads)) as teacher:
            if calculus:
                _write(options.out / "teacher.json", score_teacher(teacher, options.per_skill))
            if social:
                _write(options.out / "teacher_social.json", score_social_teacher(teacher, options.per_skill))


def _write(path: Path, scores: dict[str, Any]) -> None:
    path.write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    print(path, {k: v for k, v in scores.items() if "by" not in k})


if __name__ == "__main__":
    main()
