"""Working time: weekends, nights, changes of the clock, zones."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.policy import Calendar, Policy
from review_queue import clock
from review_queue.calendar import add_working_time, moment, soon

BERLIN, YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
OFFICE = Calendar(days="mon-fri", hours="9-17")
FEASTS = Calendar(hours="8-20", holidays=tuple(date(2026, month, 1) for month in range(1, 13)))


def at(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


@pytest.mark.parametrize(
    ("start", "amount", "end"),
    [
        ("2026-11-24T10:00", timedelta(hours=4), "2026-11-24T14:00"),
        ("2026-11-24T16:00", timedelta(hours=4), "2026-11-25T12:00"),
        ("2026-11-24T10:00", timedelta(hours=7), "2026-11-24T17:00"),
        ("2026-11-24T06:00", timedelta(hours=1), "2026-11-24T10:00"),
        ("2026-11-24T20:00", timedelta(hours=1), "2026-11-25T10:00"),
        ("2026-11-27T16:00", timedelta(hours=4), "2026-11-30T12:00"),  # over the weekend
        ("2026-11-28T12:00", timedelta(minutes=30), "2026-11-30T09:30"),
        ("2026-11-24T10:00", timedelta(days=1), "2026-11-25T10:00"),  # a day is a working day
        ("2026-11-24T10:00", timedelta(days=5), "2026-12-01T10:00"),
        ("2026-11-24T10:00", timedelta(days=7), "2026-12-03T10:00"),
        ("2026-11-24T17:00", timedelta(0), "2026-11-25T09:00"),
        ("2026-03-27T16:00", timedelta(hours=2), "2026-03-30T10:00"),  # summer time begins between
        ("2026-10-23T16:00", timedelta(hours=2), "2026-10-26T10:00"),  # and ends
    ],
)
def test_office_hours_in_berlin(start: str, amount: timedelta, end: str) -> None:
    assert add_working_time(at(start), amount, OFFICE, BERLIN) == at(end)


def test_the_zone_is_the_projects() -> None:
    start = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)  # 15:00 in Berlin, 09:00 in New York
    assert add_working_time(start, timedelta(hours=3), OFFICE, BERLIN) == at("2026-11-25T10:00")
    assert add_working_time(start, timedelta(hours=3), OFFICE, YORK) == at("2026-11-24T12:00", YORK)


def test_round_the_clock_is_plain_time_even_when_the_clock_changes() -> None:
    start = at("2026-03-28T12:00")
    assert add_working_time(start, timedelta(days=1), Calendar(), BERLIN) == start + timedelta(days=1)


def test_one_day_a_week_and_one_hour_a_day() -> None:
    rare = Calendar(days="sun", hours="23-24")
    assert add_working_time(at("2026-11-24T10:00"), timedelta(minutes=90), rare, BERLIN) == at("2026-12-06T23:30")


def test_a_night_that_lacks_an_hour_does_not_hang() -> None:
    night = Calendar(days="mon-sun", hours="2-3")  # on 29 March 2026 there is no 02:00 in Berlin
    end = add_working_time(at("2026-03-28T02:30"), timedelta(hours=1), night, BERLIN)
    assert at("2026-03-29T01:59") <= end <= at("2026-03-30T02:30")


@pytest.mark.parametrize(
    ("start", "amount", "end"),
    [
        ("2026-12-24T16:00", timedelta(hours=2), "2026-12-28T10:00"),  # Christmas is a Friday, then comes the weekend
        ("2026-12-25T12:00", timedelta(hours=1), "2026-12-28T10:00"),  # begun on the holiday itself
        ("2026-12-24T10:00", timedelta(days=1), "2026-12-28T10:00"),
    ],
)
def test_nobody_works_on_a_holiday(start: str, amount: timedelta, end: str) -> None:
    calendar = Calendar(days="mon-fri", hours="9-17", holidays=(date(2026, 12, 25),))
    assert add_working_time(at(start), amount, calendar, BERLIN) == at(end)


def test_a_holiday_stops_a_calendar_that_never_rests() -> None:
    calendar = Calendar(holidays=(date(2026, 12, 25),))
    assert add_working_time(at("2026-12-24T23:00"), timedelta(hours=2), calendar, BERLIN) == at("2026-12-26T01:00")


def test_a_calendar_whose_next_years_are_holidays_ends_after_them() -> None:
    years = tuple(date(2026, 1, 1) + timedelta(days=n) for n in range(3 * 365))
    assert add_working_time(at("2026-03-02T10:00"), timedelta(0), Calendar(holidays=years), BERLIN) == at("2028-12-31T00:00")
    rare = Calendar(days="sun", hours="23-24", holidays=years)
    assert add_working_time(at("2026-03-02T10:00"), timedelta(minutes=30), rare, BERLIN) == at("2028-12-31T23:30")


def test_soon_is_counted_in_working_time() -> None:
    body = {"autonomy": "set", "review": {"due_soon": "2h"}, "calendar": {"days": "mon-fri", "hours": "9-17"}}
    friday = at("2026-11-27T16:00")
    assert soon(friday, Policy.model_validate(body), BERLIN) == at("2026-11-30T10:00")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-12-01", "2026-12-01T09:00"),
        ("2026-11-28", "2026-11-30T09:00"),  # a Saturday
        ("2026-12-01T14:30", "2026-12-01T14:30"),
        ("2026-12-01 14:30", "2026-12-01T14:30"),
        ("2026-12-01T14:30+01:00", "2026-12-01T14:30"),
        (" 3d ", "2026-11-27T10:00"),
        ("2h", "2026-11-24T12:00"),
    ],
)
def test_a_moment_is_read_as_people_write_it(monkeypatch: pytest.MonkeyPatch, text: str, wanted: str) -> None:
    monkeypatch.setattr(clock, "now", lambda: at("2026-11-24T10:00"))
    assert moment(text, OFFICE, BERLIN) == at(wanted)


@pytest.mark.parametrize("text", ["", "soon", "3 days", "2026-13-01", "01.12.2026", "-3d", "99999d"])
def test_what_is_no_moment_says_what_is_one(text: str) -> None:
    with pytest.raises(ValueError, match="write 3d"):
        moment(text, OFFICE, BERLIN)


@settings(max_examples=150, deadline=None)
@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    st.timedeltas(timedelta(0), timedelta(hours=23)),
    st.sampled_from([OFFICE, FEASTS, Calendar(days="sat-sun", hours="0-24"), Calendar(days="mon-sun", hours="6-22"), Calendar()]),
    st.sampled_from([BERLIN, YORK, ZoneInfo("UTC"), ZoneInfo("Australia/Lord_Howe")]),
)
def test_more_time_is_never_due_earlier_and_the_end_is_working_time(
    start: datetime, amount: timedelta, calendar: Calendar, zone: ZoneInfo
) -> None:
    end = add_working_time(start, amount, calendar, zone)
    assert end.tzinfo is UTC
    assert end >= start - timedelta(hours=1)
    assert end <= add_working_time(start, amount + timedelta(minutes=10), calendar, zone)
    first, _, last = calendar.hours.partition("-")
    hour = end.astimezone(zone).hour + end.astimezone(zone).minute / 60
    assert int(first) <= hour <= int(last) or zone.key == "Australia/Lord_Howe"
