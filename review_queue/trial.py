"""A log made ready for trying thresholds one after the other: what they leave as it is was settled once, by the router."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from contract.policy import Policy
from review_queue import routing, rules, simulate, terms
from review_queue.logged import Bools, Floats, Log, Places
from review_queue.permits import Permit
from review_queue.routing import Rule
from review_queue.simulate import Ways, Wrong

STEPS = 100
"""Thresholds that are offered, each letting about as many more cases through."""
POINTS = 50
"""Of a curve."""


@dataclass(frozen=True, slots=True)
class Point:
    """If cases from this confidence on acted alone: the share of all that they are, and how many of them would be wrong."""

    threshold: float
    share: float
    wrong: Wrong


@dataclass(frozen=True, slots=True)
class Trial:
    """`sure`: the confidence of each case by the policy's score; `label`: the place of its prediction among `labels`.

    `barred`: what no threshold lets act: vetoes, and what is unlike anything learned from.
    """

    log: Log
    labels: tuple[str, ...]
    sure: Floats
    label: Places
    barred: Bools
    units: tuple[str, ...]

    def options(self, label: str | None = None) -> list[float]:
        """Thresholds to choose from, ascending: those that STEPS equal shares of the cases reach, of one prediction or all."""
        sure = self.sure if label is None else self.sure[self.label == self.labels.index(label)]
        if not len(sure):
            return [0.5, 1.0]
        return sorted({float(each) for each in np.quantile(sure, np.linspace(0, 1, STEPS + 1), method="higher")})

    def alone(self, thresholds: Mapping[str, float | None]) -> Bools:
        """Which would act alone; a label without a threshold never does."""
        at = [np.inf if (each := thresholds.get(label)) is None else each for label in self.labels]
        return np.asarray(~self.barred & (self.sure >= np.array([*at, np.inf])[self.label]))

    def ways(self, policy: Policy) -> Ways:
        """Where a policy sends each case that differs from the one this was made for in thresholds and audit rate alone."""
        return self.under(simulate.asking(policy, self.labels, self.log.rule))

    def under(self, rule: Rule) -> Ways:
        """The same of a rule."""
        alone, rate = self.alone(rule.thresholds), np.full(len(self.sure), rule.audit_rate)
        if rule.units is not None:
            names = sorted(set(self.units))
            place = {name: n for n, name in enumerate(names)}
            unit = np.array([place[name] for name in self.units], dtype=np.int64)
            climbed = [rule.units.get(name) for name in names]
            floors = [np.inf if each is None or each.threshold is None else each.threshold for each in climbed]
            alone &= self.sure >= np.array(floors)[unit]
            rate = np.where(alone, np.array([1.0 if each is None else each.rate for each in climbed])[unit], 1.0)
        return Ways(alone, rate, np.where(alone, 0.0, rule.second_opinion), self.units)

    def risk(self) -> list[Point]:
        """How many would be wrong of those that act alone, by falling threshold, the same for every label."""
        steps = self.options()[:: STEPS // POINTS]
        found = []
        for at in reversed(steps if len(self.sure) else []):
            alone = self.alone(dict.fromkeys(self.labels, at))
            found.append(Point(at, float(alone.mean()), simulate.wrong(self.log, alone)))
        return found


def of(log: Log, policy: Policy, labels: Sequence[str]) -> Trial:
    """For policies that differ from this one in thresholds and audit rate."""
    return of_rule(log, simulate.asking(policy, labels, log.rule), labels)


def of_rule(log: Log, rule: Rule, labels: Sequence[str]) -> Trial:
    """Route the log once with every threshold at 0: whatever goes to people then is barred."""
    free = replace(rule, level="set", thresholds=dict.fromkeys(labels, 0.0), own={}, units=None)
    ways = simulate.ways_of(log, free)
    place = {label: n for n, label in enumerate(labels)}
    sures = routing.confidences(rule.score, [case.prediction for case in log.cases])
    return Trial(
        log=log,
        labels=tuple(labels),
        sure=np.array([each or 0.0 for each in sures], dtype=np.float64),
        label=np.array([place.get(case.label, len(place)) for case in log.cases], dtype=np.int64),
        barred=~ways.alone,
        units=ways.units,
    )


def granted(policy: Policy, labels: Sequence[str], permit: Permit, rule: Rule, *, begins_anew: bool) -> Rule:
    """The rule that would come of a policy now, with no more signatures: the stricter of what it asks and what was signed for.

    `begins_anew`: a new evidence period would begin, in which every unit stands at assist.
    """
    held = terms.stricter(terms.terms(policy, labels), permit.terms)
    asked = simulate.asked(held, rule, policy.review.second_opinion)
    if held.autonomy == "set":
        return asked
    standing = replace(permit, units={}) if begins_anew else permit
    return replace(asked, level="audited", units=rules.units_of(held, standing, 0.0, rule.grid))
