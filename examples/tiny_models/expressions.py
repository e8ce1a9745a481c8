"""Exact algebra on the expressions that the exercises use: parse, compare, differentiate, print.

An expression is a quotient of two sums; a sum maps a product of atoms to a fraction. Atoms are
letters and functions of them, such as x, sin(3x), e^(2x), ln(x).
"""

from __future__ import annotations

import re
from fractions import Fraction

Product = tuple[tuple[str, int], ...]
Sum = dict[Product, Fraction]
Expr = tuple[Sum, Sum]
ONE: Sum = {(): Fraction(1)}
_TOKEN = re.compile(r"sin|cos|ln|\d+|[A-Za-z]|[-+*/^()]")


class BadExpression(ValueError):
    """The text is not an expression that this module knows."""


def sum_add(a: Sum, b: Sum, factor: Fraction = Fraction(1)) -> Sum:
    """a + factor*b."""
    out = dict(a)
    for key, value in b.items():
        out[key] = out.get(key, Fraction(0)) + factor * value
    return {k: v for k, v in out.items() if v}


def sum_mul(a: Sum, b: Sum) -> Sum:
    """The product of two sums."""
    out: Sum = {}
    for one, p in a.items():
        for two, q in b.items():
            powers = dict(one)
            for atom, n in two:
                powers[atom] = powers.get(atom, 0) + n
            key = tuple(sorted((k, n) for k, n in powers.items() if n))
            out[key] = out.get(key, Fraction(0)) + p * q
    return {k: v for k, v in out.items() if v}


def atom(name: str) -> Expr:
    """The expression that is one atom."""
    return {((name, 1),): Fraction(1)}, ONE


def add(a: Expr, b: Expr, factor: int = 1) -> Expr:
    """a + factor*b."""
    if a[1] == b[1]:
        return sum_add(a[0], b[0], Fraction(factor)), a[1]
    return sum_add(sum_mul(a[0], b[1]), sum_mul(b[0], a[1]), Fraction(factor)), sum_mul(a[1], b[1])


def mul(a: Expr, b: Expr) -> Expr:
    """a*b."""
    return sum_mul(a[0], b[0]), sum_mul(a[1], b[1])


def div(a: Expr, b: Expr) -> Expr:
    """a/b."""
    if not b[0]:
        raise BadExpression("division by 0")
    return mul(a, (b[1], b[0]))


def power(a: Expr, n: int) -> Expr:
    """a^n."""
    if abs(n) > 40:
        raise BadExpression("exponent too large")
    out: Expr = (ONE, ONE)
    for _ in range(abs(n)):
        out = mul(out, a)
    return out if n >= 0 else div((ONE, ONE), out)


def equal(a: Expr, b: Expr) -> bool:
    """Whether two expressions are the same."""
    return sum_mul(a[0], b[1]) == sum_mul(b[0], a[1])


class _Parser:
    def __init__(self, text: str) -> None:
        text = text.replace(" ", "")
        self.tokens = _TOKEN.findall(text)
        if "".join(self.tokens) != text or not text or len(text) > 300:
            raise BadExpression(text)
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, wanted: str = "") -> str:
        token = self.peek()
        if not token or (wanted and token != wanted):
            raise BadExpression("".join(self.tokens))
        self.at += 1
        return token

    def total(self) -> Expr:
        out = self.product()
        while self.peek() in ("+", "-"):
            sign = 1 if self.take() == "+" else -1
            out = add(out, self.product(), sign)
        return out

    def product(self) -> Expr:
        out = self.factor()
        while self.peek() and self.peek() not in ("+", "-", ")", "^"):
            if self.peek() == "*":
                self.take()
                out = mul(out, self.factor())
            elif self.peek() == "/":
                self.take()
                out = div(out, self.factor())
            else:
                out = mul(out, self.factor())
        return out

    def factor(self) -> Expr:
        if self.peek() == "-":
            self.take()
            return mul(({(): Fraction(-1)}, ONE), self.factor())
        base = self.base()
        if self.peek() == "^":
            self.take()
            base = power(base, self.exponent())
        return base

    def exponent(self) -> int:
        sign = -1 if self.peek() == "-" and self.take() else 1
        token = self.take()
        if not token.isdigit():
            raise BadExpression("exponent")
        return sign * int(token)

    def base(self) -> Expr:
        token = self.take()
        if token.isdigit():
            return ({(): Fraction(int(token))} if int(token) else {}), ONE
        if token == "(":
            out = self.total()
            self.take(")")
            return out
        if token in ("sin", "cos", "ln"):
            self.take("(")
            inner = self.total()
            self.take(")")
            return atom(f"{token}({show(inner)})")
        if token == "e":
            self.take("^")
            inner = self.base()
            return atom(f"e^({show(inner)})")
        if token.isalpha():
            return atom(token)
        raise BadExpression(token)


def parse(text: str) -> Expr:
    """Read an expression; BadExpression when it is none."""
    parser = _Parser(text)
    out = parser.total()
    if parser.peek():
        raise BadExpression(text)
    return out


def _front(c: Fraction) -> str:
    """A coefficient before a letter."""
    if abs(c) == 1:
        return "-" if c < 0 else ""
    return str(c) if c.denominator == 1 else f"({c})"


def show_sum(value: Sum) -> str:
    """Text of a sum, the highest power of x first."""

    def order(key: Product) -> tuple[int, str]:
        return -sum(n for name, n in key if name == "x"), str(key)

    out = ""
    for key in sorted(value, key=order):
        c = value[key]
        # A power of x stands before a function, whose name would otherwise swallow it.
        names = sorted(key, key=lambda pair: (len(pair[0]) > 1, pair[0]))
        name = "*".join(n if p == 1 else f"{n}^{p}" for n, p in names)
        number = _front(c) if name else str(c)
        out += ("" if not out or number.startswith("-") else "+") + number + name
    return out or "0"


def show(value: Expr) -> str:
    """Text of an expression."""
    over = value[1].get((), None)
    if over is not None and len(value[1]) == 1:
        return show_sum({k: v / over for k, v in value[0].items()})
    return f"({show_sum(value[0])})/({show_sum(value[1])})"


def _derive_atom(name: str) -> Expr:
    if name == "x":
        return ONE, ONE
    inner = re.search(r"\((-?\d*)x\)", name)
    if not inner:
        return {}, ONE
    b = int({"": "1", "-": "-1"}.get(inner.group(1), inner.group(1)))
    if name.startswith("ln"):
        return {(("x", -1),): Fraction(1)}, ONE
    other = {"s": name.replace("sin", "cos"), "c": name.replace("cos", "sin"), "e": name}[name[0]]
    return mul(({(): Fraction(-b if name[0] == "c" else b)}, ONE), atom(other))


def _derive_sum(value: Sum) -> Expr:
    out: Expr = ({}, ONE)
    for key, c in value.items():
        for name, n in key:
            rest = sum_mul({key: c * n}, {((name, -1),): Fraction(1)})
            out = add(out, mul((rest, ONE), _derive_atom(name)))
    return out


def derive_expr(value: Expr) -> Expr:
    """The derivative by x."""
    top, bottom = (value[0], ONE), (value[1], ONE)
    if value[1] == ONE:
        return _derive_sum(value[0])
    change = add(mul(_derive_sum(value[0]), bottom), mul(top, _derive_sum(value[1])), -1)
    return div(change, mul(bottom, bottom))


def coefficients(value: Sum) -> dict[int, Fraction]:
    """The sum as a polynomial in x; BadExpression when it is none."""
    out = {}
    for key, c in value.items():
        if key and (len(key) > 1 or key[0][0] != "x" or key[0][1] < 0):
            raise BadExpression("not a polynomial")
        out[key[0][1] if key else 0] = c
    return out


def polynomial(value: Expr) -> dict[int, Fraction]:
    """The expression as a polynomial in x; BadExpression when it is none."""
    over = value[1].get(())
    if over is None or len(value[1]) > 1:
        raise BadExpression("not a polynomial")
    return {n: c / over for n, c in coefficients(value[0]).items()}
