"""How well wrong exercises are found: `python -m examples.study.errors --out runs/study` after the study's runs.

Truth is the recipe's solver. Looked at are arms in which nothing is acted on: `own-errors` (the teacher's) and
`planted-*`. Each trained student is opened again for the losses of constructed errors, in several numbers, and the
teacher solves again what is in doubt; all else is read from the run folders. Writes errors.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsa_lite.config import DynamicsSettings
from dsa_lite.core.dynamics import Dynamics, all_correct, always_right, summarise, table, within_groups
from dsa_lite.core.regions import Baseline, classify
from dsa_lite.io.files import read_json, write_json
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.io.skills import load_skill
from dsa_lite.records import Exercise
from dsa_lite.stages.context import Context, Job
from dsa_lite.stages.learning import load_finished
from dsa_lite.stages.looking import probe, second_look

from . import arms
from .figures import auc, average_precision, highest, precision_recall
from .planting import first_exercises, right
from .study import Study, folder, load, seeds, summary

Floats = NDArray[np.float64]
FILE, PROBES, ROUND = "errors.json", "study-probes.json", 1
COUNTS = (12, 24, 48, 96, 192)
RULES = ("skill", "loss", "cartography", "random")
SECOND_LOOK = "skill, solved again"


def probe_losses(out: Path, study: Study, seed: int, arm: str) -> dict[int, tuple[list[str], Floats]]:
    """By the number asked for: the skills of the constructed errors, and their losses (N, epochs), nats per token.

    Kept in the run folder; measured anew when the arm was trained anew.
    """
    run = RunDir.read(folder(out, seed, arm))
    entry = run.stage("tune")
    trained = entry.input_hash if entry is not None else ""
    kept = read_json(run.path / PROBES)
    if kept is None or kept["trained"] != trained or [m["asked"] for m in kept["measured"]] != list(COUNTS):
        kept = {"trained": trained, "measured": _measure(out, study, seed, arm, run)}
        write_json(run.path / PROBES, kept)
    return {m["asked"]: (m["skills"], np.array(m["losses"])) for m in kept["measured"]}


def _measure(out: Path, study: Study, seed: int, arm: str, run: RunDir) -> list[dict[str, Any]]:
    job = study.job(out, seed, arm)
    measured, trained_on = [], {o.example for o in run.observations(ROUND).read()}
    examples = [e for e in run.lessons() if e.id in trained_on]
    context = Context(job, run, lambda event: None)
    try:
        load_finished(context, "tune")
        for asked in COUNTS:
            dynamics = job.config.dynamics.model_copy(update={"probes": asked})
            context.job = replace(job, config=job.config.model_copy(update={"dynamics": dynamics}))
            made, losses = probe(context, ROUND, examples)
            measured.append({"asked": asked, "skills": [p.skill for p in made], "losses": losses.tolist()})
    finally:
        context.close()
    return measured


@dataclass(frozen=True)
class Seen:
    """What training showed of N examples, by id: scores within the skill and raw losses over the window, whether they
    were right to the last token; truth.

    `index`: number of each skill; centre and scale (skills,): of the last epoch.
    """

    ids: tuple[str, ...]
    wrong: NDArray[np.bool_]
    scores: Dynamics
    raw: Dynamics
    sure: NDArray[np.bool_]
    index: dict[str, int]
    centre: Floats
    scale: Floats


def read_seen(run: RunDir, exercises: Sequence[Exercise], settings: DynamicsSettings) -> Seen:
    """The window over whole epochs: of one that the budget cut short, only some examples have a (lower) loss."""
    by_id = {e.id: e for e in exercises}
    observed = [o for o in run.observations(ROUND).read() if o.example in by_id]
    (ids, losses), (_, correct) = table(observed), all_correct(observed)
    whole = np.isfinite(losses).all(axis=0)
    losses, correct = (losses[:, whole], correct[:, whole]) if whole.any() else (losses, correct)
    names = sorted({by_id[id].skill for id in ids})
    index = {name: i for i, name in enumerate(names)}
    scores, centre, scale = within_groups(losses, np.array([index[by_id[id].skill] for id in ids]))
    window = {"window": settings.window_epochs, "burn_in": settings.burn_in}
    wrong = np.array([not right(by_id[id]) for id in ids])
    sure = always_right(losses, correct, **window)
    shown = summarise(scores, **window), summarise(losses, **window)
    return Seen(ids, wrong, *shown, sure, index, centre[:, -1], scale[:, -1])


def baseline(seen: Seen, preset: str, skills: Sequence[str], losses: Floats) -> Baseline:
    """Of constructed errors, in the scale that the preset compares in."""
    if preset == "skill":
        row = np.array([seen.index[s] for s in skills])
        losses = (losses - seen.centre[row, None]) / seen.scale[row, None]
    return Baseline.of(losses, preset)


def found_regions(seen: Seen, preset: str, line: Baseline, settings: DynamicsSettings) -> NDArray[np.str_]:
    """Where a preset puts each example (N,), by the losses alone."""
    shown = seen.scores if preset == "skill" else seen.raw
    chosen = settings.model_copy(update={"preset": preset})
    return classify(shown.mean, shown.deviation, seen.raw.seen, line, chosen, seen.sure)[0]


def solved_again(job: Job, run: RunDir, exercises: Sequence[Exercise], seen: Seen, line: Baseline) -> NDArray[np.str_]:
    """Where our rule puts each example (N,) once the teacher has solved again what is in doubt."""
    by_id = {e.id: e for e in exercises}
    regions = found_regions(seen, "skill", line, job.config.dynamics)
    context = Context(job, run, lambda event: None)
    try:
        examples = [by_id[id] for id in seen.ids]
        return second_look(context, ROUND, examples, regions, seen.scores.mean, seen.sure)[0]
    finally:
        context.close()


def rankings(seen: Seen, cartography: Baseline) -> dict[str, Floats]:
    """The higher, the sooner it is removed. `loss`: highest mean loss, which the preset global ranks by as well;
    `cartography`: the same, but what is above the baseline's deviation comes after all others."""
    loss = seen.raw.mean
    late = seen.raw.deviation > cartography.deviation
    return {"skill": seen.scores.mean, "loss": loss, "cartography": np.where(late, loss - np.ptp(loss) - 1.0, loss)}


def detect(out: Path, study: Study, seed: int, arm: str) -> dict[str, Any]:
    """One line of errors.json: figures of every rule, and of our rule's baseline by the number of probes."""
    with RunDir.read(folder(out, seed, arm)) as run:
        job, exercises = study.job(out, seed, arm), first_exercises(run)
        settings = job.config.dynamics
        seen = read_seen(run, exercises, settings)
        probes = probe_losses(out, study, seed, arm)
        usual = probes[min(COUNTS, key=lambda n: abs(n - settings.probes))]
        lines = {preset: baseline(seen, preset, *usual) for preset in ("skill", "global", "cartography")}
        own = {preset: found_regions(seen, preset, line, settings) == "error" for preset, line in lines.items()}
        own[SECOND_LOOK] = solved_again(job, run, exercises, seen, lines["skill"]) == "error"
    ranked = rankings(seen, lines["cartography"])
    counts = {"of the wrong": int(seen.wrong.sum()), "of our rule": int(own["skill"].sum())}
    return {
        "seed": seed, "arm": arm, "n": len(seen.wrong), "wrong": int(seen.wrong.sum()),
        "presets": {p: _figures(seen, chosen) for p, chosen in own.items()},
        "rules": {rule: _ranking(seen, ranked.get(rule), counts) for rule in RULES},
        "baselines": {asked: _moved(seen, settings, *found) for asked, found in probes.items()},
    }  # fmt: skip


def _figures(seen: Seen, chosen: NDArray[np.bool_]) -> dict[str, float]:
    precision, recall = precision_recall(chosen, seen.wrong)
    return {"removed": int(chosen.sum()), "precision": precision, "recall": recall}


def _ranking(seen: Seen, scores: Floats | None, counts: dict[str, int]) -> dict[str, Any]:
    """`at`: at equal numbers removed. Without scores: what is to be expected of chance."""
    share = float(seen.wrong.mean())
    if scores is None:
        at = {name: {"precision": share, "recall": k / len(seen.wrong)} for name, k in counts.items()}
        return {"auc": 0.5, "average_precision": share, "at": at}
    return {
        "auc": auc(scores, seen.wrong),
        "average_precision": average_precision(scores, seen.wrong),
        "at": {name: _figures(seen, highest(scores, k)) for name, k in counts.items()},
    }


def _moved(seen: Seen, settings: DynamicsSettings, skills: Sequence[str], losses: Floats) -> dict[str, float]:
    line = baseline(seen, "skill", skills, losses)
    return {
        "probes": len(skills),
        "loss": line.loss,
        **_figures(seen, found_regions(seen, "skill", line, settings) == "error"),
    }


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args(words).out
    study, _ = load(out)
    if load_skill(study.skill_in(out)).checker != "math":
        raise SystemExit("what is wrong is known for calculus only: by the recipe's solver")
    found = []
    for seed in seeds(out):
        for arm in arms.GROUPS["errors"]:
            if summary(out, seed, arm) is not None:
                found.append(detect(out, study, seed, arm))
                print(f"seed {seed} {arm}: {found[-1]['wrong']} of {found[-1]['n']} wrong; {found[-1]['presets']}")
    write_json(out / FILE, {"runs": found})


if __name__ == "__main__":
    main()
