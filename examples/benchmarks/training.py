"""Target tokens per second and memory of the two students beside other ways to train the same LoRA.

    pip install -e ".[torch,mlx]" trl==1.16.0 accelerate==1.15.0   # mlx: where there is MLX
    python examples/benchmarks/training.py --trial                  # seconds for each: does everything run?
    python examples/benchmarks/training.py                          # the bundled student and 101 million random weights

Last seen with trl 1.16.0, transformers 5.23.0, peft 0.21.2, torch 2.13.0, mlx-lm 0.32.2, mlx 0.32.4. Without TRL the
others are compared.

Everyone gets the same rows in the same batches, "mixed" (examples in random order, window 1) and "grouped" (similar
lengths together inside windows of 128 examples, as a run does it), each in a process of its own, one at a time, in
turns (A B C A B C). Figures are medians over the turns, ratios are taken within a turn. Tokens are the targets: prompts
and padding do not count. What differs: TRL and transformers' Trainer take the batches in the order given (their
"sequential" sampler) and pad to the longest row, as we do; we then compute a batch in several parts where that is
faster. mlx-lm pads to a multiple of 32, does not clip gradients and also trains one padding token after each row; the
compilation of each shape happens before the clock starts. With `--orders own`, TRL and Trainer group by length in their
own way and mlx-lm sorts by length. Gradient checkpointing is off for all; every other setting is as each of them comes.

"engine" is the student in the loop of a run, which records every observation; the line under the table says what that
costs. A CPU build of MLX comes with a slow BLAS: `--mlx-blas LIBRARY` preloads a fast one for both contestants on MLX
(OpenBLAS, say Debian's libopenblas0: /usr/lib/x86_64-linux-gnu/openblas-pthread/libopenblas.so.0).

Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path

from sizes import SIZES
from training_contestants import RUN, Job, Result
from training_data import BUNDLED, make_data, random_model

NEEDED = {"trl": ("trl", "accelerate"), "hf": ("accelerate",), "mlx": ("mlx",), "mlx-lm": ("mlx_lm",)}
ORDERS = ("mixed", "grouped", "own")


@dataclass(frozen=True)
class Load:
    """A model and how much of it is measured: `steps` batches of `size` rows, after `warm` that are not."""

    name: str
    folder: Path
    steps: int
    size: int
    warm: int = 2


@dataclass
class Line:
    """What one contestant did with one order, turn by turn."""

    model: str
    order: str
    contestant: str
    results: list[Result] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.contestant}, {self.order}"

    @property
    def rate(self) -> float:
        return statistics.median(r.tokens / r.seconds for r in self.results)

    def ratio(self, other: Line) -> float:
        """Tokens per second to those of `other`."""
        pairs = zip(self.results, other.results, strict=True)
        return statistics.median((a.tokens / a.seconds) / (b.tokens / b.seconds) for a, b in pairs)


def main() -> None:
    args = _arguments()
    contestants = _present(args.contestants)
    lines = []
    for name in args.models:
        load = _load(name, args)
        found = _turns(load, contestants, args)
        _print(load, found)
        lines += found
    if args.json:
        record = [{**asdict(line), "rate": line.rate} for line in lines]
        args.json.write_text(json.dumps(record, indent=1), encoding="utf-8")


def _present(chosen: Sequence[str] | None) -> list[str]:
    """Those whose packages are here; one that was asked for by name must be."""
    lacking = {c: [p for p in NEEDED.get(c, ()) if find_spec(p) is None] for c in chosen or RUN}
    for contestant, packages in lacking.items():
        if packages:
            print(f"{contestant}: needs {', '.join(packages)} (see --help for the pip line)", file=sys.stderr)
    if chosen and any(lacking.values()):
        raise SystemExit(2)
    return [contestant for contestant, packages in lacking.items() if not packages]


def _load(name: str, args: argparse.Namespace) -> Load:
    if name == "bundled":
        return Load(name, BUNDLED, args.steps or 10, args.batch_size or 16)
    if name == "tiny":
        return Load(name, random_model(args.folder, name), args.steps or 3, args.batch_size or 4)
    return Load(name, random_model(args.folder, name), args.steps or 3, args.batch_size or 8, warm=1)


def _turns(load: Load, contestants: Sequence[str], args: argparse.Namespace) -> list[Line]:
    with tempfile.TemporaryDirectory() as kept:
        data = Path(kept) / "data.json"
        make_data(load.steps, load.size, warm=load.warm, exercises=args.exercises).save(data)
        lines = [Line(load.name, order, c) for order in args.orders for c in contestants if _takes_part(c, order)]
        for _ in range(args.repeats):
            for line in lines:
                job = Job(line.contestant, line.order, str(load.folder), str(data), args.rank, args.threads,
                          args.precision)  # fmt: skip
                line.results.append(_run(job, Path(kept), args))
    return lines


def _takes_part(contestant: str, order: str) -> bool:
    """The engine's loop is measured once, and ours have no batches of their own but "grouped"."""
    if contestant == "engine":
        return order == "mixed"
    return order != "own" or contestant not in ("torch", "mlx")


def _run(job: Job, folder: Path, args: argparse.Namespace) -> Result:
    """One contestant, in a process of its own."""
    sent, received = folder / "job.json", folder / "result.json"
    sent.write_text(json.dumps(asdict(job)), encoding="utf-8")
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    if job.threads:
        env |= {"OMP_NUM_THREADS": str(job.threads), "OPENBLAS_NUM_THREADS": str(job.threads)}
    if args.mlx_blas and job.contestant.startswith("mlx"):
        env["LD_PRELOAD"] = str(args.mlx_blas.resolve())
    command = [sys.executable, str(Path(__file__).with_name("training_contestants.py")), str(sent), str(received)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        raise SystemExit(f"{job.contestant}, {job.order} on {job.model} failed:\n{done.stderr[-2000:]}")
    result = Result(**json.loads(received.read_text(encoding="utf-8")))
    print(f"{job.contestant}, {job.order}: {result.tokens / result.seconds:,.0f} target tokens/s", file=sys.stderr)
    return result


def _print(load: Load, lines: Sequence[Line]) -> None:
    print(f"\n{load.name}: {load.steps} steps of {load.size} rows, {lines[0].results[0].tokens:,} target tokens")
    print(f"{'':16} tokens/s   s/step   CPU s/step  peak memory   loss before -> after")
    for line in lines:

        def middle(name: str, results: Sequence[Result] = line.results) -> float:
            return statistics.median(getattr(r, name) for r in results)

        seconds, cpu = middle("seconds") / load.steps, middle("cpu_seconds") / load.steps
        print(f"{line.name:16} {line.rate:8,.0f} {seconds:8.3f} {cpu:12.3f} {middle('peak') / 1e6:9,.0f} MB   "
              f"{middle('before'):.4f} -> {middle('after'):.4f}")  # fmt: skip
    _print_ratios([line for line in lines if line.order == "mixed"])
    _print_ratios([line for line in lines if line.order != "mixed"])
    for line in lines:
        if line.contestant == "engine":
            _print_costs(load, line)


def _print_ratios(lines: Sequence[Line]) -> None:
    if len(lines) < 2:
        return
    print("\ntokens/s of the line to those of the column")
    print(" " * 16 + "".join(f"{line.name:>16}" for line in lines))
    for line in lines:
        print(f"{line.name:16}" + "".join(f"{line.ratio(other):16.2f}" for other in lines), flush=True)


def _print_costs(load: Load, line: Line) -> None:
    """What the engine adds to the bare step, in parts of the time inside `student.step`, measured in one process."""

    def share(seconds: dict[str, float]) -> dict[str, float]:
        step = seconds["step"]
        rest = seconds["whole"] - step - seconds["record"] - seconds["saved"]
        every = seconds["checkpoint"] / seconds["checkpoint_every"]
        return {"record": seconds["record"] / step, "rest": rest / step, "seen": seconds["seen"] / step, "save": every}

    shares = [share({**r.parts, "whole": r.seconds}) for r in line.results]
    cost = {name: statistics.median(s[name] for s in shares) for name in shares[0]}
    step = statistics.median(r.parts["step"] for r in line.results) / load.steps
    print(f"\nto record the dynamics: {cost['record'] + cost['seen']:.2%} of a step of {step:.3f} s "
          f"(written {cost['record']:.2%}, what only they need inside the step {cost['seen']:.2%}); "
          f"padding and progress {cost['rest']:.2%}; checkpoints {cost['save']:.2%}", flush=True)  # fmt: skip


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--trial", action="store_true", help="the same as: --models trial --repeats 1")
    add("--models", nargs="+", choices=("bundled", *SIZES), default=["bundled", "100m"])
    add("--contestants", nargs="+", choices=RUN, help="default: all whose packages are installed")
    add("--orders", nargs="+", choices=ORDERS, default=["mixed", "grouped"], help="default: mixed grouped")
    add("--exercises", type=Path, help="JSON lines (problem, solution, answer), e.g. a run's exercises.jsonl")
    add("--repeats", type=int, default=3, help="turns (default: 3)")
    add("--steps", type=int, default=0, help="measured batches; 0: 10 of the bundled student, 3 of others")
    add("--batch-size", type=int, default=0, help="rows; 0: 16 of the bundled student, 8 of larger ones")
    add("--rank", type=int, default=16, help="of the adapter; alpha is twice as much (default: 16)")
    add("--precision", choices=("float32", "bfloat16"), default="float32")
    add("--threads", type=int, default=0, help="0: all cores")
    add("--mlx-blas", type=Path, help="library to preload for MLX on a CPU")
    add("--folder", type=Path, default=Path("runs/benchmarks"), help="where random models are kept")
    add("--json", type=Path, help="also write every figure to this file")
    args = parser.parse_args()
    if args.trial:
        args.models, args.repeats = ["tiny"], 1
    return args


if __name__ == "__main__":
    main()
