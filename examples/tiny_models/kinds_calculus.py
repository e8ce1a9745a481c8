"""Exercises of differential calculus; every solution is built from the forms of the lower skills."""

from __future__ import annotations

from random import Random

from .kinds_algebra import evaluating_from, factoring_from, is_small, random_poly
from .rules import derive, derive_steps, power_rule
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


def _differentiate(rng: Random, text: str) -> str:
    return f"Differentiate {text}." if rng.random() < 0.7 else f"Find the derivative of {text}."


def _too_big(lead: int | None, limit: int) -> bool:
    return lead is not None and not 0 < abs(lead) <= limit


def limits_from(rng: Random, level: str, poly: Poly) -> Item | None:
    """The limit of a given polynomial, by putting the number in."""
    item = evaluating_from(rng, level, poly)
    if item is None:
        return None
    text, x = item.key.split("|")[1].split("@")
    steps, value = eval_steps(poly, int(x))
    return make_item(
        "Limits", f"Find the limit of {text} as x approaches {x}.", [f"put x={x}", *steps], str(value), item.key
    )


def limits(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """The limit of a polynomial, or of a quotient whose denominator is not 0."""
    if _too_big(lead, 60):
        return None
    poly = random_poly(rng, level, lead)
    if lead is not None or level == "easy" or rng.random() < 0.5:
        return limits_from(rng, level, poly)
    x, shift, a = rng.randint(1, 6), rng.randint(1, 6), rng.randint(1, 4)
    poly = {2: a, 0: rng.randint(1, 20)} if rng.random() < 0.5 else {2: a, 1: rng.randint(1, 6)}
    top, bottom = eval_poly(poly, x), x + shift
    if top % bottom or not is_small(poly, x):
        return None
    text = f"({poly_text(poly)})/(x+{shift})"
    steps = [f"put x={x}", *eval_steps(poly, x)[0], *sum_steps(x, shift), *quotient_steps(top, bottom)]
    problem = f"Find the limit of {text} as x approaches {x}."
    return make_item("Limits", problem, steps, str(top // bottom), f"{text}@{x}")


def limits_by_factoring(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """A 0/0 limit: factor, cancel, put the number in."""
    high = by_level(level, 6, 9, 12)
    if lead is not None or rng.random() < 0.25:
        k, a, b = rng.randint(2, 6), rng.randint(1, 9), signed(rng, 9)
        if lead is not None:
            k, a = next(((d, lead // d) for d in range(2, 7) if lead > 0 and lead % d == 0), (0, 0))
        if not k or k * a > 60:
            return None
        text, point, left = f"({poly_text({2: k * a, 1: k * b})})/({k}x)", 0, {1: a, 0: b}
        steps = [f"{k}*{a}={k * a}", f"{k}*{b}={k * b}", f"{k}x({poly_text(left)})", f"cancel {k}x", poly_text(left)]
        steps += [f"put x={point}", *product_steps(a, 0), *sum_steps(0, b)]
        return _limit_item(text, point, steps, b)
    p, q = signed(rng, high), signed(rng, high)
    poly = {n: c for n, c in {2: 1, 1: p + q, 0: p * q}.items() if c}
    factored = factoring_from(rng, level, poly)
    if factored is None:
        return None
    body = factored.solution.removeprefix("Factoring: ").removesuffix(".")
    text = f"({poly_text(poly)})/(x{p:+d})"
    steps = [*body.split(", "), f"cancel (x{p:+d})", f"x{q:+d}", f"put x={-p}", *sum_steps(-p, q)]
    return _limit_item(text, -p, steps, q - p)


def _limit_item(text: str, x: int, steps: list[str], value: int) -> Item:
    problem = f"Find the limit of {text} as x approaches {x}."
    return make_item("Limits by factoring", problem, steps, str(value), f"{text}@{x}")


def power_rule_from(rng: Random, level: str, poly: Poly) -> Item | None:
    """Differentiate a given single term."""
    n, c = next(iter(poly.items()))
    if len(poly) != 1 or n < 2 or n > 12 or not 0 < abs(c) <= 99:
        return None
    text = term(c, n)
    return make_item("Power rule", _differentiate(rng, text), power_rule(c, n), term(c * n, n - 1), text)


def power_rule_item(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """The derivative of cx^n."""
    n, c = rng.randint(2, by_level(level, 9, 12, 9)), draw(rng, 1, by_level(level, 9, 12, 60), lead)
    if lead is None and level != "easy" and rng.random() < 0.3:
        c = -c
    return power_rule_from(rng, level, {n: c})


def derivatives_from(rng: Random, level: str, poly: Poly) -> Item | None:
    """Differentiate a given polynomial term by term."""
    if (len(poly) < 2 and max(poly) > 1) or max(poly) == 0 or any(abs(c) > 99 for c in poly.values()):
        return None
    text = poly_text(poly)
    problem = _differentiate(rng, text)
    return make_item("Derivatives of polynomials", problem, derive_steps(poly), poly_text(derive(poly)), text)


def derivatives(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """The derivative of a polynomial."""
    return None if _too_big(lead, 99) else derivatives_from(rng, level, random_poly(rng, level, lead, 12))


_DERIVED = {"sin(x)": "cos(x)", "cos(x)": "-sin(x)", "e^x": "e^x", "ln(x)": "1/x"}


def product_rule(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """The derivative of a power or a linear bracket times sin(x), cos(x), e^x or ln(x)."""
    v = rng.choice(("sin(x)", "cos(x)", "e^x", "ln(x)"))
    a, n = draw(rng, 1, by_level(level, 4, 9, 12), lead), rng.randint(2, by_level(level, 5, 7, 9))
    if _too_big(lead, 60):
        return None
    if v != "ln(x)" and rng.random() < by_level(level, 20, 40, 50) / 100:
        return _product_of_bracket(rng, {1: a, 0: signed(rng, 9)}, v)
    u, du = term(a, n), term(a * n, n - 1)
    steps = [f"u={u}", f"v={v}", *power_rule(a, n), f"u'={du}", f"v'={_DERIVED[v]}"]
    if v == "ln(x)":
        last = term(a, n - 1)
        steps.append(f"{u}*1/x={last}")
    else:
        last = f"{term(-a, n)}*sin(x)" if v == "cos(x)" else f"{u}*{_DERIVED[v]}"
    answer = joined([f"{du}*{v}", last])
    return make_item("Product rule", _differentiate(rng, f"{u}*{v}"), steps, answer, f"{u}*{v}")


def _product_of_bracket(rng: Random, u: Poly, v: str) -> Item:
    text, dv = poly_text(u), _DERIVED[v]
    last = f"-({text})*sin(x)" if v == "cos(x)" else f"({text})*{dv}"
    answer = joined([scaled(u[1], v), last])
    steps = [f"u={text}", f"v={v}", f"u'={u[1]}", f"v'={dv}"]
    return make_item("Product rule", _differentiate(rng, f"({text})*{v}"), steps, answer, f"({text})*{v}")


def quotient_rule(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """The derivative of (ax+b)/(cx+d): a number over a square."""
    a, b = draw(rng, 1, by_level(level, 4, 9, 12), lead), signed(rng, by_level(level, 6, 9, 12))
    c, d = rng.randint(1, by_level(level, 1, 3, 5)), signed(rng, by_level(level, 6, 9, 12))
    if a * d == b * c or _too_big(lead, 30):
        return None
    u, v = poly_text({1: a, 0: b}), poly_text({1: c, 0: d})
    steps = [f"u={u}", f"v={v}", f"u'={a}", f"v'={c}", *product_steps(a, d), *product_steps(b, c)]
    steps += sum_steps(a * d, -b * c)
    text = f"({u})/({v})"
    return make_item("Quotient rule", _differentiate(rng, text), steps, f"{a * d - b * c}/({v})^2", text)


def chain_rule(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """The derivative of k(ax+b)^n or k(x^2+c)^n."""
    a, b, n = rng.randint(1, by_level(level, 5, 9, 12)), signed(rng, 9), rng.randint(2, by_level(level, 5, 6, 9))
    k = draw(rng, 2, 5, lead)
    if lead is None and (level == "easy" or rng.random() < 0.7):
        k = 1
    if _too_big(lead, 30):
        return None
    square = level != "easy" and rng.random() < 0.25
    u = poly_text({2: 1, 0: b} if square else {1: a, 0: b})
    factor, du = (2, "2x") if square else (a, str(a))
    steps = [f"u={u}", f"u'={du}", *(product_steps(k, n) if k != 1 else []), *product_steps(k * n, factor)]
    steps.append(f"{n}-1={n - 1}")
    outer = f"({u})" + (f"^{n - 1}" if n > 2 else "")
    text = scaled(k, f"({u})^{n}")
    answer = scaled(k * n * factor, "x" if square else "") + outer
    return make_item("Chain rule", _differentiate(rng, text), steps, answer, text)


def sine_derivatives(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """The derivative of a sin(bx), a cos(bx) or a sum of the two."""
    count = 1 if level == "easy" or (level == "medium" and rng.random() < 0.5) else 2
    names = rng.sample(("sin", "cos"), 2)[:count]
    texts, steps, results = [], [], []
    for i, name in enumerate(names):
        a, b = draw(rng, 1, 12, None if i else lead), rng.randint(2, by_level(level, 9, 9, 12))
        a = -a if i and rng.random() < 0.3 else a
        if _too_big(a, 60):
            return None
        texts.append(scaled(a, f"{name}({b}x)"))
        sign, other = (1, "cos") if name == "sin" else (-1, "sin")
        steps += [f"{name}({b}x) gives {'-' if sign < 0 else ''}{other}({b}x)", *product_steps(a, b)]
        results.append(scaled(sign * a * b, f"{other}({b}x)"))
    text = joined(texts)
    return make_item("Derivatives of sine and cosine", _differentiate(rng, text), steps, joined(results), text)


def exponential_derivatives(rng: Random, level: str, lead: int | None = None) -> Item | None:
    """The derivative of a e^(bx), alone or with a second term."""
    a, b = draw(rng, 1, by_level(level, 9, 12, 20), lead), rng.randint(2, by_level(level, 9, 9, 12))
    c, d = signed(rng, 9), rng.randint(2, 9)
    if _too_big(lead, 60):
        return None
    texts, steps, results = [scaled(a, f"e^({b}x)")], product_steps(a, b), [scaled(a * b, f"e^({b}x)")]
    form = "one" if level == "easy" and rng.random() < 0.7 else rng.choice(("e", "power", "one"))
    if form == "e" and d != b:
        texts.append(scaled(c, f"e^({d}x)"))
        steps += product_steps(c, d)
        results.append(scaled(c * d, f"e^({d}x)"))
    elif form == "power":
        texts.append(term(c, d))
        steps += power_rule(c, d)
        results.append(term(c * d, d - 1))
    text = joined(texts)
    return make_item("Derivatives of exponentials", _differentiate(rng, text), steps, joined(results), text)
