"""Thresholds of least cost: by hand, against trying them all, and never below what is certified."""

from dataclasses import replace

import numpy as np
import pytest

from contract.policy import Policy
from review_queue import costing, routing, simulate
from review_queue.costing import least
from review_queue.errors import Refused
from review_queue.logged import Case
from review_queue.routing import Climbed
from tests import factories
from tests.review_queue.test_simulate import LABELS, case, log, rule

PRICED = {"error": {"deny": 5, "pay": 1}, "review": 0.5}


def priced(**changes: object) -> Policy:
    return factories.policy(costs=PRICED, audit={"rate": 0.25}, **changes)


def test_by_hand() -> None:
    """From 0.92 on two decisions are saved; the two cases at 0.9 save as much as their error costs; those at 0.8 cost more."""
    sure, errors = np.array([0.95, 0.9, 0.9, 0.92, 0.8, 0.8]), np.array([0, 1.0, 0, 0, 1.0, 1.0])
    assert least(sure, errors, 0.5) == 0.92
    assert least(sure, errors, 0.6) == 0.9
    assert least(sure, errors, 2.0) == 0.8
    assert least(sure, 10 + errors, 0.5) is None
    assert least(np.array([]), np.array([]), 1.0) is None


def test_the_safer_of_equals() -> None:
    assert least(np.array([0.9, 0.8]), np.array([0.0, 0.5]), 0.5) == 0.9


def test_equal_confidences_act_together() -> None:
    """Two cases of one confidence: no threshold parts them."""
    assert least(np.array([0.9, 0.9]), np.array([0.0, 3.0]), 1.0) is None


def test_a_threshold_is_never_rounded_down() -> None:
    at = least(np.array([0.123456789]), np.array([0.0]), 1.0)
    assert at == 0.123457


def test_no_other_threshold_costs_less() -> None:
    generator = np.random.default_rng(1)
    for _ in range(50):
        sure = generator.choice(np.linspace(0.5, 0.99, 20), 60)
        errors = (generator.random(60) < 1.2 * (1 - sure)) * generator.choice([1.0, 4.0], 60)
        found = least(sure, errors, 0.7)
        costs = {float(at): errors[sure >= at].sum() + 0.7 * (sure < at).sum() for at in {*sure, 2.0}}
        at = 2.0 if found is None else found - 1e-6
        assert errors[sure >= at].sum() + 0.7 * (sure < at).sum() == pytest.approx(min(costs.values()))


def many() -> list[Case]:
    """Both labels reviewed: `pay` is wrong below 0.8 half of the time and never above; `deny` is never right."""
    pay = [case(n, 0.6 + 0.35 * n / 100, n % 2 == 0 if n < 57 else False, route="review", drawn=False) for n in range(100)]
    deny = [case(n, 0.7, True, route="review", label="deny") for n in range(100, 160)]
    return [*pay, *deny]


def test_thresholds_by_label() -> None:
    policy = priced(automate={"at_least": "off"})
    found = costing.thresholds(log(many()), policy, LABELS)
    by_label = {each.label: each for each in found.labels}
    assert by_label["pay"].threshold == pytest.approx(0.6 + 0.35 * 57 / 100, abs=1e-6)
    assert (by_label["pay"].looks, by_label["deny"].threshold, by_label["deny"].few) == (100, None, False)
    assert found.per_label == {"pay": by_label["pay"].threshold, "deny": "never"}
    assert found.now.total == pytest.approx(160 * 0.5)
    assert found.then.errors == 0
    assert found.then.total == pytest.approx((57 + 60 + 43 * 0.25) * 0.5)


def test_labels_with_few_looks_keep_what_the_policy_says() -> None:
    policy = priced(automate={"at_least": 0.9, "per_label": {"deny": 0.97}})
    found = costing.thresholds(log(many()[:100]), policy, LABELS)
    assert [each.few for each in found.labels] == [True, False]
    assert found.per_label["deny"] == 0.97


def test_errors_weigh_one_over_their_chance() -> None:
    """One error found at a chance of 1/50 stands for fifty: dearer than the sixty decisions that acting would save."""
    alone = [case(n, 0.95, n == 0 if n < 60 else None, p=0.02) for n in range(60)]
    unweighted = [replace(each, p=1.0) for each in alone]
    policy = priced(automate={"at_least": 0.9})
    assert costing.thresholds(log(alone), policy, LABELS).per_label["pay"] == "never"
    assert costing.thresholds(log(unweighted), policy, LABELS).per_label["pay"] == 0.95


def test_free_decisions_are_refused() -> None:
    with pytest.raises(Refused, match=r"costs\.review is 0"):
        costing.thresholds(log(many()), factories.policy(), LABELS)


@pytest.mark.parametrize(("wished", "acts_from"), [(0.6, 0.9), (0.95, 0.95)])
def test_costs_raise_and_never_lower_what_is_certified(wished: float, acts_from: float) -> None:
    """Certified from 0.9: a cheaper 0.6 acts from 0.9, a dearer 0.95 from 0.95."""
    certified = rule(
        units={"": Climbed("floor", 0.9, 0.05)}, thresholds=dict.fromkeys(LABELS, wished), own=dict.fromkeys(LABELS, wished)
    )
    routes = {
        at: routing.route(certified, factories.says("pay", at), {}, lambda _: 1.0).route for at in (0.6, 0.85, 0.9, 0.94, 0.95)
    }
    assert [at for at, kind in routes.items() if kind == "auto"] == [at for at in routes if at >= acts_from]


def test_the_cost_of_what_nobody_knows_is_unknown() -> None:
    blind = log([case(n, 0.95, None, p=0.0) for n in range(5)])
    ways = simulate.logged(blind)
    assert simulate.cost(blind, ways, priced()).total is None
