"""Flags: whose, on what, and what of them a person sees who may still have to answer blind."""

import pytest
from sqlalchemy import select

from db.engine import Database
from db.tables import Activity, Flag
from review_queue import decisions, flags
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.errors import Forbidden, Invalid, NotFound
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import at_once, take

pytestmark = pytest.mark.usefixtures("sound")


def rows(database: Database) -> list[Flag]:
    return database.read(lambda session: list(session.scalars(select(Flag).order_by(Flag.id))))


def test_a_flag_goes_up_and_down(database: Database, held: Setting, ann: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    item = take(database, held, ann)[0].item_id
    assert database.write(flags.toggle, held, ann, item)
    assert database.read(flags.is_flagged, item, ann.id)
    assert not database.write(flags.toggle, held, ann, item)
    assert not database.read(flags.is_flagged, item, ann.id)
    assert database.write(flags.flag, held, ann, item, " look at the date ")
    assert not database.write(flags.flag, held, ann, item, "again")
    assert [(each.note, each.ended_at is None) for each in rows(database)] == [(None, False), ("look at the date", True)]
    verbs = database.read(lambda session: session.scalars(select(Activity.verb).where(Activity.subject == f"item:{item}")).all())
    assert [each for each in verbs if each.endswith("flag")] == ["item.flag", "item.unflag", "item.flag"]


def test_a_flag_stays_when_the_case_is_answered_and_a_lead_puts_it_down(
    database: Database, held: Setting, ann: Actor, bob: Actor, lea: Actor
) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    case = take(database, held, ann)[0]
    database.write(flags.flag, held, ann, case.item_id, "why is it paid twice?")
    database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
    seen = database.read(flags.listed, held.id, lea)
    assert [(each.external_id, each.person, each.note) for each in seen.shown] == [("1", "ann", "why is it paid twice?")]
    assert database.read(flags.listed, held.id, bob).shown == ()
    with pytest.raises(Forbidden, match="for leads"):
        database.write(flags.put_down, held, case.item_id, by=bob)
    assert database.write(flags.put_down, held, case.item_id, by=lea) == 1
    with pytest.raises(NotFound, match="no flag"):
        database.write(flags.put_down, held, case.item_id, by=lea)
    assert database.read(flags.count, held.id) == 0


def test_a_reviewer_flags_what_was_in_their_hands_alone(database: Database, held: Setting, ann: Actor, bob: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    item = take(database, held, ann)[0].item_id
    with pytest.raises(Forbidden, match="hold"):
        database.write(flags.toggle, held, bob, item)
    eve = factories.person(database, "eve", "viewer")
    with pytest.raises(Forbidden, match="viewer"):
        database.write(flags.flag, held, eve, item)
    other = factories.setting(database, factories.project(project="other"))
    with pytest.raises(NotFound, match="no such"):
        database.write(flags.flag, other, ann, item)
    with pytest.raises(NotFound, match="no such"):
        database.write(flags.flag, held, ann, 99_999)
    assert rows(database) == []


def test_what_others_think_is_kept_back_from_who_may_answer_blind(database: Database, ann: Actor, lea: Actor) -> None:
    held = factories.setting(database, wished=factories.policy(review={"second_opinion": 1.0}))
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    case = next(case for case in take(database, held, ann) if not case.blind)
    database.write(flags.flag, held, ann, case.item_id, "the model is wrong")
    database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "correct", "deny"))
    seen = database.read(flags.listed, held.id, lea)
    assert (seen.shown, seen.kept_back) == ((), 1)
    assert [each.note for each in database.read(flags.listed, held.id, ann).shown] == ["the model is wrong"]


@pytest.mark.parametrize("note", ["x" * 2001, "a\x00b", "\ud800"])
def test_a_note_that_cannot_be_kept_is_refused(database: Database, held: Setting, ann: Actor, note: str) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    item = take(database, held, ann)[0].item_id
    with pytest.raises(Invalid, match="note"):
        database.write(flags.flag, held, ann, item, note)


def test_one_flag_each_however_often_it_is_put_up_at_once(database: Database, held: Setting, ann: Actor, lea: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    item = take(database, held, ann)[0].item_id
    acts = [lambda who=who: database.write(flags.flag, held, who, item) for who in (ann, lea) * 4]
    assert at_once(acts) == []
    assert len(rows(database)) == 2
    assert at_once([lambda: database.write(flags.put_down, held, item, by=lea)] * 1) == []
    assert [each.ended_by for each in rows(database)] == [lea.id, lea.id]
