"""Long work: leased, renewed, failed after three deaths, cancelled."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from db.engine import Database
from db.tables import Activity
from review_queue import clock, jobs
from review_queue.activity import Actor
from review_queue.errors import Forbidden, Invalid, NotFound
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import Move, at_once


@pytest.fixture
def ann(database: Database) -> Actor:
    return factories.person(database, "ann", "lead")


def ask(database: Database, held: Setting, by: Actor, kind: str = "train") -> int:
    return database.write(jobs.ask, held.id, kind, {"n": 1}, by=by).id


def test_the_life_of_a_job(database: Database, held: Setting, ann: Actor) -> None:
    job_id = ask(database, held, ann)
    leased = database.write(jobs.lease, "w")
    assert leased is not None
    assert (leased.id, leased.state, leased.args, leased.asked_by) == (job_id, "running", {"n": 1}, ann.id)
    assert database.write(jobs.lease, "other") is None
    assert database.write(jobs.progress, job_id, "w", 0.5, "fitting")
    assert not database.write(jobs.progress, job_id, "other", 0.9, "no")
    seen = database.read(jobs.get, job_id)
    assert (seen.progress, seen.step) == (0.5, "fitting")
    database.write(jobs.finish, job_id, "other", error="not mine")
    database.write(jobs.finish, job_id, "w", result={"ok": True})
    done = database.read(jobs.get, job_id)
    assert (done.state, done.progress, done.result, done.error) == ("done", 1.0, {"ok": True}, None)
    assert database.read(lambda s: list(s.scalars(select(Activity.verb).where(Activity.actor_id == ann.id)))) == ["job.train"]


def test_a_job_whose_worker_died_is_taken_again_three_times(database: Database, held: Setting, ann: Actor, move: Move) -> None:
    job_id, next_id = ask(database, held, ann), 0
    for death in range(jobs.ATTEMPTS):
        leased = database.write(jobs.lease, f"w{death}")
        assert leased is not None
        assert leased.id == job_id
        move(jobs.LEASE + timedelta(seconds=1))
        assert not database.write(jobs.progress, job_id, f"w{death - 1}", 0.1, "late")
    next_id = ask(database, held, ann, "export")
    assert database.write(jobs.lease, "last") is None
    failed = database.read(jobs.get, job_id)
    assert (failed.state, failed.error) == ("failed", "its worker died 3 times")
    following = database.write(jobs.lease, "last")
    assert following is not None
    assert following.id == next_id


def test_progress_keeps_the_lease(database: Database, held: Setting, ann: Actor, move: Move) -> None:
    job_id = ask(database, held, ann)
    database.write(jobs.lease, "w")
    move(timedelta(seconds=100))
    assert database.write(jobs.progress, job_id, "w", 0.2, "on")
    move(timedelta(seconds=100))
    assert database.write(jobs.lease, "other") is None


def test_cancelling_stops_the_worker_at_its_next_step(database: Database, held: Setting, ann: Actor) -> None:
    waiting, running = ask(database, held, ann), 0
    database.write(jobs.cancel, waiting, by=ann)
    assert database.write(jobs.lease, "w") is None
    running = ask(database, held, ann)
    database.write(jobs.lease, "w")
    database.write(jobs.cancel, running, by=ann)
    assert not database.write(jobs.progress, running, "w", 0.5, "on")
    database.write(jobs.finish, running, "w", result={})
    assert database.read(jobs.get, running).state == "cancelled"
    with pytest.raises(Invalid, match="is cancelled already"):
        database.write(jobs.cancel, running, by=ann)
    with pytest.raises(NotFound):
        database.write(jobs.cancel, 999, by=ann)
    with pytest.raises(Invalid, match="no kind of job; known: export"):
        ask(database, held, ann, "destroy")


def test_finishing_beside_cancelling_ends_one_way(database: Database, held: Setting, ann: Actor) -> None:
    for n in range(5):
        job_id = ask(database, held, ann)
        database.write(jobs.lease, f"w{n}")
        refused = at_once(
            [
                lambda j=job_id, n=n: database.write(jobs.finish, j, f"w{n}", result={"n": n}),
                lambda j=job_id: database.write(jobs.cancel, j, by=ann),
            ]
        )
        ended = database.read(jobs.get, job_id)
        assert (ended.state, ended.result is None, len(refused)) in (("done", False, 1), ("cancelled", True, 0))


def test_threads_take_each_job_once(database: Database, held: Setting, ann: Actor) -> None:
    asked = [ask(database, held, ann) for _ in range(4)]
    got: list[int] = []

    def work(n: int) -> None:
        if leased := database.write(jobs.lease, f"w{n}"):
            got.append(leased.id)

    assert at_once([lambda n=n: work(n) for n in range(8)]) == []
    assert sorted(got) == asked


def test_the_latest_come_first(sqlite: Database) -> None:
    held, ann = factories.setting(sqlite), factories.person(sqlite, "ann", "lead")
    first, second = ask(sqlite, held, ann, "export"), ask(sqlite, held, ann, "train")
    assert [job.id for job in sqlite.read(jobs.recent, held.id)] == [second, first]
    assert [job.id for job in sqlite.read(jobs.recent, held.id, kinds=["export"])] == [first]


def test_a_job_is_held_beside_a_step_that_says_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    held = factories.setting(database)
    job = database.write(jobs.ask, held.id, "train", {}, by=factories.person(database, "olga-of-jobs", "owner"))
    assert database.write(jobs.lease, "w1") is not None
    present = clock.now
    monkeypatch.setattr(clock, "now", lambda: present() + jobs.LEASE * 0.9)
    database.write(jobs.keep, job.id, "w1")
    monkeypatch.setattr(clock, "now", lambda: present() + jobs.LEASE * 1.5)
    assert database.write(jobs.lease, "w2") is None


@pytest.mark.parametrize("role", ["viewer", "reviewer"])
def test_jobs_are_for_leads(sqlite: Database, role: str) -> None:
    held, low = factories.setting(sqlite), factories.person(sqlite, "low", role)
    lead = factories.person(sqlite, "lea", "lead")
    job = sqlite.write(jobs.ask, held.id, "train", {}, by=lead)
    for kind in jobs.KINDS:
        with pytest.raises(Forbidden, match="jobs are for leads"):
            sqlite.write(jobs.ask, held.id, kind, {}, by=low)
    with pytest.raises(Forbidden, match="jobs are for leads"):
        sqlite.write(jobs.cancel, job.id, by=low)
    assert sqlite.write(jobs.ask, held.id, "export", {}, by=replace(low, via="api")).kind == "export"
    with pytest.raises(Forbidden, match="jobs are for leads"):
        sqlite.write(jobs.ask, held.id, "train", {}, by=replace(low, via="api"))
