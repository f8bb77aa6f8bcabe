"""Many rows into a table at once, by COPY on PostgreSQL and long statements on SQLite; many values in a condition."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import Any, cast

from sqlalchemy import ARRAY, ColumnElement, Connection, Dialect, func, literal, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from db.tables import Table

AT_ONCE = 256
"""Rows of one statement on SQLite, a power of two."""


def put(session: Session, table: type[Table], /, **columns: Any) -> None:
    """Insert rows given by column: a list has a value for each row, anything else is the same in all.

    Only what the database itself fills in may be left out: defaults in Python do not apply. Raises ValueError where lists
    differ in length, and what an insert raises (IntegrityError, OperationalError).
    """
    counts = {len(held) for held in columns.values() if isinstance(held, list)}
    if len(counts) != 1:
        raise ValueError(f"the columns of {table.__tablename__} are lists of {sorted(counts) or 'no'} values; all need as many")
    if counts == {0}:
        return
    connection = session.connection()
    rows = zip(*(_values(table, name, held, connection.dialect) for name, held in columns.items()), strict=False)
    (_copy if connection.dialect.name == "postgresql" else _insert)(connection, table, list(columns), rows)


def among(session: Session, column: Any, values: Sequence[Any]) -> ColumnElement[bool]:
    """Whether a column of whole numbers or texts is one of many values, which are one parameter; looked up by its index."""
    if session.get_bind().dialect.name == "postgresql":
        return cast(ColumnElement[bool], column == func.any(literal(list(values), ARRAY(column.type))))
    return cast(ColumnElement[bool], column.in_(select(func.json_each(json.dumps(values)).table_valued("value").c.value)))


def _values(table: type[Table], name: str, held: Any, dialect: Dialect) -> Iterable[Any]:
    """One column as the driver takes it."""
    bind = table.__table__.c[name].type.dialect_impl(dialect).bind_processor(dialect)
    if isinstance(held, list):
        return map(bind, held) if bind else held
    return repeat(bind(held) if bind else held)


def _insert(connection: Connection, table: type[Table], names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    """Statements of up to AT_ONCE rows, in few sizes, so that each is prepared once.

    One row a statement (executemany) hands Python's lock back and forth at each row: six times slower beside a busy thread.
    """
    into, marks, held = _into(connection, table, names), f"({', '.join('?' * len(names))})", list(rows)
    begin = 0
    for size in _sizes(len(held)):
        values = tuple(chain.from_iterable(held[begin : begin + size]))
        connection.exec_driver_sql(f"INSERT INTO {into} VALUES {', '.join([marks] * size)}", values)
        begin += size


def _sizes(count: int) -> Iterator[int]:
    """A number as a sum of powers of two up to AT_ONCE."""
    while count:
        size = min(AT_ONCE, 1 << (count.bit_length() - 1))
        yield size
        count -= size


def _copy(connection: Connection, table: type[Table], names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    """COPY goes past SQLAlchemy, so that its errors are put into SQLAlchemy's here: a deadlock is repeated like any other."""
    statement = f"COPY {_into(connection, table, names)} FROM STDIN"
    driver, base = connection.connection.driver_connection, connection.dialect.loaded_dbapi.Error
    assert driver is not None
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except base as error:
        gone = connection.dialect.is_disconnect(error, driver, None)
        if gone:
            connection.invalidate(error)
        raise DBAPIError.instance(
            statement, None, error, base, hide_parameters=True, connection_invalidated=gone, dialect=connection.dialect
        ) from error


def _into(connection: Connection, table: type[Table], names: Sequence[str]) -> str:
    quote = connection.dialect.identifier_preparer.quote
    return f"{quote(table.__tablename__)} ({', '.join(map(quote, names))})"
