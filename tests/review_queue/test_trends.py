"""Shares over time and the backlog behind and ahead, worked out by hand."""

from collections import Counter
from datetime import date, timedelta
from itertools import pairwise
from math import sqrt

import pytest

from contract.policy import Calendar
from db.engine import Database
from review_queue import agreement, calendar, clock, forecast, periods, trends
from review_queue.forecast import AHEAD, BEHIND
from review_queue.pace import Mean
from review_queue.periods import Period
from review_queue.projects import Setting
from review_queue.trends import trend
from tests import factories
from tests.review_queue.acting import Move

ALWAYS, WEEK = Calendar(), Calendar(days="mon-fri", holidays=(date(2026, 3, 4),))
MONDAY = date(2026, 3, 2)
TIMES = Mean(50, 72.0, 60.0, 90.0)


def test_periods_by_name_and_by_day() -> None:
    today = clock.now().date()
    assert periods.period() == Period(today - timedelta(days=29), today)
    assert periods.period("7 days").days == 7
    assert periods.period(None, "2026-03-02", "2026-03-04") == Period(MONDAY, date(2026, 3, 4))
    assert periods.period(last="2026-03-30").first == date(2026, 3, 1)
    assert Period(MONDAY, MONDAY).before - Period(MONDAY, MONDAY).since == timedelta(days=1)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("8 weeks", None, None), "'8 weeks' is no period; there are 7 days"),
        ((None, "yesterday", None), "'yesterday' is no day; write it as 2026-11-28"),
        ((None, "2026-11-01", "9999-12-31"), "no day on which anything is done; name one from 1970 on"),
        ((None, "2026-03-04", "2026-03-02"), "2026-03-04 is after 2026-03-02"),
        ((None, "2020-01-01", "2026-01-01"), "at most 1,100 days"),
    ],
)
def test_what_is_no_period_is_told(given: tuple[str | None, str | None, str | None], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        periods.period(*given)


@pytest.mark.parametrize(("days", "steps", "first", "each"), [(7, 7, 1, 1), (45, 45, 1, 1), (90, 13, 6, 7), (365, 14, 1, 28)])
def test_long_periods_have_longer_steps(days: int, steps: int, first: int, each: int) -> None:
    held = list(Period(MONDAY, MONDAY + timedelta(days=days - 1)).steps())
    assert (len(held), held[0].days, {step.days for step in held[1:]}) == (steps, first, {each})
    assert (held[0].first, held[-1].last) == (MONDAY, MONDAY + timedelta(days=days - 1))
    assert all(a.last + timedelta(days=1) == b.first for a, b in pairwise(held))


def test_a_trend_by_hand() -> None:
    """Ten are open now; one more than at the end of the period, in which three were opened on the first day and one closed."""
    days = {
        "2026-03-02": Counter({"items": 9, "auto": 6, "review": 2, "failed": 1, "open": 3}),
        "2026-03-03": Counter({"auto": 1, "review": 3, "open": -1, "decided": 4, "judged/accept": 3, "judged/other": 1}),
        "2026-03-05": Counter({"open": 1, "decided": 7}),
    }
    found = trend(days, Period(date(2026, 3, 1), date(2026, 3, 4)), 10)
    assert [each.open for each in found.stretches] == [7, 10, 9, 9]
    assert [each.automation for each in found.stretches[1:3]] == [agreement.rate(6, 8), agreement.rate(1, 4)]
    assert [each.override.value for each in found.stretches] == [None, None, 0.25, None]
    assert (found.items, found.decided) == (9, 4)
    assert (found.automation, found.override) == (agreement.rate(7, 12), agreement.rate(1, 4))


def test_a_trend_of_a_project(database: Database, held: Setting, move: Move) -> None:
    factories.routed(database, held, {"a": factories.says("pay", 0.95), "b": factories.says("pay", 0.6)})
    move(timedelta(days=1))
    factories.routed(database, held, {"c": factories.says("pay", 0.6)})
    found = database.read(trends.of, held.id, periods.latest(2))
    assert [(each.items, each.open) for each in found.stretches] == [(2, 1), (1, 2)]
    yesterday = periods.latest(2).first
    before = database.read(trends.of, held.id, Period(yesterday - timedelta(days=1), yesterday))
    assert [(each.items, each.open) for each in before.stretches] == [(0, 0), (2, 1)]


def test_working_days_are_those_of_the_calendar() -> None:
    week = [MONDAY + timedelta(days=n) for n in range(7)]
    assert [calendar.works(day, WEEK) for day in week] == [True, True, False, True, True, False, False]
    assert all(calendar.works(day, ALWAYS) for day in week)


def behind(today: date, change: object, decided: int = 10) -> dict[str, Counter[str]]:
    """The days before today, whose open tasks change by what `change` says."""
    held = [today - timedelta(days=n) for n in range(1, BEHIND + 1)]
    return {day.isoformat(): Counter({"open": change(day), "decided": decided}) for day in held}  # type: ignore[operator]


def test_a_forecast_by_hand() -> None:
    """Days alternate between 4 more and 2 fewer: 1 more a day, of variance 28 * 9 / 27."""
    today = date(2026, 3, 30)
    days = behind(today, lambda day: 4 if day.toordinal() % 2 else -2)
    found = forecast.forecast(days, 100, TIMES, ALWAYS, today, date(2026, 1, 1))
    assert (found.days, found.new, found.decided) == (BEHIND, 11.0, 10.0)
    assert [each.day for each in found.ahead] == [today + timedelta(days=n) for n in range(1, AHEAD + 1)]
    for n, each in enumerate(found.ahead, 1):
        reach = 1.959964 * sqrt(28 * 9 / 27 * (n + n**2 / 28))
        assert each.value == pytest.approx(100 + n)
        assert (each.low, each.high) == pytest.approx((100 + n - reach, 100 + n + reach))
    assert (found.hours.value, found.hours.low, found.hours.high) == pytest.approx((2.0, 100 / 60, 2.5))
    assert found.coming.value == pytest.approx(14 * 11 * 72 / 3600)
    assert (found.empty, found.latest) == (None, None)


def test_a_queue_that_shrinks_is_empty_some_day() -> None:
    today = date(2026, 3, 30)
    found = forecast.forecast(behind(today, lambda _: -5), 42, TIMES, ALWAYS, today, date(2026, 1, 1))
    assert found.empty == found.soonest == found.latest == today + timedelta(days=9)
    assert [each.value for each in found.ahead[7:10]] == [2.0, 0.0, 0.0]
    days = behind(today, lambda day: -15 if day.toordinal() % 2 else 5)
    wide = forecast.forecast(days, 42, TIMES, ALWAYS, today, date(2026, 1, 1))
    assert wide.soonest is not None
    assert wide.empty is not None
    assert wide.soonest < wide.empty
    assert wide.latest is None or wide.latest > wide.empty


def test_free_days_go_on_as_free_days_did() -> None:
    """Work clears 10 on each of the four working days a week; on free days 3 come."""
    today = date(2026, 3, 30)
    plain = Calendar(days="mon-fri")
    days = behind(today, lambda day: -10 if calendar.works(day, plain) else 3, decided=0)
    found = forecast.forecast(days, 200, TIMES, plain, today, date(2026, 1, 1))
    values = [each.value for each in found.ahead[:7]]
    assert values == [190.0, 180.0, 170.0, 160.0, 163.0, 166.0, 156.0]
    assert all(each.low == each.value == each.high for each in found.ahead)


@pytest.mark.parametrize("began", [None, date(2026, 3, 29), date(2026, 3, 24)])
def test_fewer_than_seven_days_give_no_forecast(began: date | None) -> None:
    today = date(2026, 3, 30)
    found = forecast.forecast(behind(today, lambda _: 1), 12, Mean(0, None, None, None), ALWAYS, today, began)
    assert (found.ahead, found.empty) == ((), None)
    assert (found.open, found.hours.value) == (12, None)
    assert found.days == (0 if began is None else (today - began).days)
