"""Thresholds tried on a log in memory: the same as routing each case, quickly."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from contract.records import Prediction
from review_queue import routing, simulate, terms, trial
from review_queue.logged import Case, Log
from review_queue.permits import Permit, Standing
from tests import factories
from tests.review_queue.test_simulate import LABELS, case, log, rule


def world(n: int, labels: tuple[str, ...] = LABELS, seed: int = 4) -> Log:
    """Cases of all confidences, some wrong; those from 0.9 on acted alone and were checked with 1/4."""
    generator = np.random.default_rng(seed)
    cases = list[Case]()
    for k, row in enumerate(generator.dirichlet(np.full(len(labels), 0.6 / len(labels)), n)):
        prediction = Prediction(labels, tuple(row.tolist()), float(generator.random()))
        alone = bool(max(row) >= 0.9)
        seen = not alone or bool(generator.random() < 0.25)
        wrong = bool(generator.random() > max(row)) if seen else None
        held = case(k, 0.95, wrong, prediction=prediction, label=prediction.label, values={"amount": float(k)})
        cases.append(replace(held, route="auto" if alone else "review", drawn=alone and seen))
    return log(cases, rule(thresholds=dict.fromkeys(labels, 0.9)))


@pytest.mark.parametrize(
    "automate",
    [
        {"at_least": 0.8},
        {"at_least": "off"},
        {"at_least": 0.7, "per_label": {"deny": 0.95}, "never": ["amount > 150"]},
        {"at_least": "off", "per_label": {"pay": 0.6}, "strange": 0.2},
        {"at_least": 0.9, "per_label": {"deny": 0.55, "pay": "never"}},
    ],
)
def test_thresholds_in_memory_do_what_the_router_does(automate: dict[str, Any]) -> None:
    held = world(200)
    kept = {name: automate[name] for name in ("never", "strange") if name in automate}
    made = trial.of(held, factories.policy(automate={"at_least": 0.5, **kept}), LABELS)
    wanted = factories.policy(automate=automate, audit={"rate": 0.3}, review={"second_opinion": 0.1})
    ours, routed = made.ways(wanted), simulate.ways_of(held, simulate.asking(wanted, LABELS, held.rule))
    assert ours.alone.tolist() == routed.alone.tolist()
    assert ours.second.tolist() == routed.second.tolist()
    assert ours.p[ours.alone].tolist() == routed.p[routed.alone].tolist()


def test_twenty_thousand_cases_of_77_labels_answer_within_a_tenth_of_a_second() -> None:
    labels = tuple(f"label-{n}" for n in range(77))
    held = world(20_000, labels)
    policy = factories.policy(automate={"at_least": 0.8})
    made = trial.of(held, policy, labels)
    simulate.outcome("warm", made.ways(policy), policy, held)
    took = []
    for at in (0.5, 0.7, 0.9):
        wanted = factories.policy(automate={"at_least": at, "per_label": {labels[3]: 0.99}})
        begun = time.perf_counter()
        found = simulate.outcome("candidate", made.ways(wanted), wanted, held)
        took.append(time.perf_counter() - begun)
        assert found.wrong.value is not None
    assert min(took) < 0.1


def test_options_reach_from_all_to_the_surest() -> None:
    made = trial.of(world(200), factories.policy(), LABELS)
    options = made.options()
    assert options == sorted(set(options))
    assert (options[0], options[-1]) == (made.sure.min(), made.sure.max())
    assert set(made.options("pay")) <= set(made.sure[made.label == 1].tolist())
    assert trial.of(log([]), factories.policy(), LABELS).options() == [0.5, 1.0]


def test_the_curve_goes_from_the_surest_to_all() -> None:
    held = world(3_000)
    points = trial.of(held, factories.policy(), LABELS).risk()
    assert [each.threshold for each in points] == sorted((each.threshold for each in points), reverse=True)
    assert points[-1].share == 1
    for each in points[5::10]:
        ways = simulate.ways_of(held, simulate.asking(factories.policy(automate={"at_least": each.threshold}), LABELS, held.rule))
        assert (each.share, each.wrong) == (ways.alone.mean(), simulate.wrong(held, ways.alone))
    assert trial.of(log([]), factories.policy(), LABELS).risk() == []


def earned(at: float) -> Any:
    return factories.policy(autonomy="earned", automate={"at_least": at})


@pytest.mark.parametrize(("at", "acts_from"), [(0.5, 0.9), (0.85, 0.9), (0.95, 0.95)])
def test_what_is_asked_is_granted_as_far_as_it_was_signed_for(at: float, acts_from: float) -> None:
    permit = Permit(terms.terms(earned(0.5), LABELS), {"": Standing("floor", 0.9, 0.05)})
    acting = rule(units={}, grid=(0.5, 0.8, 0.9, 0.95))
    found = trial.granted(earned(at), LABELS, permit, acting, begins_anew=False)
    assert [s for s in (0.5, 0.85, 0.9, 0.94, 0.95, 0.99) if alone(found, s)] == [
        s for s in (0.5, 0.85, 0.9, 0.94, 0.95, 0.99) if s >= acts_from
    ]
    anew = trial.granted(earned(at), LABELS, permit, acting, begins_anew=True)
    assert not alone(anew, 0.99)


def test_what_is_granted_in_memory_is_what_the_router_does() -> None:
    """By segment, each with a threshold of its own or none."""
    cases = world(300).cases
    held = log([replace(each, values={"amount": float(n)}) for n, each in enumerate(cases)])
    wanted = factories.policy(
        autonomy="earned", automate={"at_least": 0.6}, evidence={"segments": {"low": "amount < 100", "mid": "amount < 200"}}
    )
    standing = {"low": Standing("floor", 0.8, 0.05), "mid": Standing("audited", 0.7, 0.25)}
    permit = Permit(terms.terms(wanted, LABELS), standing)
    found = trial.granted(wanted, LABELS, permit, rule(units={}, grid=(0.5, 0.7, 0.8)), begins_anew=False)
    ours, routed = trial.of_rule(held, found, LABELS).under(found), simulate.ways_of(held, found)
    assert ours.alone.tolist() == routed.alone.tolist()
    assert ours.p[ours.alone].tolist() == routed.p[routed.alone].tolist()
    assert 0 < ours.alone.sum() < 200


def test_under_set_the_stricter_is_granted() -> None:
    permit = Permit(terms.terms(factories.policy(automate={"at_least": 0.9}), LABELS))
    found = trial.granted(factories.policy(automate={"at_least": 0.6}), LABELS, permit, rule(), begins_anew=False)
    assert (alone(found, 0.85), alone(found, 0.9)) == (False, True)


def alone(acting: Any, sure: float) -> bool:
    return routing.route(acting, factories.says("pay", sure), {}, lambda _: 1.0).route == "auto"
