"""The page of results: `python -m examples.study.page --out runs/study` writes examples/study/RESULTS.md.

Every figure is read from the run folders, errors.json and level_by_level.json; what is missing is said to be missing.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dsa_lite.io.files import read_json
from dsa_lite.records import REGIONS

from . import arms, drawing, errors, level_tables
from .figures import Estimate, estimate
from .results import SPLITS, Results, accuracy, over_seeds, paired, percent, read, table
from .study import Study, folder, load, seeds
from .targets import targets


def page(out: Path) -> tuple[str, dict[str, str]]:
    """The Markdown text, and the pictures it shows by file name."""
    study, commands = load(out)
    results, found, walked = read(out), read_json(out / errors.FILE), read_json(out / level_tables.FILE)
    pictures = _pictures(results) | ({} if walked is None else level_tables.pictures(walked))
    parts = [
        *_head(out, study, commands, found is not None),
        *targets(results, None if found is None else found["runs"]),
        *_arms(results), *_differences(results), *_curve(results),
        *(level_tables.section(walked) if walked is not None else []), *_regions(results),
        *(_errors(found["runs"]) if found is not None else []), *_missing(out, results),
    ]  # fmt: skip
    return "\n".join(parts).rstrip() + "\n", pictures


def _head(out: Path, study: Study, commands: Sequence[str], measured: bool) -> Iterator[str]:
    budget, which = study.budget or arms.SIZES[study.size].budget, ", ".join(map(str, seeds(out)))
    yield "# Does it teach? The results of the study\n"
    yield (
        f"Skill {study.skill}, seeds {which}, size {study.size}. Unless an arm says otherwise it is "
        f"trained on {budget:,} target tokens, textbooks included, to the end of the batch that uses them up, "
        "on the same graph, textbooks, first exercises and rehearsed chats of its seed. Accuracies in per cent of the "
        f"{'development' if study.dev else 'held-out'} questions, mean over seeds with a 95 % t-interval.\n"
    )
    if study.dev:
        yield "**Development split: made to choose settings on, not to be reported.**\n"
    yield "Made by\n"
    more = [f"python -m examples.study.errors --out {out}"] if measured else []
    yield "\n".join(f"    {line}" for line in [*commands, *more, f"python -m examples.study.page --out {out}"]) + "\n"


def _arms(results: Results) -> Iterator[str]:
    yield "## Arms\n"
    rows = []
    if arms.SOURCE in results:
        base = [percent(over_seeds(results, arms.SOURCE, accuracy(s, "before"))) for s in SPLITS]
        rows.append(["base", "the student before", *base, "0", "", ""])
    for arm, by_seed in results.items():
        cost = [estimate([float(o[f]) for o in by_seed.values()]).mean for f in ("trained_tokens", "teacher_tokens")]
        scores = [percent(over_seeds(results, arm, accuracy(s))) for s in SPLITS]
        rows.append([arm, arms.ARMS[arm].what, *scores, f"{cost[0]:,.0f}", f"{cost[1]:,.0f}", str(len(by_seed))])
    yield from table(["arm", "what", *SPLITS, "trained tokens", "teacher tokens", "seeds"], rows)


def _equal(results: Results) -> list[str]:
    """The finished arms on the whole budget, but the one all are compared with."""
    return [a for a in results if arms.ARMS[a].share == 1 and not arms.ARMS[a].planted and a != arms.SOURCE]


def _pairs(results: Results) -> list[tuple[str, str]]:
    off = [(a, "dsa") for a in results if a.startswith("no-")]
    order = [("graph-order", "reverse-order")] if "graph-order" in results else []
    half = [pair for pair in (("dsa-50", arms.SOURCE), ("dsa", "static-200")) if set(pair) <= set(results)]
    data = [("dsa", "static-all")] if "static-all" in results else []
    return [*((a, arms.SOURCE) for a in _equal(results)), *data, *order, *off, *half]


def _differences(results: Results) -> Iterator[str]:
    yield "## Paired differences\n"
    yield "In points of a hundred, the same seed against the same seed.\n"
    rows = [
        [f"{one} − {two}", *(percent(paired(results, one, two, accuracy(s)), signed=True) for s in SPLITS)]
        for one, two in _pairs(results)
    ]
    yield from table(["arms", *SPLITS], rows)
    yield "![Differences against the static arm on eval](results-differences.svg)\n"


def _points(results: Results, name: str) -> list[tuple[float, Estimate]]:
    """Trained tokens and accuracy on eval of an arm at each share of the budget that was run, and of the base."""
    base = [(0.0, over_seeds(results, arms.SOURCE, accuracy("eval", "before")))] if arms.SOURCE in results else []
    which = [arm for arm in results if arm == name or arm in {f"{name}-{n}" for n in (25, 50, 75, 200)}]
    tokens = {a: estimate([float(o["trained_tokens"]) for o in results[a].values()]).mean for a in which}
    return sorted([*base, *((tokens[a], over_seeds(results, a, accuracy("eval"))) for a in which)])


def _curve(results: Results) -> Iterator[str]:
    yield "## Accuracy against trained tokens\n"
    yield "Each point is a training of its own, with its own schedule of learning rates.\n"
    named = [name for name in (arms.SOURCE, "dsa") if name in results]
    rows = [[name, f"{tokens:,.0f}", percent(e)] for name in named for tokens, e in _points(results, name)]
    yield from table(["arm", "trained tokens", "eval"], rows)
    yield "![Accuracy against trained tokens](results-budget.svg)\n"


def _pictures(results: Results) -> dict[str, str]:
    named = {name: _points(results, name) for name in (arms.SOURCE, "dsa") if name in results}
    against = {f"{a} − {arms.SOURCE}": paired(results, a, arms.SOURCE, accuracy("eval")) for a in _equal(results)}
    return {
        "results-budget.svg": drawing.curves(named, "trained target tokens", "right on eval"),
        "results-differences.svg": drawing.differences(against, "points on eval, 95 % interval over seeds"),
    }


def _regions(results: Results) -> Iterator[str]:
    yield "## Regions\n"
    yield "Share of the exercises that each round put into each region, per cent, mean over seeds.\n"
    rows = []
    for arm in (a for a in (arms.SOURCE, "dsa") if a in results):
        last = max(len(one["rounds"]) for one in results[arm].values())
        for number in range(last):
            rounds = [o["rounds"][number]["regions"] for o in results[arm].values() if len(o["rounds"]) > number]
            shares = [estimate([r.get(region, 0) / max(1, sum(r.values())) for r in rounds]).mean for region in REGIONS]
            rows.append([arm, str(number + 1), *(f"{100 * s:.1f}" for s in shares)])
    yield from table(["arm", "round", *REGIONS], rows)


def _errors(runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "## Wrong exercises found\n"
    yield (
        "Truth by the recipe's solver; in `own-errors` the teacher's, in `planted-*` right exercises made wrong "
        "(half with another exercise's solution, half with one number changed in the answer and where the solution "
        "says it last). Trained without acting on anything. `skill` is our rule; the preset global ranks like `loss`, "
        "the highest mean loss. AP: average precision; P, R: precision and recall in per cent, at as many removed as "
        "are wrong and at as many as our rule removes.\n"
    )
    ranked, own, moved = [], [], []
    for arm in dict.fromkeys(r["arm"] for r in runs):
        mine = [r for r in runs if r["arm"] == arm]
        share = percent(estimate([r["wrong"] / r["n"] for r in mine]))
        for rule in errors.RULES:
            of = [r["rules"][rule] for r in mine]
            at = [percent(_mean([o["at"][n][f] for o in of])) for n in of[0]["at"] for f in ("precision", "recall")]
            scores = [_plain(_mean([o[f] for o in of])) for f in ("auc", "average_precision")]
            ranked.append([arm, share, rule, *scores, *at])
        for preset in mine[0]["presets"]:
            own.append([arm, preset, *_figures([r["presets"][preset] for r in mine])])
        for asked in mine[0]["baselines"]:
            of = [r["baselines"][asked] for r in mine]
            moved.append([arm, asked, f"{_mean([o['loss'] for o in of]).mean:.2f}", *_figures(of)])
    yield from table(["arm", "wrong", "ranked by", "AUC", "AP", "P (as wrong)", "R", "P (as ours)", "R"], ranked)
    yield (
        "With the threshold that each preset sets itself; `skill, solved again` is what tuning does: the teacher "
        "solves again what is in doubt, and most solutions decide where they agree.\n"
    )
    yield from table(["arm", "preset", "removed", "precision", "recall"], own)
    yield "How the baseline of our rule (a within-skill score) and what it removes move with the number of probes:\n"
    yield from table(["arm", "probes asked for", "baseline", "removed", "precision", "recall"], moved)


def _figures(found: Sequence[Mapping[str, float]]) -> list[str]:
    return [
        f"{_mean([f['removed'] for f in found]).mean:.0f}",
        *(percent(_mean([f[k] for f in found])) for k in ("precision", "recall")),
    ]


def _plain(e: Estimate) -> str:
    return f"{e.mean:.3f}" if e.n else "–"


def _mean(values: Sequence[float]) -> Estimate:
    """Over those that have a value: nothing removed has no precision."""
    return estimate([v for v in values if math.isfinite(v)])


def _missing(out: Path, results: Results) -> Iterator[str]:
    begun = [(s, a) for s in seeds(out) for a in arms.ARMS if folder(out, s, a).with_suffix(".log").exists()]
    lost = [f"- seed {s}, {a}" for s, a in begun if s not in results.get(a, {})]
    if lost:
        yield "## Not finished\n"
        yield "\n".join(lost) + "\n"


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--to", type=Path, default=Path(__file__).parent, help="folder for RESULTS.md and its pictures")
    asked = parser.parse_args(words)
    text, pictures = page(asked.out)
    asked.to.mkdir(parents=True, exist_ok=True)
    for name, content in {"RESULTS.md": text, **pictures}.items():
        (asked.to / name).write_text(content, encoding="utf-8")
    print(asked.to / "RESULTS.md")


if __name__ == "__main__":
    main()
