"""The engine in this process: how many are in flight, what fits into memory, that no sequence is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("llama_cpp")

import dsa_lite
from dsa_lite_llama_cpp.engine import Engine
from dsa_lite_llama_cpp.flight import Flight
from dsa_lite_llama_cpp.memory import _free_in_group, cache_budget, free_bytes, free_on_gpus
from dsa_lite_llama_cpp.model import Model

from .conftest import Shape, write_model

BUNDLED = next((Path(dsa_lite.__file__).parent / "bundled" / "teacher").glob("*.gguf"))
WIDTHS = (1, 2, 4, 8, 16, 32)


def make(path: Path, said: list[dict[str, Any]], **options: int) -> Engine:
    return Engine(
        Model(str(path), 0), {"context_tokens": 0, "in_flight": 0, "gpu_layers": 0, **options}, 1, said.append
    )


def ask(ticket: int, *, max_tokens: int = 8, prompt: str = "", shared: str = "") -> dict[str, Any]:
    settings = {"schema": None, "temperature": 1.0, "top_p": 1.0, "seed": ticket, "max_tokens": max_tokens}
    return {"ticket": ticket, "prompt": prompt or f"{shared}exercise {ticket}", "shared": shared, **settings}


def replies(said: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    found = [m for m in said if m["kind"] == "reply"]
    assert len({m["ticket"] for m in found}) == len(found), "answered twice"
    return {m["ticket"]: m for m in found}


def work(engine: Engine) -> None:
    while not engine.idle:
        engine.turn()


def climb(seconds: dict[int, float], *, fixed: bool = False, widths: tuple[int, ...] = WIDTHS) -> list[int]:
    """The limits a flight goes through when a step with n writing takes seconds[n]."""
    flight = Flight(widths, fixed=fixed)
    limits = [flight.limit]
    for _ in range(200):
        flight.stepped(flight.limit, seconds[flight.limit])
        if flight.limit != limits[-1]:
            limits.append(flight.limit)
    return limits


def test_the_number_in_flight_doubles_while_throughput_rises() -> None:
    assert climb({4: 1, 8: 1.2, 16: 1.5, 32: 2}) == [4, 8, 16, 32]
    assert climb({4: 1, 8: 1.2, 16: 2.38, 32: 3}) == [4, 8, 16, 8]
    assert climb({4: 1, 8: 2}) == [4, 8, 4]
    assert climb({4: 1, 32: 3}, widths=(4, 32)) == [4, 32]
    assert climb({2: 1}, widths=(1, 2)) == [2]
    assert climb({32: 1}, fixed=True) == [32]


def test_steps_that_say_nothing_are_not_counted() -> None:
    flight = Flight(WIDTHS, fixed=False)
    for _ in range(50):
        flight.stepped(3, 0.001)
    assert flight.limit == 4
    for n in range(8):  # one fast step of eight is the measure
        flight.stepped(4, 1.0 if n == 5 else 100.0)
    for _ in range(8):
        flight.stepped(8, 1.5)
    assert flight.limit == 16


def test_a_thousand_requests_leave_every_sequence_free() -> None:
    said: list[dict[str, Any]] = []
    engine = make(BUNDLED, said)
    shared = "a start that many have in common, " * 8
    cancelled = set()
    for n in range(1000):
        engine.ask(ask(n, max_tokens=1 + n % 7, shared=shared if n % 3 == 0 else ""))
        if n % 50 == 49:
            for _ in range(3):
                engine.turn()
            gone = {n, n - 20} - replies(said).keys()  # one that waits, one that may be writing
            engine.cancel(list(gone))
            cancelled |= gone
    work(engine)
    assert len(cancelled) >= 20
    assert replies(said).keys() == set(range(1000)) - cancelled
    assert all(r["finish"] in ("stop", "length") for r in replies(said).values())
    assert engine.busy == 0
    # All of them can be used again.
    for n in range(1000, 1000 + engine.slots):
        engine.ask(ask(n))
    work(engine)
    assert engine.busy == 0
    assert len(replies(said)) == 1000 - len(cancelled) + engine.slots


def test_a_request_without_memory_is_refused_by_name(tmp_path: Path) -> None:
    # 256 bytes of cache a token: 2 ** 30 tokens would take 256 GiB.
    said: list[dict[str, Any]] = []
    engine = make(write_model(tmp_path / "m.gguf", Shape(context=2**31 - 1)), said)
    most = engine._sizing._fits
    if most > 2**30:
        pytest.skip("this machine has memory for everything, as only GPU servers have")
    engine.ask(ask(1, max_tokens=2**30))
    assert replies(said)[1]["finish"] == "error"
    assert "GiB of memory beside the model" in replies(said)[1]["error"]
    engine.ask(ask(2))
    work(engine)
    assert replies(said)[2]["finish"] in ("stop", "length")


def test_long_requests_get_fewer_sequences_and_the_same_replies(tmp_path: Path) -> None:
    path, shared = write_model(tmp_path / "m.gguf", Shape(context=4096)), "words that are worth keeping " * 3
    texts = []
    for affordable, expected in ((100, (32, 2)), (10, (8, 2)), (3, (1, 2)), (1, (1, 0))):
        said: list[dict[str, Any]] = []
        engine = make(path, said)
        engine._sizing._budget = affordable * 512 * engine._model.kv_bytes_per_token
        for n in range(40):
            engine.ask(ask(n, max_tokens=300 if n == 0 else 20, shared=shared))
        work(engine)
        assert engine._context is not None
        assert engine._context.tokens == 512
        assert (engine._context.slots, engine._context.spares) == expected
        texts.append({ticket: r["text"] for ticket, r in replies(said).items()})
    assert len(texts[0]) == 40
    # Those of a single sequence are computed in rows of one, which need not give the same last bits.
    assert texts[0] == texts[1]
    assert texts[2] == texts[3]


def test_what_llama_cpp_cannot_make_is_made_smaller_or_told_in_the_reply(tmp_path: Path) -> None:
    said: list[dict[str, Any]] = []
    engine = make(write_model(tmp_path / "m.gguf"), said, in_flight=200)
    engine._sizing.slots = 400  # llama.cpp has 256 sequences at most
    engine.ask(ask(1))
    work(engine)
    assert engine._context is not None
    assert engine._context.slots == 200
    engine._model.trained_context, engine._sizing._fits = 1 << 40, 1 << 40
    engine.ask(ask(2, max_tokens=2**32))
    engine.ask(ask(3))
    work(engine)
    assert "no memory for 1 sequences" in replies(said)[2]["error"]
    assert replies(said)[3]["finish"] in ("stop", "length")
    assert replies(said).keys() == {1, 2, 3}


def test_the_cache_is_sized_by_the_lengths_of_keys_and_values(tmp_path: Path) -> None:
    plain = Model(str(write_model(tmp_path / "plain.gguf", Shape(layers=3, heads=4, heads_kv=2, width=64))), 0)
    assert plain.kv_bytes_per_token == 2 * 3 * 2 * (16 + 16)
    wide = Model(str(write_model(tmp_path / "wide.gguf", Shape(layers=3, heads=4, heads_kv=2, width=64, head=32))), 0)
    assert wide.kv_bytes_per_token == 2 * 3 * 2 * (32 + 32)


def test_memory_that_is_really_free(tmp_path: Path) -> None:
    assert 0 < free_bytes() < 1 << 50
    assert _free_in_group(tmp_path) > 1 << 60
    for name, text in {"max": "1000", "current": "900", "stat": "active_file 7\ninactive_file 300\n"}.items():
        (tmp_path / f"memory.{name}").write_text(text)
    assert _free_in_group(tmp_path) == 400
    (tmp_path / "memory.max").write_text("max\n")
    assert _free_in_group(tmp_path) > 1 << 60
    assert free_on_gpus() >= 0
    assert 0 < cache_budget(1 << 60, on_gpu=False) < cache_budget(0, on_gpu=False)
