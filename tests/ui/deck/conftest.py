"""A table at which a deck sits, on each kind of database."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.settings import Settings
from app.ui import resources
from app.ui.deck import dealing
from app.ui.deck.dealing import Table, Wish
from app.workspace import Workspace
from db.engine import Database
from review_queue import checks, days, tallies
from review_queue.activity import Actor
from review_queue.preferences import Preferences
from review_queue.projects import Setting
from tests import factories

Deal = Callable[..., dict[str, Any]]
SEAT = "a-seat-of-a-tab"


@pytest.fixture
def setting(database: Database) -> Setting:
    return factories.setting(database)


@pytest.fixture
def ann(database: Database) -> Actor:
    return factories.person(database, "ann")


@pytest.fixture
def lea(database: Database) -> Actor:
    return factories.person(database, "lea", "lead")


@pytest.fixture
def open_desk(database: Database, tmp_path: Path) -> Iterator[None]:
    """The web process holds this database; whatever a test did, every rule holds afterwards."""
    resources.hand_over(Workspace(Settings(dir=tmp_path), database, factories.keys(database)), local=True)
    resources.forget()
    yield
    assert database.read(checks.problems) == []
    assert database.read(tallies.astray, 1) == {}
    assert database.read(days.astray, 1) == {}


@pytest.fixture
def table(open_desk: None, database: Database, setting: Setting, ann: Actor) -> Table:
    return dealing.table(database, setting, ann, Preferences(), Wish(seat=SEAT, person=ann.id))


@pytest.fixture
def deal(table: Table) -> Deal:
    """One request of a deck as the browser sends it."""

    def send(**wish: Any) -> dict[str, Any]:
        return dealing.deal(table, Wish.model_validate({"seat": SEAT, "person": table.seat.actor.id, "want": 3, **wish}))

    return send
