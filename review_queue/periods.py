"""The time that figures are asked for: whole days in UTC, and the steps into which a picture divides them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from review_queue import clock

LENGTHS = {"7 days": 7, "30 days": 30, "90 days": 90, "1 year": 365}
"""The periods that have a name, in days, today among them."""
USUAL = "30 days"
LONGEST = 1_100
"""Days of the longest period that may be asked for."""
STEPS = ((45, 1), (200, 7), (LONGEST, 28))
"""Up to so many days, a picture has a point for each step of so many."""


@dataclass(frozen=True, slots=True)
class Period:
    """From the beginning of the first day to the end of the last."""

    first: date
    last: date

    @property
    def since(self) -> datetime:
        return datetime.combine(self.first, time(0), UTC)

    @property
    def before(self) -> datetime:
        return datetime.combine(self.last + timedelta(days=1), time(0), UTC)

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def step(self) -> int:
        """Days of one point of a picture."""
        return next(step for most, step in STEPS if self.days <= most)

    def steps(self) -> Iterator["Period"]:
        """The points of a picture: each as long as `step`, the first as long as is left."""
        first = self.first
        left = self.days % self.step or self.step
        while first <= self.last:
            yield Period(first, first + timedelta(days=left - 1))
            first, left = first + timedelta(days=left), self.step


def latest(days: int) -> Period:
    """The latest days, today among them."""
    today = clock.now().date()
    return Period(today - timedelta(days=days - 1), today)


def period(name: str | None = None, first: str | None = None, last: str | None = None) -> Period:
    """A period by its name, or by its first and last day as 2026-11-28. Raises ValueError with what is wrong and the mend."""
    if not first and not last:
        name = name or USUAL
        if name not in LENGTHS:
            raise ValueError(f"{name!r} is no period; there are {', '.join(LENGTHS)}, or name the first and the last day")
        return latest(LENGTHS[name])
    today = clock.now().date()
    end = day(last) if last else today
    found = Period(day(first) if first else end - timedelta(days=LENGTHS[USUAL] - 1), end)
    if found.first > found.last:
        raise ValueError(f"a period ends on or after the day on which it begins; {found.first} is after {found.last}")
    if found.days > LONGEST:
        raise ValueError(f"a period has at most {LONGEST:,} days; from {found.first} to {found.last} are {found.days:,}")
    return found


def day(text: str) -> date:
    """A day as an address has it. Raises ValueError for what is none, or lies where time cannot be reckoned with any more."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no day; write it as 2026-11-28") from None
    if not 1970 <= found.year < 9000:
        raise ValueError(f"{text!r} is no day on which anything is done; name one from 1970 on")
    return found
