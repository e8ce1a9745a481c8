"""Exercises of the arithmetic skills: whole numbers, negative numbers, powers."""

from __future__ import annotations

from random import Random

from .steps import (
    Item,
    add_columns,
    by_level,
    draw,
    make_item,
    power_steps,
    product_steps,
    quotient_steps,
    sub_columns,
    sum_steps,
)


def _compute(rng: Random, expression: str) -> str:
    return f"Compute {expression}." if rng.random() < 0.7 else f"What is {expression}?"


def addition(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """a+b, column by column."""
    high = by_level(level, 30, 99, 199)
    a, b = draw(rng, 2, high, lead), rng.randint(2, min(high, 99))
    if a < 0 or a > 999:
        return None
    steps = [f"{a}+{b}={a + b}"] if a < 10 and b < 10 else add_columns(a, b)
    return make_item("Addition", _compute(rng, f"{a}+{b}"), steps, str(a + b), f"{min(a, b)}+{max(a, b)}")


def subtraction(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """a-b with a >= b, column by column."""
    a = draw(rng, 5, by_level(level, 30, 99, 199), lead)
    if a < 2 or a > 999:
        return None
    b = rng.randint(1, min(a, 99))
    steps = [f"{a}-{b}={a - b}"] if a < 10 else sub_columns(a, b)
    return make_item("Subtraction", _compute(rng, f"{a}-{b}"), steps, str(a - b), f"{a}-{b}")


def multiplication(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """a*b: a fact of the table, or a two-digit number by parts."""
    a, b = draw(rng, 2, by_level(level, 9, 40, 99), lead), rng.randint(2, 9)
    if level != "easy" and lead is None:
        if rng.random() < 0.2:
            a, b = rng.randint(2, 12), rng.randint(2, 12)
        elif rng.random() < 0.3:
            a, b = b, a
    if a < 2 or a > 199:
        return None
    key = f"{min(a, b)}*{max(a, b)}"
    return make_item("Multiplication", _compute(rng, f"{a}*{b}"), product_steps(a, b), str(a * b), key)


def division(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """An exact a/b: from the table, or tens of the quotient first."""
    b, quotient = rng.randint(2, by_level(level, 9, 12, 9)), rng.randint(2, by_level(level, 9, 20, 60))
    a = b * quotient
    if lead is not None:
        divisors = [d for d in range(2, 10) if lead > 0 and lead % d == 0 and lead // d < 100]
        if not divisors:
            return None
        a, b = lead, rng.choice(divisors)
        quotient = a // b
    steps = [f"{b}*{quotient}={a}"] if quotient <= 12 else quotient_steps(a, b)
    return make_item("Division", _compute(rng, f"{a}/{b}"), steps, str(quotient), f"{a}/{b}")


def negative_numbers(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """Sums, differences and products in which a negative number occurs."""
    high = by_level(level, 12, 30, 60)
    a, b, form = draw(rng, 2, high), rng.randint(2, high), rng.choice("++--sp")
    if lead is not None:
        a, form = abs(lead), (rng.choice("-sp") if lead < 0 else "+")
        if a < 2 or a > 200:
            return None
    if form == "p":
        return _negative_product(rng, level, a, lead)
    if form == "+":
        b = a + rng.randint(1, high)
        expression, value, steps = f"{a}-{b}", a - b, sum_steps(b, -a)
    elif form == "-":
        expression, value = f"-{a}+{b}", b - a
        steps = sum_steps(max(a, b), -min(a, b))
    else:
        expression, value, steps = f"-{a}-{b}", -a - b, sum_steps(a, b)
    return make_item("Negative numbers", _compute(rng, expression), steps, str(value), expression)


def _negative_product(rng: Random, level: str, a: int, lead: int | None) -> Item:
    top = by_level(level, 9, 12, 20)
    a = a if lead is not None else rng.randint(2, top)
    b = rng.randint(2, 9)
    one, two = (-a, b) if lead is not None or rng.random() < 0.5 else (a, -b)
    if rng.random() < 0.25:
        one, two = -a, -b
    expression = f"{one}*{two}"
    steps = product_steps(a, b)
    return make_item("Negative numbers", _compute(rng, expression), steps, str(one * two), expression)


def _power(rng: Random, level: str) -> tuple[int, int]:
    tops = {2: 12, 3: 6, 4: 4, 5: 3, 6: 2}
    n = rng.randint(2, by_level(level, 3, 4, 6))
    return rng.randint(2, tops[n]), n


def powers(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """a^n, k*a^n, or a sum or difference of two powers."""
    (a, n), (b, m), k = _power(rng, level), _power(rng, level), rng.randint(2, 9)
    form = rng.choice(("one", "times") if level == "easy" else ("one", "times", "times", "plus", "minus"))
    if lead is not None:
        if not 2 <= lead <= 12:
            return None
        a, n, form = lead, 2 if lead > 5 else min(n, 3), rng.choice(("one", "plus"))
    steps, value, expression = power_steps(a, n), a**n, f"{a}^{n}"
    if form == "times" and value <= 99:
        steps, expression, value = steps + product_steps(k, value), f"{k}*{expression}", k * value
    elif form in ("plus", "minus"):
        other = b**m if form == "plus" else -(b**m)
        steps = steps + power_steps(b, m) + sum_steps(value, other)
        expression, value = f"{expression}{'+' if other > 0 else '-'}{b}^{m}", value + other
    return make_item("Powers", _compute(rng, expression), steps, str(value), expression)
