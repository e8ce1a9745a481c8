"""Events as progress: speed, time left, lines now and then, the live display."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from dsa_lite.cli.pace import Pace
from dsa_lite.cli.render import Lines, Live
from dsa_lite.cli.text import clean, clean_lines, duration, one_json, percent, points, size, verdict
from dsa_lite.events import Event, Note, StageFinished, StageProgress, StageStarted


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_speed_and_time_left() -> None:
    clock = Clock()
    pace = Pace(StageStarted("exercises", 0, ""), clock)
    assert (pace.count_words(), pace.time_words()) == ("starting", "0.0 s so far")
    clock.now += 5
    pace.update(StageProgress("exercises", 1, 101, tokens=50))
    assert pace.tokens_per_second == 10
    assert pace.time_words() == "8 min 20 s left"
    for done in (11, 21):
        clock.now += 1
        pace.update(StageProgress("exercises", done, 101, tokens=50 + 100 * (done - 1)))
    assert pace.count_words() == "21/101 exercises"
    assert pace.speed_words() == "1,000 tokens/s"
    pace.update(StageProgress("exercises", 21, 101, tokens=2050, in_flight=16))
    assert pace.speed_words() == "1,000 tokens/s, 16 in flight"
    assert pace.seconds_left == pytest.approx(8)


def test_what_a_resumed_run_finds_is_no_speed() -> None:
    clock = Clock()
    pace = Pace(StageStarted("exercises", 0, ""), clock)
    clock.now += 1
    pace.update(StageProgress("exercises", 500, 1000, tokens=5))
    assert pace.seconds_left is None
    clock.now += 10
    pace.update(StageProgress("exercises", 510, 1000, tokens=105))
    assert pace.seconds_left == pytest.approx(490)
    assert pace.tokens_per_second == pytest.approx(10)


def test_another_loop_of_the_same_stage_starts_anew() -> None:
    clock = Clock()
    pace = Pace(StageStarted("tune", 0, ""), clock)
    for event in (
        StageProgress("tune", 90, 100, 9000),
        StageProgress("tune", 91, 100, 9100),
        StageProgress("tune", 3, 50, 10),
    ):
        clock.now += 1
        pace.update(event)
    assert pace.tokens_per_second is None
    assert pace.count_words() == "3/50"


def test_a_label_lasts_as_long_as_its_loop_says_so() -> None:
    pace = Pace(StageStarted("exercises", 0, "", "goes on where it stopped"))
    labels = []
    for label in ("", "solved again", ""):
        pace.update(StageProgress("exercises", 1, 9, label=label))
        labels.append(pace.label)
    assert labels == ["goes on where it stopped", "solved again", "goes on where it stopped"]


def test_lines_come_now_and_then() -> None:
    clock, out = Clock(), io.StringIO()
    lines = Lines(out, clock)
    lines(StageStarted("graph", 0, "", "goes on where it stopped"))
    for done in range(1, 41):
        clock.now += 1
        lines(StageProgress("graph", done, 40, tokens=10 * done, figures={"loss": 1.23456}))
    lines(Note("graph", "torn line", "warning"))
    lines(StageFinished("graph", "done", 72, "40 skills"))
    text = out.getvalue().splitlines()
    assert text[0] == "graph: goes on where it stopped"
    assert text[1] == "graph: 1/40 skills, 10 tokens/s, 39 s left, loss 1.23"
    assert len(text) == 1 + 4 + 2
    assert text[-2:] == ["graph: warning: torn line", "graph: done: 40 skills (1 min 12 s)"]


@pytest.mark.parametrize("columns", [40, 60, 120])
def test_the_live_display_fits_and_leaves_finished_stages(columns: int) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=columns, markup=False, highlight=False, emoji=False)
    events: list[Event] = [
        StageStarted("textbooks", 0, ""),
        StageProgress("textbooks", 3, 29, 300, {"rejected": 1}, "[red]round\x1b[2J 1"),
        StageFinished("textbooks", "done", 3.21, "29 passages"),
        StageProgress("tune", 3, 0),
        Note("tune", "[bold]looks odd", "warning"),
    ]
    with Live(console) as live:
        for event in events:
            live(event)
    text = out.getvalue()
    assert "29 passages (3.2 s)" in text
    assert "[bold]looks odd" in text
    assert "\x1b[2J" not in text


def test_a_terminal_without_unicode_gets_no_unicode_from_us() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    with Live(Console(file=out, force_terminal=True, width=100)) as live:
        live(StageStarted("graph", 5, "skills"))
        live(StageFinished("graph", "done", 1, "5 skills"))
    out.flush()
    assert b"5 skills" in raw.getvalue()


def test_words() -> None:
    assert clean("a\n\tb \x1b[1m\u202ec") == "a b \ufffd[1m\ufffdc"
    assert clean("abcdef", 4) == "abc…"
    assert clean_lines("a\n  b\x07") == "a\n  b\ufffd"
    assert [duration(s) for s in (0.44, 9.96, 59.6, 3599.7, 7500)] == [
        "0.4 s",
        "10 s",
        "1 min 00 s",
        "1 h 00 min",
        "2 h 05 min",
    ]
    assert [percent(x, 1) for x in (0.7834, None, float("nan"))] == ["78.3 %", "-", "-"]
    assert [points(x, 1) for x in (0.756, -0.02, -0.0001)] == ["+75.6", "-2.0", "0.0"]
    assert [size(x) for x in (12, 16.1e9, 3e15)] == ["12 B", "16.1 GB", "3000.0 TB"]
    assert one_json({"a": (float("inf"), 1)}) == '{\n  "a": [\n    null,\n    1\n  ]\n}'


@pytest.mark.parametrize(
    ("before", "after", "p", "words"),
    [
        (0.1, 0.9, 1e-9, "better, and not by chance (p < 0.001)"),
        (0.9, 0.8, 0.012, "worse, and not by chance (p = 0.012)"),
        (0.9, 0.91, 0.8, "no change that chance could not explain (p = 0.80)"),
        (0.9, 0.9, None, "no comparison"),
    ],
)
def test_mcnemar_in_words(before: float, after: float, p: float | None, words: str) -> None:
    assert verdict(before, after, p) == words
