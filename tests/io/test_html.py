"""report.html in a real browser: what it shows, what it keeps out, how it is operated."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from dsa_lite.core.graph import from_node_link
from dsa_lite.core.report_data import RunRecords, report_data
from dsa_lite.core.statistics import wilson
from dsa_lite.io.html import read_records, render, report_page
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.records import Decision, Exercise, Graded, HeldOutItem, Observed, Rejected, Textbook, Vote

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "msedge", "chrome")
HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>\u2028${1}<!--"
LONG = "x" * 400
SHIFT = """window.shift = 0;
new PerformanceObserver((list) => list.getEntries().forEach((entry) => { window.shift += entry.value; }))
    .observe({ type: "layout-shift", buffered: true });"""
REGIONS: tuple[Any, ...] = ("error", "hard", "easy", "easy")


def score(correct: int, n: int) -> dict[str, Any]:
    low, high = wilson(correct, n)
    return {"accuracy": correct / n if n else None, "n": n, "low": low, "high": high}


def summary(**fields: Any) -> dict[str, Any]:
    before, after = score(40, 100), score(71, 100)
    topic = {"topic": "Squares", "set": "eval", "n": 100, "before": before, "after": after}
    sets = {"eval": after, "transfer": score(0, 0), "general": before}
    return {
        "title": "Sums", "teacher": "T", "student": "S", "device": "cpu", "seconds": 75.2, "teacher_tokens": 10,
        "trained_tokens": 20, "before": {**sets, "eval": before}, "after": sets,
        "mcnemar": {"eval": 0.0004, "transfer": None, "general": 1.0}, "topics": [topic], **fields,
    }  # fmt: skip


def exercises(n: int, **fields: Any) -> list[Exercise]:
    """The i-th teaches sums if i is even and squares if it is odd; every third is of round 1."""
    return [
        Exercise(**{
            "id": f"e{i:05d}", "problem": f"What is {i} + 1?", "solution": f"Sums: {i} + 1 = {i + 1}.",
            "answer": str(i + 1), "skills": ("squares",) if i % 2 else ("sums",),
            "origin": "single" if i % 3 else "variant", "round": int(i % 3 == 0), **fields,
        })
        for i in range(n)
    ]  # fmt: skip


def run_of(items: list[Exercise], *, rounds: int = 2, name: str = "Squares") -> RunRecords:
    """A finished run; the region of the i-th example goes through REGIONS, one further each round."""
    nodes = [{"id": "sums", "name": "Sums"}, {"id": "squares", "name": name, "description": name}]
    graph = from_node_link({"nodes": nodes, "edges": [{"source": "sums", "target": "squares"}]})
    decisions = {
        r: [
            Decision(example=e.id, skill=e.skill, region=REGIONS[(i + r) % 4], action="keep", weight=1.0,
                     loss=math.exp(-(i % 97) / 20), deviation=math.exp(-(i % 89) / 18), score=0.0)
            for i, e in enumerate(items)
        ]
        for r in range(1, rounds + 1)
    }  # fmt: skip
    observed = [
        Observed(example=e.id, epoch=k, loss=1.0 / (k + 1), tokens=3, correct=1) for e in items for k in range(rounds)
    ]
    wrong = [Graded(id="q1", topic="Squares", reply=name, answer="26", correct=False)]
    return RunRecords(
        settings={"identity": {"skill": "sums", "seed": "0"}, "versions": {"dsa-lite": name}, "config": {"seed": 0}},
        stages={"tune": "done", "evaluate": "done"},
        graph=graph, exercises=items, decisions=decisions, observed=observed, summary=summary(),
        textbooks=[Textbook(id="t", skill="squares", text=f"A square: {name}")],
        graded={("after", "eval"): wrong},
        items={"q1": HeldOutItem(id="q1", problem="What is 5 squared?", answer="25", topic="Squares")},
        votes=[Vote(id=f"{items[0].id}/{n}", exercise=items[0].id, round=1, answer="15") for n in (1, 2)],
        rejected=[Rejected(id="x", stage="exercises", reason="duplicate", detail=name, sample=name)],
    )  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium of this machine."""
    playwright = pytest.importorskip("playwright.sync_api", reason="a browser is driven by playwright: no playwright")
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found is None:
        pytest.skip(f"no browser on the PATH; looked for {', '.join(BROWSERS)}")
    with playwright.sync_playwright() as driver:
        # Chromium's own sandbox does not start for root, as in most containers; the page is ours.
        opened = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@dataclass
class Shown:
    """A page, and everything it complained about or asked the network for."""

    page: Any
    faults: list[str]

    def count(self) -> str:
        return str(self.page.text_content("#count"))

    def wait_for_count(self, text: str) -> None:
        from playwright.sync_api import expect

        # Not wait_for_function: the page's policy allows no code from strings.
        expect(self.page.locator("#count")).to_have_text(text)

    def drawer(self) -> str:
        return str(self.page.text_content("#drawer"))

    def wider_than_the_screen(self) -> bool:
        return bool(self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))


Show = Callable[..., Shown]


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Show]:
    """Opens a page; no script error, console message or request may come of it, whatever the test does."""
    opened: list[Shown] = []

    def open_page(html: str, width: int = 1280, **options: Any) -> Shown:
        file = tmp_path / "report.html"
        file.write_text(html, encoding="utf-8")
        page = browser.new_page(viewport={"width": width, "height": 800}, **options)
        shown = Shown(page, [])
        page.on("console", lambda message: shown.faults.append(message.text))
        page.on("pageerror", lambda error: shown.faults.append(str(error)))
        page.on("request", lambda r: None if r.url == file.as_uri() else shown.faults.append(f"request {r.url}"))
        page.add_init_script(SHIFT)
        page.goto(file.as_uri())
        opened.append(shown)
        return shown

    yield open_page
    for shown in opened:
        shown.page.close()
        assert shown.faults == []


def page_of(records: RunRecords) -> str:
    return render(report_data(records))


def test_the_data_is_json_that_cannot_leave_its_element() -> None:
    data = report_data(run_of(exercises(1, problem=HOSTILE)))
    html = render(data)
    start = html.index(">", html.index('id="data"')) + 1
    inert = html[start : html.index("</script>", start)]
    assert json.loads(inert) == json.loads(json.dumps(data))
    assert not set(inert) & set("<>&\u2028\u2029")
    with pytest.raises(ValueError, match="JSON compliant"):
        render({"x": math.nan})


def test_a_runs_folder_is_read_whole(tmp_path: Path) -> None:
    made = run_of(exercises(3))
    with RunDir.open(tmp_path / "r", {"skill": "sums"}, {}) as run:
        for e in made.exercises:
            run.exercises().append(e)
        for number, decisions in made.decisions.items():
            for d in decisions:
                run.decisions(number).append(d)
        run.write_round(1, {"baseline": 2.5, "warnings": []})
        for round in (1, 3):  # the third was interrupted: it has decided nothing yet
            run.observations(round).append(Observed(example="e00000", epoch=round, loss=0.5, tokens=1, correct=1))
        for vote in made.votes:
            run.votes().append(vote)
        run.write_held_out("eval", made.items.values())
        run.graded("after", "eval").append(made.graded["after", "eval"][0])
        run.write_summary(summary())
    found = read_records(RunDir.read(tmp_path / "r"))
    assert (found.exercises, found.decisions, found.items) == (made.exercises, made.decisions, made.items)
    assert found.votes == made.votes
    assert [o.epoch for o in found.observed] == [1, 3]
    assert (found.rounds[1]["baseline"], found.graph, found.stages["graph"]) == (2.5, None, "to do")
    assert report_data(found)["wrong"][0]["problem"] == "What is 5 squared?"


def test_what_changed_stands_first_in_a_sentence_per_set(show: Show) -> None:
    shown = show(page_of(run_of(exercises(8))))
    cards = shown.page.locator(".card")
    assert cards.count() == 2  # nothing was asked in the transfer set
    assert "Of 100 questions about what was taught, it answered 40.0\u202f% rightly before and 71.0\u202f% after" in (
        cards.nth(0).text_content()
    )
    assert (
        "interval 61.5–79.0\u202f%): better, and not by chance (exact McNemar test, p\u00a0<"
        in cards.nth(0).text_content()
    )
    assert "chance alone could make (exact McNemar test, p\u00a0=\u00a01.00)" in cards.nth(1).text_content()
    order = shown.page.locator("main > section").evaluate_all("all => all.map(s => s.id)")
    assert order == ["story", "skills", "map", "curves", "rounds", "rejects", "settings"]
    assert shown.page.title() == "Sums · dsa-lite report"
    for text in ("dsa-lite", "duplicate", "in 1 min on cpu"):
        assert text in shown.page.text_content("body")


def test_filters_change_what_is_on_the_map(show: Show) -> None:
    shown = show(page_of(run_of(exercises(60))))
    page = shown.page
    ink = "() => document.getElementById('canvas').toDataURL()"
    seen = {page.evaluate(ink)}
    assert shown.count() == "60 of 60 examples"
    for name, value, left in (("skill", "1", 30), ("origin", "2", 10), ("skill", "-1", 20)):
        page.select_option(f"select[name={name}]", value)
        assert shown.count() == f"{left} of 60 examples"
        seen.add(page.evaluate(ink))
    page.select_option("select[name=origin]", "-1")
    page.click("[data-region=easy]")
    assert shown.count() == "30 of 60 examples"
    assert page.get_attribute("[data-region=easy]", "aria-pressed") == "false"
    seen.add(page.evaluate(ink))
    page.click("[data-region=hard]")
    first = page.text_content("#list tbody tr:first-child .problem")
    page.select_option("select[name=round]", "1")
    assert page.text_content("#list tbody tr:first-child .problem") != first  # other examples were errors then
    page.fill("input[name=search]", "59 WHAT")
    shown.wait_for_count("1 of 60 examples")
    seen.add(page.evaluate(ink))
    assert len(seen) == 6


def test_a_point_is_read_by_clicking_it_and_by_keyboard_from_the_list(show: Show) -> None:
    shown = show(page_of(run_of(exercises(40))))
    page = shown.page
    row = page.locator("#list tbody button").nth(3)
    row.focus()
    page.keyboard.press("Enter")
    assert "Example" in shown.drawer()
    assert page.evaluate("document.activeElement.id") == "drawer-title"
    title = page.text_content("#drawer h2")
    for text in ("What is", "Sums:", "epoch 1: 1.00, epoch 2: 0.500", "keep"):
        assert text in shown.drawer()
    page.keyboard.press("Escape")
    assert page.is_hidden("#drawer")
    assert row.evaluate("node => node === document.activeElement")
    row.click()
    page.locator("#canvas").scroll_into_view_if_needed()
    spot = page.locator(".ring").bounding_box()
    page.keyboard.press("Escape")
    page.mouse.click(spot["x"] + spot["width"] / 2, spot["y"] + spot["height"] / 2)
    assert page.text_content("#drawer h2") == title
    page.fill("input[name=search]", "e00000")
    shown.wait_for_count("1 of 40 examples")
    page.locator("#list tbody button").click()
    assert "The teacher, solving it again: 15 | 15" in shown.drawer()
    page.fill("input[name=search]", "")
    shown.wait_for_count("40 of 40 examples")
    page.locator("#list tbody button").nth(3).click()
    assert "solving it again" not in shown.drawer()
    page.click("#drawer >> text=↓")
    assert page.text_content("#drawer h2") != title


def test_a_skill_opens_with_its_passages_exercises_and_wrong_answers(show: Show) -> None:
    shown = show(page_of(run_of(exercises(40))))
    page = shown.page
    page.locator(".skill", has_text="Squares").click()
    for text in (
        "Rests on",
        "Sums",
        "A square:",
        "What is 1 + 1?",
        "Still wrong: 1",
        "What is 5 squared?",
        "right: 25",
    ):
        assert text in shown.drawer()
    page.click("#drawer >> text=What is 1 + 1?")
    assert page.text_content("#drawer h2") == "e00001"
    page.click("#drawer >> text=Back")
    page.click("#drawer >> text=All 20 in the data map")
    assert page.is_hidden("#drawer")
    assert shown.count() == "20 of 40 examples"


def test_what_a_model_wrote_stays_text(show: Show) -> None:
    items = exercises(4, problem=HOSTILE, solution=HOSTILE, answer=HOSTILE)
    run = run_of(items, name=HOSTILE)
    rejected = [Rejected(id=HOSTILE, stage="exercises", reason=HOSTILE, detail=HOSTILE, sample=HOSTILE)]
    shown = show(page_of(replace(run, rejected=rejected, summary=summary(title=HOSTILE, device=HOSTILE))))
    page = shown.page
    page.locator(".skill").nth(1).click()
    page.locator("#drawer .item summary").click()
    page.locator("#drawer .plain button").first.click()
    assert HOSTILE in shown.drawer()
    page.locator(".reject summary").click()
    page.hover("#canvas")
    assert page.evaluate("[typeof window.hacked, document.images.length, document.scripts.length]") == [
        "undefined",
        0,
        2,
    ]
    assert page.text_content("h1") == HOSTILE


def test_the_page_could_not_reach_the_network_if_it_tried(show: Show) -> None:
    shown = show(page_of(run_of(exercises(2))))
    refused = shown.page.evaluate(
        """() => new Promise((done) => {
            const found = [];
            document.addEventListener("securitypolicyviolation", (event) => {
              found.push(event.effectiveDirective);
              if (found.length === 3) done(found.sort());
            });
            new Image().src = "http://127.0.0.1:9/";
            fetch("http://127.0.0.1:9/").catch(() => {});
            document.body.append(Object.assign(document.createElement("script"), { text: "window.hacked = 1" }));
        })"""
    )
    assert refused == ["connect-src", "img-src", "script-src-elem"]
    assert shown.page.evaluate("typeof window.hacked") == "undefined"
    told = ("Content Security Policy", "request http://127.0.0.1:9/")  # the refusals, and what was refused
    shown.faults[:] = [fault for fault in shown.faults if not any(words in fault for words in told)]


@pytest.mark.slow
def test_fifty_thousand_examples_are_drawn_filtered_and_found(show: Show) -> None:
    shown = show(page_of(run_of(exercises(50_000), rounds=1)))
    page = shown.page
    assert shown.count() == "50,000 of 50,000 examples"
    assert (
        page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(window.shift))))") < 0.02
    )
    page.select_option("select[name=skill]", "0")
    assert shown.count() == "25,000 of 50,000 examples"
    page.fill("input[name=search]", "48997")
    shown.wait_for_count("1 of 50,000 examples")
    page.locator("#list tbody button").click()
    assert "What is 48997 + 1?" in shown.drawer()
    assert page.locator("*").count() < 2000


def test_a_phone_shows_every_figure_of_a_round_without_scrolling_sideways(show: Show) -> None:
    page = show(page_of(run_of(exercises(30))), width=390).page
    page.locator(".rounds").scroll_into_view_if_needed()
    box = page.locator(".rounds").bounding_box()
    assert box["x"] + box["width"] <= 390
    shown = page.locator(".rounds tbody tr:first-child td[data-title]")
    titles = shown.evaluate_all("all => all.map((td) => getComputedStyle(td, '::before').content)")
    assert titles == ['"Examples"', '"Removed"', '"Made easy"', '"Newly written"', '"Mean loss"']


def test_a_phone_scrolls_down_only(show: Show) -> None:
    items = exercises(30, problem=LONG, solution=LONG, answer=LONG)
    shown = show(page_of(run_of(items, name=LONG)), width=320, has_touch=True)
    page = shown.page
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert not shown.wider_than_the_screen()
    page.locator(".skill").nth(1).tap()
    page.locator("#drawer .plain button").first.tap()
    assert not shown.wider_than_the_screen()
    assert page.evaluate("document.getElementById('drawer').scrollWidth <= 320")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground_in_both_schemes(show: Show, scheme: str) -> None:
    page = show(page_of(run_of(exercises(8))), color_scheme=scheme).page
    ratio = """(name) => {
        const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
        const light = (variable) => {
          pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(variable);
          pen.fillRect(0, 0, 1, 1);
          const part = (v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
          const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].map(part);
          return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
        };
        const pair = [light(name), light("--bg")];
        return Math.max(...pair) / Math.min(...pair);
    }"""
    for name, least in (("--ink", 7), ("--soft", 4.5), ("--accent", 4.5), ("--bad", 4.5)):
        assert page.evaluate(ratio, name) >= least, name
    for name in ("--error", "--hard", "--easy", "--ambiguous"):
        assert page.evaluate(ratio, name) >= 2.7, name


def test_on_paper_everything_is_open(show: Show) -> None:
    page = show(page_of(run_of(exercises(8))), color_scheme="dark").page
    closed = "document.querySelectorAll('main details:not([open])').length"
    assert page.evaluate(closed) > 0
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(closed) == 0
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(28, 31, 36)"
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(closed) > 0


@pytest.mark.parametrize("stages", [0, 1, 2])
def test_an_unfinished_run_says_what_is_missing(show: Show, tmp_path: Path, stages: int) -> None:
    made = run_of(exercises(4))
    with RunDir.open(tmp_path / "r", {"skill": "sums"}, {}) as run:
        run.begin("graph", "x")
        if stages > 0:
            run.write_graph(
                {"nodes": [{"id": "sums", "name": "Sums"}, {"id": "squares", "name": "Squares"}], "edges": []}
            )
            run.finish("graph")
            run.exercises().append(made.exercises[0])
        if stages > 1:
            run.observations(1).append(made.observed[0])
    shown = show(report_page(RunDir.read(tmp_path / "r")))
    stage = "“graph” (running)" if not stages else "“textbooks” (to do)"
    assert f"Not evaluated yet: the run stands at the stage {stage}" in shown.page.text_content("#story")
    assert "after the first round of tuning" in shown.page.text_content("#map")
    assert "No round of tuning is finished yet" in shown.page.text_content("#rounds")
    assert ("not been drawn yet" in shown.page.text_content("#skills")) == (stages == 0)
    assert ("trained on yet" in shown.page.text_content("#curves")) == (stages < 2)
    if stages:
        shown.page.locator(".skill", has_text="Sums").click()
        assert "No passage has been written" in shown.drawer()
        shown.page.click("#drawer >> text=What is 0 + 1?")
        assert "None yet." in shown.drawer()
