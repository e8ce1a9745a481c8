"""Formulas of web pages in one line of text: TeX where the page holds it, else the signs of MathML."""

from __future__ import annotations

import re
from typing import Any

_DISPLAY = re.compile(r"\{\\(?:display|text)style\s+(.*)\}", re.DOTALL)
_INVISIBLE = dict.fromkeys(map(ord, "\u2061\u2062\u2063\u2064"))
_BETWEEN = {"msup": "^", "msub": "_", "mover": "^", "munder": "_"}
_BOTH = ("msubsup", "munderover")
_OF_FOREIGN_KIND = ("annotation", "annotation-xml")


def formula(math: Any) -> str:
    """The text of a `math` element: its TeX annotation, its `alttext`, or its signs (x^{n-1}, (a+b)/2, √(x))."""
    for found in math.find_all("annotation"):
        if "tex" in str(found.get("encoding", "")).casefold():
            return _tex(found.get_text())
    return _tex(str(math["alttext"])) if math.get("alttext") else _signs(math)


def raised(text: str) -> str:
    """What stands in a superscript behind its base: ^n, ^{n-1}."""
    return f"^{text}" if len(text) == 1 or text.isdigit() else f"^{{{text}}}"


def _tex(text: str) -> str:
    text = " ".join(text.split())
    whole = _DISPLAY.fullmatch(text)
    return whole[1].strip() if whole else text


def _signs(element: Any) -> str:
    parts = [child for child in element.children if getattr(child, "name", None) not in _OF_FOREIGN_KIND]
    tags = [child for child in parts if getattr(child, "name", None)]
    name = element.name
    if name in _BETWEEN and len(tags) == 2:
        return _signs(tags[0]) + _scripted(_BETWEEN[name], tags[1])
    if name in _BOTH and len(tags) == 3:
        return _signs(tags[0]) + _scripted("_", tags[1]) + _scripted("^", tags[2])
    if name == "mfrac" and len(tags) == 2:
        return f"{_grouped(tags[0])}/{_grouped(tags[1])}"
    if name == "msqrt":
        return f"√({''.join(map(_signs, tags))})"
    if name == "mroot" and len(tags) == 2:
        return f"({_signs(tags[0])})^(1/{_grouped(tags[1])})"
    if name == "mfenced":
        return f"{element.get('open', '(')}{', '.join(map(_signs, tags))}{element.get('close', ')')}"
    if name == "mtable":
        return "; ".join(map(_signs, tags))
    if name == "mtr":
        return ", ".join(map(_signs, tags))
    if not tags:
        text = " ".join(element.get_text().split()).translate(_INVISIBLE)
        return f" {text} " if name == "mtext" else text
    return "".join(map(_signs, tags))


def _scripted(sign: str, element: Any) -> str:
    return sign + raised(_signs(element).strip())[1:]


def _grouped(element: Any) -> str:
    text = _signs(element).strip()
    return text if text.isalnum() else f"({text})"
