"""The study: every arm on every seed, in parallel processes of one thread each.

    python -m examples.study.run --out runs/study --seeds 5 --jobs 2

Goes on where it was stopped. Every arm is an ordinary run folder (seed-0/dsa, …) with a log beside it; one that fails
does not stop the others.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from . import arms, dev_split
from .study import DEV_SKILL, Study, begin, folder


@dataclass(frozen=True)
class Outcome:
    """`code`: the process's exit status, 0 where all is well; `seconds`: of this attempt."""

    seed: int
    arm: str
    code: int
    seconds: float


def train(out: Path, seed: int, arm: str) -> Outcome:
    """One arm in a process of its own; what it says goes to the log beside its folder."""
    start = time.monotonic()
    log = folder(out, seed, arm).with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-m", "examples.study.one", "--out", str(out), "--seed", str(seed), "--arm", arm]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    with log.open("ab") as file:
        done = subprocess.run(words, env=environment, stdout=file, stderr=subprocess.STDOUT, check=False)
    return Outcome(seed, arm, done.returncode, time.monotonic() - start)


def train_all(out: Path, pairs: Sequence[tuple[int, str]], jobs: int) -> list[Outcome]:
    """The outcomes as they come in. Ctrl-C stops what runs and starts nothing more."""
    found: list[Outcome] = []
    with ThreadPoolExecutor(jobs) as pool:
        try:
            waiting: list[Future[Outcome]] = [pool.submit(train, out, seed, arm) for seed, arm in pairs]
            for future in as_completed(waiting):
                outcome = future.result()
                found.append(outcome)
                state = "done" if outcome.code == 0 else f"FAILED ({outcome.code})"
                which = f"[{len(found)}/{len(pairs)}] seed {outcome.seed} {outcome.arm}"
                print(f"{which}: {state}, {outcome.seconds:.0f} s", flush=True)
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise
    return found


def main(words: Sequence[str] | None = None) -> None:
    asked = _parse(words)
    try:
        names = arms.chosen(asked.arms)
    except KeyError as error:
        raise SystemExit(str(error.args[0])) from None
    if asked.dev and asked.skill != "calculus":
        raise SystemExit("there is a development split for calculus only")
    study = Study(asked.skill, asked.size, asked.dev, asked.budget, asked.config, asked.teacher, asked.student,
                  asked.backend)  # fmt: skip
    begin(asked.out, study, _command(words))
    if asked.dev and not (asked.out / DEV_SKILL / "general.jsonl").exists():
        dev_split.write(asked.out / DEV_SKILL)
    seeds = range(study.first_seed, study.first_seed + asked.seeds)
    print(f"{len(seeds)} seeds, {len(names)} arms; {arms.SOURCE} comes first: it writes for all", flush=True)
    found = train_all(asked.out, [(s, arms.SOURCE) for s in seeds], asked.jobs)
    for others in (False, True):  # what needs another arm's exercises comes last
        now = [n for n in names if n != arms.SOURCE and bool(arms.ARMS[n].of) == others]
        found += train_all(asked.out, [(s, n) for s in seeds for n in now], asked.jobs)
    if failed := [o for o in found if o.code]:
        logs = [str(folder(asked.out, o.seed, o.arm).with_suffix(".log")) for o in failed]
        raise SystemExit("\n".join([f"{len(failed)} of {len(found)} failed; see the ends of", *logs]))
    print(f"next: python -m examples.study.errors --out {asked.out}; python -m examples.study.page --out {asked.out}")


def _parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the study")
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds, from 0 (with --dev from 100)")
    parser.add_argument("--jobs", type=int, default=2, help="arms at a time, one thread each")
    parser.add_argument("--arms", nargs="+", default=["main"], help=f"{', '.join(arms.GROUPS)}, or arms by name")
    parser.add_argument("--size", choices=arms.SIZES, default="small", help="how much is written and trained on")
    parser.add_argument("--skill", default="calculus", help="name or folder of a skill")
    parser.add_argument("--dev", action="store_true", help="development seeds and questions, to make choices on")
    parser.add_argument("--budget", type=int, default=0, help="target tokens of an arm in place of the size's")
    parser.add_argument("--config", default="", help="TOML file of settings for all arms")
    for name in ("teacher", "student"):
        parser.add_argument(f"--{name}", default="", help=f"the {name}; default: the bundled one")
    parser.add_argument("--backend", default="auto")
    return parser.parse_args(words)


def _command(words: Sequence[str] | None) -> str:
    return shlex.join(["python", "-m", "examples.study.run", *(sys.argv[1:] if words is None else words)])


if __name__ == "__main__":
    main()
