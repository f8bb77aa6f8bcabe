"""Figures counted by hand in small worlds."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from contract.records import Unscored, Unshowable
from db.engine import Database
from db.tables import ItemKey, Task
from review_queue import decisions, explanations, insights
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.insights import Insight, Share
from review_queue.people import KNOWN_ANSWERS
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import Move, take


def look(database: Database, held: Setting) -> Insight:
    return database.read(insights.insight, held.id)


def decide(database: Database, held: Setting, actor: Actor, said: dict[str, str | None], seconds: float | None = None) -> None:
    """Answer every case that waits by its external id; None rejects."""
    while cases_ := take(database, held, actor):
        case = cases_[0]
        label = said[case.external_id]
        if case.blind:
            database.write(decisions.answer, actor, case.task_id, case.token, f"f{case.task_id}", label)
        case = take(database, held, actor)[0]
        assert case.prediction is not None
        verdict = "reject" if label is None else "accept" if label == case.prediction.label else "correct"
        reason = "no label fits" if label is None else None
        given = label if verdict == "correct" else None
        made = Said(f"k{case.task_id}", verdict, given, reason=reason, seconds=seconds)  # type: ignore[arg-type]
        database.write(decisions.decide, actor, case.task_id, case.token, made)


def test_an_empty_project_has_no_figures(sqlite: Database) -> None:
    held = factories.setting(sqlite)
    empty = look(sqlite, held)
    assert (empty.routed, empty.automation.value, empty.override.value, empty.bands, empty.labels) == (0, None, None, (), ())
    assert sqlite.read(insights.totals, held.id) == {"items": 0}
    backlog = sqlite.read(insights.backlog, held.id)
    assert (backlog.waiting, backlog.held, backlog.oldest, backlog.overdue) == (0, 0, None, 0)


def test_a_small_world(database: Database, held: Setting, ann: Actor) -> None:
    answers = {
        "a1": factories.says("pay", 0.95), "a2": factories.says("pay", 0.99), "a3": factories.says("deny", 0.93),
        "r1": factories.says("pay", 0.65), "r2": factories.says("pay", 0.68), "r3": factories.says("deny", 0.75),
        "r4": factories.says("deny", 0.85), "u1": Unscored("NaN"), "f1": Unshowable("broken"),
    }  # fmt: skip
    factories.routed(database, held, answers)
    factories.submit(database, held, [factories.raw("new")])
    before = database.read(insights.backlog, held.id)
    assert (before.waiting, before.held, before.unscored, before.decided) == (5, 0, 1, 0)
    decide(database, held, ann, {"r1": "pay", "r2": "deny", "r3": "deny", "r4": None, "u1": "pay"}, seconds=20)
    seen = look(database, held)
    assert (seen.routed, seen.automation) == (9, Share(3, 8))
    assert seen.override == Share(2, 4)
    assert seen.rejected == 1
    assert (seen.decisions_last_hour, seen.decisions_per_hour, seen.seconds_median) == (5, 180.0, 20)
    assert seen.known_answers == Share(0, 5)
    bands = {round(band.low, 1): (band.routed, band.alone, band.labelled, band.agreed) for band in seen.bands}
    assert bands == {
        0.6: (2, 0, 2, Share(1, 2)), 0.7: (1, 0, 1, Share(1, 1)), 0.8: (1, 0, 1, Share(0, 1)), 0.9: (3, 3, 0, Share(0, 0)),
    }  # fmt: skip
    by_label = {each.label: (each.predicted, each.answered, each.precision, each.recall) for each in seen.labels}
    assert by_label == {"pay": (2, 1, Share(1, 2), Share(1, 1)), "deny": (2, 2, Share(1, 2), Share(1, 2))}
    assert database.read(insights.totals, held.id) == {"items": 10, "outcomes_auto": 3, "outcomes_human": 5}


def test_audits_count_at_one_over_pi(sqlite: Database) -> None:
    held = factories.setting(sqlite, wished=factories.policy(audit={"rate": 0.25}))
    ann = factories.person(sqlite, "ann")
    factories.routed(sqlite, held, {f"a{n}": factories.says("pay", 0.95) for n in range(60)})
    audits = len(factories.tasks(sqlite, kind="audit"))
    assert 5 <= audits <= 30
    factories.routed(sqlite, held, {f"r{n}": factories.says("deny", 0.55) for n in range(4)})
    wrong = {f"a{n}": "deny" if n % 2 else "pay" for n in range(60)} | {f"r{n}": "deny" for n in range(4)}
    decide(sqlite, held, ann, wrong)
    seen = look(sqlite, held)
    high = next(band for band in seen.bands if band.low == 0.9)
    query = select(ItemKey.external_id).join(Task, Task.item_id == ItemKey.item_id).where(Task.kind == "audit")
    agreed = sum(1 for external_id in sqlite.read(lambda s: s.scalars(query).all()) if wrong[external_id] == "pay")
    assert (high.routed, high.alone, high.labelled) == (60, 60, audits)
    assert high.agreed == Share(4.0 * agreed, 4.0 * audits)
    deny = next(each for each in seen.labels if each.label == "deny")
    assert deny.precision == Share(4.0, 4.0)
    assert deny.recall == Share(4.0, 4.0 + 4.0 * (audits - agreed))


def test_an_undone_answer_does_not_override(sqlite: Database) -> None:
    held, ann = factories.setting(sqlite), factories.person(sqlite, "ann")
    factories.routed(sqlite, held, {"1": factories.says("pay", 0.6)})
    case = take(sqlite, held, ann)[0]
    stored = sqlite.write(decisions.decide, ann, case.task_id, case.token, Said("a", "correct", "deny"))
    assert look(sqlite, held).override == Share(1, 1)
    sqlite.write(decisions.undo, ann, stored.id)
    assert look(sqlite, held).override == Share(0, 0)
    sqlite.write(decisions.decide, ann, case.task_id, case.token, Said("b", "accept"))
    assert look(sqlite, held).override == Share(0, 1)


def test_known_answers_are_told_apart(sqlite: Database) -> None:
    held = factories.setting(sqlite)
    played, ann = factories.person(sqlite, KNOWN_ANSWERS), factories.person(sqlite, "ann")
    factories.routed(sqlite, held, {"1": factories.says("pay", 0.6)})
    decide(sqlite, held, played, {"1": "pay"})
    factories.routed(sqlite, held, {"2": factories.says("pay", 0.6)})
    decide(sqlite, held, ann, {"2": "pay"})
    assert look(sqlite, held).known_answers == Share(1, 2)


def test_overdue_leads_and_reasons_ahead(sqlite: Database, move: Move) -> None:
    held = factories.setting(sqlite, wished=factories.policy(review={"due": "4h"}))
    ann = factories.person(sqlite, "ann")
    factories.person(sqlite, "lea", "lead")
    factories.routed(sqlite, held, {str(n): factories.says("pay", 0.6) for n in range(3)})
    case = take(sqlite, held, ann)[0]
    sqlite.write(decisions.decide, ann, case.task_id, case.token, Said("e", "escalate"))
    assert sqlite.write(explanations.order_ahead, held.id) == 3
    move(timedelta(hours=5))
    backlog = sqlite.read(insights.backlog, held.id)
    assert (backlog.waiting, backlog.waiting_for_leads, backlog.overdue, backlog.unexplained) == (3, 1, 3, 3)
    assert sqlite.read(insights.explained_ahead, held.id) == Share(0, 3)


def test_what_nobody_may_take_is_counted_apart(database: Database) -> None:
    held = factories.setting(database, wished=factories.policy(review={"second_opinion": 1.0}))
    ann = factories.person(database, "ann")
    factories.routed(database, held, {str(n): factories.says("pay", 0.6) for n in range(3)})
    case = next(case for case in take(database, held, ann, 3) if not case.blind)
    database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
    backlog = database.read(insights.backlog, held.id)
    assert (backlog.open, backlog.held, backlog.stuck, backlog.stuck_by) == (5, 2, 1, {"second": 1})
    assert backlog.waiting == 2


@pytest.mark.parametrize(("share", "value"), [(Share(1, 4), 0.25), (Share(0, 0), None), (Share(0, 3), 0.0)])
def test_a_share_of_nothing_is_no_number(share: Share, value: float | None) -> None:
    assert share.value == value
