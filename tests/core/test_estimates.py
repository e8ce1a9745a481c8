"""Estimates and fitting: cases worked by hand, and properties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dsa_lite.config import Config
from dsa_lite.core.estimates import Batched, Cost, Counts, Kind, Measured, costs, static_cost
from dsa_lite.core.fitting import FEWEST, FILL, FREE, MOST, fit, with_budget

CONFIG = Config.model_validate(
    {
        "teacher": {"attempts": 2, "form": "json"},
        "textbooks": {"per_skill": 2},
        "exercises": {"single_per_skill": 10, "composed_per_skill": 5, "verify": "vote:1"},
        "rehearsal": {"share": 0.5, "own_words": 0.0},
        "pretrain": {"epochs": 3, "row_tokens": 100, "batch_size": 2},
        "tune": {"rounds": 2, "epochs": 2, "batch_size": 8},
        "dynamics": {"probes": 10, "probe_epochs": 2, "max_new_fraction": 0.1, "second_look": 0.0},
        "evaluate": {"batch_size": 4},
    }
)
COUNTS = Counts(skills=4, composable=2, imported=7, held_out=10)
MEASURED = Measured(
    kinds={
        "prerequisites": Kind(1.0, 10, 1.0), "textbook": Kind(2.0, 50, 0.5), "exercise": Kind(0.5, 20, 1.0),
        "solve": Kind(0.25, 8, 1.0), "remake": Kind(3.0, 30, 1.0),
    },
    open_teacher=5.0, open_student=4.0, tune_token=0.01, pretrain_token=0.1, exercise_tokens=10, remake_tokens=20,
    passage_tokens=25, targets=0.5, draw=Batched(1.0, 0.1), usable_draws=0.5, answer=Batched(2.0, 0.5), after=3.0,
)  # fmt: skip


def test_every_stage_by_hand() -> None:
    found = costs(CONFIG, COUNTS, MEASURED)
    assert (found["graph"].requests, found["graph"].seconds) == (4, 4.0)
    books = found["textbooks"]  # 8 wanted, half of 12 replies usable: 8 + 4 asked, 6 kept
    assert (books.requests, books.items, books.teacher_tokens, books.seconds) == (12, 6, 600, 24.0)
    exercises = found["exercises"]  # 4 x 10 + 2 x 5 written, each solved once more, 7 imported
    assert (exercises.items, exercises.requests, exercises.teacher_tokens) == (57, 100, 1400)
    assert exercises.seconds == pytest.approx(50 * 0.5 + 50 * 0.25)
    rehearsal = found["rehearsal"]  # half of 57, twice as many drawn in batches of 28
    assert rehearsal.items == 28
    assert rehearsal.seconds == pytest.approx(2 * 1.0 + 56 * 0.1 + 4.0)
    pretrain = found["pretrain"]  # 6 passages of 25 tokens, three times, in rows of 100
    assert (pretrain.steps, pretrain.trained_tokens) == (3, 450)
    assert pretrain.seconds == pytest.approx(45.0)


def test_procedures_are_written_several_times_and_their_cases_solved_again() -> None:
    settings = CONFIG.model_copy(update={"teacher": CONFIG.teacher.model_copy(update={"form": "text"})})
    books = costs(settings, COUNTS, MEASURED)["textbooks"]
    # 8 wanted, 3 of each: 24 and, half of them being usable, 12 more; 18 kept have two cases each
    assert (books.requests, books.items) == (36 + 36, 8)
    assert (books.teacher_tokens, books.seconds) == (36 * 50 + 36 * 8, 36 * 2.0 + 36 * 0.25)


def test_the_base_is_asked_some_exercises_of_every_skill() -> None:
    settings = CONFIG.model_copy(update={"rehearsal": CONFIG.rehearsal.model_copy(update={"own_words": 0.7})})
    drawn, asked = (costs(each, COUNTS, MEASURED)["rehearsal"] for each in (CONFIG, settings))
    assert asked.seconds - drawn.seconds == pytest.approx(15 * 2.0 + 57 * 0.5)  # all 57, fewer than 24 of each skill
    many = [costs(each, replace(COUNTS, exercises=500), MEASURED)["rehearsal"].seconds for each in (CONFIG, settings)]
    assert many[1] - many[0] == pytest.approx(4 * 24 / 4 * 2.0 + 4 * 24 * 0.5)


def test_tuning_grows_by_the_new_exercises_of_a_round() -> None:
    tune = costs(CONFIG, COUNTS, MEASURED)["tune"]
    new = 5  # a tenth of 57, asked for and solved once more
    assert (tune.items, tune.requests, tune.steps) == (57 + new, 2 * new, 2 * 11 + 2 * 12)
    tokens = 2 * 2 * (57 + 28) * 10 + 2 * new * 20 + 2 * 10 * 2 * 10
    assert tune.trained_tokens == tokens / 2
    assert tune.seconds == pytest.approx(tokens * 0.01 + new * (3.0 + 0.25) + 5.0)
    assert tune.teacher_tokens == new * (30 + 8)


def test_a_budget_ends_the_tuning_wherever_it_is_and_lasts_until_it_is_used_up() -> None:
    def tune(budget: int, rounds: int) -> Cost:
        part = CONFIG.tune.model_copy(update={"budget_tokens": budget, "rounds": rounds})
        return costs(CONFIG.model_copy(update={"tune": part}), COUNTS, MEASURED)["tune"]

    probes = 2 * 10 * 10
    # 450 targets are read; an epoch of 85 examples has 850 tokens, half of them targets
    found = tune(450 + 1275, 9)
    assert found.trained_tokens == (2 * 850 + probes + 850 + probes) / 2
    assert (found.items, found.requests, found.steps) == (57 + 5, 2 * 5, 2 * 11 + 11)  # 11 of the second round's 12
    found = tune(450 + 425, 9)
    assert (found.trained_tokens, found.requests, found.steps) == ((850 + probes) / 2, 0, 11)
    assert tune(450 + 4250, 1).trained_tokens == (8500 + probes) / 2
    assert tune(450, 9).trained_tokens == probes / 2
    found = tune(450 + 855, 9)  # ten tokens are left after the first round: one more exercise can be shown
    assert (found.items, found.requests) == (57 + 1, 2 * 1)


def test_a_share_of_the_teachers_exercises_is_solved_again_once() -> None:
    dynamics = CONFIG.dynamics.model_copy(update={"second_look": 0.4})
    rounds = CONFIG.tune.model_copy(update={"rounds": 3})
    before, after = (costs(c, COUNTS, MEASURED)["tune"] for c in (
        CONFIG.model_copy(update={"tune": rounds}), CONFIG.model_copy(update={"tune": rounds, "dynamics": dynamics})
    ))  # fmt: skip
    again = 20 + 2  # of the 50 that it wrote and the 5 new ones of the first round; 7 are the user's own
    assert after.requests - before.requests == again
    assert after.seconds - before.seconds == pytest.approx(again * 0.25)
    assert after.teacher_tokens - before.teacher_tokens == again * 8


def test_answers_after_training_are_as_long_as_measured() -> None:
    assert costs(CONFIG, COUNTS, MEASURED)["evaluate"].seconds == pytest.approx((3 * 2.0 + 10 * 0.5) * 4)


def test_what_is_written_counts_instead_of_what_is_expected() -> None:
    known = Counts(skills=4, composable=2, imported=7, held_out=10, passages=1, exercises=20, chats=0)
    found = costs(CONFIG, known, MEASURED)
    assert (found["pretrain"].items, found["tune"].items, found["rehearsal"].items) == (1, 22, 10)


def test_test_questions_that_the_run_makes_are_solved_and_not_trained_on() -> None:
    config = CONFIG.model_copy(
        update={"exercises": CONFIG.exercises.model_copy(update={"hold_out": 0.2, "hold_out_votes": 3})}
    )
    own, made = (costs(config, replace(COUNTS, held_out=n), MEASURED) for n in (10, None))
    assert made["exercises"].items == own["exercises"].items - 10  # a fifth of 50
    assert made["exercises"].requests == own["exercises"].requests + 3 * 10
    assert made["exercises"].seconds == pytest.approx(own["exercises"].seconds + 3 * 10 * 0.25)
    assert made["evaluate"].items == own["evaluate"].items == 2 * 10
    limited = config.model_copy(update={"evaluate": config.evaluate.model_copy(update={"limit": 4})})
    assert costs(limited, replace(COUNTS, held_out=None), MEASURED)["evaluate"].items == 2 * 4


def test_the_static_arm_trains_as_many_tokens_and_answers_once() -> None:
    found = costs(CONFIG, COUNTS, MEASURED)
    arm = static_cost(CONFIG, found, MEASURED)
    tokens = found["pretrain"].trained_tokens + found["tune"].trained_tokens
    assert (arm.trained_tokens, arm.teacher_tokens, arm.items) == (tokens, 0, 10)
    assert arm.seconds == pytest.approx(4.0 + 2 * tokens * 0.01 + (3 * 2.0 + 10 * 0.5) * 3)


def seconds(config: Config) -> float:
    return sum(cost.seconds for cost in costs(config, COUNTS, MEASURED).values())


@pytest.mark.parametrize("share", [0.3, 0.6, 0.8, 1.01, 1.3, 2.0, 100.0])
def test_the_most_that_fits_is_chosen(share: float) -> None:
    budget = share * seconds(CONFIG) / FILL
    fitted = fit(CONFIG, (), budget, seconds)
    chosen = fitted.chosen
    if not fitted.fits:
        assert (chosen.single, chosen.rounds, chosen.epochs) == (FEWEST, 1, 1)
        assert chosen.seconds > FILL * budget
        return
    assert chosen.seconds <= FILL * budget
    assert all(setting.seconds > FILL * budget for setting in fitted.passed)
    usual = CONFIG.exercises.single_per_skill
    most = usual if fitted.passed else MOST * usual
    if chosen.single < most:
        layer = chosen.sections()
        layer["exercises"] = {
            "single_per_skill": chosen.single + 1,
            "composed_per_skill": round((chosen.single + 1) / 2),
        }
        sections = {name: getattr(CONFIG, name).model_copy(update=part) for name, part in layer.items()}
        assert seconds(CONFIG.model_copy(update=sections)) > FILL * budget
    if share >= 1:
        assert (chosen.rounds, chosen.epochs, fitted.passed) == (2, 2, ())
        assert chosen.single >= usual


def test_a_second_round_is_given_up_last() -> None:
    small = {"exercises": {"single_per_skill": 4, "composed_per_skill": 2}, "tune": {"rounds": 2, "epochs": 1}}
    sections = {name: getattr(CONFIG, name).model_copy(update=part) for name, part in small.items()}
    fitted = fit(CONFIG, (), 1.01 * seconds(CONFIG.model_copy(update=sections)) / FILL, seconds)
    assert fitted.chosen.sections() == small


def test_both_ends_are_reached_in_these_tests() -> None:
    assert not fit(CONFIG, (), 0.3 * seconds(CONFIG) / FILL, seconds).fits
    assert fit(CONFIG, (), 100 * seconds(CONFIG), seconds).chosen.single == MOST * 10


def test_what_is_fixed_stays() -> None:
    fixed = {"exercises.single_per_skill", "tune.epochs"}
    fitted = fit(CONFIG, fixed, 0.9 * seconds(CONFIG) / FILL, seconds)
    assert fitted.fits
    assert (fitted.chosen.single, fitted.chosen.epochs, fitted.chosen.rounds) == (10, 2, 1)
    assert fitted.chosen.sections(fixed) == {"exercises": {"composed_per_skill": 5}, "tune": {"rounds": 1}}
    assert fit(CONFIG, FREE, 1e9, seconds).chosen.sections(FREE) == {}


def test_a_budget_stands_over_presets_and_under_the_user() -> None:
    layers: list[tuple[str, Mapping[str, Any]]] = [
        ("preset quick", {"tune": {"epochs": 1}}),
        ("my.toml", {}),
        ("flags", {"seed": 1}),
    ]
    chosen = {"settings": {"tune": {"epochs": 4}}}
    assert [label for label, _ in with_budget(layers, chosen)] == [
        "preset quick",
        "the time budget",
        "my.toml",
        "flags",
    ]
    assert with_budget(layers, {}) == layers
