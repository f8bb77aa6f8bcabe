"""What is told of an item that came back, and what must not be told."""

from datetime import timedelta
from typing import Any

import pytest

from app.ui.draw import desk
from db.engine import Database
from review_queue import cases, decisions, intake, requests, withdrawal
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.history import Past
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import Move, Statements, take


def decide(database: Database, actor: Actor, case: cases.Case, verdict: str = "accept", **said: Any) -> None:
    database.write(decisions.decide, actor, case.task_id, case.token, Said(f"k{case.task_id}{verdict}", verdict, **said))  # type: ignore[arg-type]


def test_nothing_is_asked_of_the_database_where_nothing_happened(database: Database, held: Setting, ann: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    case = take(database, held, ann)[0]
    assert case.past == ()
    assert desk.past(held.project, case) == ""
    with Statements(database.engine) as seen:
        database.read(cases.held, held, ann, "s")
    assert not [text for text in seen.texts if "outcome" in text]


def test_what_the_producer_sent_before_and_how_it_was_answered(
    database: Database, held: Setting, ann: Actor, bob: Actor, move: Move
) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    decide(database, ann, take(database, held, ann)[0], "correct", label="deny")
    move(timedelta(hours=2))
    shop = factories.person(database, "shop", "viewer")
    database.write(withdrawal.replace, held, intake.check(held.project, factories.raw("1", amount=7.0)), by=shop)
    factories.routed(database, held, {"2": factories.says("pay", 0.6), "1": factories.says("pay", 0.6)})
    told = {case.external_id: case for case in take(database, held, bob, 2)}
    assert told["2"].past == ()
    came, answered = told["1"].past
    assert (came.what, came.revision, came.changed) == ("received", 1, (("amount", 120.5),))
    assert (answered.what, answered.revision, answered.label, answered.alone) == ("answered", 1, "deny", False)
    drawn = desk.past(held.project, told["1"])
    assert "2 h ago revision 1 was answered by people: <b>deny</b>" in drawn
    assert "amount was <bdi" in drawn
    assert "ann" not in drawn


def test_why_a_case_was_escalated_reaches_the_lead(database: Database, held: Setting, ann: Actor, lea: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    decide(database, ann, take(database, held, ann)[0], "escalate", comment="<i>odd</i>")
    case = take(database, held, lea)[0]
    assert [(past.what, past.words) for past in case.past] == [("escalated", "<i>odd</i>")]
    assert "&lt;i&gt;odd&lt;/i&gt;" in desk.past(held.project, case)
    assert "<i>" not in desk.past(held.project, case)


def test_an_escalation_that_was_taken_back_says_nothing(database: Database, held: Setting, ann: Actor, lea: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    case = take(database, held, ann)[0]
    first = database.write(decisions.decide, ann, case.task_id, case.token, Said("k1", "escalate", comment="first"))
    database.write(decisions.undo, ann, first.id, session_name="s")
    case = database.read(cases.held, held, ann, "s")[0]
    assert case.past == ()
    database.write(decisions.decide, ann, case.task_id, case.token, Said("k2", "escalate", comment="second"))
    assert [past.words for past in take(database, held, lea)[0].past] == ["second"]


def test_whoever_looks_on_request_is_told_what_stands(database: Database, held: Setting, ann: Actor, lea: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.97)})
    database.write(requests.request, held, "1", "the customer disagrees", by=lea)
    case = take(database, held, ann)[0]
    assert [(past.what, past.label, past.alone) for past in case.past] == [("answered", "pay", True)]
    assert "was answered by the model alone: <b>pay</b>" in desk.past(held.project, case)


@pytest.mark.parametrize("reviews", [{"blind_first": "all"}, {"second_opinion": 1.0}])
def test_who_answers_blind_is_told_nothing_before_or_after_their_answer(
    database: Database, reviews: dict[str, Any], ann: Actor, bob: Actor
) -> None:
    held = factories.setting(database, wished=factories.policy(review=reviews))
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    case = take(database, held, ann)[0]
    if case.blind:
        database.write(decisions.answer, ann, case.task_id, case.token, "f", "deny")
    decide(database, ann, case, "correct", label="deny")
    shop = factories.person(database, "shop", "viewer")
    database.write(withdrawal.replace, held, intake.check(held.project, factories.raw("1", amount=7.0)), by=shop)
    factories.routed(database, held, {"2": factories.says("pay", 0.6), "1": factories.says("pay", 0.6)})
    found = [(person, each) for person in (ann, bob) for each in take(database, held, person, 4, "t") if each.blind]
    assert found
    assert all(each.past == () for _, each in found)
    holder, mine = found[0]
    database.write(decisions.answer, holder, mine.task_id, mine.token, "g", "deny")
    after = [each for each in database.read(cases.held, held, holder, "t") if each.blind]
    assert after
    assert all(each.past == () for each in after)


def test_two_answers_that_are_to_be_settled_are_not_told_of(database: Database, ann: Actor, bob: Actor, lea: Actor) -> None:
    held = factories.setting(database, wished=factories.policy(review={"second_opinion": 1.0}))
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    for person, label in ((ann, "pay"), (bob, "deny")):
        case = take(database, held, person)[0]
        if case.blind:
            database.write(decisions.answer, person, case.task_id, case.token, f"f{person.id}", label)
        decide(database, person, case, "accept" if label == "pay" else "correct", **({} if label == "pay" else {"label": label}))
    settling = take(database, held, lea)[0]
    assert len(settling.answers) == 2
    assert settling.past == ()


def test_only_the_latest_revisions_are_told(database: Database, held: Setting, ann: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    shop = factories.person(database, "shop", "viewer")
    for n in range(8):
        database.write(withdrawal.replace, held, intake.check(held.project, factories.raw("1", amount=float(n))), by=shop)
    factories.routed(database, held, {"2": factories.says("pay", 0.6), "1": factories.says("pay", 0.6)})
    case = next(each for each in take(database, held, ann, 2) if each.external_id == "1")
    assert [past.revision for past in case.past] == [4, 5, 6, 7, 8]
    assert all(isinstance(past, Past) and past.what == "received" for past in case.past)
