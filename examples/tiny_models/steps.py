"""Exact step-by-step arithmetic and polynomial text, shared by every kind of exercise.

A polynomial is a dict from exponent to integer coefficient. Every `*_steps` function returns the
written steps of one calculation; a step is a true equation, small enough to be done in one go.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

Poly = dict[int, int]


@dataclass(frozen=True)
class Item:
    """One exercise: what is asked, how it is solved, and what comes out."""

    skills: tuple[str, ...]
    problem: str
    solution: str
    answer: str
    key: str
    parts: tuple[Item, ...] = ()


def make_item(skill: str, problem: str, steps: list[str], answer: str, key: str) -> Item:
    """Assemble an item of one skill; the solution begins with the skill's name."""
    body = ", ".join(steps)
    if not body:
        text = f"{skill}: {answer}."
    elif body.endswith("=" + answer):
        text = f"{skill}: {body}."
    else:
        text = f"{skill}: {body}, so {answer}."
    return Item((skill,), problem, text, answer, f"{skill}|{key}")


def draw(rng: Random, low: int, high: int, lead: int | None = None) -> int:
    """Draw from low..high; a given lead wins, but the draw is made all the same.

    That way a generator run twice from one seed, once with a lead, repeats its other numbers.
    """
    value = rng.randint(low, high)
    return value if lead is None else lead


def signed(rng: Random, high: int, low: int = 1) -> int:
    """Draw a nonzero whole number with low <= |value| <= high."""
    value = rng.randint(low, high)
    return value if rng.random() < 0.6 else -value


def by_level(level: str, easy: int, medium: int, hard: int) -> int:
    """Choose a range's end by the difficulty."""
    return easy if level == "easy" else medium if level == "medium" else hard


def term(coefficient: int, exponent: int, name: str = "x") -> str:
    """Text of one term: 3x^2, x, -x, 7."""
    if exponent == 0:
        return str(coefficient)
    power = name if exponent == 1 else f"{name}^{exponent}"
    return scaled(coefficient, power)


def scaled(coefficient: int, what: str) -> str:
    """A coefficient before something, with 1 and -1 left unwritten."""
    if coefficient == 1:
        return what
    return "-" + what if coefficient == -1 else f"{coefficient}{what}"


def joined(terms: list[str]) -> str:
    """Terms as a sum: a term that starts with a minus needs no plus."""
    return "".join(t if i == 0 or t.startswith("-") else "+" + t for i, t in enumerate(terms))


def poly_text(poly: Poly) -> str:
    """Text of a polynomial in x, highest power first; 0 for the empty one."""
    return joined([term(c, n) for n, c in sorted(poly.items(), reverse=True) if c]) or "0"


def _digits(number: int) -> list[int]:
    return [int(d) for d in reversed(str(number))]


def add_columns(a: int, b: int) -> list[str]:
    """The columns of a+b for a, b >= 0, units first, each with its carry."""
    one, two = _digits(a), _digits(b)
    steps, carry = [], 0
    for i in range(max(len(one), len(two))):
        digits = [d[i] for d in (one, two) if i < len(d)] + ([carry] if carry else [])
        total = sum(digits)
        if len(digits) > 1:
            steps.append("+".join(map(str, digits)) + f"={total}")
        carry = total // 10
    return steps


def sub_columns(a: int, b: int) -> list[str]:
    """The columns of a-b for a >= b >= 0, units first, a borrowed ten written as -1."""
    one, two = _digits(a), _digits(b)
    steps, borrow = [], 0
    for i, top in enumerate(one):
        taken = ([borrow] if borrow else []) + ([two[i]] if i < len(two) else [])
        lent = 10 if top < sum(taken) else 0
        if taken:
            steps.append("-".join(map(str, [top + lent, *taken])) + f"={top + lent - sum(taken)}")
        borrow = 1 if lent else 0
    return steps


def _easy_sum(a: int, b: int) -> bool:
    small, big = min(a, b), max(a, b)
    if a + b <= 20 or (small < 10 and a % 10 + b % 10 < 10):
        return True
    tens = a // 10 % 10 + b // 10 % 10
    return (a % 10 == 0 or b % 10 == 0) and (tens < 10 or big < 200)


def _easy_difference(a: int, b: int) -> bool:
    return a <= 20 or (b < 10 and a % 10 >= b) or (b % 10 == 0 and (a < 200 or a // 10 % 10 >= b // 10 % 10))


def sum_steps(a: int, b: int) -> list[str]:
    """Steps of a+b for signed numbers, ending in the whole equation; none when b is 0."""
    if b == 0:
        return []
    big, small = max(abs(a), abs(b)), min(abs(a), abs(b))
    last = f"{a}{b:+d}={a + b}"
    if (a >= 0) == (b >= 0):
        steps = [] if _easy_sum(big, small) else add_columns(abs(a), abs(b))
    elif _easy_difference(big, small):
        steps = []
    else:
        steps = sub_columns(big, small)
    return [*steps, last]


def product_steps(a: int, b: int) -> list[str]:
    """Steps of a*b for signed numbers: a fact, or the parts of the larger number."""
    big, small = max(abs(a), abs(b)), min(abs(a), abs(b))
    round_fact = small < 10 and big % 10 == 0 and big < 100
    if big <= 12 or small <= 1 or small == 10 or round_fact:
        return [f"{a}*{b}={a * b}"]
    if small < 10:
        places = [d * 10**i for i, d in enumerate(_digits(big)) if d][::-1]
        pieces = [[f"{p}*{small}={p * small}"] for p in places]
        values = [p * small for p in places]
    else:
        tens, units = divmod(small, 10)
        pieces = [product_steps(big, tens) if tens > 1 else [], [f"{big}*{tens * 10}={big * tens * 10}"]]
        pieces, values = [pieces[0] + pieces[1]], [big * tens * 10]
        if units:
            pieces.append(product_steps(big, units))
            values.append(big * units)
    steps = [s for piece in pieces for s in piece]
    total = values[0]
    for value in values[1:]:
        steps += sum_steps(total, value)
        total += value
    if a < 0 or b < 0:
        steps.append(f"{a}*{b}={a * b}")
    return steps


def quotient_steps(a: int, b: int) -> list[str]:
    """Steps of an exact division a/b: a fact, or tens of the quotient first."""
    top, by = abs(a), abs(b)
    tens, units = top // by // 10 * 10, top // by % 10
    if top // by <= 12 or units == 0:
        return [f"{a}/{b}={a // b}"]
    rest = top - tens * by
    steps = [f"{tens}*{by}={tens * by}", *sum_steps(top, -tens * by)]
    steps += [f"{rest}/{by}={units}", f"{tens}+{units}={top // by}"]
    return steps if a >= 0 and b > 0 else [*steps, f"{a}/{b}={a // b}"]


def power_steps(a: int, n: int) -> list[str]:
    """Steps of a^n: a square is a fact, a higher power is built up by multiplying."""
    shown = f"({a})" if a < 0 else str(a)
    if n == 2 and abs(a) <= 12:
        return [f"{shown}^2={a * a}"]
    steps, value = [], a
    for _ in range(n - 1):
        steps += product_steps(value, a)
        value *= a
    return [*steps, f"{shown}^{n}={value}"]


def eval_steps(poly: Poly, x: int) -> tuple[list[str], int]:
    """Put x into a polynomial: every term's value, then the running sum."""
    steps: list[str] = []
    values: list[int] = []
    for n, c in sorted(poly.items(), reverse=True):
        value = x**n
        if n > 1:
            steps += power_steps(x, n)
        if n and c != 1 and (c != -1 or not values):
            steps += product_steps(c, value)
        values.append(c * value)
    total = values[0]
    for value in values[1:]:
        steps += sum_steps(total, value)
        total += value
    return steps, total


def eval_poly(poly: Poly, x: int) -> int:
    """The value of a polynomial at x."""
    return sum(c * x**n for n, c in poly.items())
