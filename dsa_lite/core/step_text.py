"""The lines of a solution with its calculations in plain signs: LaTeX, words and list marks read away."""

from __future__ import annotations

import re

_SIGNS = str.maketrans(
    {
        "−": "-",
        "–": "-",
        "·": "*",
        "×": "*",
        "⋅": "*",
        "∙": "*",
        "÷": "/",
        "≃": "≈",
        "＝": "=",
        "\u00a0": " ",
        "\u202f": " ",
    }
)
_MARKS = (  # where the sign in front is in the text
    ("<<", re.compile(r"<<[^<>\n]*>>"), ""),  # GSM8K's calculator notes
    ("**", re.compile(r"(?<![\d)\w])\*\*([^*\n]+?)\*\*(?![\d(])"), r"\1"),
    ("\\", re.compile(r"\\(?:cdot|times)(?![A-Za-z])"), "*"),
    ("\\", re.compile(r"\\div(?![A-Za-z])"), "/"),
    ("\\", re.compile(r"\\approx(?![A-Za-z])"), "≈"),
    ("\\", re.compile(r"\\(?:left|right|displaystyle|[,;!: ])(?![A-Za-z])"), ""),
    ("\\", re.compile(r"\\(?:quad|qquad)(?![A-Za-z])"), ", "),
    ("\\", re.compile(r"\\(?:text|mathrm|textbf|mathbf|boxed)\s*\{([^{}]*)\}"), r" \1 "),
    ("{,}", re.compile(r"\{,\}"), ","),
    ("\\", re.compile(r"\\([%$])"), r"\1"),
    ("\\", re.compile(r"(?<=\d)\s*\\[dt]?frac\{(\d{1,2})\}\{(\d{1,3})\}"), r" \1/\2"),
    ("^{", re.compile(r"\^\{([^{}]*)\}"), r"^(\1)"),
    ("\\", re.compile(r"\\[()\[\]]"), " "),
    ("\\", re.compile(r"\\\\"), "\n"),
    ("&", re.compile(r"&"), " "),
    ("**", re.compile(r"(?<![\d)])\*\*|\*\*(?!\s*[\d(-])"), " "),
    ("**", re.compile(r"\*\*"), "^"),
    ("€", re.compile(r"(\d[\d.,]*)\s?(€)(?!\s?\d)"), r"\2\1"),
    ("$", re.compile(r"\$(?!\s?\.?\d)"), " "),
)  # fmt: skip
_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_NUMBER_BEFORE, _NUMBER_AFTER = r"(?<=[\d)%])", r"(?=[-$€£]?\s?[\d(.])"
_WORDS = (
    (re.compile(rf"{_NUMBER_BEFORE}\s+(?:times|multiplied by|[xX])\s+{_NUMBER_AFTER}"), " * "),
    (re.compile(r"(?<=\d)[xX](?=\d)"), "*"),
    (re.compile(rf"{_NUMBER_BEFORE}\s+divided by\s+{_NUMBER_AFTER}"), " / "),
    (re.compile(rf"{_NUMBER_BEFORE}\s+plus\s+{_NUMBER_AFTER}"), " + "),
    (re.compile(rf"{_NUMBER_BEFORE}\s+minus\s+{_NUMBER_AFTER}"), " - "),
    (re.compile(rf"{_NUMBER_BEFORE}\s+(?:equals|is equal to|gives)\s+{_NUMBER_AFTER}"), " = "),
    (re.compile(r"(%\s+of\s+[$€£]?\d[\d.,]*)\s+is\s+(?=[$€£]?\d)"), r"\1 = "),
    (re.compile(r"(?<=\d) percent\b"), "%"),
)
_WORD = re.compile(r"[\d)%]\s*(?:times|multiplied|[xX]|divided|plus|minus|equals|is|gives|percent|of)(?![a-z])")
_MARK = re.compile(
    r"\s*(?:#+\s+)?(?:[-*•>+]\s+)?(?:\(?(?:\d{1,2}|[a-zA-Z])[.)]\s+|(?:[Ss]tep|STEP)\s+\d{1,2}\s*[:.)-]\s*)?"
)


def step_lines(solution: str) -> list[tuple[str, ...]]:
    """The lines that contain an equality, each in one or two readings: without its list mark, and as it is."""
    if "=" not in solution and "≈" not in solution and not _MAY_EQUAL.search(solution):
        return []
    text = solution.translate(_SIGNS)
    for sign, pattern, plain in _MARKS:
        if sign in text:
            text = pattern.sub(plain, text)
    before = None
    while "\\" in text and text != before:
        before = text
        text = _FRACTION.sub(r"((\1)/(\2))", text)
    if _WORD.search(text):
        for pattern, plain in _WORDS:
            text = pattern.sub(plain, text)
    lines: list[tuple[str, ...]] = []
    for line in text.splitlines():
        if "=" not in line and "≈" not in line:
            continue
        found = _MARK.match(line)
        bare = line[found.end() :] if found else line
        lines.append((bare,) if bare == line or "-" not in line[: len(line) - len(bare)] else (bare, line))
    return lines


_MAY_EQUAL = re.compile(r"\\approx|equal|gives|%\s+of|percent")
