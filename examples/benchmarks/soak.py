"""Endurance of the llama.cpp teacher: many requests, or a child process that is killed again and again.

    python examples/benchmarks/soak.py                          # 10,000 short requests through the bundled teacher
    python examples/benchmarks/soak.py --requests 400 --kills 50

Every request has to be answered or rejected with a reason exactly once, the child's memory has to stay flat, and with
--kills every reply has to be the one of an undisturbed pass. Ends with status 1 where that is not so.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dsa_lite
from dsa_lite.records import Message
from dsa_lite.teacher import Reply, Request, TeacherOptions
from dsa_lite_llama_cpp.teacher import LlamaCppTeacher

SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string", "maxLength": 12}},
    "required": ["answer"],
    "additionalProperties": False,
}
#: Seconds a killer waits at most between a reply and the kill.
PATIENCE = 0.5


def main() -> None:
    args = _arguments()
    with LlamaCppTeacher(str(args.model), TeacherOptions(in_flight=args.in_flight, threads=args.threads)) as teacher:
        replies, faults = soak(teacher, list(requests(args.requests, args.tokens)))
        if args.kills:
            faults += compare(teacher, list(requests(args.requests, args.tokens)), replies, args.kills, args.seed)
    print("\n".join(faults) or "sound")
    sys.exit(bool(faults))


def requests(count: int, max_tokens: int) -> Iterator[Request]:
    """Of five: two free, two as JSON, and now and then one that is too long or has a schema no grammar can express."""
    earlier = Message(role="system", content="Write one exercise. " * 8)
    for n in range(count):
        content = f"exercise {n} on the power rule" + (" again" * 2000 if n % 97 == 5 else "")
        yield Request(
            id=f"r{n}",
            messages=(earlier, Message(role="user", content=content)),
            json_schema={"type": "nonsense"} if n % 89 == 7 else SCHEMA if n % 2 else None,
            max_tokens=1 + n % max_tokens,
            seed=n,
        )


def soak(teacher: LlamaCppTeacher, asked: list[Request]) -> tuple[dict[str, Reply], list[str]]:
    """Ask them all; the replies by id, and what is wrong."""
    found: dict[str, Reply] = {}
    faults: list[str] = []
    memory: list[int] = []
    start = time.perf_counter()
    every = max(1, len(asked) // 10)
    for count, reply in enumerate(teacher.write(asked), 1):
        if reply.id in found:
            faults.append(f"{reply.id} was answered twice")
        found[reply.id] = reply
        if reply.finish == "error" and not reply.error:
            faults.append(f"{reply.id} was rejected without a reason")
        if count % every == 0 and teacher.pid:
            memory.append(resident(teacher.pid))
            seconds = time.perf_counter() - start
            print(f"{count:7,} replies  {count / seconds:8.1f}/s  child {memory[-1] / 1e6:7.1f} MB", flush=True)
    faults += [f"{r.id} was never answered" for r in asked if r.id not in found]
    # What the first tenth takes is the cache and what it warms up.
    if len(memory) > 2 and memory[-1] > memory[1] * 1.05 + 4e6:
        faults.append(f"the child grew from {memory[1] / 1e6:.1f} to {memory[-1] / 1e6:.1f} MB")
    reasons = Counter(r.error.split(":")[0][:60] for r in found.values() if r.error)
    print(f"finished: {dict(Counter(r.finish for r in found.values()))}; rejected: {dict(reasons)}")
    print(
        f"{sum(r.tokens_out for r in found.values()):,} tokens, {teacher.in_flight} in flight, {dict(teacher.layout)}"
    )
    return found, faults


def compare(
    teacher: LlamaCppTeacher, asked: list[Request], undisturbed: dict[str, Reply], kills: int, seed: int
) -> list[str]:
    """Once more with `kills` kill -9 of the child, repeated as often as that takes; what is wrong."""
    killer = Killer(teacher, kills, random.Random(seed))
    faults: list[str] = []
    for turn in itertools.count(1):
        seen: Counter[str] = Counter()
        for reply in teacher.write(asked):
            killer.replies += 1
            seen[reply.id] += 1
            was = undisturbed[reply.id]
            if (reply.text, reply.finish) != (was.text, was.finish):
                faults.append(
                    f"{reply.id}: {was.finish} {was.text!r} became {reply.finish} {reply.text!r} {reply.error}"
                )
        if set(seen.values()) != {1} or len(seen) != len(asked):
            faults.append(f"turn {turn}: {len(asked)} requests, {seen.total()} replies to {len(seen)} of them")
        if killer.left == 0 or faults:
            break
    killer.stop()
    print(f"{kills - killer.left} kills in {turn} passes over {len(asked)} requests")
    return faults


class Killer:
    """Kills the child at random moments, with a reply at least between two: a request may die three times at most."""

    def __init__(self, teacher: LlamaCppTeacher, kills: int, draw: random.Random) -> None:
        self.left, self.replies = kills, 0
        self._teacher, self._draw = teacher, draw
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _work(self) -> None:
        while self.left and not self._stopped.is_set():
            seen = self.replies
            while self.replies == seen and not self._stopped.wait(0.001):
                pass
            self._stopped.wait(self._draw.uniform(0, PATIENCE))
            if (pid := self._teacher.pid) and not self._stopped.is_set():
                os.kill(pid, signal.SIGKILL)
                self.left -= 1


def resident(pid: int) -> int:
    """Bytes of memory a process has now."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    bundled = next((Path(dsa_lite.__file__).parent / "bundled" / "teacher").glob("*.gguf"))
    add = parser.add_argument
    add("--model", type=Path, default=bundled, help="a GGUF file (default: the bundled teacher)")
    add("--requests", type=int, default=10_000)
    add("--tokens", type=int, default=6, help="written for a request at most (default: 6)")
    add("--kills", type=int, default=0, help="kill -9 of the child in a second pass (default: none)")
    add("--seed", type=int, default=0, help="of the moments of the kills")
    add("--in-flight", type=int, default=0, help="0: as the engine finds best")
    add("--threads", type=int, default=0, help="0: all cores")
    return parser.parse_args()


if __name__ == "__main__":
    main()
