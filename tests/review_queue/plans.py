"""What the database does for a statement: which tables it would read whole, and how many rows it looks at."""

import json
import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Engine, event

_GROWING = """
item item_key task claim decision draw routing prediction outcome event outbox explanation activity work delivery
reason_request reason_check embedding
"""
LARGE = frozenset(_GROWING.split())
"""Tables that grow with what the installation has seen."""
FEW = 1000
"""Rows of a table that PostgreSQL rightly reads whole."""


class Seen:
    """Collects the statements of a block with what was given to them, to ask for their plans afterwards."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.statements: list[tuple[str, Any]] = []

    def __enter__(self) -> "Seen":
        event.listen(self._engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._note)

    def _note(self, _: Any, __: Any, statement: str, parameters: Any, ___: Any, many: bool) -> None:
        if re.match(r"\s*(SELECT|WITH|UPDATE|DELETE)\b", statement):
            self.statements.append((statement, parameters[0] if many else parameters))

    @property
    def texts(self) -> list[str]:
        return [statement for statement, _ in self.statements]

    def wholes(self) -> list[str]:
        """Each large table that a statement reads from end to end, with that statement."""
        with self._engine.connect() as connection:
            return [f"{table}: {statement}" for statement, given in self._once() for table in whole(connection, statement, given)]

    def indexes(self) -> set[str]:
        """The indexes that the statements go by."""
        with self._engine.connect() as connection:
            return {name for each in self._once() for name in indexes(connection, *each)}

    def rows(self) -> int:
        """The most rows of a large table that one step of any statement looked at (PostgreSQL)."""
        with self._engine.connect() as connection:
            return max((looked_at(connection, *each) for each in self._once()), default=0)

    def steps(self) -> int:
        """The most steps that SQLite's machine took for one statement."""
        with self._engine.connect() as connection:
            return max((steps(connection, *each) for each in self._once()), default=0)

    def _once(self) -> list[tuple[str, Any]]:
        return list({statement: (statement, given) for statement, given in self.statements}.values())


def whole(connection: Connection, statement: str, given: Any) -> list[str]:
    """The large tables that the plan of a statement reads whole, by row or by index."""
    if connection.dialect.name == "sqlite":
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given).all()
        names = _names(statement)
        scanned = [match[1] for row in plan if (match := re.match(r"SCAN (\w+)", row[3]))]
        return [names.get(each, each) for each in scanned if names.get(each, each) in LARGE]
    plan = _explained(connection, f"EXPLAIN (FORMAT JSON) {statement}", given)
    read = [node["Relation Name"] for node in _nodes(plan) if node["Node Type"] == "Seq Scan" and node["Relation Name"] in LARGE]
    return [table for table in read if _size(connection, table) > FEW]


def indexes(connection: Connection, statement: str, given: Any) -> set[str]:
    """The indexes of the plan of a statement."""
    if connection.dialect.name == "sqlite":
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given).all()
        return {name for row in plan for name in re.findall(r"USING (?:COVERING )?INDEX (\w+)", row[3])}
    plan = _explained(connection, f"EXPLAIN (FORMAT JSON) {statement}", given)
    return {node["Index Name"] for node in _nodes(plan) if "Index Name" in node}


def looked_at(connection: Connection, statement: str, given: Any) -> int:
    """Rows that the busiest scan of a large table visits when the statement runs (what it changes is rolled back)."""
    plan = _explained(connection, f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", given)
    connection.rollback()
    return max((_visited(node) for node in _nodes(plan) if node.get("Relation Name") in LARGE), default=0)


def steps(connection: Connection, statement: str, given: Any) -> int:
    """Steps of SQLite's machine, in thousands, when the statement runs (what it changes is rolled back)."""
    held: Any = connection.connection.driver_connection
    taken: list[None] = []
    held.set_progress_handler(lambda: taken.append(None), 1000)
    result = connection.exec_driver_sql(statement, given)
    if result.returns_rows:
        result.fetchall()
    held.set_progress_handler(None, 0)
    connection.rollback()
    return len(taken)


def _names(statement: str) -> dict[str, str]:
    """Tables by the names that a statement gives them."""
    return {alias: table for table, alias in re.findall(r"\b(?:FROM|JOIN|,)\s+(\w+)\s+AS\s+(\w+)", statement)}


def _size(connection: Connection, table: str) -> int:
    return int(
        connection.exec_driver_sql("SELECT reltuples FROM pg_class WHERE relname = %(name)s", {"name": table}).scalar_one()
    )


def _explained(connection: Connection, statement: str, given: Any) -> dict[str, Any]:
    """The plan where a page is as cheap out of order as in order: on a solid disk, and once tables are in memory.

    A small table is read whole otherwise, where a hundred of its rows are wanted.
    """
    connection.exec_driver_sql("SET LOCAL random_page_cost = 1.1")
    found = connection.exec_driver_sql(statement, given).scalar_one()
    plan: dict[str, Any] = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return plan


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)


def _visited(node: dict[str, Any]) -> int:
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int((node["Actual Rows"] + removed) * node["Actual Loops"])
