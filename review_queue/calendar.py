"""Working time: due times count only the hours in which the project's people work."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from contract.durations import parse_duration
from contract.policy import DAYS, Calendar, Policy
from review_queue import clock


def soon(now: datetime, policy: Policy, zone: ZoneInfo) -> datetime:
    """The moment up to which a due time counts as soon: the policy's `due_soon` of working time from now."""
    return add_working_time(now, policy.review.due_soon, policy.calendar, zone)


def opening(day: date, calendar: Calendar, zone: ZoneInfo) -> datetime:
    """When work begins on a day, or on the first working day after it."""
    return add_working_time(datetime.combine(day, time(0), zone), timedelta(0), calendar, zone).astimezone(UTC)


def moment(text: str, calendar: Calendar, zone: ZoneInfo) -> datetime:
    """What people write for a moment to come: a span from now (`3d`, in working time), a day, or a date with a time.

    A time without a zone is the project's. Raises ValueError with the forms that are understood.
    """
    try:
        return add_working_time(clock.now(), parse_duration(text), calendar, zone)
    except ValueError:
        pass
    try:
        if "T" not in text and " " not in text.strip():
            return opening(date.fromisoformat(text.strip()), calendar, zone)
        given = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError("is no moment; write 3d, 2026-12-01 or 2026-12-01T14:00") from None
    return (given if given.tzinfo else given.replace(tzinfo=zone)).astimezone(UTC)


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


def works(day: date, calendar: Calendar) -> bool:
    """Whether people work on a day."""
    return day.weekday() in _days(calendar) and day not in calendar.holidays


def _days(calendar: Calendar) -> range:
    first, _, last = calendar.days.partition("-")
    return range(DAYS.index(first), DAYS.index(last or first) + 1)


def _hours(calendar: Calendar) -> tuple[timedelta, timedelta]:
    first, _, last = calendar.hours.partition("-")
    return timedelta(hours=int(first)), timedelta(hours=int(last))


def _at(day: datetime, offset: timedelta, zone: ZoneInfo) -> datetime:
    return datetime.combine(day.date(), time(0), zone) + offset
