"""The history and the tables are one and the same, on both databases."""

import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Column, Connection, Integer, inspect, text

from db import migrate
from db.engine import Database
from db.migrate import StrangeTables, differences, misfit, standing, upgrade
from db.tables import Table
from db.types import microseconds
from review_queue import days, decisions, tallies
from review_queue.decisions import Said
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import take


def test_the_history_makes_the_tables(database: Database) -> None:
    assert standing(database) == "current"
    assert differences(database) == []


def test_a_table_without_a_migration_is_seen(database: Database) -> None:
    extra = Column("extra_column_for_this_test", Integer)
    Table.metadata.tables["person"].append_column(extra)
    try:
        assert "extra_column_for_this_test" in str(differences(database))
    finally:
        Table.metadata.tables["person"]._columns.remove(extra)  # type: ignore[attr-defined]


def test_upgrading_twice_changes_nothing(database: Database) -> None:
    upgrade(database)
    assert standing(database) == "current"


def test_several_processes_may_upgrade_an_empty_database_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    first = Database(url)
    assert standing(first) == "empty"
    errors: list[BaseException] = []

    def run() -> None:
        try:
            upgrade(Database(url))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert errors == []
    assert standing(first) == "current"


@pytest.mark.parametrize("table", ["task", "claim", "work", "outbox", "tally", "webhook", "delivery", "event_head"])
def test_hot_tables_leave_room_for_their_updates(database: Database, table: str) -> None:
    if database.engine.dialect.name != "postgresql":
        pytest.skip("storage settings are PostgreSQL's")
    with database.engine.connect() as connection:
        options = connection.scalar(text("SELECT reloptions FROM pg_class WHERE relname = :table"), {"table": table})
    assert {"fillfactor=80", "autovacuum_vacuum_scale_factor=0.01", "autovacuum_analyze_scale_factor=0.01"} <= set(options)


def test_each_step_is_told_and_nothing_where_nothing_is_missing(tmp_path: Path) -> None:
    new = Database(f"sqlite:///{tmp_path / 'new.db'}")
    told: list[migrate.Step] = []
    assert upgrade(new, told.append) == told
    assert [step.revision for step in told] == [script.revision for script in migrate._history()]
    assert all(step.title and step.seconds > 0 for step in told)
    assert upgrade(new) == []


def programs_of(monkeypatch: pytest.MonkeyPatch, revision: str) -> None:
    """From here on the programs are those of an earlier release."""
    known = [each for each in migrate._history() if each.revision <= revision]
    monkeypatch.setattr(migrate, "_history", lambda: known)


def test_programs_of_the_release_before_fit_tables_that_were_only_added_to(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs_of(monkeypatch, "0002")
    assert standing(database) == "newer"
    assert misfit(database) is None
    with pytest.raises(StrangeTables, match="newer release"):
        upgrade(database)


def test_programs_of_a_release_that_does_not_fit_say_so(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    programs_of(monkeypatch, "0001")
    assert standing(database) == "beyond"
    assert "install that release" in str(misfit(database))
    with pytest.raises(StrangeTables, match="newer release"):
        upgrade(database)


def test_tables_of_an_older_release_name_the_mend(database: Database) -> None:
    with database.engine.connect().execution_options(signoff_write=True) as connection, connection.begin():
        command.downgrade(migrate._config(connection), "0002")
    assert standing(database) == "older"
    assert "signoff db upgrade" in str(misfit(database))
    assert [step.revision for step in upgrade(database)] == ["0003", "0004", "0005", "0006", "0007"]
    assert standing(database) == "current"


def test_a_migration_waits_for_a_table_in_use_and_lets_others_go_first(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has one writer, and migrations are one")
    with database.engine.connect() as connection, connection.begin():
        command.downgrade(migrate._config(connection), "0002")
    monkeypatch.setattr(migrate, "PATIENCE", "200ms")
    monkeypatch.setattr(migrate, "PAUSE_SECONDS", 0.1)
    done: list[migrate.Step] = []
    upgrading = threading.Thread(target=lambda: done.extend(upgrade(database)))
    with database.engine.connect() as reader, reader.begin():
        reader.execute(text("SELECT count(*) FROM task"))
        upgrading.start()
        time.sleep(0.5)
        begun = time.monotonic()
        with database.engine.connect() as other:
            other.execute(text("SELECT count(*) FROM task"))
        assert time.monotonic() - begun < 2
        assert done == []
    upgrading.join(30)
    assert [step.revision for step in done] == ["0003", "0004", "0005", "0006", "0007"]


def test_a_database_of_the_first_release_keeps_its_items(database: Database) -> None:
    """Down to the first tables, filled as that release filled them, and up again."""
    with database.engine.connect().execution_options(signoff_write=True) as connection, connection.begin():
        command.downgrade(migrate._config(connection), "0001")
        assert "prediction" not in {column["name"] for column in inspect(connection).get_columns("item")}
        _fill(connection)
    upgrade(database)
    assert differences(database) == []
    assert database.read(tallies.read, 1) == {"items": 1, "unscored": 1}
    with database.engine.connect() as connection:
        assert connection.execute(text("SELECT input, prediction FROM item")).tuples().all() == [('{"amount":1}', None)]
        assert connection.execute(text("SELECT version, name, trainer FROM model")).tuples().all() == [(1, None, "torch-mlp")]


def test_a_database_of_the_release_before_has_its_counts_filled(database: Database) -> None:
    """Down to the tables of before counts, and up again."""
    held: Setting = factories.setting(database, wished=factories.policy(review={"second_opinion": 0.5}))
    answers = {str(n): factories.says("pay" if n % 3 else "deny", 0.5 + n / 40) for n in range(21)}
    factories.routed(database, held, answers)
    factories.submit(database, held, [factories.raw("new")])
    truth = database.read(tallies.recount, held.id)
    shared = {task.id for task in factories.tasks(database, shared=True)}
    assert 0 < len(shared) < len(factories.tasks(database))
    with database.engine.connect().execution_options(signoff_write=True) as connection, connection.begin():
        command.downgrade(migrate._config(connection), "0002")
    upgrade(database)
    assert database.read(tallies.read, held.id) == truth
    assert truth["band/9/auto"] == 5
    assert {task.id for task in factories.tasks(database, shared=True)} == shared


def test_a_database_of_the_release_before_has_its_days_filled(database: Database) -> None:
    held, ann = factories.setting(database), factories.person(database, "ann")
    factories.routed(database, held, {str(n): factories.says("pay", 0.95 if n > 6 else 0.6) for n in range(9)})
    for n, verdict in enumerate(("accept", "reject", "correct", "accept")):
        case = take(database, held, ann)[0]
        label, reason = "deny" if verdict == "correct" else None, "no label fits" if verdict == "reject" else None
        said = Said(str(n), verdict, label, reason=reason)  # type: ignore[arg-type]
        last = database.write(decisions.decide, ann, case.task_id, case.token, said)
    database.write(decisions.undo, ann, last.id)
    with database.engine.connect().execution_options(signoff_write=True) as connection, connection.begin():
        command.downgrade(migrate._config(connection), "0004")
    upgrade(database)
    (counted,) = database.read(tallies.daily, held.id, days.FIRST, days.LAST).values()
    judged = {"judged/accept": 1, "judged/other": 2}
    assert counted == {"items": 9, "auto": 2, "review": 7, "open": 4, "decided": 3, **judged}
    assert database.read(days.astray, held.id) == {}


def _fill(connection: Connection) -> None:
    now = datetime.now(UTC)
    at: Any = microseconds(now) if connection.dialect.name == "sqlite" else now
    rows = {
        "project": {"id": 1, "name": "claims", "made_at": at},
        "project_version": {"id": 1, "project_id": 1, "content_hash": "h", "body": "{}", "applied_at": at},
        "item_key": {"item_id": 1, "project_id": 1, "external_id": "C-1", "content_hash": "h"},
        "item": {"id": 1, "project_id": 1, "project_version_id": 1, "input": '{"amount":1}', "received_at": at},
        "work": {"item_id": 1, "kind": "score", "project_id": 1, "ready_at": at, "attempts": 0},
        "blob": {"sha256": "0", "media_type": "application/zip", "size": 0, "made_at": at},
        "model": {
            "id": 1, "project_id": 1, "version": 1, "trainer": "torch-mlp", "sha256": "0", "labels": "[]", "schema_hash": "",
            "datasets": "[]", "figures": "{}", "made_at": at,
        },
    }  # fmt: skip
    for table, row in rows.items():
        names = ", ".join(row)
        connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({', '.join(f':{name}' for name in row)})"), row)
