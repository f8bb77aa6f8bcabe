"""A small seeded part of the figures of docs/evidence.md: what must hold, and that the test bites."""

import numpy as np
import pytest

from review_queue import exact
from tests.benchmarks import autonomy
from tests.benchmarks.deployments import COVERAGES, Deployments, Terms, World, curve, just_unsafe, risks

DELTA = autonomy.TERMS.delta


def most(runs: int) -> float:
    """Delta and three standard errors."""
    return DELTA + 3 * float(np.sqrt(DELTA * (1 - DELTA) / runs))


def test_what_errs_just_as_often_as_is_unfit_is_seldom_certified() -> None:
    found = autonomy.at_alpha(2_000, 1_000, np.random.default_rng(1))
    assert 0.01 < found <= most(2_000)


def test_a_limit_for_one_look_promotes_one_in_four_when_looked_at_again_and_again() -> None:
    assert autonomy.peeking(1_000, np.random.default_rng(1)) > 0.2


@pytest.mark.parametrize("world", [World(), World(just_unsafe(0.01))], ids=["nominal", "worst case"])
def test_deployments_with_daily_looks_seldom_run_an_unsafe_threshold(world: World) -> None:
    played = Deployments(world, Terms(), 1_000, np.random.default_rng(1)).play(120)
    assert (played.unsafe >= 0).mean() <= DELTA
    assert (played.first >= 0).all()
    assert 0.3 < played.coverage.mean() < 0.6
    assert played.alone_wrong.sum() < 0.01 * played.alone.sum()


def test_people_who_miss_errors_make_what_is_unsafe_look_safe_and_gold_stops_it() -> None:
    world, rng = World(missed=0.4), np.random.default_rng(1)
    blind = Deployments(world, Terms(), 100, rng).play(200)
    assert (blind.unsafe >= 0).mean() > 0.2
    watched = Deployments(world, Terms(most=0.25), 100, rng).play(200)
    assert (watched.first >= 0).mean() <= 0.02
    allowed = Deployments(world, Terms(most=0.5), 100, rng).play(200)
    assert (allowed.unsafe >= 0).mean() <= DELTA
    assert (allowed.first >= 0).mean() > 0.9


def test_errors_that_come_later_are_seen_within_weeks_and_stay_out() -> None:
    for later in autonomy.SHIFTS.values():
        held = autonomy.shifted(later, autonomy.TERMS, 100, (1, 0))
        wait = (held.alarmed - 120)[held.acting_at_change & (held.alarmed >= 0)]
        assert len(wait) >= 0.95 * held.acting_at_change.sum() > 0
        assert np.median(wait) <= 28
        assert held.again.mean() <= DELTA


def test_a_bad_label_hides_in_one_ledger_for_all_and_not_in_its_own() -> None:
    held = autonomy.Labels(200, np.random.default_rng(1))
    held.play(90)
    assert (held.together[:, -1] >= 0).mean() > 0.5
    assert (held.by_holm()[:, -1] >= 0).mean() <= DELTA
    assert (held.by_holm()[:, :-1] >= 0).sum(axis=1).mean() > 8
    assert (held.alone[:, -1] >= 0).mean() <= DELTA
    assert (held.harmed[:, -1] >= 0).mean() > 0.9
    assert not (held.harmed[:, :-1] >= 0).any()


def test_a_validation_split_misses_its_promise_in_every_fourth_case() -> None:
    found = autonomy.one_look(World(just_unsafe(0.01)), 4_000, np.random.default_rng(1))
    shares = {name: held.mean() for name, held in found.items()}
    assert shares["validation error at most the target"] > 0.4
    assert shares["one look, Clopper-Pearson 95 %"] <= most(4_000)
    assert shares["one look, learn then test"] <= most(4_000)


def test_a_validation_split_that_is_better_than_production_promises_too_much() -> None:
    held = autonomy.one_look(World(), 4_000, np.random.default_rng(1), World(curve(1.5)))
    assert held["validation error at most the target"].mean() > 0.6
    assert held["one look, Clopper-Pearson 95 %"].mean() > most(4_000)


def test_the_worlds_are_what_they_say() -> None:
    nominal, worst = risks(curve()), risks(just_unsafe(0.01))
    assert COVERAGES[nominal <= 0.01][-1] == pytest.approx(0.55)
    assert worst[worst > 0.01][0] == pytest.approx(0.01, rel=2e-6)
    assert float((curve() * np.diff(np.append(np.append(0, COVERAGES), 1))).sum()) == pytest.approx(0.082)


def test_a_share_is_said_with_its_limits() -> None:
    low, high = exact.interval(1, 10)
    assert autonomy.said(np.arange(10) == 3) == f"10.00 % ({100 * low:.2f} to {100 * high:.2f})"
