"""What the tests of the queue share: a project with a champion, people, and a clock that can be moved."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from db.engine import Database
from review_queue import checks, clock, days, tallies
from review_queue.activity import Actor
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import Move


@pytest.fixture
def held(database: Database) -> Setting:
    return factories.setting(database)


@pytest.fixture
def ann(database: Database) -> Actor:
    return factories.person(database, "ann")


@pytest.fixture
def bob(database: Database) -> Actor:
    return factories.person(database, "bob")


@pytest.fixture
def lea(database: Database) -> Actor:
    return factories.person(database, "lea", "lead")


@pytest.fixture
def sound(database: Database) -> Iterator[None]:
    """Whatever a test did: every rule holds, and the counts are those of the tables."""
    yield
    assert database.read(checks.problems) == []
    assert database.read(tallies.astray, 1) == {}
    assert database.read(days.astray, 1) == {}


@pytest.fixture
def move(monkeypatch: pytest.MonkeyPatch) -> Move:
    """Move the clock on."""
    present, ahead = clock.now, [timedelta(0)]
    monkeypatch.setattr(clock, "now", lambda: present() + ahead[0])

    def by(span: timedelta) -> None:
        ahead[0] += span

    return by
