"""The true answer of a social-studies problem from its text alone: read back to a fact through the known wordings.

What is worded in any other way has no answer here, and counts as wrong.
"""

from __future__ import annotations

import re
from functools import cache

from dsa_lite.core.grading import same_words

from .social_composing import LET
from .social_facts import EVENT_YEARS, short
from .social_kinds import LETTERS
from .social_wordings import (
    BEFORE,
    CENTURY,
    CLAIMS,
    EARLIER,
    HELD_BEFORE,
    HELD_CENTURY,
    HELD_CLAIM,
    HELD_EARLIER,
    HELD_LATER,
    LATER,
    TOPICS,
)

_PARTS = re.compile(r"First: (.+?) Second: (.+)", re.S)
_CHOICES = re.compile(r"(.+?) A\) (.+?) B\) (.+?)(?: C\) (.+?))?(?: D\) (.+?))?", re.S)
_SENTENCE = re.compile(r"(?<=[.?]) ")


def same(answer: str, truth: str) -> bool:
    """Whether an answer is the true one, as the product compares them; parts are compared one by one."""
    one, two = answer.split(";"), truth.split(";")
    return len(one) == len(two) and all(same_words(gold, said) for said, gold in zip(one, two, strict=True))


def solve(problem: str) -> str | None:
    """The true answer, or None where the problem cannot be read or has no single answer."""
    text = " ".join(problem.split())
    if found := _PARTS.fullmatch(text):
        parts = [solve(part) for part in found.groups()]
        return None if None in parts else "; ".join(map(str, parts))
    if text.startswith(LET):
        return _chain(text)
    if found := _CHOICES.fullmatch(text):
        return _choice(found[1], [option for option in found.groups()[1:] if option is not None])
    verdict = _claim(text)
    if verdict is not None:
        return "true" if verdict else "false"
    answers = {short(known) for known in _answers(text)}
    return answers.pop() if len(answers) == 1 else None


def _chain(text: str) -> str | None:
    """Question after question, each about the answer k of the one before."""
    answer: str | None = None
    for number, sentence in enumerate(_SENTENCE.split(text)):
        asks = sentence.removeprefix(LET)
        if number:
            if len(re.findall(r"\bk\b", asks)) != 1:
                return None
            asks = re.sub(r"\bk\b", answer or "", asks)
        answer = solve(asks)
        if answer is None:
            return None
    return answer


def _choice(asks: str, options: list[str]) -> str | None:
    right = {_plain(answer) for answer in _answers(asks)}
    found = [i for i, option in enumerate(options) if _plain(option) in right]
    return LETTERS[found[0]] if len(found) == 1 and len(options) == len(set(map(_plain, options))) else None


def _plain(name: str) -> str:
    return short(name.strip().lower())


@cache
def _pattern(wording: str) -> re.Pattern[str]:
    slots = r"\\\{([xyab])\\\}"
    return re.compile(re.sub(slots, r"(?P<\1>.+?)", re.escape(wording)), re.I)


def _read(wording: str, text: str) -> dict[str, str] | None:
    """The names in the slots of a wording, in small letters without article."""
    found = _pattern(wording).fullmatch(text)
    return {slot: _plain(name) for slot, name in found.groupdict().items()} if found else None


_YEARS = {_plain(event): int(year) for event, year in EVENT_YEARS}
_EVENTS = {_plain(event): event for event, _ in EVENT_YEARS}


def _answers(text: str) -> set[str]:
    """What is right for a question without choices: more than one name where only choices settle it."""
    answers: set[str] = set()
    for topic in TOPICS.values():
        for wording in (*topic.ask, *topic.held_ask):
            if read := _read(wording, text):
                answers |= {y for x, y in topic.facts if _plain(x) == read["x"]}
        for wording in (*topic.back, *topic.held_back):
            if read := _read(wording, text):
                answers |= {x for x, y in topic.facts if _plain(y) == read["y"]}
    for wording in (*CENTURY, *HELD_CENTURY):
        if (read := _read(wording, text)) and read["x"] in _YEARS:
            answers.add(str(_YEARS[read["x"]] // 100 + 1))
    for wordings, pick in (((*EARLIER, *HELD_EARLIER), min), ((*LATER, *HELD_LATER), max)):
        for wording in wordings:
            read = _read(wording, text)
            if read and read["a"] != read["b"] and {read["a"], read["b"]} <= _YEARS.keys():
                answers.add(_EVENTS[pick((read["a"], read["b"]), key=_YEARS.__getitem__)])
    return answers


def _claim(text: str) -> bool | None:
    """Whether what is claimed is true; None where nothing known is claimed."""
    for frame in (*CLAIMS, HELD_CLAIM):
        before, _, after = frame.partition("{}")
        if text.startswith(before) and text.endswith(after):
            verdicts = _verdicts(text.removeprefix(before).removesuffix(after))
            if len(verdicts) == 1:
                return verdicts.pop()
    return None


def _verdicts(said: str) -> set[bool]:
    verdicts: set[bool] = set()
    for topic in TOPICS.values():
        facts = {(_plain(x), _plain(y)) for x, y in topic.facts}
        for wording in (topic.says, topic.turned, topic.held_claim):
            read = _read(wording, said) if wording else None
            if read and any(read["x"] == x for x, _ in facts) and any(read["y"] == y for _, y in facts):
                verdicts.add((read["x"], read["y"]) in facts)
    for wording in (BEFORE, HELD_BEFORE):
        read = _read(wording, said)
        if read and {read["a"], read["b"]} <= _YEARS.keys():
            verdicts.add(_YEARS[read["a"]] < _YEARS[read["b"]])
    return verdicts
