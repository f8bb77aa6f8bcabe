"""The ladder of autonomy: what a unit may climb to, condition by condition, and what makes it fall. Facts in, verdicts out.

Rungs: assist (people decide all), audited (acts alone from its threshold, a quarter of that is spot-checked), floor (the same,
checked as little as an alarm within two weeks allows). A rise needs every condition and people's signatures; a fall neither.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from review_queue import betting
from review_queue.audits import HARM, HARM_TIMES, Day, Seen, share
from review_queue.betting import Group
from review_queue.evidence import Band, Ledger, Vigilance
from review_queue.permits import Standing
from review_queue.steps import Grounds

AUDITED_RATE = 0.25
"""The share of what acts alone that is spot-checked on the rung audited, unless the policy asks for more."""
AGAIN = 5.0
"""The e-value of what was seen since entry alone that the floor takes: an unsafe threshold gets so far once in five times."""
AGAIN_DAYS = 14
WARN = 50
ALARM = 365
"""Lines of the detector for one unit: while no more than max_error is wrong, the alarm is false once in so many days at most."""
APART_DAYS = 7
"""Between two widenings."""
RECENT_DAYS = 28
STALE_DAYS = 90
ENOUGH = 4
"""Resolved checks times alpha that make evidence: with fewer there is not enough to say anything."""
LATE_SHARE = 0.05
LATE_LEAST = 3
"""Of the checks that fell due within RECENT_DAYS: more that nobody looked at, and automation is frozen."""
SHADOW_LABELS = 300
SHADOW_E = 20
SHADOW_AUROC = 0.7
"""What it takes to show people the predictions of a model that they were not shown so far."""
_MOST = 10_000_000


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a rise. `said`: how it stands, with its numbers, in words."""

    name: str
    met: bool
    said: str


@dataclass(frozen=True, slots=True)
class Rise:
    """The next step up of a unit; `ready` once every condition is met. `threshold` None: there is none to name yet."""

    unit: str
    from_level: str
    to_level: str
    threshold: float | None
    rate: float
    conditions: tuple[Condition, ...]
    grounds: Grounds

    @property
    def ready(self) -> bool:
        return all(condition.met for condition in self.conditions)

    @property
    def missing(self) -> str:
        """What is not met, in words."""
        return "; ".join(condition.said for condition in self.conditions if not condition.met)


@dataclass(frozen=True, slots=True)
class Fall:
    """`kind`: alarm, unsafe, warning, stale. `said`: the cause, in words."""

    kind: str
    to_level: str
    said: str
    grounds: Grounds


@dataclass(frozen=True, slots=True)
class Harm:
    """A label or a value of a group that is wrong too often to act alone. `condition`: what keeps it from that."""

    condition: str
    said: str
    grounds: Grounds


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a verdict on one unit rests on. `wish`: the least threshold that the policy lets act, None where it lets none.

    `again`: what was seen since entry alone. `checks`: by day, since the threshold acts. `m`: of the detector. `seen`: labels and
    groups among what acts, or would. `units`: how many there are. `per_day`: cases that act alone, as the draws tell.
    `begun`: since when evidence counts.
    """

    now: datetime
    standing: Standing
    ledger: Ledger
    vigilance: Vigilance
    wish: float | None
    why_none: str
    again: Band | None
    checks: Sequence[Day]
    m: float
    seen: Sequence[Seen]
    units: int
    max_error: float
    least_rate: float
    frozen: bool
    begun: datetime | None = None

    @property
    def recent(self) -> list[Day]:
        return [each for each in self.checks if each.at >= self.now - timedelta(days=RECENT_DAYS + 1)]

    @property
    def per_day(self) -> float:
        """By the draws of the latest days: each stands for one over its chance."""
        recent = self.recent
        if not recent:
            return 0.0
        span = max((self.now - min(each.at for each in recent)) / timedelta(days=1), 1.0)
        return sum(each.n / each.p for each in recent) / span

    @property
    def warn(self) -> float:
        return WARN * self.units

    @property
    def alarm(self) -> float:
        return ALARM * self.units

    @property
    def enough(self) -> int:
        return math.ceil(ENOUGH / self.ledger.alpha)


def audited_rate(least: float) -> float:
    return max(AUDITED_RATE, least)


def rise(facts: Facts, threshold: float | None = None) -> Rise:
    """The next step up of a unit. `threshold`: to this one, where several are certified."""
    if not facts.standing.acts:
        return _enter(facts, threshold)
    if facts.standing.level == "audited":
        return _settle(facts)
    return _widen(facts, threshold)


def _enter(facts: Facts, threshold: float | None) -> Rise:
    """From assist to audited."""
    band = _target(facts, threshold)
    conditions = [*_not_frozen(facts), *_asked(facts), _certified(facts, band), _eyes(facts.vigilance), _unharmed(facts)]
    return _rise(facts, "audited", band, audited_rate(facts.least_rate), conditions)


def _settle(facts: Facts) -> Rise:
    """From audited to the floor, with what was seen since entry."""
    band, rate = facts.again, audited_rate(facts.least_rate)
    conditions = [*_not_frozen(facts), _seen_again(facts), _long_enough(facts), _calm(facts)]
    floor = min(rate, betting.floor_rate(facts.max_error, facts.per_day, facts.least_rate)) if facts.per_day else rate
    return _rise(facts, "floor", band, floor, conditions)


def _widen(facts: Facts, threshold: float | None) -> Rise:
    """From the floor back to audited, at a lower threshold."""
    band = _target(facts, threshold)
    conditions = [
        *_not_frozen(facts),
        *_asked(facts),
        _certified(facts, band),
        _apart(facts),
        _fit(facts),
        _calm(facts),
        _unharmed(facts),
    ]
    return _rise(facts, "audited", band, audited_rate(facts.least_rate), conditions)


def _rise(facts: Facts, to_level: str, band: Band | None, rate: float, conditions: Sequence[Condition]) -> Rise:
    standing, ledger = facts.standing, facts.ledger
    threshold = standing.threshold if to_level == "floor" else band.threshold if band else None
    counts = {} if band is None else band.counts()
    grounds = Grounds(counts | {"m": facts.m}, band.log_e if band else None, ledger.alpha, ledger.delta)
    return Rise(ledger.unit, standing.level, to_level, threshold, rate, tuple(conditions), grounds)


def _target(facts: Facts, threshold: float | None) -> Band | None:
    """The threshold to climb to: the one named, else the lowest certified one that the policy asks for, below what acts."""
    fit = [band for band in facts.ledger.bands if band.certified_at is not None and facts.wish is not None]
    fit = [band for band in fit if facts.wish is not None and band.threshold >= facts.wish]
    if facts.standing.acts:
        fit = [band for band in fit if facts.standing.threshold is not None and band.threshold < facts.standing.threshold]
    if threshold is not None:
        return next((band for band in fit if band.threshold == threshold), None)
    return fit[-1] if fit else None


def _not_frozen(facts: Facts) -> list[Condition]:
    return [Condition("not frozen", False, "automation is frozen: lift the freeze first")] if facts.frozen else []


def _asked(facts: Facts) -> list[Condition]:
    if facts.wish is None:
        return [Condition("asked", False, facts.why_none)]
    acting = facts.standing.threshold
    if acting is not None and facts.standing.acts and facts.wish >= acting:
        return [Condition("asked", False, f"the policy asks for no more than acts already (from {acting:g})")]
    return [Condition("asked", True, f"the policy asks for {facts.wish:g}")]


def _certified(facts: Facts, band: Band | None) -> Condition:
    ledger = facts.ledger
    if band is not None:
        said = f"certified from {band.threshold:g}: {band.errors} errors in {band.drawn:,} looks, e = {_number(band.log_e)}"
        return Condition("certified", True, f"{said} against {_number(ledger.line)} needed")
    following = _following(facts)
    if following is None:
        return Condition("certified", False, "no lower threshold is left to certify")
    p_min = facts.standing.rate if facts.standing.acts else 1.0
    further = more(following, p_min, ledger.alpha, ledger.delta)
    found = f"{following.errors} errors in {following.drawn:,} looks, e = {_number(following.log_e)} of {_number(ledger.line)}"
    want = f"{further:,} more looks without an error{_days(facts, following, further)}" if further is not None else "more looks"
    return Condition("certified", False, f"from {following.threshold:g}: {want} ({found})")


def _days(facts: Facts, band: Band, further: int) -> str:
    """How long so many looks take at the pace so far; nothing where a day has not passed, or nothing was looked at."""
    passed = (facts.now - facts.begun) / timedelta(days=1) if facts.begun is not None else 0.0
    since = band.drawn - band.before
    if passed < 1 or not since:
        return ""
    days = math.ceil(further * passed / since)
    return f", about {days:,} day{'' if days == 1 else 's'} at the pace so far"


def _following(facts: Facts) -> Band | None:
    """The threshold that has to be certified next: the first in the fixed order that is not, below what acts."""
    return next((band for band in facts.ledger.bands if band.certified_at is None), None)


def more(band: Band, p: float, alpha: float, delta: float) -> int | None:
    """Looks without an error, each drawn with the chance `p`, until a threshold is certified; None: no end in sight."""
    line, stage = -math.log(delta), max((group.stage for group in band.groups), default=0)
    p_min = min((group.p_min for group in band.groups if group.stage == stage), default=p)

    def short(n: int) -> bool:
        return betting.log_e([*band.groups, Group(stage, p_min, 1.0, False, n)], alpha) < line

    low, high = 0, 1
    while short(high):
        low, high = high, 2 * high
        if high > _MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if short(middle) else (low, middle)
    return math.ceil(high * p_min)


def _eyes(vigilance: Vigilance) -> Condition:
    if vigilance.most == 0:
        return Condition("eyes", True, "the policy takes people to see every error (most_missed: 0)")
    found = f"people missed {vigilance.missed} of {vigilance.n} known errors"
    limit = f"they miss fewer than {vigilance.most:.0%}"
    if vigilance.proven:
        return Condition("eyes", True, f"{found}: {limit}, e = {_number(vigilance.log_e)}")
    further = _seeds(vigilance)
    want = f"{further:,} more gold cases in which the model errs, seen for what they are" if further else "more gold cases"
    return Condition("eyes", False, f"{want}, before it is proven that {limit} ({found})")


def _seeds(vigilance: Vigilance) -> int | None:
    for further in range(1, 5_000):
        if betting.vigilance(vigilance.missed, vigilance.n + further, vigilance.most) >= vigilance.needed_log_e:
            return further
    return None


def _unharmed(facts: Facts) -> Condition:
    harmed = [each for each in facts.seen if each.harmed]
    if not harmed:
        return Condition(
            "labels and groups", True, f"no label or group is wrong more than {HARM_TIMES} times max_error, as far as seen"
        )
    return Condition("labels and groups", False, "; ".join(map(harm, harmed)))


def harm(seen: Seen) -> str:
    """In words, how wrong a label or group is."""
    return f"{seen.name} {seen.value} was wrong in {seen.errors} of {seen.n:,} looks (e = {_number(seen.log_e)} of {HARM})"


def _seen_again(facts: Facts) -> Condition:
    band, since = facts.again, facts.standing.since
    log_e = band.log_e if band is not None else 0.0
    found = f"{band.errors} errors in {band.drawn:,} looks" if band is not None else "no looks"
    said = f"since {since:%Y-%m-%d}: {found}, e = {_number(log_e)} of {AGAIN:g}" if since else "not since it acts"
    if band is None or log_e >= math.log(AGAIN):
        return Condition("seen again", band is not None and log_e >= math.log(AGAIN), said)
    further = more(band, facts.standing.rate, facts.ledger.alpha, 1 / AGAIN)
    return Condition("seen again", False, f"{said}: {further:,} more looks without an error" if further is not None else said)


def _long_enough(facts: Facts) -> Condition:
    return _waited("two weeks", facts.standing.since, AGAIN_DAYS, facts.now, "since it acts so")


def _apart(facts: Facts) -> Condition:
    return _waited("apart", facts.standing.threshold_since, APART_DAYS, facts.now, "since its threshold last changed")


def _waited(name: str, since: datetime | None, days: int, now: datetime, what: str) -> Condition:
    passed = (now - since) / timedelta(days=1) if since is not None else 0.0
    return Condition(name, passed >= days, f"{passed:.0f} of {days} days {what}")


def _calm(facts: Facts) -> Condition:
    return Condition("detector", facts.m < facts.warn, f"the detector is at {facts.m:.3g}, below {facts.warn:,.0f} is calm")


def _fit(facts: Facts) -> Condition:
    found = share(facts.recent)
    if found is None:
        return Condition("recent", False, f"no spot check of the last {RECENT_DAYS} days is answered")
    said = f"{found:.2%} wrong in the last {RECENT_DAYS} days, at most {facts.ledger.alpha:.2%} is fit"
    return Condition("recent", found <= facts.ledger.alpha, said)


def fall(facts: Facts) -> Fall | None:
    """What takes a unit down now, the worst first; None: nothing does."""
    standing, ledger = facts.standing, facts.ledger
    if not standing.acts:
        return None
    errors, n = sum(each.errors for each in facts.checks), sum(each.n for each in facts.checks)
    counts = {"m": facts.m, "errors": errors, "n": n, "threshold": standing.threshold}
    grounds = Grounds(counts, None, facts.max_error, None)
    found = f"{errors} errors in {n:,} spot checks, the detector is at {facts.m:,.0f}"
    if facts.m >= facts.alarm:
        return Fall("alarm", "assist", f"alarm: {found} of {facts.alarm:,.0f}", grounds)
    if (worst := next((each for each in facts.seen if each.harmed and not _apart_from_others(facts, each)), None)) is not None:
        return Fall("unsafe", "assist", f"unsafe: {harm(worst)}", _harm_grounds(facts, worst))
    if standing.level != "floor":
        return None
    if facts.m >= facts.warn:
        return Fall("warning", "audited", f"warning: {found} of {facts.warn:,.0f}", grounds)
    resolved = _resolved(facts)
    if resolved is not None and resolved < facts.enough:
        said = f"stale: {resolved:,} answered spot checks in {STALE_DAYS} days, and {facts.enough:,} make evidence"
        return Fall("stale", "audited", said, Grounds(counts | {"resolved": resolved}, None, ledger.alpha, None))
    return None


def harms(facts: Facts) -> list[Harm]:
    """Labels and groups that leave automation now, while the rest of the unit goes on."""
    return [
        Harm(each.condition, harm(each), _harm_grounds(facts, each))
        for each in facts.seen
        if each.harmed and each.condition is not None and _apart_from_others(facts, each)
    ]


def _apart_from_others(facts: Facts, seen: Seen) -> bool:
    """Whether it is this label or group that is wrong, and not its unit: the others are as right as they should be."""
    n, errors = seen.others
    return seen.condition is not None and n > 0 and errors <= facts.max_error * n


def _harm_grounds(facts: Facts, seen: Seen) -> Grounds:
    counts = {"name": seen.name, "value": seen.value, "n": seen.n, "errors": seen.errors}
    return Grounds(counts, seen.log_e, HARM_TIMES * facts.max_error, 1 / HARM)


def _resolved(facts: Facts) -> int | None:
    """Answered checks within the days after which evidence is stale; None before it has acted for so long."""
    begin = facts.now - timedelta(days=STALE_DAYS)
    if facts.standing.since is None or facts.standing.since > begin:
        return None
    return sum(each.resolved for each in facts.checks if each.at >= begin - timedelta(days=1))


def _number(log_e: float) -> str:
    value = math.exp(min(log_e, 700.0))
    return f"{value:.3g}" if value < 1e6 else f"{value:.0e}"
