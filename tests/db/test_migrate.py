"""The history and the tables are one and the same, on both databases."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, text

from db.engine import Database
from db.migrate import differences, is_current, is_empty, upgrade
from db.tables import Table


def test_the_history_makes_the_tables(database: Database) -> None:
    assert is_current(database)
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
    assert is_current(database)


def test_several_processes_may_upgrade_an_empty_database_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    first = Database(url)
    assert is_empty(first)
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
    assert is_current(first)


@pytest.mark.parametrize("table", ["task", "claim", "work", "outbox"])
def test_hot_tables_leave_room_for_their_updates(database: Database, table: str) -> None:
    if database.engine.dialect.name != "postgresql":
        pytest.skip("storage settings are PostgreSQL's")
    with database.engine.connect() as connection:
        options = connection.scalar(text("SELECT reloptions FROM pg_class WHERE relname = :table"), {"table": table})
    assert "fillfactor=80" in options
