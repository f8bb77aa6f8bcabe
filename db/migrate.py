"""Bring a database to the tables of this release, and tell where the two differ."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, delete, insert, inspect, select, text
from sqlalchemy.exc import OperationalError

from db.engine import Database
from db.tables import Compatibility, EventHead, Table

LOCK = 7_318_446  # any number that only migrations of Signoff take
PATIENCE = "5s"
"""How long a migration waits for a table that somebody uses. Others wait behind it, so it then lets them go first."""
TRIES = 24
PAUSE_SECONDS = 5.0

Standing = Literal["empty", "older", "current", "newer", "beyond"]


class StrangeTables(RuntimeError):
    """The tables are of a release that this one does not fit; the message says the mend."""


@dataclass(frozen=True, slots=True)
class Step:
    """One migration that ran."""

    revision: str
    title: str
    seconds: float


def upgrade(database: Database, tell: Callable[[Step], object] = lambda step: None) -> list[Step]:
    """Run what is missing of the history, all or nothing; several processes may ask at once. `tell` hears of each step.

    Raises StrangeTables where the tables are of a newer release.
    """
    for tried in range(1, TRIES + 1):
        try:
            return _upgrade(database, tell)
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != "55P03" or tried == TRIES:
                raise
            time.sleep(PAUSE_SECONDS)
    raise AssertionError("unreachable")


def standing(database: Database) -> Standing:
    """Where the tables stand towards this release. `newer`: this one can still use them; `beyond`: it cannot."""
    with database.engine.connect() as connection:
        return _standing(connection)


def misfit(database: Database) -> str | None:
    """Why this release cannot use the tables, with the mend; None where it can."""
    found = standing(database)
    if found in ("current", "newer"):
        return None
    return _NEWER if found == "beyond" else "the database is of another release; back it up, then run `signoff db upgrade`"


def differences(database: Database) -> list[Any]:
    """What Alembic finds different between the database and the tables; empty where they are equal."""
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Table.metadata))


def write_revision(database: Database, message: str) -> None:
    """Write a new migration: what turns `database`, which stands at the head, into the tables."""
    with database.engine.connect().execution_options(signoff_write=True) as connection:
        command.revision(_config(connection), message, autogenerate=True)


_NEWER = "the database is of a newer release than this one and does not fit it; install that release here too"


def _upgrade(database: Database, tell: Callable[[Step], object]) -> list[Step]:
    with database.engine.connect().execution_options(signoff_write=True) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            _take_turns(connection)
        found = _standing(connection)
        if found in ("newer", "beyond"):
            raise StrangeTables("the database is of a newer release than this one; upgrade it with the newest that is installed")
        steps = [_step(connection, each, tell) for each in _missing(connection)]
        if steps:
            _sign(connection)
        return steps


def _take_turns(connection: Connection) -> None:
    """One migration at a time, which may take as long as it takes, but does not hold others up by waiting for a table."""
    for statement in ("SET LOCAL statement_timeout = 0", "SET LOCAL lock_timeout = 0"):
        connection.execute(text(statement))
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    connection.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE}'"))


def _standing(connection: Connection) -> Standing:
    found, known = MigrationContext.configure(connection).get_current_revision(), [each.revision for each in _history()]
    if found is None:
        return "older" if inspect(connection).get_table_names() else "empty"
    if found in known:
        return "current" if found == known[-1] else "older"
    fits = inspect(connection).has_table(Compatibility.__tablename__)
    return "newer" if fits and connection.scalar(select(Compatibility.since)) in known else "beyond"


def _step(connection: Connection, script: Script, tell: Callable[[Step], object]) -> Step:
    begun = time.perf_counter()
    command.upgrade(_config(connection), script.revision)
    step = Step(script.revision, script.doc, time.perf_counter() - begun)
    tell(step)
    return step


def _sign(connection: Connection) -> None:
    """Write down which programs the tables now fit, and begin the sequence where there is none."""
    head = _history()[-1]
    connection.execute(delete(Compatibility))
    connection.execute(insert(Compatibility).values(one=1, since=getattr(head.module, "fits_since", head.revision)))
    if connection.scalar(select(EventHead.seq)) is None:
        connection.execute(insert(EventHead).values(one=1, seq=0))


def _missing(connection: Connection) -> list[Script]:
    found, history = MigrationContext.configure(connection).get_current_revision(), _history()
    return history[[each.revision for each in history].index(found) + 1 :] if found else history


@cache
def _history() -> list[Script]:
    """Every migration of this release, oldest first."""
    return list(reversed(list(ScriptDirectory.from_config(_located()).walk_revisions())))


def _config(connection: Connection) -> Config:
    config = _located()
    config.attributes["connection"] = connection
    return config


def _located() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
