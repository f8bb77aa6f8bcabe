"""How a project did over time: shares of what happened, from the counts of each day, which are of all there is."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy.orm import Session

from review_queue import agreement, clock, tallies
from review_queue.agreement import Rate
from review_queue.periods import Period


@dataclass(frozen=True, slots=True)
class Stretch:
    """A day, or several: what came in and was decided in it, and how many tasks were open at its end.

    `automation`: of what was routed, what acted alone. `override`: of the answers to a prediction, those that are not it.
    """

    period: Period
    items: int
    decided: int
    open: int
    automation: Rate
    override: Rate


@dataclass(frozen=True, slots=True)
class Trend:
    """The stretches of a period, oldest first, and the shares of all of it."""

    stretches: tuple[Stretch, ...]
    items: int
    decided: int
    automation: Rate
    override: Rate


def of(session: Session, project_id: int, period: Period) -> Trend:
    """Read the days of a period, and of the time since, from which it is told how much was open then."""
    today = clock.now().date()
    days = tallies.daily(session, project_id, period.first.isoformat(), max(period.last, today).isoformat())
    return trend(days, period, tallies.read(session, project_id)["open"])


def trend(days: Mapping[str, Counter[str]], period: Period, now_open: int) -> Trend:
    """The same of counts that were read: `now_open` tasks are open at the end of the last of these days."""
    steps = list(period.steps())
    sums = [_sum(days, step.first, step.last) for step in steps]
    left = now_open - sum(counts["open"] for day, counts in days.items() if day > period.last.isoformat())
    stretches: list[Stretch] = []
    for step, counts in zip(reversed(steps), reversed(sums), strict=True):
        stretches.append(Stretch(step, counts["items"], counts["decided"], max(left, 0), *_shares(counts)))
        left -= counts["open"]
    whole = _add(sums)
    return Trend(tuple(reversed(stretches)), whole["items"], whole["decided"], *_shares(whole))


def _shares(counts: Counter[str]) -> tuple[Rate, Rate]:
    accepted, other = (max(counts[name], 0) for name in tallies.BY_DAY_ALONE)
    return agreement.rate(counts["auto"], counts["auto"] + counts["review"]), agreement.rate(other, accepted + other)


def _sum(days: Mapping[str, Counter[str]], first: date, last: date) -> Counter[str]:
    return _add([counts for day, counts in days.items() if first.isoformat() <= day <= last.isoformat()])


def _add(held: Sequence[Counter[str]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for counts in held:
        found.update(counts)
    return found
