"""Whether anybody works."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from db.engine import Database
from db.tables import Work
from review_queue import batches, clock, workers
from tests import factories


@pytest.fixture
def waiting(database: Database) -> int:
    """A project with two items that have waited for five minutes."""
    held = factories.setting(database)
    factories.submit(database, held, [factories.raw("a"), factories.raw("b")])
    earlier = clock.now() - timedelta(minutes=5)
    database.write(lambda session: session.execute(update(Work).values(ready_at=earlier)) and None)
    return held.id


def test_work_that_nobody_takes_is_said_with_its_time(database: Database, waiting: int) -> None:
    since = database.read(workers.away_since, waiting)
    assert since is not None
    assert timedelta(minutes=4) < clock.now() - since < timedelta(minutes=6)


def test_a_worker_that_holds_some_of_it_is_at_work(database: Database, waiting: int) -> None:
    database.write(batches.lease, waiting, "score", "w", limit=1, seconds=60)
    assert database.read(workers.away_since, waiting) is None


def test_what_came_just_now_is_waited_for(database: Database) -> None:
    held = factories.setting(database)
    assert database.read(workers.away_since, held.id) is None
    factories.submit(database, held, [factories.raw("a")])
    assert database.read(workers.away_since, held.id) is None
