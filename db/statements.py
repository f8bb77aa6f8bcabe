"""Statements of the hot path as they are sent: written once for both databases, without the time it takes to build them.

`:name` is a parameter. Between `/*+` and `*/` stands what PostgreSQL alone is told, such as its row locks.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from db.types import json_text, microseconds

_PARAMETER = re.compile(r"(?<!:):([a-z_][a-z_0-9]*)\b")
Row = tuple[Any, ...]


def run(session: Session, text: str, values: Mapping[str, Any]) -> Sequence[Row]:
    """The rows of one statement, of which there may be none. Times come back as the database keeps them (`db.types.moment`)."""
    connection, lite = _connection(session)
    statement, parameters = _written(text, lite), _encoded(values, lite)
    if connection.engine.dispatch.before_cursor_execute:  # somebody listens
        return [tuple(row) for row in connection.exec_driver_sql(statement, parameters)]
    try:
        cursor = connection.connection.cursor()
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else ()
    except Exception as error:
        raise _told(connection, error) from error


def finds(session: Session, query: Select[Any]) -> bool:
    """Whether a query has a row."""
    return session.execute(query.limit(1)).first() is not None


def run_all(session: Session, statements: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Several statements that return nothing and of which none reads what another wrote; on PostgreSQL they are one."""
    connection, lite = _connection(session)
    if not lite and len(statements) > 1:
        statements = [_as_one(statements)]
    try:
        cursor = connection.connection.cursor()
        for text, values in statements:
            cursor.execute(_written(text, lite), _encoded(values, lite))
    except Exception as error:
        raise _told(connection, error) from error


def _as_one(statements: Sequence[tuple[str, Mapping[str, Any]]]) -> tuple[str, Mapping[str, Any]]:
    """PostgreSQL runs every statement of a WITH to its end, whether anybody reads it or not."""
    text = _joined(tuple(text for text, _ in statements))
    return text, {f"{name}_{n}": value for n, (_, values) in enumerate(statements) for name, value in values.items()}


@lru_cache(maxsize=256)
def _joined(texts: tuple[str, ...]) -> str:
    parts = (f"w{n} AS ({_numbered(text, n)})" for n, text in enumerate(texts))
    return f"WITH {', '.join(parts)} SELECT 1"


def _numbered(text: str, n: int) -> str:
    return _PARAMETER.sub(rf":\g<1>_{n}", text)


def _connection(session: Session) -> tuple[Connection, bool]:
    session.flush()
    connection = session.connection()
    return connection, connection.dialect.name == "sqlite"


def insertion(table: str, row: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The statement that adds one row."""
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(':' + name for name in row)})", row


def _told(connection: Connection, error: Exception) -> Exception:
    """A driver's error as SQLAlchemy tells it."""
    dialect = connection.dialect
    base: Any = dialect.loaded_dbapi.Error
    if not isinstance(error, base):
        return error
    gone = dialect.is_disconnect(error, connection.connection.driver_connection, None)
    if gone:
        connection.invalidate(error)
    told: Exception = DBAPIError.instance(None, None, error, base, True, gone, dialect)
    return told


@lru_cache(maxsize=512)
def _written(text: str, lite: bool) -> str:
    if lite:
        return re.sub(r"/\*\+.*?\*/", "", text, flags=re.DOTALL)
    spoken = re.sub(r"/\*\+(.*?)\*/", r"\1", text, flags=re.DOTALL)
    return _PARAMETER.sub(r"%(\1)s", spoken.replace("%", "%%"))


def _encoded(values: Mapping[str, Any], lite: bool) -> dict[str, Any]:
    return {name: _plain(value, lite) for name, value in values.items()}


def _plain(value: Any, lite: bool) -> Any:
    if isinstance(value, datetime):
        return microseconds(value) if lite else value
    return json_text(value) if isinstance(value, (dict, list)) else value
