"""Reading an answer out of a reply, and comparing answers as text."""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

FUNCTIONS = (
    "arcsin", "arccos", "arctan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "sin", "cos", "tan", "sec", "csc",
    "cot", "ln", "log", "exp", "sqrt", "abs",
)  # fmt: skip

_ANSWER = re.compile(r"\banswer(?:\s+is)?\s*(?:\*\*|__)?\s*:\s*(.*)$", re.IGNORECASE)
_HEADING = re.compile(r"[#*_\s]*(?:final\s+)?answer[*_\s]*()", re.IGNORECASE)
_MARK = re.compile(r"####\s*(\S.*)")
_IS_ANSWER = re.compile(r"\banswer\s+is\b\s*(?!not\b)(\S[^\n]*)", re.IGNORECASE)
_IS_ANSWER_AGAIN = re.compile(r"^\W*(?:so\W+)?(?:the\s+)?(?:final\s+|correct\s+)?answer\s+is\b\s*:?\s*", re.IGNORECASE)
_THINK = r"(?:think|thinking|thought|reasoning)"
_THINK_OPEN, _THINK_CLOSE = (re.compile(rf"<{slash}{_THINK}>|\[{slash}THINK\]", re.IGNORECASE) for slash in ("", "/"))
_THOUGHT = re.compile(rf"<({_THINK})>.*?</\1>|\[THINK\].*?\[/THINK\]", re.IGNORECASE | re.DOTALL)
_SIGNS = str.maketrans(
    {"−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "·": "*", "×": "*", "⋅": "*", "∙": "*", "÷": "/", "⁄": "/"}
    | {"∕": "/", "π": "pi", "√": "sqrt", "’": "'", "′": "'", "≤": "<=", "≥": ">="}
)
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿ", "0123456789+-()n")
_LATEX_WORDS = (
    (re.compile(r"\\(?:cdot|times)(?![A-Za-z])"), "*"),
    (re.compile(r"\\pm(?![A-Za-z])"), "±"),
    (re.compile(r"\\(?:left|right|displaystyle)(?![A-Za-z])"), ""),
    (re.compile(r"\\[dt]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"(?<=\d)\\frac\{(\d+)\}\{(\d+)\}"), r" \1/\2"),
    (re.compile(r"\\(?:[,;!: ]|quad(?![A-Za-z]))"), " "),
    (re.compile(r"\\(?:text|mathrm|textbf|mathbf)\{([^{}]*)\}"), r"\1"),
)
_CHOICE_WORDS = re.compile(
    r"^(?:(?:so|therefore|thus|hence|the|my|final|correct|right|best|answer|option|choice|is)\b[\s,]*:?\s*)+",
    re.IGNORECASE,
)
_CHOICE = re.compile(r"[(\[{*\"']*\s*([A-Za-z])\s*(?:[)\]}.:,;*\"'。]|$|\s[-–—]\s|\s(?:because|since|as)\b)")
_MORE_CHOICES = re.compile(
    r"[\s)\]}.:*]*(?:,|;|/|&|\+|\bor\b|\band\b|\s)[\s,]*(?:or|and)?\s*[(\[*]*[A-J](?![\w'’])[^\w]*(?:\W|$)"
)
_OTHER_CHOICE = re.compile(r"\b(?:or|and|also)\s+(?:option\s+)?\(?[A-J]\)")
_NUMBER = re.compile(
    r"([+-]?)(\d{1,40}|\d{1,3}(?:,\d{3}){1,6})(\.\d{1,40})?(?:/(\d{1,40}))?|([+-]?)(\.\d{1,40})", re.ASCII
)


def extract_answer(reply: str) -> str | None:
    r"""The answer that a reply gives: what follows the last "Answer:", or the "####" of its last line, else what
    stands in the last \boxed{…}, else what the last "the answer is" says, else None. What was only thought is none.
    """
    lines = without_thinking(reply).splitlines()
    named = "answer" in reply.casefold()
    for i in range(len(lines) - 1, -1, -1) if named else ():
        found = _ANSWER.search(lines[i]) or _HEADING.fullmatch(lines[i])
        if found is None:
            continue
        following = (line for line in lines[i + 1 :] if line.strip())
        text = _said(found[1] or "") or _said(next(following, ""))
        if text:
            return text
    last = next((line for line in reversed(lines) if line.strip()), "")
    if (mark := _MARK.fullmatch(last.strip())) is not None:
        return _said(mark[1]) or None
    text = "\n".join(lines)
    if (boxed := _last_boxed(text)) is not None:
        return without_marks(boxed) or None
    said = list(_IS_ANSWER.finditer(text)) if named else []
    return _said(said[-1][1]) or None if said else None


def without_thinking(reply: str) -> str:
    """The reply without its thinking part, also where the template opened it, or where it was never closed."""
    if "<" not in reply and "[" not in reply:
        return reply
    text = _THOUGHT.sub("", reply)
    opened, closed = _THINK_OPEN.search(text), list(_THINK_CLOSE.finditer(text))
    if closed:
        text = text[closed[-1].end() :]
    elif opened:
        text = text[: opened.start()]
    return text


def _said(text: str) -> str:
    """What follows "Answer:", without "the answer is" said once more and without sentences after it."""
    text = _IS_ANSWER_AGAIN.sub("", text.strip(), count=1)
    text = re.sub(r"[.\s]*\bI hope (?:it|this) is correct\W*$", "", text, flags=re.IGNORECASE)
    return without_marks(re.split(r"(?<=[\d$%})\]])\.\s+(?=[A-Z])", text, maxsplit=1)[0])


def before_answer(reply: str) -> str | None:
    """What a reply says before "Answer:" or a last "The answer is", without the beginning of that sentence.

    All where there is none, None where it says "Answer:" more than once."""
    lines = without_thinking(reply).splitlines()
    found = [(i, match) for i, line in enumerate(lines) if (match := _ANSWER.search(line))]
    if not found and lines and (match := re.search(r"\banswer\s+is\b(?!\s+not\b)", lines[-1])):
        found = [(len(lines) - 1, match)]
    if not found:
        return "\n".join(lines).strip()
    if len(found) > 1:
        return None
    i, match = found[0]
    sentences = lines[i][: match.start()].rpartition(". ")
    return "\n".join([*lines[:i], sentences[0] + sentences[1].strip()]).strip()


def without_marks(text: str) -> str:
    """Without emphasis, dollar signs, a box, or the full stop of the sentence."""
    before = None
    while text != before:
        before = text
        text = text.strip()
        boxed = _last_boxed(text)
        if boxed is not None:
            text = boxed
        for left, right in (("**", "**"), ("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("`", "`")):
            if text.startswith(left) and text.endswith(right) and len(text) >= len(left) + len(right):
                text = text[len(left) : -len(right)]
        text = text.removeprefix("**").removesuffix("**")
        if text.endswith(".") and not text.endswith(".."):
            text = text[:-1]
    return text


def _last_boxed(text: str) -> str | None:
    start = text.rfind(r"\boxed{")
    if start < 0:
        return None
    start += len(r"\boxed{")
    depth = 1
    for i in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return text[start:i]
    return None


def normalise(answer: str) -> str:
    """One spelling for answers that differ in signs, blanks or the case of words only. Twice is the same as once."""
    for _ in range(8):
        before, answer = answer, _normalised(answer)
        if answer == before:
            break
    return answer


def _normalised(text: str) -> str:
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿ]+", lambda m: _exponent(m[0].translate(_SUPERSCRIPTS)), text)
    text = re.sub(r"(?<=\d)(?=[¼-¾⅐-⅞])", " ", text)
    text = unicodedata.normalize("NFKC", text).translate(_SIGNS)
    for pattern, replacement in _LATEX_WORDS:
        text = pattern.sub(replacement, text)
    text = without_marks(text).replace("$", "").replace("**", "^")
    text = re.sub(r"\^(?:\{([+-]?\w+)\}|\(([+-]?\w+)\))", lambda m: _exponent(m[1] or m[2]), text)
    text = re.sub(r"\s+", " ", text).strip()
    return text.casefold() if has_words(text) else re.sub(r"(?<!\d) | (?!\d)", "", text)


def _exponent(text: str) -> str:
    return f"^{text}" if len(text) == 1 or text.isdigit() else f"^({text})"


def has_words(text: str) -> bool:
    """Whether letters stand together that are neither a function's name nor a product of single letters."""
    return any(not run.endswith(FUNCTIONS) for run in re.findall(r"(?<!\\)[^\W\d_]{3,}", text.lower()))


def same_text(a: str, b: str) -> bool:
    """Equal after `normalise`; nothing is equal to an empty answer."""
    one = normalise(a)
    return bool(one) and one == normalise(b)


def same_words(gold: str, answer: str) -> bool:
    """Equal as words: besides case and blanks, articles and the sign after the last word do not count.

    Where gold is a single letter from A to J, the answer may name its choice: "B", "(b)", "B) Paris".
    """
    if same_text(gold, answer):
        return True
    if re.fullmatch(r"[A-J]", gold.strip()):
        return choice_letter(answer) == gold.strip() and not re.match(r"\W*\w\s*,", answer)
    one = _bare_words(gold)
    return bool(one) and one == _bare_words(answer)


def _bare_words(text: str) -> str:
    text = normalise(text)
    if not has_words(text):  # signs and letters of a formula all count
        return text
    return re.sub(r"(^|;\s*)(?:the|an?)\s+(?=\w)", r"\1", text.rstrip(" .,;:!?"))


def plain_number(text: str) -> Fraction | None:
    """The value of an integer, decimal or fraction written out (thousands may have commas); None for anything else."""
    found = _NUMBER.fullmatch(normalise(text))
    if found is None:
        return None
    sign, whole, decimals, below, bare_sign, bare = found.groups()
    if bare:
        value = Fraction("0" + bare)
    elif below is not None and int(below) == 0:
        return None
    else:
        value = Fraction(whole.replace(",", "") + (decimals or "")) / int(below or 1)
    return -value if "-" in (sign or bare_sign or "") else value


def choice_letter(text: str) -> str | None:
    """The letter of a multiple-choice answer, as a capital: "B", "(b)", "B. Paris", "option C", "The answer is B".

    None where several are named ("A, C", "A) or C)") and where none stands at the beginning.
    """
    text = re.sub(r"\\(?:text|mathrm|textbf|mathbf|rm)\s*\{([^{}]*)\}", r"\1", unicodedata.normalize("NFKC", text))
    text = without_marks(text.strip().rstrip("。"))
    text = _CHOICE_WORDS.sub("", without_marks(text.strip("\"'“”‘’ ")))
    text = without_marks(text.strip("\"'“”‘’ "))
    found = _CHOICE.match(text)
    if found is None or _MORE_CHOICES.match(text, found.end(1)) or _OTHER_CHOICE.search(text, found.end()):
        return None
    return found[1].upper()
