"""The log: who, for whom, by which door; in the transaction of the change itself."""

import pytest
from sqlalchemy.orm import Session

from db.engine import Database
from review_queue import activity, decisions, projects
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.errors import AlreadyDecided
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import take


def test_both_are_stored_where_a_key_names_another_person(database: Database, held: Setting, ann: Actor, bob: Actor) -> None:
    factories.routed(database, held, {"1": factories.says("pay", 0.6)})
    spoken = Actor(ann.id, "ann", "reviewer", "api", recorded_by=bob.id)
    case = take(database, held, spoken)[0]
    database.write(decisions.decide, spoken, case.task_id, case.token, Said("k", "accept"))
    act = database.read(activity.recent, held.id)[0]
    assert (act.actor, act.on_behalf_of, act.via, act.verb) == ("bob", "ann", "api", "decision.accept")
    assert act.after == {"decision": "1", "verdict": "accept", "label": "pay", "blind": False}


def test_newest_first_of_one_project_or_one_subject(sqlite: Database) -> None:
    held, other = factories.setting(sqlite), factories.setting(sqlite, factories.project(project="other"))
    by = factories.person(sqlite, "adam", "admin")
    for n in range(3):
        sqlite.write(activity.record, by, f"verb{n}", f"item:{n % 2}", project_id=held.id)
    sqlite.write(activity.record, None, "verb", "item:9", project_id=other.id)
    assert [act.verb for act in sqlite.read(activity.recent, held.id, limit=3)] == ["verb2", "verb1", "verb0"]
    assert [act.verb for act in sqlite.read(activity.of_subject, "item:0")] == ["verb2", "verb0"]
    assert [(act.actor, act.via) for act in sqlite.read(activity.recent, other.id, limit=1)] == [(None, "worker")]


def test_what_is_rolled_back_was_never_done(sqlite: Database) -> None:
    held, by = factories.setting(sqlite), factories.person(sqlite, "olga", "owner")
    before = len(sqlite.read(activity.recent, held.id))

    def fail(session: Session) -> None:
        projects.freeze(session, "claims", held.policy_version_id, by=by)
        raise AlreadyDecided

    with pytest.raises(AlreadyDecided):
        sqlite.write(fail)
    assert len(sqlite.read(activity.recent, held.id)) == before
    assert sqlite.read(projects.get, "claims").frozen_at is None


def test_an_act_on_a_case_holds_none_of_its_data(sqlite: Database) -> None:
    held, ann = factories.setting(sqlite), factories.person(sqlite, "ann")
    factories.routed(sqlite, held, {"1": factories.says("pay", 0.6)}, region="a-secret-place")
    case = take(sqlite, held, ann)[0]
    stored = sqlite.write(decisions.decide, ann, case.task_id, case.token, Said("k", "correct", "deny", comment="a-secret-word"))
    sqlite.write(decisions.undo, ann, stored.id)
    acts = sqlite.read(activity.recent, held.id)
    assert [act.verb for act in acts[:2]] == ["decision.undo", "decision.correct"]
    assert "secret" not in str(acts)
