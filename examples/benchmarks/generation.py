"""Tokens per second of the llama.cpp teacher beside other ways to run the same model.

    python examples/benchmarks/generation.py                    # trial size and the bundled teacher, minutes
    python examples/benchmarks/generation.py --size 0.5b --no-bundled --prefix 400 --schema no --repeats 1 \\
        --server build/bin/llama-server --batched-bench build/bin/llama-batched-bench

The same requests go, in turns within one run, to llama-cpp-python's own API one at a time (the prefix kept and not
kept), to this package's engine with 1, 4, 8, ... in flight and with the number it finds itself, and, where their
programs are given, to llama-server and to llama-batched-bench (the ceiling: it neither samples nor handles text). Each
turn has a prefix of its own, computed within the time that is measured. The figures are medians over the turns; ratios
are taken within a turn. Run it on a machine that does nothing else; 0.5b is 0.52 billion random weights in Q4_K_M, and
one case with all of them takes about 4 minutes on 2 cores.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from contestants import BatchedBench, Contestant, LlamaServer, OneAtATime, Ours, Sample, sample
from random_model import make
from sizes import SIZES

import dsa_lite
from dsa_lite.records import Message
from dsa_lite.teacher import Request

BUILD = """
The two programs, of the very llama.cpp that llama-cpp-python was built from (`pip show llama-cpp-python`):
  pip download --no-deps --no-binary :all: llama-cpp-python==0.3.36 && tar xzf llama_cpp_python-0.3.36.tar.gz
  cmake -S llama_cpp_python-0.3.36/vendor/llama.cpp -B build -DCMAKE_BUILD_TYPE=Release -DLLAMA_OPENSSL=OFF
  cmake --build build --target llama-server llama-batched-bench -j
Built on this machine they use its processor in full, as llama-cpp-python does where pip built it here; against a
wheel from elsewhere compare the line `CPU : ...` of both.
Then: --server build/bin/llama-server --batched-bench build/bin/llama-batched-bench
"""
SCHEMA = {
    "type": "object",
    "properties": {"problem": {"type": "string", "maxLength": 800}, "answer": {"type": "string", "maxLength": 100}},
    "required": ["problem", "answer"],
    "additionalProperties": False,
}
TEXT = "the sum of two numbers is found digit by digit from the right and what is carried is added to the next"
WORDS = TEXT.split()


@dataclass(frozen=True)
class Case:
    """One kind of request. `prefix`: words that all requests begin with."""

    model: str
    schema: bool
    prefix: int
    name: str

    def requests(self, count: int, max_tokens: int, turn: int = 0) -> list[Request]:
        """`turn`: another, another prefix."""
        start = " ".join(WORDS[(turn + i) % len(WORDS)] for i in range(self.prefix))
        # Not in a system message: the bundled teacher's template leaves that out.
        earlier = (Message(role="user", content=start), Message(role="assistant", content="I see."))
        return [
            Request(
                id=f"r{n}",
                # As little as possible of its own: the ceiling's prompts have nothing but the prefix.
                messages=(*earlier, Message(role="user", content=str(n))),
                json_schema=SCHEMA if self.schema else None,
                max_tokens=max_tokens,
                seed=n,
            )
            for n in range(count)
        ]


@dataclass
class Line:
    """What one contestant did in one case, turn by turn."""

    case: str
    contestant: str
    samples: list[Sample] = field(default_factory=list)
    peak: int | None = None

    @property
    def rate(self) -> float:
        return statistics.median(s.rate for s in self.samples)

    @property
    def first(self) -> float:
        return statistics.median(s.first for s in self.samples)

    def ratio(self, other: Line | None) -> float | None:
        if other is None:
            return None
        return statistics.median(a.rate / b.rate for a, b in zip(self.samples, other.samples, strict=True))


def main() -> None:
    args = _arguments()
    lines = []
    bundled = next((Path(dsa_lite.__file__).parent / "bundled" / "teacher").glob("*.gguf"))
    models = [args.model] if args.model else [make(args.folder, args.size), *([] if args.no_bundled else [bundled])]
    for model in models:
        lines += _measure(model, args)
    if args.json:
        record = [{**asdict(line), "rate": line.rate, "first": line.first} for line in lines]
        args.json.write_text(json.dumps(record, indent=1), encoding="utf-8")


def _measure(model: Path, args: argparse.Namespace) -> list[Line]:
    """All cases on one model, printed as they are done."""
    gauge = Ours(model, 1, args.threads)
    cases = [
        Case(model.stem, schema, _words_for(gauge, prefix) if prefix else 8, _name(schema, prefix))
        for prefix in args.prefix
        for schema in {"no": [False], "yes": [True], "both": [False, True]}[args.schema]
    ]
    cases = [case for case in cases if gauge.takes(case.requests(1, args.tokens)[0])]
    longest = max(cases, key=lambda case: case.prefix).requests(1, args.tokens, turn=-1)
    context = gauge.tokens_in(longest[0].model_copy(update={"max_tokens": 1})) + args.tokens + 64
    gauge.close()
    contestants: list[Contestant] = [OneAtATime(model, args.threads, context, keep=keep) for keep in (True, False)]
    contestants += [Ours(model, n, args.threads) for n in (*args.in_flight, 0)]
    if args.server:
        contestants += [
            LlamaServer(args.server, model, n, args.threads, context, top_k=k)
            for k in dict.fromkeys(args.server_top_k)
            for n in args.in_flight
        ]
    bench = BatchedBench(args.batched_bench, model, args.threads) if args.batched_bench else None
    found = []
    try:
        for contestant in contestants:
            contestant.answer(longest)  # loads the model, and makes room for the longest at once
        for case in cases:
            lines = _turns(case, contestants, bench, args)
            _print(case, lines)
            found += lines
    finally:
        for contestant in contestants:
            contestant.close()
    return found


def _name(schema: bool, prefix: int) -> str:
    return f"{'JSON schema' if schema else 'free text'}, {f'{prefix}-token' if prefix else 'short'} prefix"


def _words_for(gauge: Ours, tokens: int) -> int:
    """How many words make a prompt of so many tokens."""
    few, many = (gauge.tokens_in(Case("", False, n, "").requests(1, 1)[0]) for n in (50, 150))
    return max(8, 50 + (tokens - few) * 100 // max(1, many - few))


def _turns(
    case: Case, contestants: Sequence[Contestant], bench: BatchedBench | None, args: argparse.Namespace
) -> list[Line]:
    one = case.requests(1, 1)[0]
    lines = {c.name: Line(f"{case.model}: {case.name}", c.name) for c in contestants}
    ceilings = {n: Line(f"{case.model}: {case.name}", f"llama-batched-bench -npl {n}") for n in args.in_flight}
    gauge = next(c for c in contestants if isinstance(c, Ours))
    prompt = gauge.tokens_in(one)
    for turn in range(args.repeats):
        others, requests = (case.requests(args.requests, args.tokens, 2 * turn + n) for n in (1, 2))
        for contestant in contestants:
            lines[contestant.name].samples.append(sample(contestant, others, requests))
        if bench and not case.schema:
            for n, line in ceilings.items():
                line.samples.append(bench.sample(n, prompt, args.tokens, args.requests))
    for contestant in contestants:
        lines[contestant.name].peak = contestant.peak()
        if isinstance(contestant, Ours) and "own choice" in contestant.name:
            lines[contestant.name].contestant += f" ({contestant.chosen})"
    return [*lines.values(), *(line for line in ceilings.values() if line.samples)]


def _print(case: Case, lines: Sequence[Line]) -> None:
    alike = [line for line in lines if "top-k" not in line.contestant]
    server, ceiling = (
        max((line for line in alike if word in line.contestant), key=lambda line: line.rate, default=None)
        for word in ("llama-server", "llama-batched-bench")
    )
    print(f"\n{lines[0].case}")
    print(f"{'':40} tokens/s  first token  x one at a time, prefix     x server  x ceiling  peak memory")
    print(f"{'':40} {'':8}  {'':11}  {'kept':>10} {'not kept':>10}")
    for line in lines:
        ratios = [line.ratio(other) for other in (lines[0], lines[1], server, ceiling)]
        shown = "".join(f" {ratio:10.2f}" if ratio else " " * 11 for ratio in ratios)
        peak = f"{line.peak / 1e6:8,.0f} MB" if line.peak else ""
        print(f"{line.contestant:40} {line.rate:8,.1f} {line.first:10.2f} s {shown}   {peak}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=BUILD, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--size", choices=SIZES, default="trial", help="of the random model (default: trial)")
    add("--model", type=Path, help="measure this GGUF file instead of a random model and the bundled teacher")
    add("--folder", type=Path, default=Path("runs/benchmarks"), help="where the random model is kept")
    add("--requests", type=int, default=32, help="in one turn (default: 32)")
    add("--tokens", type=int, default=64, help="written for each request (default: 64)")
    add("--no-bundled", action="store_true", help="leave the bundled teacher out")
    add("--prefix", type=int, nargs="+", default=[0, 400, 1000], help="tokens all requests share; 0: a few")
    add("--schema", choices=["no", "yes", "both"], default="both", help="replies as JSON of a schema")
    add("--repeats", type=int, default=3, help="turns (default: 3)")
    add("--threads", type=int, default=0, help="0: all cores")
    add("--in-flight", type=int, nargs="+", default=[1, 4, 8, 16, 32])
    add("--server", type=Path, help="llama-server")
    add("--server-top-k", type=int, nargs="+", default=[0], help="0: all tokens, as the others; its own default is 40")
    add("--batched-bench", type=Path, help="llama-batched-bench")
    add("--json", type=Path, help="also write every sample to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
