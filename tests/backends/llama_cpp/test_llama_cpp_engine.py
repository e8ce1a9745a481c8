"""The engine in this process: how many are in flight, what fits into memory, that no sequence is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("llama_cpp")

import llama_cpp

import dsa_lite
from dsa_lite_llama_cpp import memory
from dsa_lite_llama_cpp import model as model_module
from dsa_lite_llama_cpp.engine import Engine
from dsa_lite_llama_cpp.flight import Flight
from dsa_lite_llama_cpp.memory import _free_in_group, cache_budget, free_bytes, free_on_gpus
from dsa_lite_llama_cpp.model import Model

from .conftest import Shape, write_model

BUNDLED = next((Path(dsa_lite.__file__).parent / "bundled" / "teacher").glob("*.gguf"))
WIDTHS = (1, 2, 4, 8, 16, 32)


def make(path: Path, said: list[dict[str, Any]], **options: int) -> Engine:
    settings = {"context_tokens": 0, "in_flight": 0, "gpu_layers": 0, "slots": 0, **options}
    return Engine(Model(str(path), 0), settings, 1, said.append)


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
    assert wide.kv_bytes_per_token == 3 * 2 * (32 + 32) * 34 // 32 if wide.small_cache else 2 * 3 * 2 * (32 + 32)


def test_a_cache_of_8_bits_where_16_would_be_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads of 32 with AVX-512; it scores nearly as 16 bits do, and heads of 64 keep those."""
    path = write_model(tmp_path / "m.gguf", Shape(width=64, head=32))
    found = {}
    for processor in (b"AVX512 = 1", b"AVX2 = 1"):
        monkeypatch.setattr(llama_cpp, "llama_print_system_info", lambda processor=processor: processor)
        said: list[dict[str, Any]] = []
        engine = make(path, said)
        for n in range(6):
            engine.ask({**ask(n, shared="words that are worth keeping " * 3), "reply": f"the limit of exercise {n}"})
        work(engine)
        layout = next(m["layout"] for m in said if m["kind"] == "layout")
        found[layout["cache"]] = [replies(said)[n]["nll"] for n in range(6)]
    assert found.keys() == {"q8_0", "f16"}
    assert found["q8_0"] != found["f16"]
    assert found["q8_0"] == pytest.approx(found["f16"], rel=0.02)
    monkeypatch.setattr(llama_cpp, "llama_print_system_info", lambda: b"AVX512 = 1")
    assert not Model(str(write_model(tmp_path / "64.gguf", Shape(width=128, head=64))), 0).small_cache


def test_as_many_sequences_as_an_earlier_session_had(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.gguf")
    for options, slots, fixed in (({"slots": 6}, 6, False), ({"slots": 6, "in_flight": 3}, 3, True)):
        said: list[dict[str, Any]] = []
        engine = make(path, said, **options)
        engine.ask(ask(1))
        work(engine)
        (layout,) = [m["layout"] for m in said if m["kind"] == "layout"]
        assert layout["slots"] == engine.slots == slots
        assert engine._sizing.chosen == fixed


def test_memory_that_is_really_free(tmp_path: Path) -> None:
    assert 0 < free_bytes() < 1 << 50
    assert _free_in_group(tmp_path) > 1 << 60
    for name, text in {"max": "1000", "current": "900", "stat": "active_file 7\ninactive_file 300\n"}.items():
        (tmp_path / f"memory.{name}").write_text(text)
    assert _free_in_group(tmp_path) == 400
    (tmp_path / "memory.max").write_text("max\n")
    assert _free_in_group(tmp_path) > 1 << 60
    assert free_on_gpus() >= 0
    assert 0 < cache_budget(1 << 60, gpu_share=0.0) < cache_budget(0, gpu_share=0.0)


def test_the_cache_is_where_the_layers_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gib = 1 << 30
    monkeypatch.setattr(memory, "free_bytes", lambda: 4 * gib)
    monkeypatch.setattr(memory, "free_on_gpus", lambda: 8 * gib)
    assert cache_budget(0, gpu_share=0.0) == 2 * gib
    assert cache_budget(3 * gib, gpu_share=1.0) == 4 * gib
    assert cache_budget(2 * gib, gpu_share=0.5) == 3 * gib  # half the weights leave 3 GiB for half the cache
    assert cache_budget(0, gpu_share=0.8) == 5 * gib
    model = Model(str(write_model(tmp_path / "m.gguf", Shape(layers=2))), -1)
    if not llama_cpp.llama_supports_gpu_offload():
        assert model.gpu_share == 0
    monkeypatch.setattr(llama_cpp, "llama_supports_gpu_offload", lambda: True)
    monkeypatch.setattr(model_module, "free_on_gpus", lambda: gib)
    # The output layer counts as one.
    assert [model._gpu_share(n) for n in (-1, 0, 1, 2, 3, 99)] == [1, 0, 0, 0.5, 1, 1]
    monkeypatch.setattr(model_module, "free_on_gpus", lambda: 0)
    assert model._gpu_share(-1) == 0
