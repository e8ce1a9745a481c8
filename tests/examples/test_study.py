"""The study: its arms on tiny real models, planted errors and how they are found, statistics worked by hand."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # `examples` is not an installed package

from dsa_lite.errors import UsageError  # noqa: E402
from dsa_lite.io.run_folder.rundir import RunDir  # noqa: E402
from dsa_lite.io.skills import load_skill  # noqa: E402
from dsa_lite.records import Exercise  # noqa: E402
from dsa_lite.stages import context as context_module  # noqa: E402
from dsa_lite.teacher import Request  # noqa: E402
from dsa_lite.testing import ScriptedTeacher  # noqa: E402
from examples.study import (  # noqa: E402
    arms,
    dev_split,
    errors,
    level_by_level,
    level_points,
    level_tables,
    page,
    planting,
    run,
    study,
)
from examples.study.figures import auc, average_precision, estimate, highest, precision_recall  # noqa: E402
from examples.study.one import train  # noqa: E402
from examples.study.targets import targets  # noqa: E402
from examples.tiny_models.heldout import held_out  # noqa: E402
from examples.tiny_models.solver import solve  # noqa: E402

SKILL = """
name = "sums"
title = "Sums"
[held_out]
eval = "eval.jsonl"
transfer = "transfer.jsonl"
general = "general.jsonl"
[[topic]]
name = "Addition"
[[topic]]
name = "Subtraction"
prerequisites = ["Addition"]
"""
SMALL = """
[student]
lora_rank = 4
lora_alpha = 8
device = "cpu"
max_tokens = 200
[graph]
expand = false
[textbooks]
per_skill = 1
min_chars = 20
[exercises]
single_per_skill = 14
composed_per_skill = 0
[rehearsal]
share = 0.1
[pretrain]
row_tokens = 200
[tune]
batch_size = 4
[dynamics]
probes = 6
probe_epochs = 1
[evaluate]
max_tokens = 4
batch_size = 4
"""
BUDGET = 2000


def answer(request: Request) -> str:
    """A passage, or an exercise that the recipe's solver can read; every fifth of these is wrong."""
    lines = [line.partition(": ") for line in request.messages[-1].content.splitlines()]
    asked = {name: text for name, _, text in lines}
    chance = random.Random(request.seed)
    if asked["task"] == "textbook":
        return f"{asked['skills']} is part {chance.randrange(1000)} of this course."
    if asked["task"] == "solve":
        return json.dumps({"solution": "so 1.", "answer": solve(asked["problem"])})
    name, a, b = asked["skills"].split("; ")[-1], chance.randrange(10, 500), chance.randrange(10, 500)
    sign, value = ("+", a + b) if name == "Addition" else ("-", a - b)
    told = value + 1 if chance.random() < 0.2 else value
    told_as = f"{name}: so {told}."
    return json.dumps({"problem": f"Compute {a}{sign}{b}.", "solution": told_as, "answer": str(told)})


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> Iterator[Path]:
    """A study of one seed in which some arms were trained."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "skill").mkdir()
    (folder / "skill" / "skill.toml").write_text(SKILL, encoding="utf-8")
    for split, topic in (("eval", "Addition"), ("transfer", "Subtraction"), ("general", "letters")):
        rows = [{"id": f"{split}-{i}", "problem": f"What is {i} and {i}?", "answer": str(2 * i)} for i in range(3)]
        text = "".join(json.dumps({**row, "topic": topic}) + "\n" for row in rows)
        (folder / "skill" / f"{split}.jsonl").write_text(text, encoding="utf-8")
    (folder / "small.toml").write_text(SMALL, encoding="utf-8")
    made = study.Study(
        skill=str(folder / "skill"), budget=BUDGET, config=str(folder / "small.toml"), student=str(tiny_model_folder)
    )
    study.begin(folder, made, "the command")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(context_module, "open_teacher", lambda kind, source, options: ScriptedTeacher(answer))
        for arm in ("static", "graph-order", "dsa", "static-all", "static-50", "own-errors", "planted-15"):
            train(folder, made, 0, arm, lambda event: None)
        yield folder


def exercises(out: Path, arm: str) -> list[Exercise]:
    return planting.first_exercises(RunDir.read(study.folder(out, 0, arm)))


@pytest.mark.parametrize(
    ("arm", "share"), [("static", 1), ("graph-order", 1), ("dsa", 1), ("static-all", 1), ("static-50", 0.5)]
)
def test_an_arm_is_trained_on_its_budget(out: Path, arm: str, share: float) -> None:
    found = study.summary(out, 0, arm)
    assert found is not None
    run = RunDir.read(study.folder(out, 0, arm))
    longest = 4 * max(o.tokens for o in run.observations(1).read())
    assert share * BUDGET <= found["trained_tokens"] < share * BUDGET + longest


def test_arms_share_what_was_written_and_the_base_answers(out: Path) -> None:
    static, dsa = (study.folder(out, 0, arm) for arm in ("static", "dsa"))
    for name in ("graph.json", "textbooks.jsonl", "rehearsal.jsonl", "evaluation/before-eval.jsonl"):
        if (static / name).exists():
            assert (dsa / name).read_bytes() == (static / name).read_bytes()
    assert exercises(out, "dsa") == exercises(out, "static")


def test_static_all_has_from_the_start_what_dsa_ended_with(out: Path) -> None:
    dsa, shuffled = (planting.exercises(RunDir.read(study.folder(out, 0, arm))) for arm in ("dsa", "static-all"))
    assert {e.round for e in dsa} > {0}
    assert [e.model_copy(update={"round": 0}) for e in dsa] == shuffled
    trained = RunDir.read(study.folder(out, 0, "static-all")).observations(1).read()
    assert {o.example for o in trained} == {e.id for e in dsa}


def test_an_arm_goes_on_where_it_stopped_and_changes_nothing_when_done(out: Path) -> None:
    for arm in ("planted-15", "dsa"):
        folder = study.folder(out, 0, arm)
        before = (folder / "adapter" / "adapter_model.safetensors").stat().st_mtime_ns
        found = train(out, study.load(out)[0], 0, arm, lambda event: None)
        assert (folder / "adapter" / "adapter_model.safetensors").stat().st_mtime_ns == before
        assert found == study.summary(out, 0, arm)


def test_without_the_source_an_arm_says_so(out: Path) -> None:
    with pytest.raises(UsageError, match="static does not exist"):
        train(out, study.load(out)[0], 7, "dsa", lambda event: None)


def test_planted_errors_are_as_many_as_was_asked(out: Path) -> None:
    own, planted = exercises(out, "static"), exercises(out, "planted-15")
    true = [e for e in own if planting.right(e)]
    assert 0 < len(true) < len(own)
    assert {e.id for e in planted} == {e.id for e in true}
    assert sum(not planting.right(e) for e in planted) == round(0.15 * len(true))


def test_errors_are_measured_and_the_page_says_what_is_there(out: Path, tmp_path: Path) -> None:
    errors.main(["--out", str(out)])
    found = json.loads((out / errors.FILE).read_text())["runs"]
    assert [r["arm"] for r in found] == ["own-errors", "planted-15"]
    for one in found:
        assert one["wrong"] == sum(not planting.right(e) for e in exercises(out, one["arm"]))
        at = one["rules"]["skill"]["at"]["of our rule"]
        assert at["removed"] == one["presets"]["skill"]["removed"]
        again = one["presets"][errors.SECOND_LOOK]  # the teacher solves rightly: it refutes nothing that is right
        assert again["removed"] == 0 or again["precision"] == 1
        assert one["rules"]["loss"]["at"]["of the wrong"]["removed"] == one["wrong"]
        assert [int(n) for n in one["baselines"]] == list(errors.COUNTS)
    assert found[0]["presets"][errors.SECOND_LOOK]["removed"] > 0
    page.main(["--out", str(out), "--to", str(tmp_path)])
    text = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    for words in ("the command", "| dsa | the defaults", "dsa − static", "| planted-15 |", "| skill |", "not reached"):
        assert words in text
    for picture in ("results-budget.svg", "results-differences.svg"):
        assert picture in text
        assert (tmp_path / picture).read_text(encoding="utf-8").startswith("<svg")


def training(out: Path, arm: str, place: str = level_by_level.PLACE) -> Path:
    return study.folder(out, 0, place) / arm / level_by_level.TRAINING


@pytest.mark.parametrize("arm", ["graph-order", "static"])
def test_a_walk_is_the_arm_s_own_training_up_to_its_last_point(out: Path, arm: str) -> None:
    """The losses of the first passes are the arm's to the last digit."""
    found = level_by_level.walk(out, study.load(out)[0], 0, arm, 1.0, 2)
    walked = RunDir.read(training(out, arm)).observations(1).read()
    assert walked == RunDir.read(study.folder(out, 0, arm)).observations(1).read()[: len(walked)]
    assert sum(o.epoch < 2 for o in walked) == 2 * len(exercises(out, "static"))
    assert len(walked) <= (2.3 if arm == "static" else 2) * len(exercises(out, "static")), "no textbooks: more of these"
    summary = study.summary(out, 0, arm)
    assert summary is not None
    for split, counts in found["points"][0]["scores"].items():
        assert counts["all"] == [summary["before"][split]["accuracy"] * 3, 3]
    assert {s: sorted(counts) for s, counts in found["points"][1]["scores"].items()} == {
        "eval": ["0", "all"], "transfer": ["1", "all"], "general": ["all", "none"],
    }  # fmt: skip


def test_the_points_stand_where_textbooks_and_levels_end(out: Path) -> None:
    """Counted once more from what was trained: the checkpoint, the observations and the rehearsed chats."""
    found = level_by_level.walk(out, study.load(out)[0], 0, "graph-order", 1.0, 2)
    tokens = {p["name"]: p["tokens"] for p in found["points"]}
    walked = RunDir.read(training(out, "graph-order"))
    checkpoint = walked.load_checkpoint("pretrain")
    assert checkpoint is not None
    assert tokens["textbooks"] == checkpoint[1]["tokens"]
    first = [o for o in walked.observations(1).read() if o.epoch == 0]
    skill_of = {e.id: e.skill for e in exercises(out, "static")}
    added = sum(o.tokens for o in first if skill_of[o.example] == "addition")
    assert {o.example for o in first} == set(skill_of)
    again = tokens["level 1"] - tokens["textbooks"] - sum(o.tokens for o in first)
    chats = len(walked.rehearsed().read())
    assert (again > 0) == (chats > 0)
    share = sum(s == "addition" for s in skill_of.values()) / len(skill_of)
    assert tokens["level 0"] == tokens["textbooks"] + added + round(again * share)
    assert tokens["pass 2, level 0"] - tokens["level 1"] == tokens["level 0"] - tokens["textbooks"]
    assert list(tokens) == ["base", "textbooks", "level 0", "level 1", "pass 2, level 0", "pass 2, level 1"]


def test_a_walk_that_was_stopped_ends_as_one_that_was_not(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped in its second pass; the state kept after the textbooks is the one that pretraining ended with."""
    made = study.load(out)[0]
    whole = level_by_level.walk(out, made, 0, "graph-order", 1.0, 2)
    keep = level_by_level._keep
    monkeypatch.setattr(level_by_level, "PLACE", "again")

    def stop(context: Any, where: Path) -> None:
        if where.name == "pass-2-level-0":
            raise KeyboardInterrupt
        keep(context, where)

    with monkeypatch.context() as patch:
        patch.setattr(level_by_level, "_keep", stop)
        with pytest.raises(KeyboardInterrupt):
            level_by_level.walk(out, made, 0, "graph-order", 1.0, 2)
    place = training(out, "graph-order", "again")
    kept, trained = RunDir.read(place.parent / "textbooks"), RunDir.read(place)
    one, two = kept.load_checkpoint("tune"), trained.load_checkpoint("pretrain")
    assert one is not None
    assert two is not None
    name = "student_state.safetensors"
    assert (one[0] / name).read_bytes() == (two[0] / name).read_bytes()
    assert level_by_level.walk(out, made, 0, "graph-order", 1.0, 2) == whole
    assert kept.load_checkpoint("tune") is None, "a state is given up once it has answered"
    replies = [p.read_bytes() for p in sorted(place.parent.glob("*/evaluation/after-*.jsonl"))]
    other = training(out, "graph-order").parent.glob("*/evaluation/after-*.jsonl")
    assert replies == [p.read_bytes() for p in sorted(other)]


def test_level_by_level_from_its_command_to_the_page(out: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        level_by_level.main(["--out", str(out), "--share", "0"])
    level_by_level.main(["--out", str(out), "--share", "0.5", "--jobs", "1"])
    found = json.loads((out / level_tables.FILE).read_text())
    assert [(r["seed"], r["arm"]) for r in found["runs"]] == [(0, "graph-order"), (0, "static")]
    along, shuffled = ([(p["name"], p["tokens"]) for p in r["points"]] for r in found["runs"])
    assert along == shuffled
    assert found["runs"][0]["points"][1]["scores"]["eval"]["all"][1] == 2, "half of three questions"
    losses = training(out, "static") / "rounds" / "01" / "observations.jsonl"
    before = losses.stat().st_mtime_ns
    assert level_by_level.walk(out, study.load(out)[0], 0, "static", 0.5, 1) == found["runs"][1]
    assert losses.stat().st_mtime_ns == before
    page.main(["--out", str(out), "--to", str(tmp_path)])
    text = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    for words in ("## Level by level", "| level 1 |", "50% of the questions", "level_by_level --out", "| no level |"):
        assert words in text
    for picture in ("results-levels.svg", "results-levels-along.svg"):
        assert picture in text
        assert (tmp_path / picture).read_text(encoding="utf-8").startswith("<svg")


def test_level_by_level_needs_a_finished_source(out: Path, tmp_path: Path) -> None:
    study.begin(tmp_path, study.load(out)[0], "the command")
    with pytest.raises(SystemExit, match="no finished arm static"):
        level_by_level.main(["--out", str(tmp_path)])


def test_a_share_of_the_questions_of_each_topic(tmp_path: Path) -> None:
    """eval: 12 of 24 on each of 17 topics; transfer: 4 of 8 on 13, 3 of 6 on 4; general: 9 of 18 on 13."""
    with RunDir.open(tmp_path / "run", {}, {}) as source:
        for split, items in load_skill("calculus").held_out.items():
            source.write_held_out(split, items)
        half = level_points.questions(source, 0.5)
        assert {split: len(items) for split, items in half.items()} == {"eval": 204, "transfer": 64, "general": 117}
        for split, items in half.items():
            assert len({i.id for i in items} & {i.id for i in source.held_out(split).read()}) == len(items)
            assert set(Counter(i.topic for i in items).values()) <= {12, 9, 4, 3}
        assert level_points.questions(source, 0.5) == half
        assert {len(items) for items in level_points.questions(source, 0.001).values()} == {17, 13}


def test_a_budget_that_ends_before_the_levels_do_is_refused(out: Path) -> None:
    short = replace(study.load(out)[0], budget=300)
    with pytest.raises(UsageError, match="the budget of 300 target tokens ends before pass 2"):
        level_by_level.walk(out, short, 0, "static", 1.0, 2)


def test_level_tables_by_hand() -> None:
    """Right after level 2: 2 and 4 of 4 along, 1 and 2 of 4 shuffled: 75 % and 37.5 %, differences 25 and 50 points."""

    def line(seed: int, arm: str, right: int) -> dict[str, Any]:
        levels = {"all": [right, 4], "10": [0, 1], "2": [right, 2], "none": [0, 1]}
        points = [("base", 0, {"all": [0, 4]}), ("level 2", 100 + seed, levels)]
        made = [{"name": n, "tokens": t, "scores": {"eval": s, "transfer": {}, "general": {}}} for n, t, s in points]
        return {"seed": seed, "arm": arm, "points": made}

    runs = [line(0, "graph-order", 2), line(1, "graph-order", 4), line(0, "static", 1), line(1, "static", 2)]
    assert level_tables.order(runs) == {"base": 0, "level 2": 100.5}
    assert level_tables.levels(runs, "eval") == ["2", "10", "none"]
    assert level_tables.over_seeds(runs, "graph-order", "level 2", "eval").mean == 0.75
    assert level_tables.over_seeds(runs, "static", "level 2", "eval").mean == 0.375
    assert level_tables.shares(runs, "graph-order", "level 2", "eval") == {0: 0.5, 1: 1.0}
    e = level_tables.difference(runs, "level 2", "eval")
    assert (e.mean, e.n) == (0.375, 2)
    assert level_tables.difference(runs[1:], "level 2", "eval").n == 1
    listed = level_tables.estimates(runs[:1])
    which = {"arm": "graph-order", "point": "level 2", "split": "eval", "level": "all"}
    assert {**which, "mean": 0.5, "low": None, "high": None, "n": 1} in listed
    assert not [row for row in listed if row["split"] == "transfer"]
    text = "\n".join(level_tables.section({"share": 0.5, "runs": runs}))
    assert "| level 2 | 100 | 75.0 [0.0, 100.0] | 37.5 [0.0, 100.0] | +37.5 [" in text
    assert "–" in text
    drawn = level_tables.pictures({"share": 0.5, "runs": runs})["results-levels-along.svg"]
    assert "eval, level 10" in drawn
    assert "no level" not in drawn


def test_our_rule_finds_what_stands_out_in_its_skill() -> None:
    """Skill 0 has losses about 1, skill 1 about 5: a wrong one at 3 in skill 0 is not the highest loss."""
    losses = np.concatenate([np.linspace(0.9, 1.1, 20), [3.0], np.linspace(4.9, 5.1, 20), [7.0]])[:, None]
    groups = np.array([0] * 21 + [1] * 21)
    wrong = np.zeros(42, dtype=bool)
    wrong[[20, 41]] = True
    scores, centre, scale = errors.within_groups(losses, groups)
    window = {"window": 1, "burn_in": 0}
    shown = errors.summarise(scores, **window), errors.summarise(losses, **window)
    seen = errors.Seen((), wrong, *shown, np.zeros(42, dtype=bool), {}, centre, scale)
    ranked = errors.rankings(seen, errors.Baseline(5.0, 1.0))
    assert precision_recall(highest(ranked["skill"], 2), wrong) == (1.0, 1.0)
    assert precision_recall(highest(ranked["loss"], 2), wrong) == (0.5, 0.5)


def test_intervals_by_hand() -> None:
    """1, 2, 3, 4, 5: mean 3, s = sqrt(2.5), t(4) = 2.776: half a width of 2.776 * sqrt(2.5 / 5) = 1.963."""
    e = estimate([1, 2, 3, 4, 5])
    assert (e.mean, e.n) == (3, 5)
    assert (e.low, e.high) == (pytest.approx(3 - 1.96293, abs=1e-4), pytest.approx(3 + 1.96293, abs=1e-4))
    assert e.positive
    assert not estimate([-1, 0, 3]).positive
    assert math.isnan(estimate([4]).low)
    assert not estimate([4]).positive
    assert estimate([]).n == 0


def test_rankings_by_hand() -> None:
    """Scores 4 3 2 1, wrong the first and the third: 3 of 4 pairs in order; precision 1 and 2/3 at the wrong ones."""
    scores, wrong = np.array([4.0, 3.0, 2.0, 1.0]), np.array([True, False, True, False])
    assert auc(scores, wrong) == 0.75
    assert average_precision(scores, wrong) == pytest.approx((1 + 2 / 3) / 2)
    assert auc(np.zeros(4), wrong) == 0.5
    assert math.isnan(auc(scores, np.ones(4, dtype=bool)))
    assert precision_recall(highest(scores, 2), wrong) == (0.5, 0.5)
    assert precision_recall(highest(scores, 3), wrong) == (pytest.approx(2 / 3), 1.0)
    assert math.isnan(precision_recall(highest(scores, 0), wrong)[0])


def shares(*eval_shares: float, base: float = 0.1) -> dict[int, Any]:
    """One summary per seed; transfer as eval, general falls by 0.02 or not at all."""
    return {
        seed: {
            "before": {s: {"accuracy": v} for s, v in (("eval", base), ("transfer", 0.0), ("general", 0.9))},
            "after": {s: {"accuracy": v} for s, v in (("eval", share), ("transfer", share), ("general", 0.9 - kept))},
        }
        for seed, (share, kept) in enumerate(zip(eval_shares, (0.02, 0.0, 0.01), strict=True))
    }


def verdicts(results: Any, runs: Any) -> list[str]:
    return [line.split(" | ")[-1].removesuffix(" |") for line in targets(results, runs) if line.startswith("| ")][2:]


def test_targets_by_hand() -> None:
    """dsa - static: 0.20, 0.22, 0.18 (reached) or 0.2, -0.1, 0.1 (mean 0.07, an interval over zero)."""
    found = [{"arm": "planted-15", "presets": {errors.SECOND_LOOK: {"removed": 9, "precision": 0.95, "recall": 0.91}}}]
    good = {"static": shares(0.5, 0.5, 0.5), "dsa": shares(0.7, 0.72, 0.68), "dsa-50": shares(0.5, 0.6, 0.4)}
    good |= {"static-200": shares(0.7, 0.7, 0.7)}
    good |= {"graph-order": shares(0.6, 0.61, 0.62), "reverse-order": shares(0.5, 0.52, 0.51)}
    assert verdicts(good, found) == ["reached"] * 8
    bad = {"static": shares(0.5, 0.5, 0.5), "dsa": shares(0.7, 0.4, 0.6, base=0.3), "dsa-50": shares(0.4, 0.6, 0.4)}
    bad |= {"static-200": shares(0.6, 0.6, 0.6)}
    found[0]["presets"][errors.SECOND_LOOK]["recall"] = 0.89
    assert verdicts(bad, found) == ["not reached"] * 4 + ["–"] + ["not reached"] * 2 + ["reached"]
    assert verdicts({}, None) == ["–"] * 8


def test_arms_by_name_and_by_group() -> None:
    assert arms.chosen(["main"]) == list(arms.GROUPS["main"])
    assert len(arms.GROUPS["main"]) == 13
    assert arms.chosen(["dsa"]) == ["static", "dsa"]
    assert arms.chosen(["static-all"]) == ["static", "dsa", "static-all"]
    with pytest.raises(KeyError, match="'dsaa'"):
        arms.chosen(["dsaa"])
    with pytest.raises(SystemExit, match="no arm or group"):
        run.main(["--out", "nowhere", "--arms", "dsaa"])


def test_another_study_is_not_written_over(out: Path) -> None:
    with pytest.raises(SystemExit, match="holds another study"):
        study.begin(out, study.Study(), "again")


def test_the_development_split_is_new_and_a_skill(tmp_path: Path) -> None:
    dev_split.write(tmp_path / "skill")
    pack, real = load_skill(str(tmp_path / "skill")), load_skill("calculus")
    for split, items in real.held_out.items():
        mine = pack.held_out[split]
        assert len(mine) == len(items)
        assert len({i.problem for i in mine}) >= 0.99 * len(mine)
    keys = {item.key for items in held_out().values() for item in items}
    assert not keys & {item.key for items in dev_split.items().values() for item in items}


def test_from_the_command_line_with_the_bundled_pair(tmp_path: Path) -> None:
    """A failing arm does not stop the others: the one whose budget its textbooks use up."""
    pytest.importorskip("torch")
    pytest.importorskip("llama_cpp")
    config = tmp_path / "few.toml"
    few = "[exercises]\nsingle_per_skill = 2\ncomposed_per_skill = 0\n[textbooks]\nper_skill = 1\n"
    config.write_text(few + "[graph]\nexpand = false\n[evaluate]\nlimit = 4\nmax_tokens = 16\n", encoding="utf-8")

    def say(*words: str) -> Any:
        line = [sys.executable, "-m", *words, "--out", str(tmp_path / "s")]
        return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)

    done = say("examples.study.run", "--seeds", "1", "--arms", "dsa", "planted-30", "--config", str(config),
               "--budget", "2000", "--dev")  # fmt: skip
    assert done.returncode == 1
    assert "seed 100 planted-30: done" in done.stdout
    assert "1 of 3 failed" in done.stderr
    log = (tmp_path / "s" / "seed-100" / "dsa.log").read_text(encoding="utf-8")
    assert "nothing is left to tune with" in log
    assert say("examples.study.errors").returncode == 0
    assert say("examples.study.page", "--to", str(tmp_path)).returncode == 0
    text = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    assert "- seed 100, dsa" in text
    assert "Development split" in text
