"""What a policy would have done to the logged traffic: routes, errors, costs and load. Routes are made by routing.route itself.

Errors of what would act alone are estimated from all looks at it, each weighing one over its chance (Horvitz and Thompson 1952).
Looks that are not back yet are taken to be like those that are, apart for what people decide and for what a draw brings them.
Where the log had no chance of a look, there is no answer. Intervals are Wilson's at the effective number of looks (Kish 1965);
they are for a policy that was written before its figures were seen.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from contract.policy import Costs, Policy
from contract.records import Route
from review_queue import agreement, routing, terms
from review_queue.logged import Bools, Floats, Log, Places
from review_queue.routing import Rule
from review_queue.terms import Terms

GROUPS = 20
"""Values of one group that have figures of their own, the most frequent ones."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """How many of `alone` cases would be wrong. `unknown`: those at which the log gave nobody a chance to look, or nobody has
    looked yet. `looks` came back, `errors` of them were wrong. `value` is of the others; None where nothing is known."""

    alone: int
    unknown: int
    looks: int
    errors: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Load:
    """Work for people: `reviews` that are decided by them, further opinions included, and `checks` of what acted alone.

    `hours`: how many of a day's cases came in each hour of the day (the project's zone). `seconds` of a case None: not known.
    """

    reviews: float
    checks: float
    days: int
    seconds: float | None
    hours: tuple[float, ...]

    @property
    def per_day(self) -> float:
        return (self.reviews + self.checks) / self.days if self.days else 0.0

    @property
    def hours_per_day(self) -> float | None:
        """Of people's time."""
        return None if self.seconds is None else self.per_day * self.seconds / 3600

    @property
    def busiest(self) -> float:
        """Cases for people in the busiest hour of the day."""
        return max(self.hours, default=0.0)


@dataclass(frozen=True, slots=True)
class Cost:
    """In the unit of the policy's `costs`: errors of what acts alone, as far as known, and people's decisions."""

    errors: float | None
    reviews: float

    @property
    def total(self) -> float | None:
        return None if self.errors is None else self.errors + self.reviews


@dataclass(frozen=True, slots=True)
class Part:
    """One segment, label or group of the cases."""

    name: str
    n: int
    wrong: Wrong

    @property
    def share(self) -> float:
        """Of its cases, those that act alone."""
        return self.wrong.alone / self.n if self.n else 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one way of routing makes of the log."""

    called: str
    n: int
    wrong: Wrong
    load: Load
    cost: Cost
    segments: tuple[Part, ...]
    labels: tuple[Part, ...]
    groups: tuple[Part, ...]

    @property
    def share(self) -> float:
        """Of all cases, those that act alone."""
        return self.wrong.alone / self.n if self.n else 0.0


@dataclass(frozen=True, slots=True)
class Simulation:
    """The log in figures, and what it becomes in several ways, side by side; `moved`: cases by their route in the last two."""

    read: int
    whole: bool
    left_out: Mapping[str, int]
    version: int
    n: int
    since: datetime | None
    until: datetime | None
    days: int
    outcomes: tuple[Outcome, ...]
    moved: Mapping[str, int]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ways:
    """Where each case of a log goes: `alone`; `p`: its chance of a check; `second`: that of a further opinion; its `unit`."""

    alone: Bools
    p: Floats
    second: Floats
    units: tuple[str, ...]


def compare(log: Log, wanted: Policy, against: Policy | None, in_force: Policy, labels: Sequence[str]) -> Simulation:
    """A policy as if all that it asks for were granted, beside the rule in force (or another policy), beside what happened."""
    candidate = asking(wanted, labels, log.rule)
    other = log.rule if against is None else asking(against, labels, log.rule)
    name = "in force" if against is None else "against"
    ways = [logged(log), ways_of(log, other), ways_of(log, candidate)]
    policies = [in_force, against or in_force, wanted]
    outcomes = [outcome(*each, log) for each in zip(("as it was", name, "candidate"), ways, policies, strict=True)]
    return Simulation(
        read=log.read,
        whole=log.whole,
        left_out=log.left_out,
        version=log.version,
        n=len(log.cases),
        since=log.cases[0].routed_at if log.cases else None,
        until=log.cases[-1].routed_at if log.cases else None,
        days=log.days,
        outcomes=tuple(outcomes),
        moved=_moved(ways[-2].alone, ways[-1].alone),
        notes=tuple(_notes(log, wanted, candidate)),
    )


def asking(policy: Policy, labels: Sequence[str], rule: Rule) -> Rule:
    """The rule that a policy asks for, as if all of it were granted."""
    return asked(terms.terms(policy, labels), rule, policy.review.second_opinion)


def asked(wished: Terms, rule: Rule, second_opinion: float) -> Rule:
    """The same of terms."""
    grid = rule.grid if wished.score == rule.score else ()
    at = {each for each in wished.thresholds.values() if each is not None}
    return replace(
        rule,
        level="set",
        score=wished.score,
        grid=tuple(sorted({*grid, *at})),
        thresholds=wished.thresholds,
        own=wished.own,
        audit_rate=wished.audit_rate,
        second_opinion=second_opinion,
        vetoes=wished.vetoes,
        units=None,
        segments=wished.segments,
        by_label=wished.by_label,
        strange=wished.strange,
    )


def routes(rule: Rule, log: Log) -> list[Route]:
    """The route of each case under a rule, whatever the draws."""
    sures = routing.confidences(rule.score, [case.prediction for case in log.cases])
    return [
        routing.route(rule, case.prediction, case.values, _never, sure=sure) for case, sure in zip(log.cases, sures, strict=True)
    ]


def _never(purpose: routing.Purpose) -> float:
    return 1.0


def ways_of(log: Log, rule: Rule) -> Ways:
    """Where a rule sends each case."""
    found = routes(rule, log)
    return Ways(
        alone=np.array([each.route == "auto" for each in found], dtype=np.bool_),
        p=np.array([each.p_evidence for each in found], dtype=np.float64),
        second=np.array([each.p_second for each in found], dtype=np.float64),
        units=tuple(each.segment for each in found),
    )


def logged(log: Log) -> Ways:
    """Where each case went."""
    return Ways(
        alone=log.alone,
        p=np.array([case.p for case in log.cases], dtype=np.float64),
        second=np.array([case.p_second for case in log.cases], dtype=np.float64),
        units=tuple("" for _ in log.cases),
    )


def outcome(called: str, ways: Ways, policy: Policy, log: Log) -> Outcome:
    """The figures of one way of routing the log."""
    return Outcome(
        called=called,
        n=len(log.cases),
        wrong=wrong(log, ways.alone),
        load=load(log, ways, policy.review.reviewers),
        cost=cost(log, ways, policy),
        segments=_parts(log, ways.alone, [terms.called(unit, ways.units) for unit in ways.units]) if any(ways.units) else (),
        labels=_parts(log, ways.alone, [case.label for case in log.cases]),
        groups=tuple(part for name in _group_names(log) for part in _group(log, ways.alone, name)),
    )


# Errors


def weights(log: Log, alone: Bools) -> tuple[Floats, Bools]:
    """What each look stands for among the cases that are meant, and which of them are known; weights of others are 0.

    One over the chance of a look, times those that were to be looked at over those that were, in what acted alone and in what
    people decide apart.
    """
    where = np.flatnonzero(alone)
    weight, known = np.zeros(len(alone)), np.zeros(len(alone), dtype=np.bool_)
    weight[where], known[where] = _weigh(log, where)
    return weight, known


def _weigh(log: Log, where: Places) -> tuple[Floats, Bools]:
    """The same of the cases at these places alone."""
    were, p, seen, due = log.alone[where], log.pi[where], log.seen[where], log.due[where]
    weight, known = np.zeros(len(where)), np.zeros(len(where), dtype=np.bool_)
    for stratum in (were & (p > 0), ~were):
        held = stratum & seen
        if looks := int(held.sum()):
            weight[held] = int((stratum & due).sum()) / looks / p[held]
            known |= stratum
    return weight, known


def wrong(log: Log, alone: Bools) -> Wrong:
    """How many of the cases that would act alone would be wrong."""
    return _wrong(log, np.flatnonzero(alone))


def _wrong(log: Log, where: Places) -> Wrong:
    weight, known = _weigh(log, where)
    errors, looks, n = log.wrong[where], weight[weight > 0], int(known.sum())
    found = int((errors & (weight > 0)).sum())
    if not len(looks):
        return Wrong(len(where), len(where), 0, 0, None, None, None)
    value = min(float(weight[errors].sum()) / n, 1.0)
    low, high = agreement.interval(value, float(looks.sum()) ** 2 / float((looks**2).sum()))
    return Wrong(len(where), len(where) - n, len(looks), found, value, low, high)


def cost_of_errors(log: Log, costs: Costs) -> Floats:
    """What each case costs if it acts alone: nothing where it is right, or nobody looked."""
    dearest = max(costs.error.values(), default=1.0)
    priced = (
        0.0 if not case.wrong else dearest if case.truth is None else costs.error.get(case.truth, 1.0) for case in log.cases
    )
    return np.fromiter(priced, dtype=np.float64, count=len(log.cases))


def cost(log: Log, ways: Ways, policy: Policy) -> Cost:
    """Errors of what acts alone and decisions of people, by the policy's costs; errors that people make are not counted."""
    weight, known = weights(log, ways.alone)
    errors = float(weight @ cost_of_errors(log, policy.costs)) if known.any() or not ways.alone.any() else None
    reviews, checks = decisions(ways, policy.review.reviewers)
    return Cost(errors, (reviews + checks) * policy.costs.review)


# Load


def decisions(ways: Ways, reviewers: int) -> tuple[float, float]:
    """How many decisions people have to take: of what they decide, and as checks of what acts alone, in expectation."""
    held = ~ways.alone
    return float(reviewers * held.sum() + ways.second[held].sum()), float(ways.p[ways.alone].sum())


def load(log: Log, ways: Ways, reviewers: int) -> Load:
    """The work that a way of routing makes for people."""
    reviews, checks = decisions(ways, reviewers)
    each = np.where(ways.alone, ways.p, reviewers + ways.second)
    hours = np.bincount(log.hours, weights=each, minlength=24) / max(log.days, 1) if log.cases else np.zeros(24)
    return Load(reviews, checks, log.days, log.seconds.value, tuple(float(each) for each in hours))


# Parts


def _parts(log: Log, alone: Bools, names: Sequence[str | None]) -> tuple[Part, ...]:
    """Figures by name, the most frequent first."""
    counted = Counter(name for name in names if name is not None)
    places = defaultdict[str, list[int]](list)
    for place in np.flatnonzero(alone).tolist():
        if (name := names[place]) is not None:
            places[name].append(place)
    return tuple(
        Part(name, n, _wrong(log, np.array(places[name], dtype=np.int64)))
        for name, n in sorted(counted.items(), key=lambda each: (-each[1], each[0]))
    )


def _group_names(log: Log) -> list[str]:
    return sorted({name for case in log.cases for name in case.groups})


def _group(log: Log, alone: Bools, name: str) -> Iterable[Part]:
    found = _parts(log, alone, [case.groups.get(name) for case in log.cases])
    return (replace(part, name=f"{name} {part.name}") for part in found[:GROUPS])


def _moved(before: Bools, after: Bools) -> dict[str, int]:
    return {
        "alone in both": int((before & after).sum()),
        "newly alone": int((~before & after).sum()),
        "newly with people": int((before & ~after).sum()),
        "with people in both": int((~before & ~after).sum()),
    }


def _notes(log: Log, policy: Policy, candidate: Rule) -> Iterable[str]:
    """What the log cannot tell of a candidate."""
    blank = sum(case.prediction.strangeness is None for case in log.cases)
    if candidate.strange is not None and blank:
        yield f"how strange {blank:,} cases are was not kept, so `automate.strange` keeps none of them from acting alone here"
    if candidate.score != log.rule.score:
        yield f"thresholds are of the score {candidate.score}, and the rule in force has {log.rule.score}"
    if policy.autonomy == "earned":
        yield "`earned` grants only what evidence certifies: this is what it asks for, at the policy's own audit rate"
    if log.rule.level == "frozen":
        yield "automation is frozen: as the rule in force has it, nothing acts alone"
