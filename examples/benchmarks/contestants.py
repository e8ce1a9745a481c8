"""What `generation.py` compares: each answers the same requests and says how long it took."""

from __future__ import annotations

import concurrent.futures
import json
import multiprocessing
import socket
import statistics
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dsa_lite.teacher import Request, TeacherOptions
from dsa_lite_formats.answering import without_amx
from dsa_lite_llama_cpp.teacher import LlamaCppTeacher

#: A request's number of tokens written, and the seconds from the start of all to its reply.
Answers = list[tuple[int, float]]


@dataclass(frozen=True)
class Sample:
    """One pass over the requests. `first`: seconds until half of those asked together have their first token."""

    rate: float
    first: float


class Contestant(Protocol):
    """`most`: how many of the requests it is given; for one at a time a few tell the rate."""

    name: str
    in_flight: int
    most: int

    def answer(self, requests: Sequence[Request]) -> Answers: ...

    def peak(self) -> int | None:
        """Bytes of memory taken at most so far; None: unknown."""
        ...

    def close(self) -> None: ...


def sample(contestant: Contestant, others: Sequence[Request], requests: Sequence[Request]) -> Sample:
    """Tokens per second over the requests, and the time to the first token with as many asked as fly together.

    The latter on `others`, which begin differently, so that nobody knows the start of the requests from there.
    """
    short = [r.model_copy(update={"max_tokens": 1}) for r in others[: min(contestant.in_flight, contestant.most)]]
    first = statistics.median(seconds for _, seconds in contestant.answer(short))
    start = time.perf_counter()
    tokens = sum(count for count, _ in contestant.answer(requests[: contestant.most]))
    return Sample(tokens / (time.perf_counter() - start), first)


def peak_of(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return None


class Ours:
    def __init__(self, model: Path, in_flight: int, threads: int) -> None:
        """`in_flight` 0: as the engine finds best."""
        self.name = f"dsa-lite, {in_flight or 'own choice'} in flight"
        self.in_flight, self.most = in_flight or 32, 1_000_000
        self._teacher = LlamaCppTeacher(str(model), TeacherOptions(in_flight=in_flight, threads=threads))

    def answer(self, requests: Sequence[Request]) -> Answers:
        start, found = time.perf_counter(), []
        for reply in self._teacher.write(requests):
            if reply.finish == "error":
                raise SystemExit(f"{self.name}: {reply.error}")
            found.append((reply.tokens_out, time.perf_counter() - start))
        return found

    def tokens_in(self, request: Request) -> int:
        return next(self._teacher.write([request])).tokens_in

    def takes(self, request: Request) -> bool:
        """Whether the model's context has room for it."""
        return next(self._teacher.write([request])).finish != "error"

    @property
    def chosen(self) -> int:
        return self._teacher.in_flight

    def peak(self) -> int | None:
        return peak_of(self._teacher.pid) if self._teacher.pid else None

    def close(self) -> None:
        self._teacher.close()


class OneAtATime:
    """llama-cpp-python's `Llama.create_chat_completion` in a process of its own.

    It keeps what the last prompt and the next have in common; `keep` False makes it forget.
    """

    def __init__(self, model: Path, threads: int, context: int, *, keep: bool) -> None:
        self.name = f"llama-cpp-python, prefix {'kept' if keep else 'not kept'}"
        self.in_flight, self.most = 1, 8 if keep else 4
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(
            target=_one_at_a_time, args=(theirs, str(model), threads, context, keep), daemon=True
        )
        self._process.start()

    def answer(self, requests: Sequence[Request]) -> Answers:
        self._pipe.send([r.model_dump() for r in requests])
        found: Answers = self._pipe.recv()
        return found

    def peak(self) -> int | None:
        return peak_of(self._process.pid or 0)

    def close(self) -> None:
        self._pipe.send(None)
        self._process.join()


def _one_at_a_time(pipe: Any, model: str, threads: int, context: int, keep: bool) -> None:
    import llama_cpp

    sizes = {"n_ctx": context, "n_threads": threads or None, "n_threads_batch": threads or None, "n_gpu_layers": -1}
    with without_amx():
        llama = llama_cpp.Llama(model, **sizes, verbose=False)
    while (requests := pipe.recv()) is not None:
        start, found = time.perf_counter(), []
        for r in requests:
            if not keep:
                llama.reset()
            schema = r["json_schema"]
            reply = llama.create_chat_completion(
                messages=r["messages"],
                response_format={"type": "json_object", "schema": schema} if schema else None,
                max_tokens=r["max_tokens"],
                temperature=r["temperature"],
                top_p=r["top_p"],
                top_k=0,
                min_p=0.0,
                repeat_penalty=1.0,
                seed=r["seed"],
            )
            found.append((reply["usage"]["completion_tokens"], time.perf_counter() - start))
        pipe.send(found)


class LlamaServer:
    def __init__(
        self, binary: Path, model: Path, in_flight: int, threads: int, context: int, *, top_k: int = 0
    ) -> None:
        """`top_k` 0: all tokens are looked at, as everyone else here does; the server's own default is 40."""
        self.name = f"llama-server -np {in_flight}" + (f", top-k {top_k}" if top_k else "")
        self.in_flight, self.most, self._top_k = in_flight, 1_000_000, top_k
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [str(binary), "-m", str(model), "-np", str(in_flight), "-c", str(in_flight * context)]
        command += ["--port", str(port), "--jinja", *(["-t", str(threads)] if threads else [])]
        self._url = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait()

    def answer(self, requests: Sequence[Request]) -> Answers:
        start = time.perf_counter()

        def ask(request: Request) -> tuple[int, float]:
            return self._ask(request), time.perf_counter() - start

        with concurrent.futures.ThreadPoolExecutor(self.in_flight) as pool:
            return list(pool.map(ask, requests))

    def _ask(self, request: Request) -> int:
        body: dict[str, Any] = request.model_dump(
            include={"messages", "max_tokens", "temperature", "top_p", "seed"}
        ) | {"top_k": self._top_k, "min_p": 0.0}
        if request.json_schema:
            body["response_format"] = {"type": "json_schema", "json_schema": {"schema": request.json_schema}}
        headers = {"content-type": "application/json"}
        call = urllib.request.Request(f"{self._url}/v1/chat/completions", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(call) as response:
            return int(json.load(response)["usage"]["completion_tokens"])

    def _wait(self) -> None:
        while self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self._url}/health"):
                    return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.2)
        raise SystemExit(f"{self.name} ended with status {self._process.returncode}")

    def peak(self) -> int | None:
        return peak_of(self._process.pid)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


#: A run of less than a tenth of a second often ends before its log is written.
_TRIES = 20


@dataclass(frozen=True)
class BatchedBench:
    """The ceiling: llama-batched-bench neither samples nor reads or writes text."""

    binary: Path
    model: Path
    threads: int

    def sample(self, in_flight: int, prompt: int, tokens: int, requests: int) -> Sample:
        """The rate that as many requests would have, wave after wave, their shared prompt computed once."""
        command = [str(self.binary), "-m", str(self.model), "-npp", str(prompt), "-ntg", str(tokens), "-pps"]
        command += ["-npl", str(in_flight), "-c", str(prompt + in_flight * (prompt + tokens)), "-b", "2048"]
        command += ["--output-format", "jsonl", *(["-t", str(self.threads)] if self.threads else [])]
        for _ in range(_TRIES):
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            if lines := [line for line in done.stdout.splitlines() if line.startswith("{")]:
                break
        else:
            raise SystemExit(f"{self.binary.name} printed nothing in {_TRIES} runs")
        found = json.loads(lines[0])
        seconds = found["t_pp"] + found["t_tg"] * requests / in_flight
        return Sample(tokens * requests / seconds, found["t_pp"])
