"""Answers that stand: seats in any order, disputes, undo after the fact, leases that end twice."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select

from contract.project import Project
from db.engine import Database
from db.tables import Activity, Decision, Draw, Outbox, Outcome
from review_queue import checks, claims, decisions, events, outcomes, projects
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.errors import AlreadyDecided, AnswerFirst, ClaimExpired, Invalid
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import Move, take


def stands(database: Database) -> list[tuple[str | None, str, int]]:
    rows = database.read(lambda s: list(s.scalars(select(Outcome).order_by(Outcome.item_id, Outcome.revision))))
    return [(row.label, row.source, row.revision) for row in rows]


def leaves(database: Database) -> list[str]:
    return database.read(lambda s: list(s.scalars(select(Outbox.kind).order_by(Outbox.id))))


def draws(database: Database) -> Sequence[tuple[str, str | None, int | None]]:
    return database.read(lambda s: [(d.purpose, d.resolved_as, d.loss) for d in s.scalars(select(Draw).order_by(Draw.purpose))])


def say(database: Database, held: Setting, actor: Actor, label: str, *, blind: bool = False) -> decisions.Stored:
    """Take the next case and give this label; blind cases first and finally."""
    case = take(database, held, actor)[0]
    assert case.blind == blind
    if blind:
        database.write(decisions.answer, actor, case.task_id, case.token, f"f-{actor.name}-{case.task_id}", label)
    said = Said(f"{actor.name}-{case.task_id}", "accept" if label == "pay" else "correct", None if label == "pay" else label)
    return database.write(decisions.decide, actor, case.task_id, case.token, said)


class TestSeats:
    @pytest.fixture
    def held(self, database: Database) -> Setting:
        return factories.setting(database, wished=factories.policy(review={"reviewers": 2}))

    def test_an_undo_by_either_seat_takes_back_what_rests_on_both(
        self, database: Database, held: Setting, ann: Actor, bob: Actor, move: Move
    ) -> None:
        factories.routed(database, held, {"1": factories.says("pay", 0.6)})
        first_seat, second_seat = take(database, held, ann)[0], take(database, held, bob)[0]
        later = database.write(decisions.decide, bob, second_seat.task_id, second_seat.token, Said("b", "accept"))
        last = database.write(decisions.decide, ann, first_seat.task_id, first_seat.token, Said("a", "accept"))
        assert (stands(database), leaves(database)) == ([("pay", "human", 1)], ["outcome"])
        for actor, stored in ((ann, last), (bob, later)):
            database.write(decisions.undo, actor, stored.id)
            assert (stands(database), leaves(database)) == ([], [])
            case = take(database, held, actor)[0]
            stored = database.write(decisions.decide, actor, case.task_id, case.token, Said(f"{actor.name}2", "accept"))
            assert (stands(database), leaves(database)) == ([("pay", "human", 1)], ["outcome"])
        move(timedelta(seconds=16))
        assert database.write(events.sequence) == 1
        database.write(decisions.undo, bob, stored.id)
        assert stands(database) == [("pay", "human", 1)]  # it has left: it stands until revised


def test_an_answer_on_which_an_adjudication_rests_stays_when_it_is_taken_back(database: Database, ann: Actor, bob: Actor) -> None:
    held = factories.setting(database, wished=factories.policy(review={"second_opinion": 1.0}))
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    seats = {take(database, held, each)[0].blind: each for each in (ann, bob)}
    given = say(database, held, seats[False], "pay")
    say(database, held, seats[True], "deny", blind=True)
    say(database, held, factories.person(database, "cem"), "deny", blind=True)
    before = stands(database), leaves(database)
    assert before == ([("pay", "human", 1), ("deny", "adjudicated", 2)], ["outcome", "revision"])
    database.write(decisions.undo, seats[False], given.id)
    assert (stands(database), leaves(database)) == before
    assert database.read(checks.problems) == []


class TestBlindSeats:
    """Two seats, both drawn: the first blind answer is the evidence."""

    @pytest.fixture
    def held(self, database: Database) -> Setting:
        return factories.setting(database, wished=factories.policy(review={"reviewers": 2}, audit={"rate": 1.0}))

    def test_an_agreeing_second_seat_does_not_settle_what_the_first_disputed(
        self, database: Database, held: Setting, ann: Actor, bob: Actor
    ) -> None:
        factories.routed(database, held, {"1": factories.says("pay", 0.6)})
        say(database, held, ann, "deny", blind=True)
        assert draws(database) == [("evidence", None, None)]
        say(database, held, bob, "pay", blind=True)
        assert draws(database) == [("evidence", None, None)]
        cat = factories.person(database, "cat")
        say(database, held, cat, "deny", blind=True)
        assert draws(database) == [("evidence", "adjudicated", 1)]
        assert stands(database) == [("deny", "adjudicated", 1)]

    def test_a_disputing_second_seat_changes_nothing_of_the_evidence(
        self, database: Database, held: Setting, ann: Actor, bob: Actor
    ) -> None:
        factories.routed(database, held, {"1": factories.says("pay", 0.6)})
        say(database, held, ann, "pay", blind=True)
        say(database, held, bob, "deny", blind=True)
        assert draws(database) == [("evidence", "blind", 0)]
        assert len(factories.tasks(database, kind="adjudication")) == 1


def test_a_second_opinion_says_nothing_anew_where_it_agrees(database: Database, ann: Actor, bob: Actor) -> None:
    held = factories.setting(database, wished=factories.policy(review={"second_opinion": 1.0}))
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    case = next(c for c in take(database, held, ann, 2) if not c.blind)
    database.write(decisions.decide, ann, case.task_id, case.token, Said("a", "accept"))
    say(database, held, bob, "pay", blind=True)
    assert (stands(database), leaves(database)) == ([("pay", "human", 1)], ["outcome"])
    assert draws(database) == [("second", "blind", None)]


class TestAudits:
    def test_what_corrects_nothing_does_not_correct_by_adjudication_either(
        self, database: Database, ann: Actor, bob: Actor
    ) -> None:
        held = factories.setting(database, wished=factories.policy(audit={"rate": 1.0, "corrects": False}))
        factories.routed(database, held, {"1": factories.says("pay", 0.97)})
        say(database, held, ann, "deny", blind=True)
        say(database, held, bob, "deny", blind=True)
        assert stands(database) == [("pay", "auto", 1)]
        assert leaves(database) == ["outcome", "disputed", "disputed"]
        assert draws(database) == [("evidence", "adjudicated", 1)]

    def test_an_answer_after_the_draw_fell_due_corrects_but_is_no_evidence(
        self, database: Database, ann: Actor, move: Move
    ) -> None:
        held = factories.setting(database, wished=factories.policy(audit={"rate": 1.0}))
        factories.routed(database, held, {"1": factories.says("pay", 0.97)})
        move(timedelta(days=8))
        assert database.write(outcomes.resolve_overdue) == 1
        say(database, held, ann, "pay", blind=True)
        assert draws(database) == [("evidence", "overdue", 1)]
        assert database.write(outcomes.resolve_overdue) == 0
        assert factories.tasks(database, kind="adjudication") == []

    def test_undo_and_a_new_answer_never_change_the_loss(self, database: Database, ann: Actor) -> None:
        held = factories.setting(database, wished=factories.policy(audit={"rate": 1.0}))
        factories.routed(database, held, {"1": factories.says("pay", 0.97)})
        stored = say(database, held, ann, "pay", blind=True)
        database.write(decisions.undo, ann, stored.id)
        case = take(database, held, ann)[0]
        assert (case.first_label, case.first_given) == ("pay", True)
        database.write(decisions.decide, ann, case.task_id, case.token, Said("again", "correct", "deny"))
        assert draws(database) == [("evidence", "blind", 0)]
        assert stands(database)[-1] == ("deny", "human", 2)

    def test_a_lease_that_ends_twice_keeps_the_answer_twice_and_stops_nobody(
        self, database: Database, ann: Actor, bob: Actor, move: Move
    ) -> None:
        held = factories.setting(database, wished=factories.policy(audit={"rate": 1.0}))
        factories.routed(database, held, {"1": factories.says("pay", 0.97), "2": factories.says("pay", 0.97)})
        case = take(database, held, ann)[0]
        database.write(decisions.answer, ann, case.task_id, case.token, "f", "pay")
        move(timedelta(minutes=11))
        database.write(claims.expire)
        kept = database.read(decisions.last_of, ann, held.id)
        assert kept is not None
        database.write(decisions.undo, ann, kept.id)
        move(timedelta(minutes=11))
        assert take(database, held, bob) != []  # claiming expires first: it must not fail on the kept answer
        rows = database.read(lambda s: list(s.scalars(select(Decision).order_by(Decision.id))))
        assert [(row.stage, row.supersedes_id) for row in rows] == [("first", None), ("final", None), ("final", rows[1].id)]
        verbs = database.read(lambda s: list(s.scalars(select(Activity.verb).where(Activity.subject.like("item:%")))))
        assert verbs.count("decision.kept") == 2

    def test_a_client_cannot_stand_in_the_way_of_a_kept_answer(
        self, database: Database, ann: Actor, bob: Actor, move: Move
    ) -> None:
        held = factories.setting(database, wished=factories.policy(audit={"rate": 1.0}))
        factories.routed(database, held, {"1": factories.says("pay", 0.97), "2": factories.says("pay", 0.97)})
        case, other = take(database, held, ann)[0], take(database, held, bob)[0]
        database.write(decisions.answer, ann, case.task_id, case.token, "f", "pay")
        database.write(decisions.answer, bob, other.task_id, other.token, "f/kept", "pay")
        move(timedelta(minutes=11))
        assert database.write(claims.expire) == 2


class TestTokens:
    """What a token allows after its claim ended."""

    def test_what_was_escalated_released_or_taken_away_is_no_longer_mine(
        self, database: Database, held: Setting, ann: Actor
    ) -> None:
        lead = factories.person(database, "lea", "lead")
        factories.routed(database, held, {str(n): factories.says("pay", 0.6) for n in range(3)})
        escalated, released, taken = take(database, held, ann, 3)
        database.write(decisions.decide, ann, escalated.task_id, escalated.token, Said("e", "escalate"))
        database.write(claims.release, ann, [released.token])
        database.write(claims.release_of, taken.task_id, by=lead)
        with pytest.raises(AlreadyDecided):
            database.write(decisions.decide, ann, escalated.task_id, escalated.token, Said("e2", "accept"))
        for case in (released, taken):
            with pytest.raises(ClaimExpired):
                database.write(decisions.decide, ann, case.task_id, case.token, Said(f"k{case.task_id}", "accept"))
        assert {task.state for task in factories.tasks(database)} == {"pending"}

    def test_a_late_answer_to_one_seat_is_refused_to_whoever_has_another(
        self, database: Database, ann: Actor, move: Move
    ) -> None:
        held = factories.setting(database, wished=factories.policy(review={"reviewers": 2}))
        factories.routed(database, held, {"1": factories.says("pay", 0.6)})
        first = take(database, held, ann)[0]
        move(timedelta(minutes=11))
        bob = factories.person(database, "bob")
        blocked = take(database, held, bob)[0]
        second = take(database, held, ann, session="other")[0]
        assert (blocked.task_id, second.task_id != first.task_id) == (first.task_id, True)
        database.write(claims.release, bob, [blocked.token])
        with pytest.raises(ClaimExpired):
            database.write(decisions.decide, ann, first.task_id, first.token, Said("k", "accept"))

    def test_a_late_blind_first_answer_gets_a_whole_lease(self, database: Database, ann: Actor, move: Move) -> None:
        held = factories.setting(database, wished=factories.policy(audit={"rate": 1.0}))
        factories.routed(database, held, {"1": factories.says("pay", 0.97)})
        case = take(database, held, ann)[0]
        move(timedelta(minutes=11))
        database.write(claims.expire)
        database.write(decisions.answer, ann, case.task_id, case.token, "f", "deny")
        assert database.write(claims.expire) == 0
        assert take(database, held, ann)[0].first_label == "deny"


class TestForms:
    @pytest.mark.parametrize(
        ("key", "seconds", "words"),
        [("", 1.0, "UUID"), ("k" * 201, 1.0, "UUID"), ("a\x00b", 1.0, "UUID"), ("\ud800", 1.0, "UUID"), ("k", -1.0, "no time"),
         ("k", float("nan"), "no time"), ("k", float("inf"), "no time")],
    )  # fmt: skip
    def test_a_first_answer_is_checked_like_a_decision(self, sqlite: Database, key: str, seconds: float, words: str) -> None:
        held = factories.setting(sqlite, wished=factories.policy(audit={"rate": 1.0}))
        ann = factories.person(sqlite, "ann")
        factories.routed(sqlite, held, {"1": factories.says("pay", 0.97)})
        case = take(sqlite, held, ann)[0]
        with pytest.raises(Invalid, match=words):
            sqlite.write(decisions.answer, ann, case.task_id, case.token, key, "pay", seconds)

    @pytest.mark.parametrize(
        "said", [Said("k", "correct", "\ud800"), Said("k", "accept", comment="\ud800"), Said("k", "skip", reason="\udfff")]
    )
    def test_a_lone_surrogate_is_refused_and_no_crash(self, sqlite: Database, said: Said) -> None:
        held, ann = factories.setting(sqlite), factories.person(sqlite, "ann")
        factories.routed(sqlite, held, {"1": factories.says("pay", 0.6)})
        case = take(sqlite, held, ann)[0]
        with pytest.raises(Invalid):
            sqlite.write(decisions.decide, ann, case.task_id, case.token, said)

    def test_a_predicted_label_that_the_project_gave_up_cannot_be_accepted(self, sqlite: Database) -> None:
        wanted = factories.project(labels=["deny", "pay", "ask"])
        factories.setting(sqlite, wanted)
        key = factories.keys(sqlite).draw_key_id
        fewer = factories.project(labels=["deny", "pay"])
        sqlite.write(projects.apply, fewer, factories.policy(), "", key, by=None)
        held = sqlite.read(projects.get, "claims")
        ann = factories.person(sqlite, "ann")
        factories.routed(sqlite, held, {"1": factories.says("ask", 0.97, ("deny", "pay", "ask"))})
        case = take(sqlite, held, ann)[0]
        with pytest.raises(Invalid, match="no label 'ask'"):
            sqlite.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
        sqlite.write(decisions.decide, ann, case.task_id, case.token, Said("k", "correct", "pay"))

    def test_a_new_label_may_be_given_at_once(self, sqlite: Database) -> None:
        held, ann = factories.setting(sqlite), factories.person(sqlite, "ann")
        factories.routed(sqlite, held, {"1": factories.says("pay", 0.6)})
        case = take(sqlite, held, ann)[0]
        more: Project = factories.project(labels=["deny", "pay", "ask"])
        sqlite.write(projects.apply, more, factories.policy(), "", factories.keys(sqlite).draw_key_id, by=None)
        sqlite.write(decisions.decide, ann, case.task_id, case.token, Said("k", "correct", "ask"))
        assert stands(sqlite) == [("ask", "human", 1)]

    def test_blind_first_all_asks_everybody_blind_and_opens_no_dispute(self, sqlite: Database) -> None:
        held = factories.setting(sqlite, wished=factories.policy(review={"blind_first": "all"}))
        ann = factories.person(sqlite, "ann")
        factories.routed(sqlite, held, {"1": factories.says("pay", 0.6)})
        case = take(sqlite, held, ann)[0]
        with pytest.raises(AnswerFirst):
            sqlite.write(decisions.decide, ann, case.task_id, case.token, Said("k", "accept"))
        say(sqlite, held, ann, "deny", blind=True)
        assert (stands(sqlite), factories.tasks(sqlite, kind="adjudication")) == ([("deny", "human", 1)], [])
