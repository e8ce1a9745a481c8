"""Exercises of the algebra skills: expressions, brackets, equations, factors."""

from __future__ import annotations

from math import gcd
from random import Random

from .steps import (
    Item,
    Poly,
    by_level,
    draw,
    eval_poly,
    eval_steps,
    joined,
    make_item,
    poly_text,
    product_steps,
    quotient_steps,
    scaled,
    signed,
    sum_steps,
    term,
)

BIG = 150


def random_poly(rng: Random, level: str, lead: int | None = None, top: int = 9) -> Poly:
    """A polynomial of two or three terms; its first coefficient is the lead when one is given."""
    degree = 1 if level == "easy" and rng.random() < 0.5 else 3 if level == "hard" and rng.random() < 0.4 else 2
    poly: Poly = {degree: draw(rng, 1, by_level(level, 4, 6, top), lead)}
    lower = list(range(degree))
    rng.shuffle(lower)
    for n in sorted(lower[: rng.randint(1, 2)], reverse=True):
        poly[n] = signed(rng, top)
    return poly


def evaluating_from(rng: Random, level: str, poly: Poly) -> Item | None:
    """Evaluate a given polynomial at a small number."""
    degree = max(poly)
    x = rng.randint(2, by_level(level, 5, 6, 9) if degree < 3 else 4)
    if level == "hard" and degree < 3 and rng.random() < 0.3:
        x = -x
    if degree == 0 or degree > 3 or any(abs(c) > 99 for c in poly.values()):
        return None
    steps, value = eval_steps(poly, x)
    if abs(value) > BIG or any(abs(c * x**n) > BIG for n, c in poly.items()):
        return None
    text = poly_text(poly)
    steps = [f"put x={x}", *steps]
    return make_item("Evaluating expressions", f"Evaluate {text} at x={x}.", steps, str(value), f"{text}@{x}")


def evaluating(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """A polynomial's value at a number."""
    if lead is not None and not 0 < abs(lead) <= 60:
        return None
    return evaluating_from(rng, level, random_poly(rng, level, lead))


_OPAQUE = ("sin(x)", "cos(x)", "sin({}x)", "cos({}x)", "e^x", "e^({}x)", "ln(x)", "x*sin(x)", "x*e^x", "u", "v", "t")
_FAMILIES = (("x", "y"), ("x", "y"), ("x^2", "x"), ("x^2", "x"), ("x^3", "x"), ("x",))


def _like_names(rng: Random) -> list[str]:
    if rng.random() < 0.45:
        return [name.format(rng.randint(2, 12)) for name in rng.sample(_OPAQUE, rng.randint(1, 2))]
    return list(rng.choice(_FAMILIES))


def like_terms(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """Collect like terms: powers of x, other letters, functions as opaque terms, +C."""
    names = _like_names(rng)
    if rng.random() < 0.4:
        names.append("")
    high = by_level(level, 9, 12, 30)
    total = max(2 if len(names) == 1 else 3, by_level(level, 3, 4, 5))
    picked = [names[0], *(rng.choice(names) for _ in range(total - 2)), names[0]]
    terms = [(draw(rng, 2, high, lead if i == 0 else None), name) for i, name in enumerate(picked)]
    terms = [(c if i == 0 or rng.random() < 0.6 else -c, name) for i, (c, name) in enumerate(terms)]
    if not 1 < abs(terms[0][0]) < 100:
        return None
    steps, kept = [], []
    for name in names:
        own = [c for c, n in terms if n == name]
        if len(own) > 1:
            steps += _collect(name, own)
        if sum(own):
            kept.append(scaled(sum(own), name) if name else str(sum(own)))
    constant = rng.random() < 0.12
    text = joined([scaled(c, name) if name else str(c) for c, name in terms]) + ("+C" if constant else "")
    answer = joined(kept + (["C"] if constant else [])) or "0"
    return make_item("Like terms", f"Simplify {text}.", steps, answer, text)


def _collect(name: str, own: list[int]) -> list[str]:
    steps, total = [], own[0]
    for c in own[1:]:
        steps += sum_steps(total, c)
        total += c
    label = name or "numbers"
    return [f"{label}: {steps[0]}", *steps[1:]]


def multiplying_from(rng: Random, level: str, poly: Poly) -> Item | None:
    """Multiply a given single term by another one."""
    if len(poly) != 1 or 0 in poly:
        return None
    (n, a), b, m = next(iter(poly.items())), signed(rng, by_level(level, 5, 9, 12)), rng.randint(1, 6)
    if abs(a) > 60:
        return None
    text = f"{term(a, n)}*{term(b, m)}"
    steps = [*product_steps(a, b), f"{n}+{m}={n + m}"]
    return make_item("Multiplying powers", f"Multiply {text}.", steps, term(a * b, n + m), text)


def multiplying_powers(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """The product of two terms: coefficients multiply, exponents add."""
    a = draw(rng, 1, by_level(level, 6, 9, 20), lead)
    return multiplying_from(rng, level, {rng.randint(1, by_level(level, 4, 6, 9)): a}) if a else None


def expanding(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """A number or a term times a bracket, or two brackets."""
    form = rng.random()
    if lead is not None or form < 0.3:
        a, n = draw(rng, 2, by_level(level, 6, 9, 12), lead), rng.choice((0, 0, 1, 2))
        if not 1 < abs(a) <= 60:
            return None
        inner = {rng.choice((1, 1, 2)): rng.randint(1, by_level(level, 1, 5, 9)), 0: signed(rng, 12)}
        return _expanded(f"{term(a, n)}({poly_text(inner)})", {n: a}, inner)
    high = by_level(level, 6, 9, 12)
    first = {1: 1 if level == "easy" else rng.randint(1, 4), 0: signed(rng, high)}
    second = {1: 1 if level != "hard" else rng.randint(1, 4), 0: signed(rng, high)}
    if rng.random() < 0.12:
        return _expanded(f"({poly_text(first)})^2", first, first)
    return _expanded(f"({poly_text(first)})({poly_text(second)})", first, second)


def _expanded(text: str, one: Poly, two: Poly) -> Item:
    steps: list[str] = []
    collected: dict[int, list[int]] = {}
    for n, a in sorted(one.items(), reverse=True):
        for m, b in sorted(two.items(), reverse=True):
            if n == m == 0:
                steps += product_steps(a, b)
            else:
                steps.append(f"{term(a, n)}*{term(b, m)}={term(a * b, n + m)}")
            collected.setdefault(n + m, []).append(a * b)
    for values in collected.values():
        if len(values) > 1:
            steps += sum_steps(*values)
    result = {n: sum(v) for n, v in collected.items() if sum(v)}
    return make_item("Expanding brackets", f"Expand {text}.", steps, poly_text(result), text)


def linear_equations(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """ax+b=c, ax+b=cx+d or a(x+b)=c with a whole solution."""
    x = rng.randint(1, by_level(level, 9, 12, 12)) * (-1 if level == "hard" and rng.random() < 0.4 else 1)
    a, b = draw(rng, 2, by_level(level, 6, 9, 12), lead), signed(rng, by_level(level, 9, 20, 30))
    form = rng.random()
    if not 1 < abs(a) <= 30:
        return None
    if form < 0.25:
        text, steps = f"{a}(x{b:+d})={a * (x + b)}", [*quotient_steps(a * (x + b), a), *sum_steps(x + b, -b)]
    elif form < 0.5 and level != "easy" and a > 2:
        c = rng.randint(1, min(a - 1, 9))
        d = (a - c) * x + b
        text = f"{term(a, 1)}{b:+d}={poly_text({1: c, 0: d})}"
        steps = [*sum_steps(a, -c), *sum_steps(d, -b)]
        steps += quotient_steps(d - b, a - c) if a - c > 1 else []
    else:
        c = a * x + b if rng.random() < 0.85 else 0
        b = b if c else -a * x
        text, steps = f"{term(a, 1)}{b:+d}={c}", [*sum_steps(c, -b), *quotient_steps(c - b, a)]
    return make_item("Linear equations", f"Solve {text}.", [*steps, f"so x={x}"], str(x), text)


def linear_steps(a: int, b: int) -> tuple[list[str], int]:
    """Steps that solve ax+b=0, and x."""
    return [f"{poly_text({1: a, 0: b})}=0", *sum_steps(0, -b), *quotient_steps(-b, a)], -b // a


def factor_steps(b: int, c: int) -> tuple[list[str], int, int] | None:
    """Try the factor pairs of c until two add up to b; the steps and the pair, smaller first."""
    steps: list[str] = []
    for small in range(1, abs(c) + 1):
        if c % small or small * small > abs(c):
            continue
        large = abs(c) // small
        if c > 0:
            p, q = (small, large) if b >= 0 else (-small, -large)
        else:
            p, q = (-small, large) if b >= 0 else (small, -large)
        steps += [f"{p}*{q}={c}", *sum_steps(p, q)]
        if p + q == b:
            return steps, p, q
    return None


def factoring_from(rng: Random, level: str, poly: Poly) -> Item | None:
    """Factor a given polynomial: x^2+bx+c, or a common factor of two terms."""
    text = poly_text(poly)
    exponents, c = sorted(poly), poly.get(0, 0)
    if len(poly) == 2 and 2 <= max(poly) - min(poly) + 1 <= 2 and not (exponents == [0, 1] and abs(poly[1]) == 1):
        return _common_factor(text, poly)
    if max(poly) != 2 or poly[2] != 1 or not c or abs(c) > 144:
        return None
    found = factor_steps(poly.get(1, 0), c)
    if found is None:
        return None
    steps, p, q = found
    return make_item("Factoring", f"Factor {text}.", steps, f"(x{p:+d})(x{q:+d})", text)


def _common_factor(text: str, poly: Poly) -> Item | None:
    high, low = max(poly), min(poly)
    common = gcd(poly[high], poly[low])
    if poly[high] < 2 or (common == 1 and low == 0):
        return None
    a, b = poly[high] // common, poly[low] // common
    steps = [f"{common}*{a}={poly[high]}", f"{common}*{b}={poly[low]}"] if common > 1 else []
    return make_item("Factoring", f"Factor {text}.", steps, f"{term(common, low)}({poly_text({1: a, 0: b})})", text)


def factoring(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """x^2+bx+c into two brackets, or a common factor before one bracket."""
    if lead is not None or rng.random() < 0.25:
        common, low = rng.randint(2, by_level(level, 5, 9, 12)), rng.choice((0, 0, 1, 2))
        if lead is not None:
            if not 1 < lead <= 99:
                return None
            common = rng.choice([d for d in range(2, 13) if lead % d == 0] or [0])
        if not common:
            return None
        a = rng.randint(1, 9) if lead is None else lead // common
        return factoring_from(rng, level, {low + 1: common * a, low: common * signed(rng, 9)})
    p, q = signed(rng, by_level(level, 5, 9, 12)), signed(rng, by_level(level, 5, 9, 12))
    poly = {2: 1, 1: p + q, 0: p * q}
    return factoring_from(rng, level, {n: c for n, c in poly.items() if c})


def is_small(poly: Poly, x: int) -> bool:
    """Whether no term and no total gets out of hand at x."""
    return abs(eval_poly(poly, x)) <= BIG and all(abs(c * x**n) <= BIG for n, c in poly.items())
