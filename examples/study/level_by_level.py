"""What is known after each level of the skill graph: the picture that the DSA paper draws after each skill.

    python -m examples.study.level_by_level --out runs/study --seeds 3

Comes after `run`: takes over what the arm `static` of each seed has. Trains `graph-order` and `static` once
more, exactly as those arms, through their first pass (`--passes`) over the exercises, and keeps the student after the
textbooks and after each level; the shuffled one at the same numbers of trained tokens. Each of these students answers
the same part of the held-out questions. Writes level_by_level.json; goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from dsa_lite.core.graph import skill_id
from dsa_lite.errors import DsaError
from dsa_lite.events import Event, StageProgress
from dsa_lite.io.files import write_json
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.stages import evaluate, pipeline, pretrain, tune
from dsa_lite.stages import graph as graph_stage
from dsa_lite.stages.context import Context, Job
from dsa_lite.stages.static_arm import SHARED

from . import arms, level_tables
from .level_points import Asked, Point, points, questions
from .level_tables import ALONG, ARMS, BASE, FILE, NO_LEVEL
from .study import Study, begin, folder, load, seeds, summary

PLACE, TRAINING, SHARE = "level-by-level", "training", 0.5


class _AllKept(Exception):
    """The last point is passed: nobody looks at what comes after it."""


def walk(out: Path, study: Study, seed: int, arm: str, share: float, passes: int) -> dict[str, Any]:
    """One line of the file's runs: an arm trained, kept at each point and asked a share of the questions.

    Raises a DsaError.
    """
    place, source = folder(out, seed, PLACE) / arm, RunDir.read(folder(out, seed, arms.SOURCE))
    asked = questions(source, share)
    job = replace(study.job(out, seed, arm), out=place / TRAINING)
    with _open(job) as run:
        run.take_over(source, SHARED)
        context = Context(job, run, _nobody)
        try:
            stops = points(context, study.job(out, seed, ALONG).config.pretrain, passes)
            trained = _inputs(context, asked, stops)
            _train(context, place, stops, trained)
            level_of = {skill_id(s.name): str(s.level) for s in graph_stage.load(context).skills.values()}
        finally:
            context.close()
    told = job.skill.model_copy(update={"held_out": dict(asked)})
    found = [{"name": BASE, "tokens": 0, "scores": _scores(source, "before", asked, level_of)}]
    for stop in stops:
        with _open(replace(job, skill=told, out=_folder(place, stop))) as kept:
            _answer(replace(job, skill=told), kept, source, trained)
            scores = _scores(kept, "after", asked, level_of)
            found.append({"name": stop.name, "tokens": stop.tokens, "scores": scores})
    return {"seed": seed, "arm": arm, "points": found}


def _train(context: Context, place: Path, stops: Sequence[Point], trained: str) -> None:
    """The arm's two training stages, gone on with until every point is passed and kept."""
    before = 0
    for stage in (pretrain, tune):
        if context.folder.begin(stage.STAGE, trained) != "reused":
            _watch(context, place, stops, before + _tokens(context.folder, stage.STAGE))
            with suppress(_AllKept):
                stage.run(context)
            context.folder.finish(stage.STAGE)
        before += _tokens(context.folder, stage.STAGE)


def _watch(context: Context, place: Path, stops: Sequence[Point], start: int) -> None:
    """From now on keep the student after the step that passes a point. `start`: tokens trained so far."""
    ahead = [p for p in stops if p.tokens > start]

    def after_step(event: Event) -> None:
        if isinstance(event, StageProgress) and event.stage in (pretrain.STAGE, tune.STAGE):
            while ahead and start + event.tokens >= ahead[0].tokens:
                _keep(context, _folder(place, ahead.pop(0)))
            if not ahead:
                raise _AllKept

    context.emit = after_step


def _keep(context: Context, where: Path) -> None:
    """The student as it is now, as a run folder in which nothing but the tuning was done."""
    with _open(replace(context.job, out=where)) as kept:
        kept.save_checkpoint(tune.STAGE, context.student.save_state, {})


def _answer(job: Job, kept: RunDir, source: RunDir, trained: str) -> None:
    """Ask the student that was kept; then its state is given up."""
    if kept.begin(evaluate.STAGE, trained) != "reused":
        for split, items in job.skill.held_out.items():
            own, ids = kept.graded("before", split), {i.id for i in items}
            if own.count() == 0:
                for answer in source.graded("before", split).read():
                    if answer.id in ids:
                        own.append(answer)
        context = Context(job, kept, _nobody)
        try:
            evaluate.run(context)
        finally:
            context.close()
        kept.finish(evaluate.STAGE)
    kept.drop_checkpoints(tune.STAGE)


def _scores(run: RunDir, when: Any, asked: Asked, level_of: Mapping[str, str]) -> dict[str, dict[str, list[int]]]:
    """Per set, how many answers are right and how many there are: of all, and by the level of the question's topic."""
    found: dict[str, dict[str, list[int]]] = {}
    for split, items in asked.items():
        right = {g.id: g.correct for g in run.graded(when, split).read()}
        found[split] = {}
        for item in items:
            for level in ("all", level_of.get(skill_id(item.topic), NO_LEVEL)):
                count = found[split].setdefault(level, [0, 0])
                count[0] += right[item.id]
                count[1] += 1
    return found


def _inputs(context: Context, asked: Asked, stops: Sequence[Point]) -> str:
    """Of everything that the answers depend on: with other questions or points, too, all is done again, for a state is
    given up once it has answered."""
    items = {split: [i.model_dump() for i in items] for split, items in asked.items()}
    stages = [stage.inputs(context) for stage in (pretrain, tune, evaluate)]
    parts = [context.config.seed, stages, items, [asdict(p) for p in stops]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _tokens(run: RunDir, stage: str) -> int:
    found = run.load_checkpoint(stage)
    return int(found[1]["tokens"]) if found is not None else 0


def _folder(place: Path, point: Point) -> Path:
    return place / point.name.replace(",", "").replace(" ", "-")


def _open(job: Job) -> RunDir:
    return RunDir.open(job.out, pipeline.identity(job), job.config.model_dump())


def _nobody(_: Event) -> None:
    """Hears of nothing."""


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the study")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds, of those whose static arm is done")
    parser.add_argument("--share", type=float, default=SHARE, help="of the questions of each topic that are asked")
    parser.add_argument("--passes", type=int, default=1, help="along the graph that are looked at level by level")
    parser.add_argument("--jobs", type=int, default=2, help="arms at a time, one thread each")
    asked = parser.parse_args(words)
    if min(asked.seeds, asked.passes, asked.jobs) < 1 or not 0 < asked.share <= 1:
        parser.error("--seeds, --passes and --jobs are 1 or more, --share is above 0 and at most 1")
    study, _ = load(asked.out)
    chosen = [s for s in seeds(asked.out) if summary(asked.out, s, arms.SOURCE) is not None][: asked.seeds]
    if not chosen:
        raise SystemExit(f"{asked.out} has no finished arm static: python -m examples.study.run --out {asked.out}")
    line = ["python", "-m", "examples.study.level_by_level", *(sys.argv[1:] if words is None else words)]
    begin(asked.out, study, shlex.join(line))
    walks = {(s, a): (asked.out, study, s, a, asked.share, asked.passes) for s in chosen for a in ARMS}
    runs, failed = _walk_all(walks, asked.jobs)
    if runs:
        write_json(asked.out / FILE, {"share": asked.share, "runs": runs, "estimates": level_tables.estimates(runs)})
    if failed:
        raise SystemExit("\n".join([f"{len(failed)} of {len(failed) + len(runs)} failed", *failed]))
    print(f"{asked.out / FILE}; next: python -m examples.study.page --out {asked.out}")


def _walk_all(walks: Mapping[tuple[int, str], tuple[Any, ...]], jobs: int) -> tuple[list[dict[str, Any]], list[str]]:
    """The runs that came to their end, sorted by seed, and what is to be said of the others. `walks`: arguments."""
    runs, failed = [], []
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _one_thread) as pool:
        waiting = {pool.submit(walk, *given): which for which, given in walks.items()}
        try:
            for future in as_completed(waiting):
                which = "seed {} {}".format(*waiting[future])
                try:
                    runs.append(future.result())
                    print(f"{which}: done", flush=True)
                except DsaError as error:
                    failed.append(f"{which}: {error}\n{error.hint}")
                    print(f"{which}: FAILED", flush=True)
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise
    return sorted(runs, key=lambda r: (r["seed"], ARMS.index(r["arm"]))), failed


def _one_thread() -> None:
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


if __name__ == "__main__":
    main()
