"""How long cases take people: decisions per hour of work, and the time from arrival to the outcome."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import sqrt
from statistics import NormalDist, fmean, stdev

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.bulk import among
from db.tables import Item, Outcome
from review_queue.agreement import CONFIDENCE
from review_queue.answers import Answered, Window
from review_queue.periods import Period

LONGEST = 3600.0
"""Seconds that one case counts for at most: beyond them somebody had left it open."""
LEAST = 5
"""Times of fewer cases give no interval."""
ALONE = 1_000
"""Latest outcomes among which those that acted alone are timed."""


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean with the interval of Student's t; no interval of fewer than LEAST."""

    n: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Hourly:
    """Decisions per hour of work in a stretch: 3600 over the mean seconds of a case."""

    period: Period
    seconds: Mean
    per_hour: Mean


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile with the interval of order statistics, which holds whatever the distribution; None where there are too few."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds from arrival to the answer that people gave: of `n` cases the median, and within what nine in ten were."""

    period: Period
    n: int
    median: Quantile
    most: Quantile


# Decisions per hour


def seconds(window: Window) -> list[tuple[datetime, float]]:
    """When each standing answer was given and how long its case took: a blind first answer and what came after it together."""
    firsts: defaultdict[tuple[int, int], float] = defaultdict(float)
    for each in window.answers:
        if each.stage == "first" and each.seconds is not None:
            firsts[each.task_id, each.person_id] += each.seconds
    timed = [each for each in window.standing() if each.seconds is not None]
    return [(each.decided_at, min(_whole(each, firsts), LONGEST)) for each in timed]


def _whole(each: Answered, firsts: dict[tuple[int, int], float]) -> float:
    return (each.seconds or 0.0) + firsts.get((each.task_id, each.person_id), 0.0)


def hourly(times: Sequence[tuple[datetime, float]], period: Period) -> Hourly:
    """The pace of those given in a period."""
    spent = mean(_within(times, period))
    return Hourly(period, spent, Mean(spent.n, _per_hour(spent.value), _per_hour(spent.high), _per_hour(spent.low)))


def _within(held: Sequence[tuple[datetime, float]], period: Period) -> list[float]:
    since, before = period.since, period.before
    return [took for at, took in held if since <= at < before]


def _per_hour(spent: float | None) -> float | None:
    return 3600 / spent if spent else None


def mean(values: Sequence[float]) -> Mean:
    """The mean with its interval, which does not reach below 0."""
    n = len(values)
    if n < LEAST:
        return Mean(n, fmean(values) if values else None, None, None)
    middle, reach = fmean(values), student(n - 1) * stdev(values) / sqrt(n)
    return Mean(n, middle, max(middle - reach, 0.0), middle + reach)


def student(degrees: int) -> float:
    """The two-sided quantile of Student's t, by the expansion 26.7.5 of Abramowitz and Stegun: within 0.5 % from 4 degrees on."""
    z, v = NormalDist().inv_cdf((1 + CONFIDENCE) / 2), degrees
    first = (z**3 + z) / (4 * v)
    second = (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    fourth = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * v**4)
    return z + first + second + third + fourth


# Time to the outcome


def waited(session: Session, window: Window) -> list[tuple[datetime, float]]:
    """When each item was first answered for good in this window, and the seconds since it had arrived."""
    done: dict[int, datetime] = {}
    for each in window.standing():
        if each.state == "completed" and each.by_chance_or_rule and each.kind != "audit":
            done.setdefault(each.item_id, each.decided_at)
    arrived = dict(session.execute(select(Item.id, Item.received_at).where(among(session, Item.id, list(done)))).tuples().all())
    return [(at, max((at - arrived[item]).total_seconds(), 0.0)) for item, at in done.items() if item in arrived]


def alone(session: Session, project_id: int, period: Period) -> tuple[int, Quantile]:
    """How many of the latest outcomes of a period acted alone, and the median of the seconds that those took from arrival."""
    latest = select(Outcome.source, Outcome.decided_at, Item.received_at).join(Item, Item.id == Outcome.item_id)
    of_period = latest.where(Outcome.project_id == project_id, Outcome.decided_at >= period.since)
    newest = of_period.where(Outcome.decided_at < period.before).order_by(Outcome.decided_at.desc()).limit(ALONE)
    rows = session.execute(newest).tuples().all()
    took = [max((at - arrived).total_seconds(), 0.0) for source, at, arrived in rows if source == "auto"]
    return len(took), quantile(took, 0.5)


def waits(held: Sequence[tuple[datetime, float]], period: Period) -> Waits:
    """The times of those answered in a period."""
    took = _within(held, period)
    return Waits(period, len(took), quantile(took, 0.5), quantile(took, 0.9))


def quantile(values: Sequence[float], q: float) -> Quantile:
    """The sample quantile; between which two values the true one lies, by the exact binomial distribution of their ranks."""
    if not values:
        return Quantile(None, None, None)
    held = np.sort(np.asarray(values, dtype=np.float64))
    below, above = _ranks(len(held), q)
    low, high = (float(held[k - 1]) if 1 <= k <= len(held) else None for k in (below, above))
    return Quantile(float(np.quantile(held, q)), low, high)


def _ranks(n: int, q: float) -> tuple[int, int]:
    """Ranks l and u, from 1, with P(value of rank l <= quantile <= value of rank u) >= CONFIDENCE; 0 and n + 1: there is none."""
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    k = np.arange(n + 1)
    up_to = np.cumsum(np.exp(logs[n] - logs - logs[::-1] + k * np.log(q) + (n - k) * np.log1p(-q)))
    tail = (1 - CONFIDENCE) / 2
    return int(np.searchsorted(up_to, tail, side="right")), int(np.searchsorted(up_to, 1 - tail) + 1)
