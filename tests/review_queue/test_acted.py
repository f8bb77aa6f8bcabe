"""What was routed in a period, and how often what acted alone was wrong: weights, limits, what is not back, what is not known."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app import known_answers
from db.engine import Database
from review_queue import acted, agreement, clock, people, periods
from review_queue.acted import Acted
from review_queue.periods import Period
from tests import factories
from tests.review_queue.acting import Move

ALWAYS = {"audit": {"rate": 1.0}, "evidence": {"max_error": 0.5}}
NOW = datetime(2026, 11, 28, tzinfo=UTC)


def alone(n: int, p: float = 0.5, wrong: bool | None = False, **changes: object) -> Acted:
    case = Acted(n, "auto", "pay", "", p, wrong is not None, wrong, NOW)
    return replace(case, **changes)  # type: ignore[arg-type]


def test_every_check_weighs_one_over_its_chance() -> None:
    rows = [alone(n) for n in range(6)] + [alone(9, wrong=True), alone(10, 0.1, True), alone(11, 0.1), alone(12, 0.1, None)]
    found = acted.wrong(rows, acted.enough(0.5))
    assert (found.alone, found.checked, found.wrong, found.needed) == (10, 9, 2, 8)
    assert found.share == pytest.approx((1 / 0.5 + 1 / 0.1) / (7 / 0.5 + 2 / 0.1))  # 12 / 34
    assert (found.low, found.high) == agreement.interval(12 / 34, 34**2 / (7 * 2**2 + 2 * 10**2))


@pytest.mark.parametrize(("checks", "known"), [(399, False), (400, True)])
def test_below_four_over_alpha_checks_it_is_unknown(checks: int, known: bool) -> None:
    found = acted.wrong([alone(n) for n in range(checks)], acted.enough(0.01))
    assert (found.known, found.share, found.checked) == (known, 0.0 if known else None, checks)


def test_cases_after_the_first_check_that_is_not_back_are_not_settled() -> None:
    rows = (alone(9), alone(8, wrong=None, drawn=True), alone(7), alone(6, p=0.0), alone(5, route="review"), alone(4))
    traffic = acted.Traffic(rows, True, acted._watermark(rows))
    assert traffic.watermark == 8
    assert [each.item_id for each in traffic.settled()] == [7, 4]


def test_the_cases_of_a_period_are_read_with_draws_and_groups(database: Database, move: Move) -> None:
    held = factories.setting(database, wished=factories.policy(**ALWAYS))
    factories.routed(database, held, {"old": factories.says("pay", 0.95)})
    move(timedelta(days=40))
    factories.submit(database, held, [{**factories.raw("a-1"), "groups": {"sex": "f"}}])
    said = {"a-1": factories.says("pay", 0.95), "a-2": factories.says("deny", 0.97), "r": factories.says("pay", 0.6)}
    factories.routed(database, held, said)
    period = periods.latest(30)
    before = database.read(acted.traffic, held.id, period.since, period.before)
    assert [each.route for each in before.rows].count("auto") == 2
    assert len(before.settled()) == 0
    answers = {"a-1": "deny", "a-2": "deny", "old": "pay", "r": "pay"}
    players = [database.write(known_answers.player, "worker", name) for name in people.PLAYERS]
    known_answers.work(database, held, answers, players, 20)
    found = database.read(acted.traffic, held.id, period.since, period.before)
    assert found.whole
    assert {(each.label, each.wrong, each.p, each.groups.get("sex")) for each in found.settled()} == {
        ("pay", True, 1.0, "f"),
        ("deny", False, 1.0, None),
    }
    older = database.read(acted.traffic, held.id, clock.now() - timedelta(days=60), period.before)
    assert len(older.rows) == 4
    cut = database.read(acted.traffic, held.id, clock.now() - timedelta(days=60), period.before, 2)
    assert (len(cut.rows), cut.whole) == (2, False)


def test_chunks_leave_nothing_out(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    held = factories.setting(database)
    factories.routed(database, held, {str(n): factories.says("pay", 0.95) for n in range(7)})
    monkeypatch.setattr(acted, "CHUNK", 3)
    period = periods.latest(1)
    rows = database.read(acted.traffic, held.id, period.since, period.before).rows
    assert len({each.item_id for each in rows}) == 7
    assert [each.item_id for each in rows] == sorted((each.item_id for each in rows), reverse=True)


def test_a_step_of_time_has_a_point_from_few_checks_on() -> None:
    period = Period(NOW.date() - timedelta(days=2), NOW.date())
    rows = [alone(n, 1.0, n == 0) for n in range(10)]
    rows += [alone(20 + n, 1.0, routed_at=NOW - timedelta(days=1)) for n in range(9)]
    early, middle, late = acted.stretches(acted.Traffic(tuple(rows), True, None), period)
    assert (early.wrong.alone, early.wrong.share) == (0, None)
    assert (middle.wrong.alone, middle.wrong.checked, middle.wrong.share) == (9, 9, None)
    assert (late.wrong.alone, late.wrong.share) == (10, 0.1)
