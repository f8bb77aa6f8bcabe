"""The record of an item, and who must not see it yet."""

import pytest

from db.engine import Database
from review_queue import decisions, find
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.errors import Forbidden, NotFound
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import take


def test_the_whole_story_of_an_item(database: Database, held: Setting, ann: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    assert database.read(find.record, held, "1", by=ann).state == "waiting"
    case = take(database, held, ann)[0]
    database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "correct", "deny", comment="see page 2"))
    seen = database.read(find.record, held, "1", by=ann)
    assert (seen.state, seen.input["amount"], seen.groups) == ("decided", 120.5, {})
    assert [(r.route, r.label, r.confidence, r.pi, r.level) for r in seen.routings] == [("review", "pay", 0.6, 1.0, "set")]
    assert [(d.person, d.verdict, d.label, d.comment, d.kind) for d in seen.decisions] == [
        ("ann", "correct", "deny", "see page 2", "review")
    ]
    assert [(o.revision, o.label, o.source) for o in seen.outcomes] == [(1, "deny", "human")]
    assert [act.verb for act in seen.activity] == ["decision.correct"]
    assert list(seen.predictions.values()) == [pytest.approx({"deny": 0.4, "pay": 0.6})]


def test_unknown_and_unrouted(sqlite: Database) -> None:
    held, ann = factories.setting(sqlite), factories.person(sqlite, "ann")
    factories.submit(sqlite, held, [factories.raw("1")])
    assert sqlite.read(find.record, held, "1", by=ann).state == "received"
    with pytest.raises(NotFound, match="has no claim '2'"):
        sqlite.read(find.record, held, "2", by=ann)


class TestBlind:
    @pytest.fixture
    def held(self, database: Database) -> Setting:
        return factories.setting(database, wished=factories.policy(audit={"rate": 1.0}))

    def test_a_record_would_unblind_until_the_answer_is_given(
        self, database: Database, held: Setting, ann: Actor, bob: Actor
    ) -> None:
        factories.routed(database, held, {"1": factories.says("pay", 0.97)})
        for actor in (ann, bob, factories.person(database, "olga", "owner")):
            with pytest.raises(Forbidden, match="waits for a blind answer"):
                database.read(find.record, held, "1", by=actor)
        case = take(database, held, ann)[0]
        database.write(decisions.answer, ann, case.task_id, case.token, "f", "pay")
        assert database.read(find.record, held, "1", by=ann).draws[0]["purpose"] == "evidence"
        with pytest.raises(Forbidden):
            database.read(find.record, held, "1", by=bob)
        database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
        assert database.read(find.record, held, "1", by=bob).state == "decided"

    def test_skipping_looking_and_undoing_is_no_way_round(self, database: Database, held: Setting, ann: Actor) -> None:
        factories.routed(database, held, {"1": factories.says("pay", 0.97)})
        case = take(database, held, ann)[0]
        database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "skip"))
        with pytest.raises(Forbidden):
            database.read(find.record, held, "1", by=ann)

    def test_an_adjudication_keeps_the_record_from_those_who_may_settle_it(
        self, database: Database, held: Setting, ann: Actor, bob: Actor
    ) -> None:
        factories.routed(database, held, {"1": factories.says("pay", 0.97)})
        case = take(database, held, ann)[0]
        database.write(decisions.answer, ann, case.task_id, case.token, "f", "deny")
        database.write(decisions.decide, ann, case.task_id, case.token, Said("k", "correct", "deny"))
        assert database.read(find.record, held, "1", by=ann).state == "decided"
        with pytest.raises(Forbidden):
            database.read(find.record, held, "1", by=bob)


def test_search_is_by_the_beginning(database: Database, held: Setting) -> None:
    factories.submit(database, held, [factories.raw(each) for each in ("C-2", "C-10", "c-3", "D-1", "C%1", "C_1")])
    assert sorted(database.read(find.search, held.id, "C-")) == ["C-10", "C-2"]
    assert database.read(find.search, held.id, "C%") == ["C%1"]
    assert len(database.read(find.search, held.id, "", limit=4)) == 4
    assert database.read(find.search, held.id, "C\x00") == []
    assert database.read(find.search, held.id + 1, "C") == []


def test_what_was_taken_back_says_so(database: Database, held: Setting, ann: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    case = take(database, held, ann)[0]
    stored = database.write(decisions.decide, ann, case.task_id, case.token, Said("a", "correct", "deny"))
    database.write(decisions.undo, ann, stored.id)
    database.write(decisions.decide, ann, case.task_id, case.token, Said("b", "accept"))
    said = database.read(find.record, held, "1", by=ann).decisions
    assert [(each.label, each.taken_back_at is not None, each.among_many) for each in said] == [
        ("deny", True, False),
        ("pay", False, False),
    ]
