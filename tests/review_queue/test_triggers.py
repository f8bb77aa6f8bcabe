"""When the next model is trained: each trigger alone, what keeps it back, and that two processes write one job."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from db.engine import Database
from db.tables import Job, Model, ModelAlias
from retrain import registry
from review_queue import acting, challenges, claims, clock, decisions, jobs, keeping, notices, projects, triggers
from review_queue.activity import Actor
from review_queue.decisions import Said
from review_queue.errors import Refused
from review_queue.projects import Setting
from tests import elsewhere, factories
from tests.review_queue.acting import Move, at_once

DAY = timedelta(days=1)


def setting(database: Database, **retrain: Any) -> Setting:
    return factories.setting(database, wished=factories.policy(retrain=retrain))


def due(database: Database, held: Setting) -> str | None:
    found = database.read(triggers.due, held)
    return found.cause if found is not None else None


def answer(database: Database, held: Setting, who: Actor, first: int, count: int) -> None:
    factories.routed(database, held, {f"c{n}": factories.says("pay", 0.6) for n in range(first, first + count)})
    for hand in database.write(claims.claim, held.id, who, "s", count, timedelta(minutes=10)):
        database.write(decisions.decide, who, hand.task_id, hand.token, Said(f"k{hand.task_id}", "accept"))


def count(database: Database) -> int:
    return database.read(lambda s: s.scalar(select(func.count()).select_from(Job))) or 0


def challenger(database: Database, held: Setting) -> int:
    """Another model, of which nothing is here but its row, in shadow."""
    acts = database.read(acting.model_id, held.id)
    key = factories.keys(database).draw_key_id
    other = database.write(factories.champion, held, key)
    database.write(lambda s: s.execute(update(ModelAlias).where(ModelAlias.alias == "champion").values(model_id=acts)))
    database.write(challenges.begin, held, other)
    return other


def test_so_many_new_labels_are_asked_for_once(database: Database, ann: Actor, move: Move) -> None:
    held = setting(database, labels=10, rest="1h")
    move(timedelta(hours=2))
    answer(database, held, ann, 0, 9)
    assert due(database, held) is None
    answer(database, held, ann, 9, 1)
    assert due(database, held) == "labels"
    assert database.read(triggers.is_due)
    assert at_once([lambda: database.write(triggers.ask)] * 4) == []
    assert count(database) == 1
    assert not database.read(triggers.is_due)
    job = database.write(jobs.lease, "w")
    assert job is not None
    assert (job.kind, job.asked_by, job.args["cause"]) == ("retrain", None, "labels")
    assert job.args["said"] == "10 new labels since the last training"
    database.write(jobs.finish, job.id, "w", error="no rows")
    assert due(database, held) is None  # one that failed rests as well
    move(timedelta(hours=1, seconds=1))
    assert due(database, held) == "labels"


def test_labels_count_from_the_last_training_on(database: Database, ann: Actor, move: Move) -> None:
    held = setting(database, labels=10, rest="1h")
    move(timedelta(hours=2))
    answer(database, held, ann, 0, 10)
    database.write(lambda s: s.execute(update(Model).values(made_at=clock.now())))
    move(timedelta(hours=2))
    assert due(database, held) is None
    answer(database, held, ann, 10, 10)
    assert due(database, held) == "labels"


def test_the_clock_asks_but_not_before_the_rest(database: Database, move: Move) -> None:
    held = setting(database, every="2h", rest="1d")
    assert due(database, held) is None
    move(timedelta(hours=3))
    assert due(database, held) is None
    move(DAY)
    assert due(database, held) == "every"


@pytest.mark.parametrize(("kind", "key"), [("alarm", "on_error"), ("unsafe", "on_error"), ("drift", "on_drift")])
def test_notices_ask_where_the_policy_listens(database: Database, move: Move, kind: str, key: str) -> None:
    held, deaf = setting(database, rest="0s"), factories.policy(retrain={key: False, "rest": "0s"})
    move(timedelta(seconds=1))
    assert due(database, held) is None
    database.write(notices.open_notice, held.id, kind, "all cases", "Something is wrong.")
    assert due(database, held) == key
    assert database.write(triggers.ask) == 1
    job = database.write(jobs.lease, "w")
    assert job is not None
    database.write(jobs.finish, job.id, "w", result={"ended": "not yet"})
    move(timedelta(seconds=1))
    assert due(database, held) is None  # the same notice asks once
    database.write(notices.open_notice, held.id, kind, "another", "Something else is wrong.")
    assert due(database, held) == key
    quiet = database.write(
        projects.apply, held.project, deaf, "", factories.keys(database).draw_key_id, by=None
    ).setting  # fmt: skip
    assert due(database, quiet) is None


def test_nothing_is_asked_for_where_the_policy_says_off_or_nothing_acts(database: Database, move: Move) -> None:
    held = factories.setting(database)
    move(30 * DAY)
    database.write(notices.open_notice, held.id, "alarm", "all cases", "Something is wrong.")
    assert due(database, held) is None
    bare = factories.project(project="bare")
    wished = factories.policy(retrain={"every": "1d"})
    idle = database.write(projects.apply, bare, wished, "", factories.keys(database).draw_key_id, by=None).setting
    assert due(database, idle) is None


def test_predictions_from_elsewhere_are_not_retrained_here(database: Database, move: Move) -> None:
    held = elsewhere.setting(database, wished=factories.policy(retrain={"every": "1d"}))
    move(30 * DAY)
    assert due(database, held) is None


def test_a_challenger_keeps_the_clock_waiting_and_not_the_alarm(database: Database, move: Move) -> None:
    held = setting(database, every="1d", rest="0s")
    challenger(database, held)
    move(triggers.GATE_EVERY * 2)
    assert due(database, held) == "gate"
    database.write(notices.open_notice, held.id, "alarm", "all cases", "Something is wrong.")
    assert due(database, held) == "on_error"
    database.write(triggers.ask)
    job = database.write(jobs.lease, "w")
    assert job is not None
    database.write(jobs.finish, job.id, "w", error="no rows")
    move(triggers.PATIENCE)
    assert due(database, held) == "every"


def test_the_gate_is_looked_at_once_a_day_until_the_model_is_offered(database: Database, move: Move) -> None:
    held = factories.setting(database)
    other = challenger(database, held)
    assert due(database, held) is None
    move(DAY)
    assert database.write(triggers.ask) == 1
    assert database.write(triggers.ask) == 0
    job = database.write(jobs.lease, "w")
    assert job is not None
    version = database.read(registry.model_by_id, other).version
    assert (job.kind, job.args) == ("gate", {"challenger": version, "cause": "gate"})
    database.write(jobs.finish, job.id, "w", result={"ended": "not yet"})
    assert due(database, held) is None
    move(DAY)
    assert due(database, held) == "gate"
    database.write(challenges.end, held)
    assert due(database, held) is None


def test_one_retrains_at_a_time(database: Database, lea: Actor) -> None:
    held = factories.setting(database)
    lost = at_once([lambda: database.write(jobs.ask, held.id, "retrain", {}, by=lea)] * 3)
    assert [type(each) for each in lost] == [Refused, Refused]
    assert "is at it already" in str(lost[0])
    assert count(database) == 1


def test_the_house_looks(database: Database) -> None:
    assert (triggers.is_due, triggers.ask) in [(chore.look, chore.verb) for chore in keeping.CHORES]


def test_a_job_that_is_given_back_waits_without_blame(database: Database, lea: Actor) -> None:
    held = factories.setting(database)
    job = database.write(jobs.begin, held.id, "retrain", {}, "w", by=lea)
    assert (job.state, database.write(jobs.lease, "other")) == ("running", None)
    database.write(jobs.note, job.id, "w", {"model": 3})
    for _ in range(2 * jobs.ATTEMPTS):
        database.write(jobs.give_back, job.id, "w")
        again = database.write(jobs.lease, "w")
        assert again is not None
        assert (again.id, again.result) == (job.id, {"model": 3})
    database.write(jobs.give_back, job.id, "another")
    assert database.read(jobs.get, job.id).state == "running"
    database.write(jobs.drop, job.id, "w")
    assert database.read(jobs.get, job.id).state == "cancelled"
    database.write(jobs.give_back, job.id, "w")
    assert database.read(jobs.get, job.id).state == "cancelled"
