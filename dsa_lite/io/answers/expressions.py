"""Mathematical expressions in plain text: read into a tree and computed at points; never run as code.

Plain text is what language models write outside of LaTeX: `12(3x+2)^3`, `3cos(5x)`, `xsin(x)`, `e^(3x)`. LaTeX parsers
read such text as products of single letters.
"""

from __future__ import annotations

import cmath
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dsa_lite.core.grading import FUNCTIONS

_GREEK = (
    "alpha", "beta", "gamma", "delta", "epsilon", "theta", "lambda", "mu", "nu", "rho", "sigma", "tau", "phi", "chi",
    "psi", "omega", "pi", "infinity",
)  # fmt: skip
NAMES = sorted((*FUNCTIONS, *_GREEK), key=len, reverse=True)
_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?|\.\d+)|([A-Za-z]+)|([-+*/^()|]))")
_DEPTH = 60
_LETTERS = 3  # single letters in a row that are read as a product; more are a word


class Unreadable(ValueError):
    """The text is no plain expression."""


@dataclass(frozen=True)
class Node:
    """`op`: "number" or "name" (then `text`), "+", "*", "/", "^", "neg", or a function's name, over `parts`."""

    op: str
    parts: tuple[Node, ...] = ()
    text: str = ""

    def names(self) -> frozenset[str]:
        """Letters that stand for something unknown."""
        if self.op == "name":
            return frozenset() if self.text in ("e", "pi") else frozenset((self.text,))
        return frozenset().union(*(part.names() for part in self.parts))


def parse(text: str) -> Node:
    """The tree of an expression; Unreadable when it is none."""
    reader = _Reader(_tokens(text.replace("**", "^").translate(str.maketrans("[]{}", "()()"))))
    tree = reader.sum(0)
    if reader.next():
        raise Unreadable(text)
    return tree


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    place, text = 0, text.rstrip()
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise Unreadable(text)
        if found[1] and tokens and tokens[-1][-1].isdigit():
            raise Unreadable(text)  # "1 1/2", "x 2 3": unclear
        tokens += _split(found[2]) if found[2] else [found[1] or found[3]]
        place = found.end()
    return tokens


def _split(letters: str) -> list[str]:
    """`xsin` -> x, sin; `xy` -> x, y."""
    parts: list[str] = []
    single = place = 0
    while place < len(letters):
        rest = letters[place:].lower()
        name = next((n for n in NAMES if rest.startswith(n)), letters[place])
        single = single + 1 if len(name) == 1 else 0
        if single > _LETTERS:
            raise Unreadable(letters)
        parts.append(name)
        place += len(name)
    return parts


class _Reader:
    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.place = 0
        self.bars = 0

    def next(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self, wanted: str = "") -> str:
        token = self.next()
        if not token or (wanted and token != wanted):
            raise Unreadable(token)
        self.place += 1
        return token

    def sum(self, depth: int) -> Node:
        if depth > _DEPTH:
            raise Unreadable("too deep")
        parts = [self.product(depth)]
        while self.next() in ("+", "-"):
            sign = self.take()
            part = self.product(depth)
            parts.append(part if sign == "+" else Node("neg", (part,)))
        return parts[0] if len(parts) == 1 else Node("+", tuple(parts))

    def product(self, depth: int, *, argument: bool = False) -> Node:
        """Factors; two side by side multiply. `argument`: of a function without brackets, ends before the next one."""
        value = self.signed(depth)
        while True:
            token = self.next()
            if token in ("*", "/") and not argument:
                self.take()
                value = Node(token, (value, self.signed(depth)))
            elif self._begins_factor(token) and not (argument and (token in FUNCTIONS or token == "(")):
                value = Node("*", (value, self.power(depth)))
            else:
                return value

    def _begins_factor(self, token: str) -> bool:
        return bool(token) and (
            token[0].isalnum() or token[0] == "." or token == "(" or (token == "|" and not self.bars)
        )

    def signed(self, depth: int) -> Node:
        if depth > _DEPTH:
            raise Unreadable("too deep")
        if self.next() in ("+", "-"):
            sign = self.take()
            value = self.signed(depth + 1)
            return value if sign == "+" else Node("neg", (value,))
        return self.power(depth)

    def power(self, depth: int) -> Node:
        value = self.atom(depth)
        if self.next() == "^":
            self.take()
            value = Node("^", (value, self.signed(depth + 1)))
        return value

    def atom(self, depth: int) -> Node:
        token = self.take()
        if token[0].isdigit() or token[0] == ".":
            return Node("number", text=token)
        if token in FUNCTIONS:
            return self.function(token, depth)
        if token.isalpha():
            return Node("name", text=token)
        if token == "(":
            value = self.sum(depth + 1)
            self.take(")")
            return value
        if token == "|":
            self.bars += 1
            value = self.sum(depth + 1)
            self.take("|")
            self.bars -= 1
            return Node("abs", (value,))
        raise Unreadable(token)

    def function(self, name: str, depth: int) -> Node:
        """sin(x), sin x, sin 2x, sin^2(x), sin^-1(x)."""
        exponent = None
        if self.next() == "^":
            self.take()
            exponent = self.signed(depth + 1)
        if self.next() == "(":
            bars, self.bars = self.bars, 0
            argument = self.atom(depth)
            self.bars = bars
        else:
            argument = self.product(depth + 1, argument=True)
        inverse = Node("neg", (Node("number", text="1"),))
        if exponent == inverse and name in ("sin", "cos", "tan"):
            return Node("arc" + name, (argument,))
        call = Node({"asin": "arcsin", "acos": "arccos", "atan": "arctan", "ln": "log"}.get(name, name), (argument,))
        return Node("^", (call, exponent)) if exponent is not None else call


def _divided(a: complex, b: complex) -> complex:
    return a / b


_COMPUTE: Mapping[str, Callable[..., complex]] = {
    "neg": lambda a: -a,
    "*": lambda a, b: a * b,
    "/": _divided,
    "^": lambda a, b: a ** int(b.real) if b.imag == 0 and b.real == int(b.real) and abs(b) < 1e4 else a**b,
    "+": lambda *parts: sum(parts),
    "sqrt": cmath.sqrt,
    "exp": cmath.exp,
    "log": cmath.log,
    "abs": lambda a: complex(abs(a)),
    "sin": cmath.sin,
    "cos": cmath.cos,
    "tan": cmath.tan,
    "sec": lambda a: 1 / cmath.cos(a),
    "csc": lambda a: 1 / cmath.sin(a),
    "cot": lambda a: 1 / cmath.tan(a),
    "arcsin": cmath.asin,
    "arccos": cmath.acos,
    "arctan": cmath.atan,
    "sinh": cmath.sinh,
    "cosh": cmath.cosh,
    "tanh": cmath.tanh,
}


def compute(node: Node, values: Mapping[str, complex]) -> complex | None:
    """The value at a point in floating point, so that no power takes long; None where there is none."""
    try:
        value = _computed(node, values)
    except (ArithmeticError, ValueError):
        return None
    return value if math.isfinite(value.real) and math.isfinite(value.imag) else None


def _computed(node: Node, values: Mapping[str, complex]) -> complex:
    if node.op == "number":
        return complex(float(node.text))
    if node.op == "name":
        return {"e": complex(math.e), "pi": complex(math.pi)}.get(node.text) or values[node.text]
    return complex(_COMPUTE[node.op](*(_computed(part, values) for part in node.parts)))
