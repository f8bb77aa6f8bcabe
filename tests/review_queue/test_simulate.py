"""A policy tried on a log: figures worked out by hand, and that routes are those of the router."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, update

from contract.policy import Policy
from contract.records import Prediction, Unscored, Unshowable
from db.engine import Database
from db.tables import Draw, Routing
from review_queue import agreement, logged, routing, rules, simulate
from review_queue.activity import Actor
from review_queue.errors import Refused
from review_queue.logged import Case, Log
from review_queue.pace import Mean
from review_queue.projects import Setting
from review_queue.routing import Rule
from review_queue.simulate import Simulation
from tests import factories
from tests.review_queue.test_insights import decide

LABELS = ("deny", "pay")
MONDAY = datetime(2026, 11, 2, 9, tzinfo=UTC)


def rule(**changes: Any) -> Rule:
    """What acts from 0.9 on, a quarter of it checked."""
    base = Rule(
        1, 1, 1, "set", "max_probability", (0.5, 0.9), dict.fromkeys(LABELS, 0.9), 0.25, 0.0, (), draw_key_id=1
    )  # fmt: skip
    return replace(base, **changes)


def case(n: int, sure: float, wrong: bool | None, p: float = 0.25, label: str = "pay", **changes: Any) -> Case:
    """A logged case: alone from 0.9 on; what was looked at of that was drawn."""
    alone = sure >= 0.9
    other = "deny" if label == "pay" else "pay"
    truth = None if wrong is None else other if wrong else label
    held = Case(
        n, MONDAY + timedelta(hours=n % 48), "auto" if alone else "review", label, factories.says(label, sure), p, 0.0,
        alone and wrong is not None, wrong, truth,
    )  # fmt: skip
    return replace(held, **changes)


def log(cases: Sequence[Case], acting: Rule | None = None) -> Log:
    hours = tuple(each.routed_at.hour for each in cases)
    return Log(tuple(cases), len(cases), True, {}, acting or rule(), 3, 2, hours, Mean(9, 30.0, 20.0, 40.0))


def tried(held: Log, wanted: Policy, against: Policy | None = None) -> Simulation:
    return simulate.compare(held, wanted, against, factories.policy(audit={"rate": 0.25}), LABELS)


WORLD = [
    *(case(n, 0.95, None) for n in range(12)),  # acted alone, not drawn
    *(case(n, 0.95, n == 12) for n in range(12, 16)),  # drawn with 1/4, one of four wrong
    *(case(n, 0.7, n < 19) for n in range(16, 24)),  # people decided, three of eight wrong
    *(case(n, 0.4, True, label="deny") for n in range(24, 28)),
]
"""16 alone of which 4 were checked, 8 reviewed at 0.7, 4 at 0.4 (says says 0.6 of the other label there)."""


def test_errors_by_hand() -> None:
    """From 0.9: 1 error at 1/4 of 16 cases: 4/16. From 0.7: (4 + 3)/24; looks weigh 4 * 4 + 8, (24)²/(4 * 16 + 8) alike."""
    held = log(WORLD[:24])
    narrow = simulate.wrong(held, np.array([each.alone for each in held.cases]))
    wide = simulate.wrong(held, np.ones(24, dtype=np.bool_))
    assert (narrow.alone, narrow.unknown, narrow.looks, narrow.errors) == (16, 0, 4, 1)
    assert narrow.value == pytest.approx(4 / 16)
    assert wide.value == pytest.approx(7 / 24)
    assert (wide.low, wide.high) == pytest.approx(agreement.interval(7 / 24, 24**2 / 72))


def test_chances_of_their_own_weigh_each_look() -> None:
    held = log([case(0, 0.95, True, p=0.5), case(1, 0.95, False, p=0.1), *(case(n, 0.95, None) for n in range(2, 20))])
    assert simulate.wrong(held, held.alone).value == pytest.approx(2 / 20)


def test_looks_that_are_not_back_count_like_those_that_are() -> None:
    """Of four drawn two are back, one of them wrong: it stands for 2 * 4 of 16. Of eight reviews four are back."""
    drawn = [case(n, 0.95, n == 0 if n < 2 else None, drawn=n < 4) for n in range(16)]
    reviewed = [case(n, 0.7, n == 16 if n < 20 else None) for n in range(16, 24)]
    assert simulate.wrong(log(drawn), log(drawn).alone).value == pytest.approx(8 / 16)
    both = log([*drawn, *reviewed])
    assert simulate.wrong(both, np.ones(24, dtype=np.bool_)).value == pytest.approx((8 + 2) / 24)


def test_there_is_no_answer_where_nobody_could_look() -> None:
    blind = log([*(case(n, 0.95, None, p=0.0) for n in range(6)), *(case(n, 0.7, n == 6) for n in range(6, 10))])
    alone = simulate.wrong(blind, blind.alone)
    assert (alone.alone, alone.unknown, alone.value, alone.low) == (6, 6, None, None)
    every = simulate.wrong(blind, np.ones(10, dtype=np.bool_))
    assert (every.alone, every.unknown, every.value) == (10, 6, pytest.approx(1 / 4))


def test_of_nothing_there_is_nothing() -> None:
    found = tried(log([]), factories.policy())
    assert [(each.n, each.share, each.wrong.value, each.load.per_day) for each in found.outcomes] == [(0, 0.0, None, 0.0)] * 3
    assert (found.since, found.days) == (None, 2)


def test_estimates_are_right_on_average_whatever_the_chances() -> None:
    """2,000 draws of the looks at one population: their mean is its error within four standard errors."""
    generator = np.random.default_rng(11)
    truth, p = generator.random(400) < 0.15, generator.choice([0.2, 0.5], 400)
    values = []
    for _ in range(2000):
        hit = generator.random(400) < p
        cases = [case(n, 0.95, bool(truth[n]) if hit[n] else None, p=float(p[n])) for n in range(0, 400, 20)]
        values.append(simulate.wrong(log(cases), np.ones(20, dtype=np.bool_)).value or 0.0)
    assert np.mean(values) == pytest.approx(truth[::20].mean(), abs=4 * np.std(values) / 2000**0.5)


def test_side_by_side() -> None:
    wanted = factories.policy(
        automate={"at_least": 0.65},
        audit={"rate": 0.5},
        costs={"error": {"deny": 5}, "review": 0.5},
        review={"second_opinion": 0.25},
    )
    was, now, then = tried(log(WORLD), wanted).outcomes
    assert (was.called, now.called, then.called) == ("as it was", "in force", "candidate")
    assert (was.wrong.alone, now.wrong.alone, then.wrong.alone) == (16, 16, 24)
    assert then.share == pytest.approx(24 / 28)
    assert then.cost.errors == pytest.approx((4 + 3) * 5)  # all of them were `deny` in truth
    assert (then.load.reviews, then.load.checks) == (4 * 1.25, 12)
    assert then.cost.reviews == pytest.approx((5 + 12) * 0.5)
    assert then.cost.total == pytest.approx(35 + 8.5)
    assert then.load.per_day == pytest.approx(17 / 2)
    assert then.load.hours_per_day == pytest.approx(17 / 2 * 30 / 3600)
    assert sum(then.load.hours) == pytest.approx(17 / 2)
    assert (now.load.reviews, now.load.checks) == (12, 4)


def test_moves_are_counted_from_the_other_policy() -> None:
    first, second = factories.policy(automate={"at_least": 0.65}), factories.policy(automate={"at_least": 0.99})
    found = tried(log(WORLD), first, second)
    assert [each.called for each in found.outcomes] == ["as it was", "against", "candidate"]
    assert found.moved == {"alone in both": 0, "newly alone": 24, "newly with people": 0, "with people in both": 4}
    assert tried(log(WORLD), second, first).moved["newly with people"] == 24


def test_segments_labels_and_groups_have_figures_of_their_own() -> None:
    values = [{"amount": n, "sex": "f" if n % 2 else "m"} for n in range(16)]
    cases = [
        case(
            n,
            0.95,
            n == 0 if n < 4 else None,
            groups={"sex": values[n]["sex"]},
            values=values[n],
            label="pay" if n < 8 else "deny",
        )
        for n in range(16)
    ]
    wanted = factories.policy(
        evidence={"segments": {"large": "amount >= 2"}}, automate={"at_least": 0.9, "never": ["amount > 14"]}
    )
    then = tried(log(cases), wanted).outcomes[-1]
    assert {part.name: (part.n, part.wrong.alone) for part in then.segments} == {"all other cases": (2, 2), "large": (14, 13)}
    assert {part.name: (part.n, part.wrong.alone) for part in then.labels} == {"pay": (8, 8), "deny": (8, 7)}
    assert {part.name: part.n for part in then.groups} == {"sex f": 8, "sex m": 8}
    pay, deny = then.labels[1], then.labels[0]
    assert (pay.name, pay.wrong.value) == ("pay", pytest.approx(4 / 8))
    assert (deny.wrong.value, deny.wrong.unknown) == (None, 7)


@pytest.mark.parametrize("strange", ["off", 0.01])
def test_routes_are_those_of_the_router(strange: Any) -> None:
    """Whatever a policy says, each case goes where routing.route sends it."""
    generator = np.random.default_rng(5)
    cases = []
    for n in range(300):
        prediction = factories.says(LABELS[n % 2], float(generator.uniform(0.5, 1)))
        prediction = replace(prediction, strangeness=float(generator.random() * 0.05))
        values = {"amount": float(n), "region": None if n % 7 == 0 else "north"}
        cases.append(case(n, 0.95, None, prediction=prediction, label=prediction.label, values=values))
    wanted = factories.policy(
        automate={"at_least": 0.8, "per_label": {"deny": 0.9}, "never": ["amount > 250", "region == south"], "strange": strange},
        evidence={"segments": {"low": "amount < 100"}}, score="margin",
    )  # fmt: skip
    asked = simulate.asking(wanted, LABELS, rule())
    found = simulate.ways_of(log(cases), asked)
    straight = [routing.route(asked, each.prediction, each.values, lambda _: 1.0) for each in cases]
    assert found.alone.tolist() == [each.route == "auto" for each in straight]
    assert found.p.tolist() == [each.p_evidence for each in straight]
    assert 0 < found.alone.sum() < 300


def test_what_the_log_cannot_tell_is_said() -> None:
    wanted = factories.policy(autonomy="earned", score="margin", automate={"at_least": 0.9, "strange": 0.01})
    notes = tried(log(WORLD, rule(level="frozen")), wanted).notes
    assert len(notes) == 4
    assert "how strange 28 cases are was not kept" in notes[0]


def test_many_labels_are_quick() -> None:
    labels = tuple(f"label-{n}" for n in range(77))
    generator = np.random.default_rng(3)
    rows = generator.dirichlet(np.full(77, 0.02), 2_000)
    cases = []
    for n, row in enumerate(rows):
        prediction = Prediction(labels, tuple(row.tolist()))
        alone = max(row) >= 0.9
        cases.append(
            replace(case(n, 0.95, None), prediction=prediction, label=prediction.label, route="auto" if alone else "review")
        )
    acting = rule(thresholds=dict.fromkeys(labels, 0.9))
    found = simulate.compare(log(cases, acting), factories.policy(), None, factories.policy(), labels)
    assert sum(part.n for part in found.outcomes[-1].labels) == 2_000
    assert found.outcomes[-1].wrong.alone == found.outcomes[0].wrong.alone


# The log out of a database


def test_the_log_of_a_small_world(database: Database, ann: Actor) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 0.5}))
    alone = {f"a{n}": factories.says("pay", 0.95) for n in range(40)}
    people = {"r1": factories.says("pay", 0.65), "r2": factories.says("pay", 0.68), "r3": factories.says("deny", 0.75)}
    factories.routed(database, held, {**alone, **people, "u1": Unscored("NaN"), "f1": Unshowable("broken")})
    drawn = _resolve(database, wrong=2)
    decide(database, held, ann, {**dict.fromkeys(alone, "pay"), "r1": "pay", "r2": "deny", "r3": None, "u1": "pay"}, seconds=20)
    found = database.read(logged.read, held)
    assert (len(found.cases), found.read, found.whole, found.days) == (43, 45, True, 1)
    assert found.left_out == {"not scored": 1, "could not be shown": 1}
    assert found.seconds.value is not None
    assert int((found.seen & found.alone).sum()) == drawn
    value = simulate.wrong(found, found.alone).value
    assert value == pytest.approx(2 / 0.5 / 40)
    by_id = {each.prediction.probabilities: each for each in found.cases if not each.alone}
    assert sorted((each.wrong, each.truth or "") for each in by_id.values()) == [(False, "pay"), (True, ""), (True, "deny")]
    assert simulate.wrong(found, ~found.alone).value == pytest.approx(2 / 3)


def _resolve(database: Database, wrong: int) -> int:
    """Resolve the draws of what acted alone, the first so many of them as wrong: how many there are."""
    of = select(Draw.item_id).join(Routing, (Routing.item_id == Draw.item_id) & (Routing.n == Draw.n))
    ids = list(database.read(lambda s: s.scalars(of.where(Routing.route == "auto", Draw.purpose == "evidence")).all()))
    assert len(ids) > wrong
    for n, item_id in enumerate(ids):
        values = {"loss": int(n < wrong), "resolved_at": MONDAY, "resolved_as": "blind"}
        database.write(lambda s, i=item_id, v=values: s.execute(update(Draw).where(Draw.item_id == i).values(v)))
    return len(ids)


def test_only_the_latest_are_read_and_it_says_so(database: Database, held: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.routed(database, held, {f"{n}": factories.says("pay", 0.95) for n in range(9)})
    monkeypatch.setattr(logged, "CHUNK", 2)
    whole = database.read(logged.read, held, 9)
    assert (whole.read, whole.whole) == (9, True)
    part = database.read(logged.read, held, 5)
    assert (part.read, part.whole) == (5, False)
    assert [each.item_id for each in part.cases] == [each.item_id for each in whole.cases][-5:]


def test_cases_of_another_model_are_left_out(database: Database, held: Setting) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.95)})
    database.write(factories.champion, held, factories.keys(database).draw_key_id)
    factories.routed(database, held, {"2": factories.says("pay", 0.95)})
    found = database.read(logged.read, held)
    assert (len(found.cases), found.left_out) == (1, {"scored by another model": 1})


def test_values_are_read_for_conditions(database: Database, held: Setting) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.95)}, amount=70_000)
    found = database.read(logged.read, held)
    wanted = factories.policy(automate={"at_least": 0.9, "never": ["amount > 50000"]})
    assert [each.wrong.alone for each in tried(found, wanted).outcomes] == [1, 1, 0]
    assert database.read(lambda s: logged.read(s, held, values=False)).cases[0].values == {}


@pytest.mark.parametrize("last", [0, -1, logged.MOST + 1])
def test_a_wrong_count_is_refused(sqlite: Database, last: int) -> None:
    held = factories.setting(sqlite)
    with pytest.raises(Refused, match="ask for 1 to"):
        sqlite.read(logged.read, held, last)


def test_without_a_model_there_is_nothing_to_try(sqlite: Database) -> None:
    from review_queue import projects

    keys = factories.keys(sqlite)
    sqlite.write(projects.apply, factories.project(), factories.policy(), "", keys.draw_key_id, by=None)
    held = sqlite.read(projects.get, "claims")
    assert sqlite.read(rules.in_force, held.id, held.policy) is None
    with pytest.raises(Refused, match="no model acts in claims yet"):
        sqlite.read(logged.read, held)
