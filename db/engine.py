"""The database of a process, and the one way to write to it: `write(verb, ...)`."""

import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

P = ParamSpec("P")
Result = TypeVar("Result")
Verb = Callable[Concatenate[Session, P], Result]

SQLITE_BUSY_MS = 30_000
ATTEMPTS = 8
_PASSING = ("40001", "40P01", "55P03")  # serialization failure, deadlock, lock not available


class Database:
    """One engine a process. Reads may run side by side; a write is one transaction around one verb."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _engine(url)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._writing = threading.RLock() if self.engine.dialect.name == "sqlite" else None

    def write(self, verb: Verb[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """Begin, call `verb(session, ...)`, commit. Repeats what failed for being busy, deadlocked or not serializable."""
        for attempt in range(ATTEMPTS):
            try:
                return self._transaction(verb, *args, **kwargs)
            except OperationalError as error:
                if attempt == ATTEMPTS - 1 or not _passes(error):
                    raise
                time.sleep(0.02 * 2**attempt)
        raise AssertionError("unreachable")

    def read(self, verb: Verb[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """Call `verb(session, ...)` on one consistent view; nothing it does is kept."""
        with self._sessions() as session:
            if self._writing is None:  # SQLite's deferred transaction is one view already
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            return verb(session, *args, **kwargs)

    def close(self) -> None:
        self.engine.dispose()

    def _transaction(self, verb: Verb[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        if self._writing is None:
            with self._sessions.begin() as session:
                return verb(session, *args, **kwargs)
        with self._writing, self._sessions.begin() as session:
            session.connection(execution_options={"signoff_write": True})
            return verb(session, *args, **kwargs)


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True, hide_parameters=True, connect_args={"options": "-c timezone=utc"})
    engine = create_engine(
        parsed, hide_parameters=True, connect_args={"timeout": SQLITE_BUSY_MS / 1000, "check_same_thread": False}
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={SQLITE_BUSY_MS}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Any) -> None:
    writes = connection.get_execution_options().get("signoff_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _passes(error: OperationalError) -> bool:
    code = getattr(error.orig, "sqlstate", None)
    return code in _PASSING or "database is locked" in str(error.orig)
