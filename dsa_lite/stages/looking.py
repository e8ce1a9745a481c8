"""What a round of tuning saw: losses over the window, the baseline from probes, regions, decisions (DSA, dynamics)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dsa_lite.core.actions import decide
from dsa_lite.core.curriculum import order_examples
from dsa_lite.core.dynamics import all_correct, always_right, carried, summarise, table, within_groups
from dsa_lite.core.probes import make_probes
from dsa_lite.core.regions import Baseline, classify, doubtful, looked_at_again
from dsa_lite.io.answers.checker import AnswerChecker
from dsa_lite.records import Decision, Exercise
from dsa_lite.stages.context import Context
from dsa_lite.stages.learning import encode_all, weighted
from dsa_lite.stages.voting import verdicts

STAGE = "tune"


def look(context: Context, round: int, examples: Sequence[Exercise], *, ask: bool = True) -> list[Decision]:
    """One decision per example trained in the round, sorted by id. `ask`: the teacher takes a second look; otherwise
    what it has said before holds."""
    settings = context.config.dynamics
    observed = [o for r in range(1, round + 1) for o in context.folder.observations(r).read()]
    skill_of = {e.id: e.skill for e in examples}
    observed = [o for o in observed if o.example in skill_of]
    (ids, losses), (_, correct) = table(observed), all_correct(observed)
    if settings.easy_by == "drawing":  # one that was not drawn is where it was
        seen_in = np.isfinite(losses)
        losses, correct = carried(losses, seen_in), carried(correct, seen_in)
    seen = set(ids)
    examples = [e for e in examples if e.id in seen]  # a budget may have ended before the others
    names = sorted({e.skill for e in examples})
    groups = np.array([names.index(skill_of[id]) for id in ids])
    raw = summarise(losses, window=settings.window_epochs, burn_in=settings.burn_in)
    per_skill = settings.preset == "skill"
    scores, centre, scale = within_groups(losses, groups)
    compared = summarise(scores, window=settings.window_epochs, burn_in=settings.burn_in) if per_skill else raw
    baseline = None
    # What was never seen before has a loss like a wrong answer: errors are looked for once that is over.
    settled = losses.shape[1] > settings.burn_in
    probes, probe_losses = probe(context, round, examples) if settled else ([], np.empty((0, 0)))
    if probes:
        if per_skill:
            index = np.array([names.index(p.skill) for p in probes])
            probe_losses = (probe_losses - centre[index, -1:]) / scale[index, -1:]
        baseline = Baseline.of(probe_losses, settings.preset)
    right = always_right(losses, correct, window=settings.window_epochs, burn_in=settings.burn_in)
    regions, warnings = classify(compared.mean, compared.deviation, raw.seen, baseline, settings, right)
    by_id = {e.id: e for e in examples}
    regions, more = second_look(context, round, [by_id[id] for id in ids], regions, compared.mean, right, ask=ask)
    warnings += more
    for warning in warnings:
        context.note(STAGE, f"round {round}: {warning}", warning=True)
    context.folder.write_round(round, {"baseline": baseline and baseline.loss, "warnings": warnings})
    return decide(ids, [skill_of[i] for i in ids], regions, raw.mean, raw.deviation, compared.mean, settings)


def second_look(
    context: Context, round: int, examples: Sequence[Exercise], regions: NDArray[np.str_], mean: NDArray[np.float64],
    right: NDArray[np.bool_], *, ask: bool = True,
) -> tuple[NDArray[np.str_], list[str]]:  # fmt: skip
    """Regions (N,) of N examples once the teacher has solved again what it wrote itself and is in doubt; warnings.

    mean, right (N,): as the regions were found by. The user's own answers are not the teacher's to refute.
    """
    chosen = doubtful(regions, mean, right, context.config.dynamics)
    asked = [e for e, doubt in zip(examples, chosen, strict=True) if doubt and e.origin != "imported"]
    if not asked:
        return regions, []
    with AnswerChecker(context.job.skill.checker) as checker:
        found = verdicts(context, STAGE, round, asked, checker, context.config.dynamics.second_look_votes, ask=ask)
    confirmed, refuted = (np.array([found.get(e.id) is verdict for e in examples]) for verdict in (True, False))
    if ask:
        new = {v.exercise for v in context.folder.votes().read() if v.round == round} & {e.id for e in asked}
        says = (
            f"the teacher, {len(new)} of them solved again now, confirms {confirmed.sum()} and refutes {refuted.sum()}"
        )
        context.note(STAGE, f"round {round}: {len(asked)} exercises are in doubt; {says}")
    return looked_at_again(regions, mean, confirmed, refuted, context.config.dynamics)


def probe(
    context: Context, round: int, examples: Sequence[Exercise]
) -> tuple[list[Exercise], NDArray[np.float64]]:  # fmt: skip
    """Tune a throw-away copy of the adapter on wrong examples alone; their losses (N, epochs) in nats per token."""
    settings, tune = context.config.dynamics, context.config.tune
    probes = make_probes(examples, settings.probes, context.rng(STAGE, "probes", round))
    if not probes:
        return [], np.empty((0, settings.probe_epochs))
    encoded = encode_all(context, STAGE, round, probes, list_long=False)
    probes = [p for p in probes if p.id in encoded]
    row = {p.id: i for i, p in enumerate(probes)}
    losses = np.full((len(probes), settings.probe_epochs), np.nan)
    lengths = [len(encoded[p.id].ids) for p in probes]
    copy = context.student.fork()
    try:
        for epoch in range(settings.probe_epochs):
            rng = context.rng(STAGE, "probes", round, epoch)
            for batch in order_examples(
                [0] * len(probes), lengths, batch_size=tune.batch_size, window=tune.length_window, rng=rng
            ):
                items = [encoded[probes[i].id] for i in batch]
                for o in copy.step(weighted(items, [1.0] * len(items))(), tune.learning_rate):
                    losses[row[o.example_id], epoch] = o.nll / o.tokens
    finally:
        copy.close()
    return probes, losses
