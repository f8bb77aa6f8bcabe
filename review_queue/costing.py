"""Thresholds by label that cost least on the log: what acts alone costs its errors, what people decide costs their time.

A case is worth a person where its chance of being wrong times the cost of that exceeds the cost of a decision (Chow 1970), which
for cases in the order of their confidence is one threshold a label. Errors weigh one over their chance of having been seen.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from contract.policy import Policy
from review_queue import simulate
from review_queue.errors import Refused
from review_queue.logged import Bools, Floats, Log
from review_queue.routing import confidences
from review_queue.simulate import Cost

LEAST = 50
"""Looks at predictions of a label without which it gets no threshold of its own here."""
DIGITS = 6
"""Places of a threshold."""


@dataclass(frozen=True, slots=True)
class Priced:
    """A label's threshold of least cost: None where letting people decide all of them costs least. `few`: not enough `looks`."""

    label: str
    n: int
    looks: int
    threshold: float | None
    few: bool


@dataclass(frozen=True, slots=True)
class Costing:
    """`policy`: the one in force with the thresholds of least cost; `now` and `then`: what the log costs under each."""

    labels: tuple[Priced, ...]
    policy: Policy
    now: Cost
    then: Cost

    @property
    def per_label(self) -> dict[str, float | str]:
        """As policy.yaml has it."""
        return dict(self.policy.automate.per_label)


def thresholds(log: Log, policy: Policy, labels: Sequence[str]) -> Costing:
    """The thresholds of least cost for every label with enough looks; the others keep what the policy says of them.

    Raises Refused where decisions cost nothing: then nothing that might be wrong is worth letting act.
    """
    if policy.costs.review == 0:
        raise Refused(
            "costs.review is 0, so a decision of people costs nothing and no error is worth saving one; write in policy.yaml "
            "what a decision costs, in the unit of costs.error"
        )
    rule = simulate.asking(policy, labels, log.rule)
    sure = np.array([each or 0.0 for each in confidences(rule.score, [case.prediction for case in log.cases])], dtype=np.float64)
    said = np.array([case.label for case in log.cases])
    priced = tuple(_price(log, policy, label, said == label, sure) for label in labels)
    own = {each.label: each.threshold if each.threshold is not None else "never" for each in priced if not each.few}
    held = {label: at for label, at in policy.automate.per_label.items() if label not in own}
    wanted = policy.model_copy(update={"automate": policy.automate.model_copy(update={"per_label": {**held, **own}})})
    then = simulate.asking(wanted, labels, log.rule)
    ways = [simulate.ways_of(log, each) for each in (rule, then)]
    costs = [simulate.cost(log, way, policy) for way in ways]
    return Costing(priced, wanted, *costs)


def _price(log: Log, policy: Policy, label: str, mine: Bools, sure: Floats) -> Priced:
    weight, known = simulate.weights(log, mine)
    looks = int((weight > 0).sum())
    if looks < LEAST:
        return Priced(label, int(mine.sum()), looks, None, True)
    errors = weight * simulate.cost_of_errors(log, policy.costs)
    review = policy.costs.review * policy.review.reviewers
    return Priced(label, int(mine.sum()), looks, least(sure[known], errors[known], review), False)


def least(sure: Floats, errors: Floats, review: float) -> float | None:
    """The confidence from which on cases act alone at least cost, the higher one of equals, rounded up; None: none should.

    `errors`: what each case costs if it acts alone, `review`: what it costs if a person decides.
    """
    if not len(sure):
        return None
    order = np.argsort(-sure, kind="stable")
    gains = np.cumsum(review - errors[order])
    ends = np.flatnonzero(np.append(np.diff(sure[order]) < 0, True))
    best = int(ends[np.argmax(gains[ends])])
    if gains[best] <= 0:
        return None
    at: float = math.ceil(float(sure[order][best]) * 10**DIGITS - 1e-9) / 10**DIGITS
    return min(at, 1.0)
