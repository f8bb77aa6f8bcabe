"""Times of cases: means, quantiles and their intervals against scipy, and what counts as one case."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from scipy import stats

from db.engine import Database
from review_queue import answers, clock, decisions, pace, periods
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.pace import mean, quantile
from review_queue.periods import Period
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import Move, take

DAY = Period(date(2026, 3, 2), date(2026, 3, 2))


@pytest.mark.parametrize("degrees", [4, 5, 9, 30, 400])
def test_students_quantile_is_that_of_scipy(degrees: int) -> None:
    assert pace.student(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=0.005)


def test_a_mean_with_its_interval() -> None:
    values = [10.0, 12.0, 9.0, 30.0, 14.0, 11.0]
    low, high = stats.t.interval(0.95, 5, loc=np.mean(values), scale=stats.sem(values))
    found = mean(values)
    assert (found.n, found.value) == (6, pytest.approx(np.mean(values)))
    assert (found.low, found.high) == (pytest.approx(low, abs=0.05), pytest.approx(high, abs=0.05))
    assert mean([1.0, 2.0, 3.0, 4.0]) == pace.Mean(4, 2.5, None, None)
    assert mean([]) == pace.Mean(0, None, None, None)
    assert mean([0.1, 0.1, 0.1, 0.1, 100.0]).low == 0.0


def test_decisions_an_hour_are_an_hour_over_the_mean() -> None:
    at = datetime(2026, 3, 2, 9, tzinfo=UTC)
    times = [(at + timedelta(minutes=k), took) for k, took in enumerate((20, 25, 30, 35, 40))]
    found = pace.hourly([*times, (at + timedelta(days=1), 999.0)], DAY)
    assert found.seconds.n == 5
    assert found.per_hour.value == pytest.approx(120)
    assert found.per_hour.low == pytest.approx(3600 / found.seconds.high)
    assert found.per_hour.high == pytest.approx(3600 / found.seconds.low)
    assert pace.hourly([], DAY).per_hour.value is None


def test_the_ranks_of_a_median_are_those_of_the_tables() -> None:
    """Conover's table: of 10 values the 2nd and the 9th; of 20 the 6th and the 15th; of 5 there are none."""
    assert quantile(list(range(1, 11)), 0.5) == pace.Quantile(5.5, 2, 9)
    assert quantile(list(range(1, 21)), 0.5) == pace.Quantile(10.5, 6, 15)
    assert quantile([1, 2, 3, 4, 5], 0.5) == pace.Quantile(3, None, None)
    assert quantile([], 0.5) == pace.Quantile(None, None, None)


@pytest.mark.parametrize(("n", "q"), [(12, 0.5), (80, 0.5), (80, 0.9), (3000, 0.9)])
def test_the_interval_of_a_quantile_is_exact(n: int, q: float) -> None:
    below, above = pace._ranks(n, q)
    inside = stats.binom.cdf(above - 1, n, q) - stats.binom.cdf(below - 1, n, q)
    assert inside >= 0.95
    assert stats.binom.cdf(above - 2, n, q) < 0.975
    assert stats.binom.cdf(below, n, q) > 0.025


def test_a_blind_case_is_timed_from_first_sight_to_last(database: Database, ann: Actor) -> None:
    held = factories.setting(database, wished=factories.policy(review={"blind_first": "all"}))
    factories.routed(database, held, {"a": factories.says("pay", 0.6), "b": factories.says("pay", 0.6)})
    for n, (first, after) in enumerate(((12.0, 3.0), (8000.0, 1.0))):
        case = take(database, held, ann)[0]
        database.write(decisions.answer, ann, case.task_id, case.token, f"f{n}", "pay", first)
        database.write(decisions.decide, ann, case.task_id, case.token, Said(f"k{n}", "accept", seconds=after))
    window = database.read(answers.latest, held.id)
    assert [took for _, took in pace.seconds(window)] == [15.0, pace.LONGEST]


def test_an_answer_that_was_taken_back_is_not_timed(database: Database, held: Setting, ann: Actor) -> None:
    factories.routed(database, held, {"a": factories.says("pay", 0.6)})
    case = take(database, held, ann)[0]
    stored = database.write(decisions.decide, ann, case.task_id, case.token, Said("a", "accept", seconds=5))
    database.write(decisions.undo, ann, stored.id)
    database.write(decisions.decide, ann, case.task_id, case.token, Said("b", "correct", "deny", seconds=9))
    assert [took for _, took in pace.seconds(database.read(answers.latest, held.id))] == [9.0]


def test_items_wait_from_their_arrival_to_peoples_answer(database: Database, held: Setting, ann: Actor, move: Move) -> None:
    factories.routed(
        database, held, {"a": factories.says("pay", 0.6), "b": factories.says("pay", 0.6), "c": factories.says("pay", 0.95)}
    )
    move(timedelta(hours=2))
    for n in range(2):
        case = take(database, held, ann)[0]
        database.write(decisions.decide, ann, case.task_id, case.token, Said(str(n), "accept"))
    waited = database.read(lambda s: pace.waited(s, answers.latest(s, held.id)))
    assert [round(took / 60) for _, took in waited] == [120, 120]
    period = periods.latest(2)
    assert pace.waits(waited, period).n == 2
    n, alone = database.read(pace.alone, held.id, period)
    assert n == 1
    assert alone.value is not None
    assert alone.value < 60
    assert database.read(pace.alone, held.id, Period(date(2020, 1, 1), date(2020, 1, 2)))[0] == 0


def test_a_window_of_a_time_leaves_out_the_rest(database: Database, held: Setting, ann: Actor, move: Move) -> None:
    factories.routed(database, held, {str(n): factories.says("pay", 0.6) for n in range(3)})
    begin = clock.now()
    for n in range(3):
        case = take(database, held, ann)[0]
        database.write(decisions.decide, ann, case.task_id, case.token, Said(str(n), "accept"))
        move(timedelta(days=1))
    middle = database.read(
        lambda s: answers.latest(s, held.id, since=begin + timedelta(hours=12), before=begin + timedelta(hours=36))
    )
    assert (middle.decisions, middle.whole) == (1, True)
    late = database.read(lambda s: answers.latest(s, held.id, 1, since=begin + timedelta(hours=12)))
    assert (late.decisions, late.whole) == (1, False)
