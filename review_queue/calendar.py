"""Working time: due times count only the hours in which the project's people work."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from contract.policy import DAYS, Calendar, Policy


def soon(now: datetime, policy: Policy, zone: ZoneInfo) -> datetime:
    """The moment up to which a due time counts as soon: the policy's `due_soon` of working time from now."""
    return add_working_time(now, policy.review.due_soon, policy.calendar, zone)


def add_working_time(start: datetime, amount: timedelta, calendar: Calendar, zone: ZoneInfo) -> datetime:
    """The moment when `amount` of working time has passed since `start`; a day counts as its working hours.

    `7d` of a policy means seven working days, `4h` four working hours: a duration of whole days is taken as that many
    of the calendar's days. A holiday has no working time; what falls on one goes on with the next working day. This
    ends, since every calendar has a working day a week and holidays are a list with an end.
    """
    opens, closes = _hours(calendar)
    daily = closes - opens
    if daily == timedelta(days=1) and _days(calendar) == range(7) and not calendar.holidays:
        return start + amount
    days, free = _days(calendar), frozenset(calendar.holidays)
    left = amount.days * daily + timedelta(seconds=amount.seconds, microseconds=amount.microseconds)
    at = start.astimezone(zone)
    while True:
        begin = _at(at, opens, zone)
        end = _at(at, closes, zone)
        if at.weekday() in days and at.date() not in free and at < end:
            at = max(at, begin)
            if end - at >= left:
                return (at + left).astimezone(UTC)
            left -= end - at
        at = _at(at + timedelta(days=1), timedelta(0), zone)


def _days(calendar: Calendar) -> range:
    first, _, last = calendar.days.partition("-")
    return range(DAYS.index(first), DAYS.index(last or first) + 1)


def _hours(calendar: Calendar) -> tuple[timedelta, timedelta]:
    first, _, last = calendar.hours.partition("-")
    return timedelta(hours=int(first)), timedelta(hours=int(last))


def _at(day: datetime, offset: timedelta, zone: ZoneInfo) -> datetime:
    return datetime.combine(day.date(), time(0), zone) + offset
