"""House-keeping: what time makes due is done soon, and nothing is written where nothing is due."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select, text, update
from sqlalchemy.orm import Session

from app.settings import Settings
from app.worker.house import House
from app.workspace import Workspace
from db.engine import Database
from db.tables import Claim, Draw, Event, PolicyVersion, Tally, Task
from review_queue import claims, clock, events, keeping, projects, tallies
from review_queue.projects import Setting
from tests import factories


@pytest.fixture
def held(database: Database) -> Setting:
    return factories.setting(database, wished=factories.policy(review={"on_overdue": "leads"}))


@pytest.fixture
def house(database: Database, tmp_path: Path, held: Setting) -> House:
    workspace = Workspace(Settings(dir=tmp_path, secret_key=factories.SECRET), database, factories.keys(database))
    return House(workspace, threading.Event())


def test_where_nothing_is_due_nothing_is_written(
    database: Database, held: Setting, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.routed(database, held, {str(n): factories.says("pay", 0.6) for n in range(5)})
    house.keep()
    said: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: said.append(args[2]))
    written: list[Any] = []
    monkeypatch.setattr(database, "write", lambda *args, **_: written.append(args))
    house.keep()
    assert written == []
    assert said
    assert all(statement.startswith("SELECT") for statement in said if not statement.startswith(("BEGIN", "SET")))


def test_everything_that_time_makes_due_is_done(database: Database, held: Setting, house: House) -> None:
    factories.routed(database, held, {str(n): factories.says("pay", 0.6) for n in range(4)})
    ann = factories.person(database, "ann")
    database.write(claims.claim, held.id, ann, "s", 1, timedelta(minutes=5))
    past = clock.now() - timedelta(minutes=1)

    def age(session: Session) -> None:
        session.execute(update(Claim).values(expires_at=past))
        pending = session.scalars(select(Task.id).where(Task.state == "pending").order_by(Task.id)).all()
        session.execute(update(Task).where(Task.id == pending[0]).values(state="parked", parked_until=past))
        session.execute(update(Task).where(Task.id == pending[1]).values(due_at=past))
        session.execute(update(Draw).values(due_at=past))
        for _ in range(tallies.FOLD_AT + 1):
            tallies.add(session, held.id, items=0, unscored=1)
        events.announce(session, held.id, "outcome", {}, item_id=None)

    database.write(age)
    house.keep()
    assert database.read(lambda s: s.scalars(select(Claim.state)).all()) == ["expired"]
    assert database.read(lambda s: set(s.scalars(select(Task.state)))) == {"pending"}
    assert database.read(lambda s: list(s.scalars(select(Task.audience).order_by(Task.audience)))).count("leads") == 1
    assert database.read(lambda s: s.scalar(select(func.count()).select_from(Draw).where(Draw.resolved_at.is_(None)))) == 0
    assert (database.read(lambda s: s.scalar(select(func.count()).select_from(Tally))) or 0) < 10
    assert database.read(lambda s: s.scalar(select(func.count()).select_from(Event))) == 1
    assert [chore for chore in keeping.CHORES if database.read(chore.look)] == []


def test_one_round_does_more_than_one_batch(
    database: Database, held: Setting, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "BATCH", 10)
    database.write(lambda s: [events.announce(s, held.id, "outcome", {}, item_id=None) for _ in range(35)])
    house.keep()
    assert database.read(events.head) == 35


def test_a_verb_that_fails_keeps_no_other_from_its_turn(
    database: Database, held: Setting, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(_: Session) -> int:
        raise RuntimeError("broken")

    monkeypatch.setattr(keeping, "CHORES", (keeping.Chore(lambda s: True, breaks), *keeping.CHORES))
    database.write(events.announce, held.id, "outcome", {}, item_id=None)
    house.keep()
    assert database.read(events.head) == 1


def test_several_houses_do_not_wait_for_one_another(database: Database, held: Setting, house: House, tmp_path: Path) -> None:
    if database.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has one writer")
    database.write(events.announce, held.id, "outcome", {}, item_id=None)
    other = Database(database.url)
    with other.engine.connect() as connection, connection.begin():
        connection.exec_driver_sql("SELECT seq FROM event_head WHERE one = 1 FOR UPDATE")
        begun = time.monotonic()
        house.keep()
        assert time.monotonic() - begun < 2
    other.close()
    house.keep()
    assert database.read(events.head) == 1


def raises(_: Session) -> bool:
    raise ValueError("a policy of a newer release")


def divides(session: Session) -> bool:
    """Ends the transaction on PostgreSQL."""
    return bool(session.scalar(text("SELECT 1 / 0")))


@pytest.mark.parametrize("look", [raises, divides])
def test_a_look_that_fails_keeps_no_other_from_its_turn(
    database: Database, held: Setting, house: House, monkeypatch: pytest.MonkeyPatch, look: Callable[[Session], bool]
) -> None:
    done: list[int] = []
    chore = keeping.Chore(look, lambda s: done.append(1) or 1)
    monkeypatch.setattr(keeping, "CHORES", (chore, *keeping.CHORES, chore))
    for seq in (1, 2):
        database.write(events.announce, held.id, "outcome", {}, item_id=None)
        house.keep()
        assert database.read(events.head) == seq
    assert done == []


def test_a_policy_that_cannot_be_read_does_not_stop_the_sequence(
    database: Database, held: Setting, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projects, "_policies", {})
    database.write(lambda s: s.execute(update(PolicyVersion).values(body={"strange": 1}, content_hash="another")) and None)
    database.write(events.announce, held.id, "outcome", {}, item_id=None)
    house.keep()
    assert database.read(events.head) == 1
