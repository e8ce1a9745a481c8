"""Between plain text and LaTeX, as far as answers need it; other LaTeX is read by math-verify."""

from __future__ import annotations

import re

from dsa_lite.io.answers.expressions import NAMES, Node

_PLAIN = (
    (re.compile(r"\\frac\{([^{}]*)\}\{([^{}]*)\}"), r"((\1)/(\2))"),
    (re.compile(r"\\frac(\d)(\d)"), r"(\1/\2)"),
    (re.compile(r"\\sqrt\{([^{}]*)\}"), r"sqrt(\1)"),
    (re.compile(r"\^\{([^{}]*)\}"), r"^(\1)"),
)
_COMMAND = re.compile(r"\\(" + "|".join(NAMES) + r"|infty)")


def without_latex(text: str) -> str:
    """Common LaTeX as plain text: fractions, roots, powers, functions, Greek letters. Other commands stay."""
    if "\\" not in text:
        return text
    before = None
    while text != before:
        before = text
        for pattern, plain in _PLAIN:
            text = pattern.sub(plain, text)
    return _COMMAND.sub(lambda m: f" {'infinity' if m[1] == 'infty' else m[1]} ", text)


def latex(node: Node) -> str:
    """The tree with every product and bracket written out, for a LaTeX parser."""
    if node.op == "number":
        return node.text
    if node.op == "name":
        return node.text if len(node.text) == 1 else {"infinity": r"\infty"}.get(node.text, "\\" + node.text) + " "
    parts = [latex(part) for part in node.parts]
    if node.op == "+":
        return "(" + "+".join(parts) + ")"
    if node.op in ("neg", "abs", "sqrt", "exp"):
        shapes = {"neg": "(-{})", "abs": r"\left|{}\right|", "sqrt": r"\sqrt{{{}}}", "exp": "e^{{{}}}"}
        return shapes[node.op].format(parts[0])
    if node.op == "/":
        return rf"\frac{{{parts[0]}}}{{{parts[1]}}}"
    if node.op == "*":
        return rf"({parts[0]} \cdot {parts[1]})"
    if node.op == "^":
        return f"({parts[0]})^{{{parts[1]}}}"
    return rf"\{'ln' if node.op == 'log' else node.op}\left({parts[0]}\right)"
