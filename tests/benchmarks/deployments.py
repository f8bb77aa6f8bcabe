"""Many deployments at once under the ladder: cases by the day, looks by the day, with the product's own bets and rungs."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from review_queue import betting, evidence, ladder

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

COVERAGES: Array = np.arange(20, 100, 5) / 100
"""Shares of the cases at or above each threshold, the strictest first."""
EDGES: Array = np.concatenate([[0.0], COVERAGES, [1.0]])
WIDTHS: Array = np.diff(EDGES)
ASSIST, AUDITED, FLOOR = range(3)


def curve(scale: float = 1.0) -> Array:
    """Share of errors in each band of confidence, where it is 0.4 v^4 + 0.002 for the share v of cases that are surer."""
    wrong = 0.4 * EDGES**5 / 5 + 0.002 * EDGES
    return scale * np.diff(wrong) / WIDTHS


def risks(rates: Array) -> Array:
    """The error of what acts alone from each threshold on."""
    return np.cumsum(rates * WIDTHS)[:-1] / COVERAGES


def just_unsafe(alpha: float) -> Array:
    """Rates under which the first unsafe threshold errs by a millionth more than is fit."""
    held = risks(curve())
    return curve(alpha * (1 + 1e-6) / held[held > alpha][0])


@dataclass(frozen=True)
class World:
    """`rates` by band, and others from `day` on; `missed`: the share of errors that people confirm."""

    rates: Array = field(default_factory=curve)
    later: Array | None = None
    day: int = 0
    per_day: int = 400
    missed: float = 0.0

    def at(self, day: int) -> Array:
        return self.rates if self.later is None or day < self.day else self.later


@dataclass(frozen=True)
class Terms:
    """`alpha` is what is fit, `most` the share of errors that people may miss, which `known` errors a day have to prove.

    `assumed`: such a share that nothing proves. `anew`: whether evidence begins anew with an alarm.
    """

    alpha: float = 0.01
    delta: float = 0.05
    most: float = 0.0
    assumed: float = 0.0
    known: int = 10
    alarm: float = ladder.ALARM
    audit_rate: float = 0.05
    anew: bool = True

    @property
    def tested(self) -> float:
        return self._effective[0] * (1 - self.assumed)

    @property
    def line(self) -> float:
        """Where a threshold is certified, as a logarithm."""
        return -math.log(self._effective[1])

    @property
    def vigilant(self) -> float:
        """Where people are held to see enough, as a logarithm."""
        return -math.log((1 - evidence.FOR_CERTIFICATES) * self.delta)

    @property
    def _effective(self) -> tuple[float, float]:
        asked = SimpleNamespace(max_error=self.alpha, confidence=1 - self.delta, most_missed=self.most)
        return evidence.effective(asked)


@dataclass(frozen=True)
class Day:
    """What came of one day, by run and band. `found`: errors that people named; `acts`: alone; `p`: the chance of a look."""

    n: Counts
    errors: Counts
    found: Counts
    drawn: Counts
    acts: NDArray[np.bool_]
    p: Array


@dataclass
class Deployments:
    """`runs` deployments. Days are counted from 0; -1: never."""

    world: World
    terms: Terms
    runs: int
    rng: np.random.Generator
    day: int = -1

    def __post_init__(self) -> None:
        runs, grid = self.runs, len(COVERAGES)
        self.level, self.at, self.rate = np.zeros(runs, int), np.full(runs, -1), np.ones(runs)
        self.since, self.changed = np.zeros((2, runs), int)
        self.products, self.best = np.zeros((runs, grid, betting.BETS)), np.zeros((runs, grid))
        self.fresh = np.zeros((runs, betting.BETS))
        self.watched = np.full((runs, 5), -np.inf)
        self.recent_n, self.recent_z = np.zeros((2, ladder.RECENT_DAYS, runs))
        self.seen, self.vigilant = np.zeros((runs, betting.BETS)), np.full(runs, self.terms.most == 0)
        self.first, self.floor, self.unsafe, self.unsafe_floor = (np.full(runs, -1) for _ in range(4))
        self.alarmed, self.alarms = np.full(runs, -1), np.zeros(runs, int)
        self.labels, self.audits, self.alone, self.alone_wrong = np.zeros((4, runs))
        self.since_change, self.acting_at_change, self.again = np.zeros(runs), np.zeros(runs, bool), np.zeros(runs, bool)

    def play(self, days: int, watch: Callable[["Deployments", Day], None] | None = None) -> "Deployments":
        for _ in range(days):
            self.day += 1
            came = self._comes()
            self._learn(came)
            if watch is not None:
                watch(self, came)
            self._fall()
            self._rise()
            self._note()
        return self

    def _comes(self) -> Day:
        acts = np.arange(len(WIDTHS)) <= self.at[:, None]
        p = np.where(acts, self.rate[:, None], 1.0)
        n = self.rng.multinomial(self.world.per_day, WIDTHS, size=self.runs)
        errors = self.rng.binomial(n, self.world.at(self.day))
        wrong_drawn = self.rng.binomial(errors, p)
        drawn = wrong_drawn + self.rng.binomial(n - errors, p)
        found = self.rng.binomial(wrong_drawn, 1 - self.world.missed) if self.world.missed else wrong_drawn
        self.labels += drawn.sum(1)
        self.audits += (drawn * acts).sum(1)
        self.alone += (n * acts).sum(1)
        self.alone_wrong += ((errors - wrong_drawn) * acts).sum(1)
        if self.world.later is not None and self.day >= self.world.day:
            self.since_change += ((errors - wrong_drawn) * acts).sum(1) * (self.alarmed < 0)
        if self.day == self.world.day:
            self.acting_at_change = self.at >= 0
        return Day(n, errors, found, drawn, acts, p)

    def _learn(self, came: Day) -> None:
        acts = came.acts
        n, spotted = above(came.n), above(came.found * acts)
        reviewed = above(came.found) - spotted
        none, whole, part = self._bets(np.zeros(self.runs)), self._bets(np.ones(self.runs)), self._bets(1 / self.rate)
        self.products += (n - spotted - reviewed)[..., None] * none[:, None]
        self.products += reviewed[..., None] * whole[:, None] + spotted[..., None] * part[:, None]
        self.best = np.maximum(self.best, betting.mixed(self.products))
        alone, wrong = (came.n * acts).sum(1), (came.found * acts).sum(1)
        self.fresh += (alone - wrong)[:, None] * none + wrong[:, None] * part
        looked = (came.drawn * acts).sum(1)
        self.watched = betting.detect(self.watched, wrong.astype(float), looked.astype(float), self.terms.alpha)
        slot = self.day % ladder.RECENT_DAYS
        self.recent_n[slot], self.recent_z[slot] = alone, wrong / self.rate
        if self.terms.most:
            self._look_at_known()

    def _look_at_known(self) -> None:
        missed, most = self.rng.binomial(self.terms.known, self.world.missed, self.runs), np.array([self.terms.most])
        right, wrong = (betting.bets(most[0], np.ones(1), np.array([each]))[0] for each in (0.0, 1.0))
        self.seen += (self.terms.known - missed)[:, None] * right + missed[:, None] * wrong
        self.vigilant |= betting.mixed(self.seen) >= self.terms.vigilant

    def _bets(self, z: Array) -> Array:
        return betting.bets(self.terms.tested, self.rate, z)

    def _fall(self) -> None:
        m = np.exp(np.minimum(self.watched, 700)).mean(1)
        alarm = (self.level > ASSIST) & (m >= self.terms.alarm)
        self.alarms += alarm
        changed = self.world.later is not None and self.day >= self.world.day
        self.alarmed[alarm & changed & (self.alarmed < 0)] = self.day
        self._begin(alarm, ASSIST, -1)
        if self.terms.anew:
            self.products[alarm], self.best[alarm] = 0.0, 0.0
        self._begin((self.level == FLOOR) & (m >= ladder.WARN), AUDITED, self.at)

    def _rise(self) -> None:
        m = np.exp(np.minimum(self.watched, 700)).mean(1)
        certified = np.logical_and.accumulate(self.best >= self.terms.line, axis=1).sum(1) - 1
        level = self.level.copy()
        self._begin((level == ASSIST) & (certified >= 0) & self.vigilant, AUDITED, certified)
        fit = self.recent_z.sum(0) <= self.terms.tested * self.recent_n.sum(0)
        apart = self.day - self.changed >= ladder.APART_DAYS
        self._begin((level == FLOOR) & (certified > self.at) & fit & apart & (m < ladder.WARN), AUDITED, certified)
        proven = betting.mixed(self.fresh) >= math.log(ladder.AGAIN)
        settled = (level == AUDITED) & proven & (self.day - self.since >= ladder.AGAIN_DAYS) & (m < ladder.WARN)
        self._begin(settled, FLOOR, self.at)

    def _begin(self, which: NDArray[np.bool_], level: int, at: Counts | int) -> None:
        """A level from tomorrow on, with its own bets; with another threshold the detector begins again too."""
        other = which & (self.at != at)
        self.watched[other], self.changed[other] = -np.inf, self.day
        self.recent_n[:, other], self.recent_z[:, other] = 0.0, 0.0
        self.level[which], self.since[which], self.fresh[which] = level, self.day, 0.0
        self.at[which] = np.broadcast_to(at, self.runs)[which]
        self.rate[which] = self._rates(level)[self.at[which]]

    def _rates(self, level: int) -> Array:
        """Of spot checks, by threshold."""
        if level == FLOOR:
            alone = self.world.per_day * COVERAGES
            return np.array([betting.floor_rate(self.terms.alpha, each, self.terms.audit_rate) for each in alone])
        return np.full(len(COVERAGES), 1.0 if level == ASSIST else ladder.AUDITED_RATE)

    def _note(self) -> None:
        risk = np.append(risks(self.world.at(self.day)), 0.0)[self.at]
        bad = risk > self.terms.alpha
        for held, which in (
            (self.first, self.level == AUDITED),
            (self.floor, self.level == FLOOR),
            (self.unsafe, bad),
            (self.unsafe_floor, bad & (self.level == FLOOR)),
        ):
            held[which & (held < 0)] = self.day
        self.again |= bad & (self.alarmed >= 0)

    @property
    def coverage(self) -> Array:
        return np.append(COVERAGES, 0.0)[self.at]


def above(counts: Counts) -> Counts:
    """From bands to thresholds."""
    return np.cumsum(counts, axis=1)[:, :-1]


def cluster(rates: Array, share: float = 0.1, until: float = 0.2) -> Array:
    """The same, with errors among the surest cases."""
    return np.where(EDGES[1:] <= until + 1e-9, share, rates)


def times(rates: Array, by: float, until: float) -> Array:
    return np.where(EDGES[1:] <= until + 1e-9, np.minimum(by * rates, 1.0), rates)
