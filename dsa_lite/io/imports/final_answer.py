"""Where a reply gives its final answer: solution and answer taken apart."""

from __future__ import annotations

import re

from dsa_lite.core.grading import extract_answer, without_marks

MARK = "####"  # GSM8K's, before the answer on the last line; elsewhere it is a heading of Markdown
#: Characters up to which a reply of one line without any mark is taken for the answer itself.
ANSWER_CHARS = 100

_THOUGHT_ENDS = re.compile(r"</think(?:ing)?>|</reasoning>", re.IGNORECASE)
_TAGGED = re.compile(r"<answer>(.*?)</answer>", re.IGNORECASE | re.DOTALL)
_MARKED = re.compile(rf"(?:^|\s){MARK}[ \t]*(?!#)(\S.*)$")
_CALCULATION = re.compile(r"<<[^<>\n]*=[-+\d.,/ ]*>>")  # GSM8K's calculator notes
_ANSWER = r"(?:\b(?:the|our|my|your|its)\s+)?(?:(?:final|correct|right|best|numerical|short)\s+)*\banswers?"
_OF_WHAT = r"(?:\s+(?:to|for)\s+[^.:;=]{1,60}?)?"
_SAYS = re.compile(
    rf"(?:\b(?:so|thus|hence|therefore|and|then|finally|in conclusion)\b,?\s+)*{_ANSWER}{_OF_WHAT}"
    r"[\s*_`]*(?:[:：=]|\b(?:is|was|are|were|equals?|(?:must|will|would|should) be)\b(?!\s+not\b)(?:\s+that\b)?"
    r"[ \t]*[:：]?)[\s*_]*",
    re.IGNORECASE,
)  # fmt: skip
_HEADING = re.compile(rf"\W*{_ANSWER}\W*", re.IGNORECASE)
_LABEL = re.compile(rf"\W*(?:so\W+)?{_ANSWER}[\s*_`]*[:：]", re.IGNORECASE)
_ONLY_BOX = re.compile(r"[\s$*\\()\[\]]*\\boxed\{.*\}[\s$*.\\()\[\]]*", re.DOTALL)
_COURTESY = re.compile(
    r"(?:^|(?<=[.!?$*])\s*)(?:I hope|Hope (?:this|that|it)|(?:Please )?let me know|Feel free)\b.*$", re.IGNORECASE
)
_SENTENCE = re.compile(r"(?<![A-Z])(?<!\w\.\w)[.!?]\s+(?=[A-Z(]|$)")
_VALUE = re.compile(r"\d|\\|\$|\*\*|^\W*[A-J]\W*$|^(?:yes|no|true|false)$", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
_REASON = re.compile(r",?\s+(?:because|since)\b")


def closed_by_mark(reply: str) -> bool:
    """Whether the last line holds GSM8K's mark and something after it."""
    return _MARKED.search(reply.rstrip().rpartition("\n")[2]) is not None


def split_reply(reply: str) -> tuple[str, str] | None:
    r"""(solution, answer) of a whole reply; None where it gives no answer that can be told from the rest.

    In this order: `<answer>`, "####" on the last line, a sentence or line that says what the answer is, \boxed; a short
    line alone is the answer. What is thought aloud before `</think>` gives no answer. Nothing but the words that say
    the answer and GSM8K's calculator notes is missing in the solution.
    """
    ends = [m.end() for m in _THOUGHT_ENDS.finditer(reply)]
    if not ends and "<think" in reply:  # never ended: no answer was given
        return None
    thought, said = (reply[: ends[-1]].strip(), reply[ends[-1] :].strip()) if ends else ("", reply.strip())
    found = _tagged(said) or _marked(said) or _said(said) or _boxed(said)
    if found is None and said and "\n" not in said and len(said) <= ANSWER_CHARS:
        found = "", said
    if found is None:
        return None
    return _CALCULATION.sub("", "\n".join(part for part in (thought, found[0]) if part)), found[1]


def _tagged(said: str) -> tuple[str, str] | None:
    found = _TAGGED.search(said)
    if found is None or not found[1].strip():
        return None
    inner = split_reply(found[1])
    if inner is None:
        return None
    return _joined(said[: found.start()], inner[0], said[found.end() :]), inner[1]


def _marked(said: str) -> tuple[str, str] | None:
    before, _, last = said.rpartition("\n")
    found = _MARKED.search(last)
    if found is None:
        return None
    label = _SAYS.match(found[1])
    answer = _bare(found[1][label.end() :] if label else found[1])
    return (_joined(before, last[: found.start()]), answer) if answer else None


def _said(said: str) -> tuple[str, str] | None:
    """From the last line on: "Answer: X", "So the answer is X.", or a heading "Answer" over one line."""
    if "answer" not in said.casefold():
        return None
    lines = said.split("\n")
    for number in range(len(lines) - 1, -1, -1):
        if "answer" in lines[number].casefold() and (found := _in_line(lines, number)):
            return found
    return None


def _in_line(lines: list[str], number: int) -> tuple[str, str] | None:
    line, after = lines[number], [text for text in lines[number + 1 :] if _COURTESY.sub("", text.strip())]
    if _HEADING.fullmatch(line):
        return (_joined(*lines[:number]), _bare(after[0])) if len(after) == 1 and _bare(after[0]) else None
    matches = list(_SAYS.finditer(line))
    if not matches or not (_LABEL.match(line) or _closes(lines[:number], line[: matches[0].start()], after)):
        return None
    start = len(matches) - 1
    while start and not line[matches[start - 1].end() : matches[start].start()].strip():
        start -= 1  # "Final Answer: The final answer is …"
    rest = line[matches[-1].end() :]
    if not rest.strip("*_ \t") and after and (len(after) == 1 or len(after[0].split()) <= 3):
        rest, after = after[0], after[1:]
    value, more = _value(rest)
    answer = _bare(value)
    if not answer:
        return None
    kept = line if more else _without_ending(line[: matches[start].start()])
    return _joined(*lines[:number], kept, *after), answer


def _closes(before: list[str], said: str, after: list[str]) -> bool:
    """Whether a sentence there closes the reply, or opens it: no other value comes after, or nothing before."""
    opens = not said.strip("*_ ") and not any(text.strip() for text in before)
    return opens or not any(char.isdigit() for text in after for char in text)


def _value(rest: str) -> tuple[str, str]:
    """(what the sentence names as the answer, what the line goes on to say)."""
    rest = _COURTESY.sub("", rest).strip()
    end = _SENTENCE.search(rest)
    # "St. Louis" is one value: where no figure, formula or letter stands before the full stop, the line is.
    if end and _VALUE.search(rest[: end.start()]):
        return rest[: end.start()], rest[end.end() :]
    reason = _REASON.search(rest)
    return (rest[: reason.start()], rest[reason.start() :]) if reason else (rest, "")


def _without_ending(text: str) -> str:
    """What stands before the words that say the answer: a sentence, or its beginning if a value stands in that."""
    sentence = max((m.end() for m in _SENTENCE.finditer(text)), default=0)
    if not _DIGIT.search(text, sentence):
        return text[:sentence].strip() if len(text[sentence:].split()) <= 4 else text.strip(" ,;*_#")
    return text.strip(" ,;*_#")


def _boxed(said: str) -> tuple[str, str] | None:
    start = said.rfind(r"\boxed")
    answer = extract_answer(said[start:]) if start >= 0 else None
    return ("" if _ONLY_BOX.fullmatch(said) else said, answer) if answer else None


def _bare(text: str) -> str:
    """The answer without emphasis, dollar signs, box and full stop."""
    return without_marks(text)


def _joined(*parts: str) -> str:
    lines = "\n".join(parts).rstrip().split("\n")
    while lines and (not lines[-1].strip() or _MARKED.fullmatch(lines[-1])):  # "#### 18" over "The answer is: 18"
        lines.pop()
    return "\n".join(lines).strip()
