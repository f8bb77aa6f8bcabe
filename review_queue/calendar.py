"""Working time: due times count only the hours in which the project's people work."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from contract.policy import DAYS, Calendar


def add_working_time(start: datetime, amount: timedelta, calendar: Calendar, zone: ZoneInfo) -> datetime:
    """The moment when `amount` of working time has passed since `start`; a day counts as its working hours.

    `7d` of a policy means seven working days, `4h` four working hours: a duration of whole days is taken as that many
    of the calendar's days.
    """
    opens, closes = _hours(calendar)
    daily = closes - opens
    if daily == timedelta(days=1) and _days(calendar) == range(7):
        return start + amount
    left = amount.days * daily + timedelta(seconds=amount.seconds, microseconds=amount.microseconds)
    at = start.astimezone(zone)
    while True:
        begin = _at(at, opens, zone)
        end = _at(at, closes, zone)
        if at.weekday() in _days(calendar) and at < end:
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
