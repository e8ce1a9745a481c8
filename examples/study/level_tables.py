"""What level_by_level.json says: means over seeds, and the page's tables and pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from . import arms, drawing
from .figures import Estimate, estimate
from .results import SPLITS, percent, table

FILE, ALONG = "level_by_level.json", "graph-order"
ARMS = (ALONG, arms.SOURCE)
BASE, TEXTBOOKS, NO_LEVEL = "base", "textbooks", "none"
Runs = Sequence[Mapping[str, Any]]  # {"seed", "arm", "points": [{"name", "tokens", "scores"}]}
FIRST_PICTURE, SECOND_PICTURE = "results-levels.svg", "results-levels-along.svg"


def order(runs: Runs) -> dict[str, float]:
    """The points' names in their order, and how many tokens were trained, mean over seeds."""
    tokens: dict[str, list[float]] = {}
    for run in runs:
        for point in run["points"]:
            tokens.setdefault(point["name"], []).append(point["tokens"])
    means = {name: estimate(found).mean for name, found in tokens.items()}
    return dict(sorted(means.items(), key=lambda pair: pair[1]))


def levels(runs: Runs, split: str) -> list[str]:
    """The levels that the questions of a set belong to, lowest first, those of no level last."""
    found = {level for run in runs for point in run["points"] for level in point["scores"][split]} - {"all"}
    return sorted(found, key=lambda level: (level == NO_LEVEL, len(level), level))


def shares(runs: Runs, arm: str, point: str, split: str, level: str = "all") -> dict[int, float]:
    """Share of right answers by seed; seeds without such a point or such questions are left out."""
    found = {}
    for run in runs:
        for one in run["points"]:
            if run["arm"] == arm and one["name"] == point and level in one["scores"][split]:
                right, asked = one["scores"][split][level]
                found[run["seed"]] = right / asked
    return found


def over_seeds(runs: Runs, arm: str, point: str, split: str, level: str = "all") -> Estimate:
    return estimate(list(shares(runs, arm, point, split, level).values()))


def _share(e: Estimate) -> str:
    """As per cent; an interval of few seeds may reach beyond what a share can be."""
    return percent(replace(e, low=max(0.0, e.low), high=min(1.0, e.high)) if e.n > 1 else e)


def difference(runs: Runs, point: str, split: str) -> Estimate:
    """Along the graph minus shuffled, on the seeds that have both."""
    one, two = (shares(runs, arm, point, split) for arm in ARMS)
    return estimate([one[s] - two[s] for s in one if s in two])


def estimates(runs: Runs) -> list[dict[str, Any]]:
    """Every mean with its interval over seeds; None for the ends of an interval that one seed has not."""
    found = []
    for arm in ARMS:
        for point in order(runs):
            for split in SPLITS:
                for level in ["all", *levels(runs, split)]:
                    e = over_seeds(runs, arm, point, split, level)
                    if e.n:
                        low, high = (end if math.isfinite(end) else None for end in (e.low, e.high))
                        which = {"arm": arm, "point": point, "split": split, "level": level}
                        found.append({**which, "mean": e.mean, "low": low, "high": high, "n": e.n})
    return found


def section(content: Mapping[str, Any]) -> Iterator[str]:
    """The Markdown of the page. `content`: of level_by_level.json."""
    runs: Runs = content["runs"]
    yield "## Level by level\n"
    yield _what(content)
    head = ["after", "trained tokens"]
    for split in SPLITS:
        head += [f"{split}, {ALONG}", f"{split}, {arms.SOURCE}", "difference"]
    rows = []
    for point, tokens in order(runs).items():
        row = [point, f"{tokens:,.0f}"]
        for split in SPLITS:
            row += [_share(over_seeds(runs, arm, point, split)) for arm in ARMS]
            row.append(percent(difference(runs, point, split), signed=True))
        rows.append(row)
    yield from table(head, rows)
    yield f"![Right answers after each level]({FIRST_PICTURE})\n"
    yield f"![Right answers on eval by the level of the question, along the graph]({SECOND_PICTURE})\n"
    for split in ("eval", "general"):
        for arm in ARMS:
            yield f"By the level of the question's topic, {split}, `{arm}`:\n"
            names = levels(runs, split)
            rows = [[p, *(_share(over_seeds(runs, arm, p, split, n)) for n in names)] for p in order(runs)]
            yield from table(["after", *("no level" if n == NO_LEVEL else f"level {n}" for n in names)], rows)


def _what(content: Mapping[str, Any]) -> str:
    runs: Runs = content["runs"]
    which = sorted({run["seed"] for run in runs})
    asked = ", ".join(f"{runs[0]['points'][0]['scores'][s].get('all', [0, 0])[1]} of {s}" for s in SPLITS)
    return (
        f"Seeds {', '.join(map(str, which))}. `{ALONG}` reads the textbooks and then goes through the exercises, lower "
        f"levels first; `{arms.SOURCE}` shuffles them. These are the first passes of the arms above: the student was "
        f"kept after the textbooks and after each level, `{arms.SOURCE}` at the same numbers of trained tokens, so the "
        "learning rate is still that of a training that goes on. A level ends where its share of the tokens does: "
        "putting similar lengths together mixes it a little with the next. "
        f"{content['share']:.0%} of the questions of each topic were asked, always the same ({asked}); topics outside "
        "the graph have no level.\n"
    )


def pictures(content: Mapping[str, Any]) -> dict[str, str]:
    """By file name: both arms, and by level along the graph."""
    runs: Runs = content["runs"]
    places = order(runs)
    ticks = [(x, p[0] if p in (BASE, TEXTBOOKS) else p.rpartition(" ")[2]) for p, x in places.items()]

    def curve(arm: str, split: str, level: str = "all") -> drawing.Curve:
        found = [(x, over_seeds(runs, arm, p, split, level)) for p, x in places.items()]
        return [(x, e) for x, e in found if e.n]

    across = "trained tokens, marked at the ends of the textbooks (t) and of each level"
    both = {f"{arm} {split}": curve(arm, split) for split in ("eval", "transfer") for arm in ARMS}
    own = {f"eval, level {level}": curve(ALONG, "eval", level) for level in levels(runs, "eval") if level != NO_LEVEL}
    return {
        FIRST_PICTURE: drawing.curves(both, across, "right answers", ticks),
        SECOND_PICTURE: drawing.curves(own, across, f"right answers of {ALONG}", ticks),
    }
