"""Bring a database to the tables of this release, and tell where it differs."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, inspect, select, text

from db.engine import Database
from db.tables import EventHead, Table

LOCK = 7_318_446  # any number that only migrations of Signoff take


def upgrade(database: Database) -> None:
    """Run what is missing of the history; several processes may ask at once."""
    with database.engine.connect().execution_options(signoff_write=True) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        command.upgrade(_config(connection), "head")
        if connection.scalar(select(EventHead.seq)) is None:
            connection.execute(insert(EventHead).values(one=1, seq=0))


def is_current(database: Database) -> bool:
    """Whether the history has run to its end."""
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() == _head()


def is_empty(database: Database) -> bool:
    """Whether there is no table at all."""
    with database.engine.connect() as connection:
        return not inspect(connection).get_table_names()


def differences(database: Database) -> list[Any]:
    """What Alembic finds different between the database and the tables; empty where they are equal."""
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Table.metadata))


def write_revision(database: Database, message: str) -> None:
    """Write a new migration: what turns `database`, which stands at the head, into the tables."""
    with database.engine.connect().execution_options(signoff_write=True) as connection:
        command.revision(_config(connection), message, autogenerate=True)


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _head() -> str | None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return ScriptDirectory.from_config(config).get_current_head()
