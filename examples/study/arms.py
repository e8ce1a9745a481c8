"""The arms of the study: what each changes of the defaults, on the same teacher output and the same budget.

The budget counts target tokens of pretraining and tuning together, and stands in the settings before anything is
trained: an arm that reads textbooks has so much less left for exercises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: The arm that writes for all others and that they are compared with.
SOURCE = "static"


@dataclass(frozen=True)
class Size:
    """How much the teacher writes, first and in the rounds (settings), and target tokens of an arm."""

    writing: Mapping[str, Any]
    budget: int


SIZES = {
    "full": Size({}, 850_000),  # what the bundled pair writes, and about what it trains on, by default
    "small": Size(
        {
            "exercises.single_per_skill": 32, "exercises.composed_per_skill": 5, "textbooks.per_skill": 1,
            "tune.rounds": 6, "dynamics.max_new_fraction": 0.5, "dynamics.variants_per_hard": 2,
        },
        640_000,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Arm:
    """`share`: of the budget; `planted`: share of its exercises that are made wrong (0: as the teacher wrote them);
    `of`: the arm whose exercises it has from the start, those of all rounds ("": the source's first)."""

    what: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    share: float = 1.0
    planted: float = 0.0
    of: str = ""


_STATIC: Mapping[str, Any] = {"pretrain.epochs": 0, "tune.rounds": 1, "tune.order": "random"}
_NOTHING_NEW: Mapping[str, Any] = {"dynamics.variants_per_hard": 0, "dynamics.compositions_per_pair": 0}


def _in_order(order: str) -> dict[str, Any]:
    return {"pretrain.order": order, "tune.order": order, "tune.rounds": 1, "dynamics.probes": 0}


def _planted(share: float) -> Arm:
    """Whole epochs, so that all examples are seen as often; no rehearsal, which depends on the exercises' number; no
    average of the adapter, as constructed errors are measured on the student that saw the others."""
    settings = {
        **_STATIC, "tune.epochs": 3, "tune.average_from": 1.0, "rehearsal.share": 0, "rehearsal.own_words": 0
    }  # fmt: skip
    wrong = f"{share:.0%} of right exercises made wrong" if share else "the teacher's own errors"
    return Arm(f"static, {wrong}, 3 epochs", settings, 0.0, share)


ARMS: Mapping[str, Arm] = {
    SOURCE: Arm("exercises shuffled, no textbooks, nothing changed", _STATIC),
    "textbooks-random": Arm("textbooks in random order, then static", _in_order("random")),
    "graph-order": Arm("textbooks and exercises along the graph, lower levels first", _in_order("lower_to_higher")),
    "reverse-order": Arm("textbooks and exercises against the graph", _in_order("higher_to_lower")),
    "dsa": Arm("the defaults: textbooks along the graph, rounds of looking and acting"),
    "static-all": Arm("static, from the start with every exercise that dsa ended with", _STATIC, of="dsa"),
    "no-filter": Arm("dsa, errors are kept", {"dynamics.filter_errors": False}),
    "no-second-look": Arm("dsa, errors by the loss alone", {"dynamics.second_look": 0}),
    "no-down-weight": Arm("dsa, easy ones keep their weight", {"dynamics.down_weight_easy": False}),
    "no-variants": Arm("dsa, no variants of hard ones", {"dynamics.variants_per_hard": 0}),
    "no-compositions": Arm("dsa, easy ones are not joined", {"dynamics.compositions_per_pair": 0}),
    "no-new": Arm("dsa, nothing is written in the rounds", _NOTHING_NEW),
    "no-textbooks": Arm("dsa, nothing is read before", {"pretrain.epochs": 0}),
    "dsa-ordered": Arm("dsa, exercises along the graph too", {"tune.order": "lower_to_higher"}),
    "static-25": Arm("static, a quarter of the budget", _STATIC, 0.25),
    "static-50": Arm("static, half the budget", _STATIC, 0.5),
    "static-75": Arm("static, three quarters of the budget", _STATIC, 0.75),
    "static-200": Arm("static, twice the budget", _STATIC, 2.0),
    "dsa-50": Arm("dsa, half the budget", {}, 0.5),
    "own-errors": _planted(0.0),
    "planted-05": _planted(0.05),
    "planted-15": _planted(0.15),
    "planted-30": _planted(0.30),
}

GROUPS: Mapping[str, tuple[str, ...]] = {
    "main": tuple(ARMS)[:13],
    "curve": ("static-25", "static-50", "static-75", "static-200", "dsa-50"),
    "errors": ("own-errors", "planted-05", "planted-15", "planted-30"),
    "all": tuple(ARMS),
}


def chosen(names: list[str]) -> list[str]:
    """Arms and groups of arms by name, each arm once, in the order of `ARMS`, with those whose exercises they take.

    Raises KeyError for a name that is neither.
    """
    wanted = {SOURCE}
    for name in names:
        wanted |= set(GROUPS[name]) if name in GROUPS else {name} if name in ARMS else set(_unknown(name))
    wanted |= {ARMS[name].of for name in wanted}
    return [name for name in ARMS if name in wanted]


def _unknown(name: str) -> tuple[str, ...]:
    raise KeyError(f"no arm or group of arms is called {name!r}; there are {', '.join([*GROUPS, *ARMS])}")


def settings(arm: str, size: str, seed: int, budget: int = 0) -> dict[str, Any]:
    """Dotted settings of one arm, without what it writes. `budget`: target tokens in place of the size's; 0: those."""
    found = ARMS[arm]
    tokens = round((budget or SIZES[size].budget) * found.share)
    return {
        "seed": seed,
        "student.threads": 1,
        "teacher.threads": 1,
        "tune.budget_tokens": tokens,
        **found.settings,
    }
