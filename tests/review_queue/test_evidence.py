"""What counts as evidence, and what does not: open draws, late ones, gold, requested and revealed answers, other units."""

import random
from datetime import timedelta

import pytest
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from db.engine import Database
from db.tables import Draw, Routing
from review_queue import audits, betting, claims, decisions, evidence, outcomes, projects, requests
from review_queue.activity import Actor
from review_queue.betting import Group
from review_queue.decisions import Said
from review_queue.evidence import Band, Evidence
from review_queue.projects import Setting
from tests import factories
from tests.review_queue import earning
from tests.review_queue.acting import Move, take
from tests.review_queue.plans import Seen


def read(database: Database, held: Setting) -> Evidence:
    found = database.read(evidence.read, held)
    assert found is not None
    return found


def strictest(database: Database, held: Setting, unit: str = "") -> Band:
    return read(database, held).units[unit].bands[0]


@pytest.fixture
def held(database: Database) -> Setting:
    return earning.earned(database)


def test_each_threshold_has_its_own_counts(database: Database, held: Setting) -> None:
    earning.traffic(database, held, 100, errors=1, sure=0.96)
    earning.traffic(database, held, 50, errors=5, sure=0.75)
    found = read(database, held)
    counts = {band.threshold: (band.n, band.drawn, band.errors) for band in found.units[""].bands}
    low = (150, 150, 6)
    assert counts == {0.95: (100, 100, 1), 0.9: (100, 100, 1), 0.8: (100, 100, 1), 0.7: low, 0.5: low, 0.3: low}
    top, wide = found.units[""].at(0.95), found.units[""].at(0.7)
    assert top is not None
    assert wide is not None
    assert top.log_e == pytest.approx(betting.log_e_counts(1, 100, 0.05), abs=0.05)
    assert top.upper == pytest.approx(betting.upper_counts(1, 100, 0.05), rel=0.02)
    assert (top.estimate, wide.estimate) == (0.01, 0.04)


def test_the_order_of_rows_says_nothing(database: Database, held: Setting) -> None:
    """10.5, no. 5: the same rows in another order give the same e-value, to the last bit."""
    for n, errors, sure in ((60, 1, 0.96), (40, 2, 0.75), (30, 0, 0.85)):
        earning.traffic(database, held, n, errors, sure=sure)
    before = read(database, held).units[""].bands

    def shuffle(session: Session) -> None:
        for table in (Draw, Routing):
            names = list(table.__table__.columns.keys())
            rows = [{name: getattr(row, name) for name in names} for row in session.scalars(select(table))]
            session.execute(delete(table))
            random.Random(7).shuffle(rows)
            session.execute(insert(table), rows)

    database.write(shuffle)
    assert [(band.n, band.log_e) for band in read(database, held).units[""].bands] == [(band.n, band.log_e) for band in before]


def test_counts_end_at_the_first_open_draw_and_what_is_late_is_an_error(
    database: Database, held: Setting, move: Move, ann: Actor
) -> None:
    """10.5, no. 6, through the verbs: a draw that waits, or whose task is skipped, counts as an error once it is due."""
    earning.traffic(database, held, 40)
    factories.routed(database, held, {"1": factories.says("pay", 0.99)})
    earning.traffic(database, held, 40)
    found = read(database, held)
    assert (found.open_draws, found.units[""].bands[0].n) == (1, 40)
    assert found.watermark is not None
    (case,) = take(database, held, ann)
    database.write(decisions.decide, ann, case.task_id, case.token, Said("s", "skip"))
    assert strictest(database, held).n == 40
    move(timedelta(days=7, minutes=1))
    assert database.write(outcomes.resolve_overdue) == 1
    found = read(database, held)
    assert (found.watermark, found.open_draws) == (None, 0)
    assert (found.units[""].bands[0].n, found.units[""].bands[0].errors) == (81, 1)


def test_only_blind_first_answers_count(database: Database, held: Setting, ann: Actor, bob: Actor) -> None:
    """10.5, no. 7: neither what is said after the reveal, nor what somebody asked for, nor gold resolves a draw."""
    factories.routed(database, held, {"1": factories.says("pay", 0.99)})
    (case,) = take(database, held, ann)
    database.write(decisions.answer, ann, case.task_id, case.token, "f", "pay")
    database.write(decisions.decide, ann, case.task_id, case.token, Said("d", "correct", "deny"))
    assert (strictest(database, held).n, strictest(database, held).errors) == (1, 0)
    database.write(requests.request, held, "1", "odd", by=ann)
    (asked,) = take(database, held, bob)
    database.write(decisions.decide, bob, asked.task_id, asked.token, Said("g", "correct", "deny"))
    assert (strictest(database, held).n, strictest(database, held).errors) == (1, 0)
    earning.traffic(database, held, 20)
    before = strictest(database, held)
    earning.seeds(database, held, 10, missed=2)
    assert (strictest(database, held).n, strictest(database, held).log_e) == (before.n, before.log_e)


def test_vigilance_counts_gold_in_which_the_model_erred(database: Database) -> None:
    held = earning.earned(database, evidence={"most_missed": 0.25})
    earning.traffic(database, held, 60)
    earning.seeds(database, held, 40, missed=2)
    eyes = read(database, held).vigilance
    assert (eyes.n, eyes.missed, eyes.most) == (40, 2, 0.25)
    assert eyes.log_e == pytest.approx(betting.vigilance(2, 40, 0.25))
    assert eyes.needed_log_e == pytest.approx(4.605, abs=0.001)
    assert read(database, held).alpha == pytest.approx(0.0375)
    assert read(database, held).delta == pytest.approx(0.04)


def test_each_segment_has_evidence_and_a_share_of_the_chance_of_its_own(database: Database) -> None:
    held = earning.earned(database, evidence={"segments": {"north": 'region == "north"'}, "by_label": True})
    earning.traffic(database, held, 100, label="pay")
    earning.traffic(database, held, 30, errors=3, label="deny")
    units = read(database, held).units
    assert set(units) == {"north:deny", "north:pay", ":deny", ":pay"}
    assert units["north:pay"].delta == pytest.approx(0.05 / 4)
    assert [units[name].bands[0].n for name in ("north:pay", "north:deny", ":pay")] == [100, 30, 0]
    assert units["north:pay"].called == "pay in north"


def test_rules_are_stages_with_their_own_least_chance(database: Database) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 0.25}, evidence={"most_missed": 0}))
    earning.traffic(database, held, 400, errors=1)
    key = factories.keys(database).draw_key_id
    wished = factories.policy(audit={"rate": 0.5}, evidence={"most_missed": 0})
    database.write(projects.apply, factories.project(), wished, "Read the file.", key, by=None)
    earning.traffic(database, held, 200, errors=1)
    band = strictest(database, held)
    assert (band.n, band.drawn, band.errors) == (600, 200, 2)
    assert band.estimate == pytest.approx((1 / 0.25 + 1 / 0.5) / 600)
    groups = [Group(1, 0.25, 0.25, False, 399), Group(1, 0.25, 0.25, True, 1), Group(2, 0.5, 0.5, False, 199)]
    assert band.log_e == pytest.approx(betting.log_e([*groups, Group(2, 0.5, 0.5, True, 1)], 0.01))


def test_without_spot_checks_there_is_no_evidence(database: Database) -> None:
    held = factories.setting(database)
    earning.traffic(database, held, 100)
    band = strictest(database, held)
    assert (band.n, band.estimate, band.log_e) == (0, None, 0.0)


def test_before_a_model_acts_there_is_none(database: Database) -> None:
    key = factories.keys(database).draw_key_id
    applied = database.write(projects.apply, factories.project(), factories.policy(), "", key, by=None)
    assert database.read(evidence.read, applied.setting) is None


def test_what_crossed_the_line_once_stays_certified_and_only_in_order(database: Database, held: Setting) -> None:
    earning.traffic(database, held, 80, sure=0.96)
    first = read(database, held)
    assert first.units[""].certified is not None
    assert database.write(evidence.keep, first) == 6
    earning.traffic(database, held, 30, errors=25, sure=0.96)
    after = read(database, held)
    assert after.units[""].bands[0].log_e < after.units[""].line
    assert after.units[""].bands[0].certified_at is not None
    assert database.write(evidence.keep, after) == 0


def test_a_lower_threshold_is_not_certified_before_the_stricter_ones(database: Database, held: Setting) -> None:
    earning.traffic(database, held, 40, errors=4, sure=0.96)
    earning.traffic(database, held, 600, sure=0.75)
    bands = read(database, held).units[""].bands
    assert bands[-1].log_e > read(database, held).units[""].line > bands[0].log_e
    assert read(database, held).units[""].certified is None


def test_checks_are_told_by_day_and_waiting_ones_count_as_right(database: Database) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 0.5}))
    earning.traffic(database, held, 100, errors=3, open_=5, late=2)
    found = read(database, held)
    (day,) = database.read(audits.days, found.period_id, "", found.opened_at)
    assert (day.p, day.n, day.resolved, day.errors, day.late) == (0.5, 50, 45, 3, 2)
    assert audits.detected([day], 0.01) == betting.detector([(3, 50)], 0.01)[-1]
    assert audits.share([day]) == pytest.approx(5 / 45)


def test_where_all_that_acts_is_checked_the_detector_sees_it(database: Database) -> None:
    held = factories.setting(database, wished=factories.policy(audit={"rate": 1.0}))
    earning.traffic(database, held, 100, errors=3)
    found = read(database, held)
    assert database.read(audits.days, found.period_id, "", found.opened_at) == []
    (day,) = database.read(audits.days, found.period_id, "", found.opened_at, whole=list(found.made))
    assert (day.p, day.n, day.errors) == (1.0, 100, 3)


def test_values_that_a_condition_cannot_say_are_told_so() -> None:
    def condition(name: str, value: str) -> str | None:
        return audits.Seen("", name, value, 1, 1, 0.0, (0, 0)).condition

    assert condition("label", "pay") == 'label == "pay"'
    assert condition("label", 'the "best"') == "label == 'the \"best\"'"
    assert condition("sex", "f") == 'not sex is missing and sex == "f"'
    assert condition("label", "both ' and \"") is None
    assert condition("age band", "old") is None


def test_evidence_is_counted_by_its_indexes(database: Database, held: Setting) -> None:
    earning.traffic(database, held, 3000, open_=10)
    with Seen(database.engine) as seen:
        read(database, held)
    assert seen.wholes() == []
    if database.engine.dialect.name == "sqlite":
        assert {"routing_evidence", "draw_evidence", "draw_open", "decision_gold"} <= seen.indexes()


def test_an_open_lease_is_no_answer(database: Database, held: Setting, ann: Actor, move: Move) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.99)})
    take(database, held, ann)
    move(timedelta(hours=1))
    database.write(claims.expire)
    assert (strictest(database, held).n, read(database, held).open_draws) == (0, 1)


@pytest.mark.parametrize(
    ("name", "value", "condition"),
    [
        ("label", "pay", 'label == "pay"'),
        ("region", "north", 'not region is missing and region == "north"'),
        ("region", 'the "far" north', "not region is missing and region == 'the \"far\" north'"),
        ("region", "both ' and \"", None),
        ("not", "x", None),
        ("sex at birth", "x", None),
    ],
)
def test_what_is_kept_from_acting_alone_is_a_condition_that_can_be_read(name: str, value: str, condition: str | None) -> None:
    assert audits.Seen("", name, value, 10, 9, 5.0, (10, 0)).condition == condition
