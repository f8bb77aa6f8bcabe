"""The database of a process, and the one way to write to it: `write(verb, ...)`."""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import DisconnectionError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from db.writer import Writer

P = ParamSpec("P")
Result = TypeVar("Result")
Verb = Callable[Concatenate[Session, P], Result]

SQLITE_BUSY_MS = 30_000
ATTEMPTS = 8
RESTED = 5.0
"""Seconds after which a connection that lay in the pool is tried before it is used."""
_PASSING = ("40001", "40P01", "55P03")  # serialization failure, deadlock, lock not available


@dataclass(frozen=True, slots=True)
class Limits:
    """What a process may take of a PostgreSQL server. Seconds; 0 is no limit."""

    connections: int = 20
    statement_seconds: float = 0
    lock_seconds: float = 0
    idle_seconds: float = 0


class Database:
    """One engine a process. Reads may run side by side; a write is one transaction around one verb.

    On SQLite writes that wait share a commit (`db.writer`), so a verb uses its session and arguments alone, writes
    through nothing else, and may be run again.
    """

    def __init__(self, url: str, limits: Limits = Limits()) -> None:
        self.url = url
        self.engine = _engine(url, limits)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._writer = Writer(self.engine, _file(self.engine)) if self.engine.dialect.name == "sqlite" else None

    def write(self, verb: Verb[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """Begin, call `verb(session, ...)`, commit. Repeats what failed for being busy, deadlocked or not serializable, and
        what lost its connection before the commit."""
        for attempt in range(ATTEMPTS):
            try:
                return self._transaction(verb, *args, **kwargs)
            except OperationalError as error:
                if attempt == ATTEMPTS - 1 or not _passes(error):
                    raise
                time.sleep(0.02 * 2**attempt)
        raise AssertionError("unreachable")

    def read(self, verb: Verb[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """Call `verb(session, ...)` on one consistent view; nothing it does is kept. Once more where its connection was lost."""
        try:
            return self._view(verb, *args, **kwargs)
        except OperationalError as error:
            if not error.connection_invalidated:
                raise
            return self._view(verb, *args, **kwargs)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self.engine.dispose()

    def _view(self, verb: Verb[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        with self._sessions() as session:
            if self._writer is None:  # SQLite's deferred transaction is one view already
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            return verb(session, *args, **kwargs)

    def _transaction(self, verb: Verb[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        if self._writer is not None:
            result: Result = self._writer.write(lambda session: verb(session, *args, **kwargs))
            return result
        with self._sessions() as session:
            try:
                result = verb(session, *args, **kwargs)
                session.flush()
            except OperationalError as error:
                if error.connection_invalidated:
                    raise _Lost(error.statement, error.params, error.orig or error) from error
                raise
            session.commit()
            return result


class _Lost(OperationalError):
    """The connection went away before the commit was asked for: nothing was kept."""


def _file(engine: Engine) -> Path | None:
    name = engine.url.database
    return Path(name) if name and name != ":memory:" else None


def _engine(url: str, limits: Limits) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    settings = {
        "timezone": "utc",
        "statement_timeout": _milliseconds(limits.statement_seconds),
        "lock_timeout": _milliseconds(limits.lock_seconds),
        "idle_in_transaction_session_timeout": _milliseconds(limits.idle_seconds),
    }
    engine = create_engine(
        parsed,
        hide_parameters=True,
        pool_size=limits.connections,
        max_overflow=0,
        connect_args={"options": " ".join(f"-c {name}={value}" for name, value in settings.items())},
    )
    event.listen(engine, "checkin", _rest)
    event.listen(engine, "checkout", _try_after_rest)
    return engine


def _sqlite(url: Any) -> Engine:
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_size=40,
        connect_args={"timeout": SQLITE_BUSY_MS / 1000, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _rest(_: Any, record: Any) -> None:
    record.info["rests_since"] = time.monotonic()


def _try_after_rest(connection: Any, record: Any, _: Any) -> None:
    """A connection that lay in the pool may be gone; one that was used a moment ago is not asked, which would cost as much as
    a statement."""
    if time.monotonic() - record.info.get("rests_since", time.monotonic()) < RESTED:
        return
    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except Exception as error:
        raise DisconnectionError from error


def _prepare_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={SQLITE_BUSY_MS}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Any) -> None:
    writes = connection.get_execution_options().get("signoff_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _passes(error: OperationalError) -> bool:
    code = getattr(error.orig, "sqlstate", None)
    return code in _PASSING or isinstance(error, _Lost) or "database is locked" in str(error.orig)
