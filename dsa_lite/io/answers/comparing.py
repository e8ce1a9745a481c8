"""Whether two mathematical answers say the same. Runs in the checking process; see checker.py for its limits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from random import Random

from dsa_lite.core.answers import read_value, same_value
from dsa_lite.core.grading import normalise, same_text
from dsa_lite.io.answers.expressions import Node, Unreadable, compute, parse
from dsa_lite.io.answers.latex import without_latex

LatexCheck = Callable[[str, str], bool]

_CONSTANT = re.compile(r"(?:\+\s*C|\+\s*const(?:ant)?\.?)$")
_NAME = r"[A-Za-z](?:_?\d)?'*(?:\([A-Za-z]\))?|d[a-z]/d[a-z]|d\^2[a-z]/d[a-z]\^2"
_SOLVED = re.compile(rf"({_NAME})=([^=]+)")
_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_STAMP = re.compile(r"(\d{1,4}(?:\s?:\s?\d{1,4}){1,3}|\d{4}-\d\d?-\d\d?)\s?([ap])?(?:(?<=[ap])\.?m\.?)?", re.ASCII)
_TRIALS = 14


def same(gold: str, answer: str, latex_check: LatexCheck) -> bool:
    """Equal as mathematics. `latex_check` is asked where the plain reader cannot read one of the two."""
    values = read_value(gold), read_value(answer)
    if values[0] is not None and values[1] is not None:
        return same_value(values[0], values[1])
    if same_text(gold, answer):
        return True
    stamps = _stamp(gold), _stamp(answer)
    if stamps[0] is not None or stamps[1] is not None:
        return stamps[0] == stamps[1]
    one, two = _written(gold), _written(answer)
    if not one or not two:
        return False
    if ";" in one or ";" in two:
        return _in_order(_cut(one, ";"), _cut(two, ";"), latex_check)
    lists = _as_lists(one), _as_lists(two)
    if lists[0] is not None or lists[1] is not None:
        return _same_lists(lists[0], lists[1], latex_check)
    if re.search(r"[<>]", one + two):
        return _same_relation(one, two, latex_check)
    return _same_one(one, two, latex_check)


def _written(text: str) -> str:
    """One spelling, with a comma for "or" and "and" (their blanks would be lost)."""
    return normalise(re.sub(r"(?<![A-Za-z])(?:or|and)(?![A-Za-z])", ",", re.sub(r"\\text\{([^{}]*)\}", r"\1", text)))


def _stamp(text: str) -> tuple[str, ...] | None:
    """A ratio, time or date in its parts: no quotient and no difference."""
    found = _STAMP.fullmatch(text.strip().removesuffix(".").casefold())
    return (
        None if found is None else (*(part.strip().lstrip("0") for part in re.split("[:-]", found[1])), found[2] or "")
    )


def readable(answer: str, latex_reads: Callable[[str], bool]) -> bool:
    """Whether an answer can be read as mathematics."""
    text = _written(answer)
    parts = _cut(text, ";") or []
    parts = [piece for part in parts for piece in (_as_lists(part) or ("", [part]))[1]]
    return bool(parts) and all(_part_readable(part, latex_reads) for part in parts)


def _part_readable(part: str, latex_reads: Callable[[str], bool]) -> bool:
    if read_value(part) is not None or _stamp(part) is not None:
        return True
    sides = re.split(r"<=|>=|[<>=]", part)
    if re.fullmatch(_NAME, sides[0]) and len(sides) > 1:
        sides = sides[1:]
    if all(_tree(side) is not None for side in sides):
        return True
    return "\\" in part and latex_reads(part)


# -- one expression or equation ----------------------------------------------------------------------------------


def _same_one(gold: str, answer: str, latex_check: LatexCheck) -> bool:
    names = _SOLVED.fullmatch(gold), _SOLVED.fullmatch(answer)
    if "=" in gold and not names[0]:
        return "=" in answer and _same_equation(gold, answer)
    if "=" in answer and not names[1]:
        return bool(names[0]) and answer.count("=") == 1 and _same_line(gold, answer)
    if names[0] and names[1] and _differ(names[0][1], names[1][1]):
        return _same_line(gold, answer)
    return _same_value(names[0][2] if names[0] else gold, names[1][2] if names[1] else answer, latex_check)


def _differ(one: str, two: str) -> bool:
    """x=5 is not y=5; but y=…, f(x)=…, y'=… and dy/dx=… name the same thing."""
    return len(one) == len(two) == 1 and one != two


def _same_value(gold: str, answer: str, latex_check: LatexCheck) -> bool:
    gold, gold_constant = _without_constant(gold, free=False)
    answer, answer_constant = _without_constant(answer, free=gold_constant)
    if answer_constant and not gold_constant:
        gold, gold_constant = _without_constant(gold, free=True)
    number, answered = read_value(gold), read_value(answer)
    if gold_constant != answer_constant and (number is not None or answered is not None):
        return False  # 3 is not 3 + C
    if same_text(gold, answer):
        return True
    if number is not None and answered is not None:
        return same_value(number, answered)
    trees = _tree(gold), _tree(answer)
    for value, tree in ((number, trees[1]), (answered, trees[0])):
        if value is None or tree is None or _is_number(tree):
            continue
        if _is_plain(tree) or "." not in gold + answer:
            return False  # a sum or product that was not worked out is not the number it comes to
    if trees[0] is None or trees[1] is None:
        return ("\\" in gold + answer) and latex_check(gold, answer)
    up_to_constant = gold_constant and answer_constant and not _has_number_term(trees[0])
    return _agree(trees[0], trees[1], "." in gold + answer, up_to_constant)


def _without_constant(text: str, *, free: bool) -> tuple[str, bool]:
    """Without "+ C"; `free`: written small or first too, because the other answer has it."""
    cut = _CONSTANT.sub("", text).strip()
    if cut == text and free:
        cut = re.sub(r"\+\s*[cCkK]$|^C\s*\+", "", text).strip()
    return (cut, True) if cut and cut != text else (text, False)


def _has_number_term(tree: Node) -> bool:
    """A number beside the C: the answer is some sum with a C in it, not an antiderivative."""
    return tree.op == "+" and any(not part.names() for part in tree.parts)


def _is_number(tree: Node) -> bool:
    """A number, its negative, or a fraction of two."""
    return tree.op == "number" or (tree.op in ("neg", "/") and all(map(_is_number, tree.parts)))


def _is_plain(tree: Node) -> bool:
    """Numbers with the four operations and powers alone: no root, function, pi or e."""
    return tree.op == "number" or (tree.op in ("neg", "+", "*", "/", "^") and all(map(_is_plain, tree.parts)))


def _agree(a: Node, b: Node, loose: bool, up_to_constant: bool) -> bool:
    """Equal wherever both have a real value; where they never have, wherever both have any."""
    if a == b:
        return True
    names = sorted(a.names() | b.names())
    pairs = list(_values(a, b, names))
    real = [(x, y) for x, y in pairs if abs(x.imag) < 1e-9 and abs(y.imag) < 1e-9]
    chosen = real if len(real) >= 3 or not names else pairs
    if not chosen or (names and len(chosen) < 3):
        return False
    shift = chosen[0][0] - chosen[0][1] if up_to_constant else 0j
    tolerance = 1e-6 if loose else 1e-9
    return all(abs(x - y - shift) <= tolerance * max(abs(x), abs(y), abs(shift), 1e-2) for x, y in chosen)


def _values(a: Node, b: Node, names: Sequence[str]) -> Iterator[tuple[complex, complex]]:
    for trial in range(_TRIALS if names else 1):
        point = _point(tuple(names), trial)
        one, two = compute(a, point), compute(b, point)
        if one is not None and two is not None:
            yield one, two


@lru_cache(maxsize=4096)
def _point(names: tuple[str, ...], trial: int) -> dict[str, complex]:
    """Small, middling and large values; all positive in half of the trials."""
    rng = Random(trial)  # fixed points: the same question always gets the same verdict
    low, high = ((0.1, 0.9), (0.9, 3.0), (3.0, 7.0))[trial % 3]
    return {name: complex(rng.uniform(low, high) * (1 if trial % 2 else rng.choice((-1, 1)))) for name in names}


# -- equations, inequalities, lists ------------------------------------------------------------------------------


def _same_line(gold: str, answer: str) -> bool:
    """A solved form against another form of the same equation: only where letters remain on its right side."""
    tree = _tree(gold.partition("=")[2])
    return tree is not None and bool(tree.names()) and _same_equation(gold, answer)


def _same_equation(gold: str, answer: str) -> bool:
    """One is a multiple of the other."""
    if gold.count("=") != 1 or answer.count("=") != 1:
        return False
    trees = [_tree("({})-({})".format(*text.split("="))) for text in (gold, answer)]
    if trees[0] is None or trees[1] is None or trees[0].names() != trees[1].names():
        return False
    pairs = [(x, y) for x, y in _values(trees[0], trees[1], sorted(trees[0].names())) if abs(x) > 1e-9]
    if len(pairs) < 3:
        return False
    ratio = pairs[0][1] / pairs[0][0]
    return abs(ratio) > 1e-9 and all(abs(y - ratio * x) <= 1e-8 * max(1.0, abs(y)) for x, y in pairs)


def _same_relation(gold: str, answer: str, latex_check: LatexCheck) -> bool:
    one, two = (re.split(r"(<=|>=|[<>])", text) for text in (gold, answer))
    if len(one) != len(two) or len(one) < 3:
        return False
    for candidate in (two, [_FLIPPED.get(part, part) for part in reversed(two)]):
        if one[1::2] == candidate[1::2] and _in_order(one[::2], candidate[::2], latex_check):
            return True
    return False


_List = tuple[str, list[str]]  # brackets ("" for none), parts


def _as_lists(text: str) -> _List | None:
    """Several answers in one: "2, 3", "x=2 or x=3", "(2, 3)", "{1, 2}", "x=±3"."""
    text = re.sub(r"(?<=[a-z])=±(.+)", r"=\1,-(\1)", text)
    text = re.sub(r"^±(.+)", r"\1,-(\1)", text)
    if read_value(text) is not None:
        return None
    text = text.replace("\\{", "{").replace("\\}", "}")
    brackets = text[0] + text[-1] if text[:1] in ("(", "[", "{") and text[-1:] in (")", "]", "}") else ""
    inside = _cut(text[1:-1], ",") if brackets else None
    if inside is not None and (len(inside) > 1 or brackets == "{}"):
        return ("" if brackets == "{}" else brackets), inside
    parts = _cut(text, ",")
    return ("", parts) if parts is not None and len(parts) > 1 else None


def _same_lists(gold: _List | None, answer: _List | None, latex_check: LatexCheck) -> bool:
    if gold is None or answer is None or gold[0] != answer[0] or len(gold[1]) != len(answer[1]):
        return False
    if gold[0]:
        return _in_order(gold[1], answer[1], latex_check)
    left = list(answer[1])
    for part in gold[1]:
        found = next((other for other in left if same(part, other, latex_check)), None)
        if found is None:
            return False
        left.remove(found)
    return True


def _in_order(gold: Sequence[str] | None, answer: Sequence[str] | None, latex_check: LatexCheck) -> bool:
    if gold is None or answer is None or len(gold) != len(answer):
        return False
    return all(same(a, b, latex_check) for a, b in zip(gold, answer, strict=True))


def _cut(text: str, sign: str) -> list[str] | None:
    """The parts between signs that stand outside all brackets; None when brackets do not match."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += (c in "([{") - (c in ")]}")
        if depth < 0:
            return None
        if c == sign and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    if depth:
        return None
    return [part.strip() for part in (*parts, text[start:]) if part.strip()]


def _tree(text: str) -> Node | None:
    try:
        return parse(without_latex(text))
    except Unreadable:
        return None
