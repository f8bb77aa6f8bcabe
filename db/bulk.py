"""Many rows into a table at once, by COPY on PostgreSQL and one prepared statement on SQLite; many values in a condition."""

import json
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any, cast

from sqlalchemy import ARRAY, ColumnElement, Connection, Dialect, func, literal, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from db.tables import Table


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
    marks = ", ".join("?" * len(names))
    connection.exec_driver_sql(f"INSERT INTO {_into(connection, table, names)} VALUES ({marks})", list(rows))


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
        raise DBAPIError.instance(statement, None, error, base, hide_parameters=True, dialect=connection.dialect) from error


def _into(connection: Connection, table: type[Table], names: Sequence[str]) -> str:
    quote = connection.dialect.identifier_preparer.quote
    return f"{quote(table.__tablename__)} ({', '.join(map(quote, names))})"
