"""What waits, in hours of people's work, and how it will go on: by drift, from the days behind, on the project's calendar.

The tasks that are open change by so much a working day and by so much a free one; each day to come is taken to be like the days
of its kind behind it. This is the drift method (Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", 5.2) with
days of two kinds: after h days the variance is the sum over kinds of s² (h + h² / n), for the days themselves and for the mean
of n days by which they are told. Intervals are normal and end at 0.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import sqrt
from statistics import NormalDist, fmean, variance

from contract.policy import Calendar
from review_queue import calendar
from review_queue.agreement import CONFIDENCE
from review_queue.pace import Mean

BEHIND = 28
"""Whole days that are looked back on."""
AHEAD = 14
"""Days that are looked ahead."""
LEAST = 7
"""Fewer days behind give no forecast."""
UNTIL = 366
"""Days within which a queue that shrinks is said to be empty."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """How many tasks are open at the end of a day to come, with the interval."""

    day: date
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """`hours`: of people's work in what is open now, by the mean time of a case; `coming`: in what comes within AHEAD days.

    `new` and `decided`: tasks a working day, over `days` behind (new: less what was withdrawn). `ahead` is empty where there are
    fewer than LEAST days. `empty`: the day on which the queue is empty if it goes on so, None where it does not shrink;
    `soonest` and `latest`: where the limits of the forecast reach 0, None where they do not within a year.
    """

    open: int
    hours: Mean
    coming: Mean
    days: int
    new: float | None
    decided: float | None
    ahead: tuple[Ahead, ...]
    empty: date | None
    soonest: date | None
    latest: date | None


@dataclass(frozen=True, slots=True)
class _Kind:
    """Days of one kind, of which there are `n` behind: how the open tasks changed a day, and the variance of that."""

    n: int
    mean: float
    variance: float

    @classmethod
    def of(cls, changes: Sequence[int]) -> "_Kind":
        return cls(len(changes), fmean(changes), variance(changes) if len(changes) > 1 else 0.0)

    def spread(self, days: int) -> float:
        """The variance of the sum of so many days to come, and of the mean by which they are told."""
        return self.variance * (days + days**2 / self.n)


def forecast(
    days: Mapping[str, Counter[str]], open_now: int, per_case: Mean, wished: Calendar, today: date, began: date | None
) -> Forecast:
    """From the counts of the days before today; `began`: the first day of the project, before which nothing is to be seen."""
    behind = [each for n in range(BEHIND, 0, -1) if began is not None and (each := today - timedelta(days=n)) >= began]
    none: Counter[str] = Counter()
    counted = {each: days.get(each.isoformat(), none) for each in behind}
    working = [counts for each, counts in counted.items() if calendar.works(each, wished)]
    new, decided = _daily(working)
    hours, coming = _hours(per_case, open_now), _hours(per_case, _coming(counted, wished, today))
    if len(behind) < LEAST or not working:
        return Forecast(open_now, hours, coming, len(behind), new, decided, (), None, None, None)
    kinds = _kinds(counted, wished)
    whole = list(_ahead(kinds, open_now, wished, today))
    empty, soonest, latest = (_first(whole, name) for name in ("value", "low", "high"))
    return Forecast(open_now, hours, coming, len(behind), new, decided, tuple(whole[:AHEAD]), empty, soonest, latest)


def _daily(working: Sequence[Counter[str]]) -> tuple[float | None, float | None]:
    if not working:
        return None, None
    return fmean(each["open"] + each["decided"] for each in working), fmean(each["decided"] for each in working)


def _coming(counted: Mapping[date, Counter[str]], wished: Calendar, today: date) -> float:
    """Tasks that will come within AHEAD days, if as many come a day of each kind as did."""
    rates = {
        kind: fmean(held)
        if (held := [c["open"] + c["decided"] for d, c in counted.items() if calendar.works(d, wished) == kind])
        else 0.0
        for kind in (True, False)
    }
    return max(sum(rates[calendar.works(today + timedelta(days=n), wished)] for n in range(1, AHEAD + 1)), 0.0)


def _hours(per_case: Mean, cases: float) -> Mean:
    """The mean time of a case, times so many cases."""
    value, low, high = (None if each is None else each * cases / 3600 for each in (per_case.value, per_case.low, per_case.high))
    return Mean(per_case.n, value, low, high)


def _kinds(counted: Mapping[date, Counter[str]], wished: Calendar) -> dict[bool, _Kind]:
    """Working days and free ones; where one kind is too few to tell, all days together stand for it."""
    every = _Kind.of([counts["open"] for counts in counted.values()])
    found = {}
    for kind in (True, False):
        held = [counts["open"] for day, counts in counted.items() if calendar.works(day, wished) == kind]
        found[kind] = _Kind.of(held) if len(held) > 1 else every
    return found


def _ahead(kinds: Mapping[bool, _Kind], open_now: int, wished: Calendar, today: date) -> Iterator[Ahead]:
    """The ends of the days to come."""
    z, parts = NormalDist().inv_cdf((1 + CONFIDENCE) / 2), {True: 0, False: 0}
    for n in range(1, UNTIL + 1):
        day = today + timedelta(days=n)
        parts[calendar.works(day, wished)] += 1
        middle = open_now + sum(kinds[kind].mean * days for kind, days in parts.items())
        reach = z * sqrt(sum(kinds[kind].spread(days) for kind, days in parts.items()))
        yield Ahead(day, max(middle, 0.0), max(middle - reach, 0.0), max(middle + reach, 0.0))


def _first(whole: Sequence[Ahead], name: str) -> date | None:
    """The first day at whose end nothing is open."""
    return next((each.day for each in whole if getattr(each, name) <= 0), None)
