"""What the teacher is asked.

The last user message is short and structured, so that a very small teacher can be trained on it; the instructions for a
capable teacher stand in the system message, and in the form "text" whole replies stand in turns before it. The prompts
are ours: the paper (DSA, arXiv 2412.19361) prints none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dsa_lite.config import TeacherSettings
from dsa_lite.core.instructions import DOCUMENTS, INSTRUCTIONS, OUTLINE, SETTINGS, SHOWN, SYLLABUS, Task
from dsa_lite.core.procedures import draw, naming, numbers
from dsa_lite.core.replies import EXERCISE_SCHEMA, SOLUTION_SCHEMA, SYLLABUS_SCHEMA, prerequisites_schema
from dsa_lite.records import Exercise, Message, Passage, Skill, SkillPack, Textbook, WorkedCase
from dsa_lite.teacher import Request

_WORDS_PER_TOKEN = 0.6  # of a length that is named: what runs over is cut off
_STORY = 8  # words from which a worked problem tells of something: then a new one is given a setting
_TOPIC_TOKENS = 24  # of a topic's name
_Turns = list[tuple[str, str]]

#: Marks by which chat templates tell turns apart; a document must not bring its own.
_TURN_MARKS = re.compile(
    r"<(?=[|｜])|<(?=/?(?:s|bos|eos|start_of_turn|end_of_turn|turn\|)>)|\[(?=/?(?:INST|SYSTEM_PROMPT)\])"
)


def seed_of(run_seed: int, request_id: str) -> int:
    """Seed of one request, from the run's seed and the request's id: nothing else in flight changes a reply."""
    return int.from_bytes(hashlib.sha256(f"{run_seed}/{request_id}".encode()).digest()[:4], "big")


class Prompts:
    """Builds the requests of one run. `books`: what was written about each skill, by id; exercises follow its cases."""

    def __init__(
        self, pack: SkillPack, settings: TeacherSettings, seed: int, books: Mapping[str, Textbook] | None = None
    ) -> None:
        self._pack = pack
        self._settings = settings
        self._seed = seed
        self._books = books or {}
        self._text = settings.form == "text"

    # `passages`: what the documents say on it; without any, no request says a word of documents.
    # `why`: what was wrong with the last reply to the same request; for a form that is shown, not learnt by training.

    def prerequisites(self, id: str, skill: Skill, known: Sequence[str], *, limit: int, max_tokens: int) -> Request:
        system = self._system("prerequisites", [skill], limit=str(limit), known="; ".join(known))
        user = f"task: prerequisites\nsubject: {self._pack.title}\nskill: {skill.name}"
        return self._request(id, system, [], user, max_tokens, prerequisites_schema(limit))

    def textbook(
        self, id: str, skill: Skill, prerequisites: Sequence[Skill], *, max_tokens: int,
        passages: Sequence[Passage] = (), why: str = "",
    ) -> Request:  # fmt: skip
        """A passage of prose, or in the form "text" a procedure with two worked cases."""
        system = self._system("textbook", [skill], words=str(int(max_tokens * _WORDS_PER_TOKEN) // 10 * 10))
        names = "; ".join(s.name for s in prerequisites) or "none"
        user = f"{self._head('textbook', [skill.name])}\nprerequisites: {names}"
        return self._request(id, system, self._shown_procedure(), user, max_tokens, None, passages, why)

    def exercise(
        self, id: str, skills: Sequence[Skill], difficulty: str, *, max_tokens: int, passages: Sequence[Passage] = (),
        why: str = "",
    ) -> Request:  # fmt: skip
        user = f"{self._head('exercise', [s.name for s in skills])}\ndifficulty: {difficulty}"
        cases = self._cases(skills[-1]) if len(skills) == 1 else ()
        user += self._attributes(id, cases, varied=not passages)
        return self._request(id, self._system("exercise", skills), self._turns(skills, difficulty), user, max_tokens,
                             EXERCISE_SCHEMA, passages, why)  # fmt: skip

    def remake(
        self, id: str, skills: Sequence[Skill], parents: Sequence[Exercise], *, max_tokens: int,
        passages: Sequence[Passage] = (), why: str = "",
    ) -> Request:  # fmt: skip
        """A variant of one exercise, or a harder problem composed of two."""
        task: Task = "variant" if len(parents) == 1 else "compose"
        user = "\n".join([self._head(task, [s.name for s in skills]), *(f"problem: {p.problem}" for p in parents)])
        if task == "variant":
            same = WorkedCase(problem=parents[0].problem, solution=parents[0].solution, answer=parents[0].answer)
            user += self._attributes(id, [same], varied=not passages)
        return self._request(id, self._system(task, skills), self._turns(skills, "medium"), user, max_tokens,
                             EXERCISE_SCHEMA, passages, why)  # fmt: skip

    def solve(
        self, id: str, skills: Sequence[Skill], problem: str, *, max_tokens: int, passages: Sequence[Passage] = ()
    ) -> Request:
        """A problem to be solved without its solution, and without the skill's procedure: two ways that agree say
        more than one way taken twice. The skills stand in the system message alone."""
        turns = [(self._solve(case.problem), _solution(case)) for _, case in self._shown()]
        system = self._system("solve", skills)
        return self._request(id, system, turns, self._solve(problem), max_tokens, SOLUTION_SCHEMA, passages)

    def topic(self, id: str, skills: Sequence[Skill], problem: str) -> Request:
        """To which of the skills a problem belongs; the reply's answer is a name. In the form "text" alone."""
        name, about, _, cases = SHOWN[self._pack.checker]
        listed = [f"- {s.name}: {s.description}".rstrip(": ") for s in skills]
        system = self._system("topic", [], topics="\n".join([*listed, f"- {name}: {about}"]))
        turns = [(f"problem: {case.problem}", f"Answer: {name}") for case in cases[:1]]
        return self._request(id, system, turns, f"problem: {problem}", _TOPIC_TOKENS, None)

    def _solve(self, problem: str) -> str:
        return f"task: solve\nsubject: {self._pack.title}\nproblem: {problem}"

    def _head(self, task: Task, names: Sequence[str]) -> str:
        return f"task: {task}\nsubject: {self._pack.title}\nskills: {'; '.join(names)}"

    def _system(self, task: Task, skills: Sequence[Skill], **words: str) -> str:
        about = " ".join(f"{s.name}: {s.description}" for s in skills if s.description)
        text = INSTRUCTIONS[self._settings.form][task].format(
            subject=self._pack.title, about=about or self._pack.description, **words
        )
        if task in ("exercise", "variant", "compose"):
            for skill in skills:
                steps = self._books[skill.id].steps if self._text and skill.id in self._books else ()
                text += f"\nThe steps of {skill.name}: {' '.join(steps)}" if steps else ""
        return text

    def _shown(self) -> list[tuple[str, WorkedCase]]:
        name, _, _, cases = SHOWN[self._pack.checker]
        return [(name, case) for case in cases]

    def _shown_procedure(self) -> _Turns:
        name, about, steps, cases = SHOWN[self._pack.checker]
        lines = ["Procedure:", *(f"{i}. {step}" for i, step in enumerate(steps, start=1))]
        lines += [f"Problem: {c.problem}\nSolution:\n{c.solution}\nAnswer: {c.answer}" for c in cases]
        return [(f"{self._head('textbook', [name])}\nprerequisites: none\nabout: {about}", "\n".join(lines))]

    def _cases(self, skill: Skill) -> Sequence[WorkedCase]:
        return self._books[skill.id].cases if skill.id in self._books else ()

    def _turns(self, skills: Sequence[Skill], difficulty: str) -> _Turns:
        """Whole exercises, as earlier turns of the chat: the worked cases of these skills, else those that show the
        form alone."""
        known = [(s.name, case) for s in skills for case in self._cases(s)[: 2 if len(skills) == 1 else 1]]
        turns = []
        for name, case in known or self._shown():
            found = numbers(case.problem) if self._pack.checker == "math" else ()
            asked = f"{self._head('exercise', [name])}\ndifficulty: {difficulty}{_line('numbers', ' and '.join(found))}"
            named = case if len(skills) == 1 else case.model_copy(update={"solution": naming([name], case.solution)})
            turns.append((asked, f"Problem: {case.problem}\n{_solution(named)}"))
        return turns

    def _attributes(self, id: str, cases: Sequence[WorkedCase], *, varied: bool) -> str:
        """What makes a request unlike the others: numbers like those of a case, and a setting; both drawn by the id."""
        if not self._text or not varied or self._pack.checker != "math":
            return ""
        rng = np.random.default_rng(seed_of(self._seed, f"{id}/attributes"))
        setting = SETTINGS[int(rng.integers(len(SETTINGS)))]
        if cases and not any(len(case.problem.split()) >= _STORY for case in cases):
            setting = ""
        drawn = draw(cases[int(rng.integers(len(cases)))], rng) if cases else ()
        return _line("setting", setting) + _line("numbers", " and ".join(drawn))

    def _request(
        self, id: str, system: str, turns: _Turns, user: str, max_tokens: int, schema: dict[str, Any] | None,
        passages: Sequence[Passage] = (), why: str = "",
    ) -> Request:  # fmt: skip
        if passages:
            system += DOCUMENTS
            user += "".join(f"\ndocument: {_inert(p.source)}\n{_quoted(p.text)}" for p in passages)
        if self._text:
            user += _line("refused before", why)
            schema = schema if schema not in (EXERCISE_SCHEMA, SOLUTION_SCHEMA) else None
        shown = [
            Message.model_validate({"role": role, "content": text})
            for turn in (turns if self._text else ())
            for role, text in zip(("user", "assistant"), turn, strict=True)
        ]
        return Request(
            id=id,
            messages=(Message(role="system", content=system), *shown, Message(role="user", content=user)),
            json_schema=schema,
            max_tokens=max_tokens,
            temperature=self._settings.temperature,
            top_p=self._settings.top_p,
            seed=seed_of(self._seed, id),
        )


def _solution(case: WorkedCase) -> str:
    return f"Solution:\n{case.solution}\nAnswer: {case.answer}"


def _line(label: str, text: str) -> str:
    return f"\n{label}: {text}" if text else ""


def _quoted(text: str) -> str:
    """Every line marked, so that none can pass for a part of the request."""
    return "\n".join(f"> {line}" for line in _inert(text).splitlines())


def _inert(text: str) -> str:
    return _TURN_MARKS.sub(lambda m: f"{m[0]} ", text)


def syllabus_request(
    id: str, title: str, settings: TeacherSettings, seed: int, *, max_tokens: int, outline: Sequence[str] = ()
) -> Request:
    """Asks for a whole syllabus on a subject known only by its title, and the `outline` of documents."""
    subject = " ".join(title.split())
    system, user = SYLLABUS.format(subject=subject), f"task: syllabus\nsubject: {subject}"
    if outline:
        system += OUTLINE
        user += f"\ndocuments:\n{_quoted(chr(10).join(outline))}"
    return Request(
        id=id,
        messages=(
            Message(role="system", content=system),
            Message(role="user", content=user),
        ),
        json_schema=SYLLABUS_SCHEMA,
        max_tokens=max_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        seed=seed_of(seed, id),
    )
