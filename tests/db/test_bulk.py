"""Many rows at once are the rows that one insert each would have made, on both databases."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db import bulk
from db.engine import Database
from db.tables import Blob, Person, Tally

WHEN = datetime(2026, 11, 24, 13, 45, 0, 123_456, tzinfo=UTC)
AWKWARD = ["plain", "tab\there", "line\nbreak", "back\\slash", "\\N", "\\.", '"quoted"', "ä€😀", "", "'; DROP TABLE person"]


def test_values_come_back_as_they_went_in(database: Database) -> None:
    times = [WHEN + timedelta(microseconds=n) for n in range(len(AWKWARD))]
    left = [None if n % 2 else time for n, time in enumerate(times)]
    database.write(bulk.put, Person, name=AWKWARD, kind="person", role="lead", made_at=times, disabled_at=left)
    people = database.read(lambda s: s.scalars(select(Person).order_by(Person.id)).all())
    assert [(p.name, p.made_at, p.disabled_at) for p in people] == list(zip(AWKWARD, times, left, strict=True))
    assert {(p.kind, p.role, p.password_hash) for p in people} == {("person", "lead", None)}


def test_bytes_and_json_are_told_by_their_columns(database: Database) -> None:
    sent = [bytes(range(256)), b"", b"\\x00\t\n"]
    shas = [f"{n:064x}" for n in range(3)]
    database.write(bulk.put, Blob, sha256=shas, media_type="x/y", size=2**40, bytes=sent, made_at=WHEN)
    assert database.read(lambda s: s.scalars(select(Blob.bytes).order_by(Blob.sha256)).all()) == sent
    assert database.read(lambda s: set(s.scalars(select(Blob.size)))) == {2**40}


def test_a_mapping_is_one_json_value(database: Database) -> None:
    project_id = database.write(_project)
    database.write(bulk.put, Tally, project_id=[project_id, project_id], counts={"ä\t": 1})
    assert database.read(lambda s: s.scalars(select(Tally.counts)).all()) == [{"ä\t": 1}] * 2


def _project(session: Session) -> int:
    from db.tables import Project

    bulk.put(session, Project, name=["one"], made_at=WHEN)
    return session.scalars(select(Project.id)).one()


def test_nothing_is_inserted_of_a_batch_with_one_bad_row(database: Database) -> None:
    with pytest.raises(IntegrityError):
        database.write(bulk.put, Person, name=["ann", "bob", "ann"], kind="person", role="lead", made_at=WHEN)
    with pytest.raises(IntegrityError):
        database.write(bulk.put, Tally, project_id=[99], counts={})
    assert database.read(lambda s: s.scalar(select(func.count()).select_from(Person))) == 0


def test_no_rows_are_no_statement_and_unequal_columns_are_told(sqlite: Database) -> None:
    sqlite.write(bulk.put, Person, name=[], kind="person", role="lead", made_at=WHEN)
    with pytest.raises(ValueError, match=r"columns of person are lists of \[1, 2\] values"):
        sqlite.write(bulk.put, Person, name=["a", "b"], kind=["person"], role="lead", made_at=WHEN)
    with pytest.raises(ValueError, match="lists of no values"):
        sqlite.write(bulk.put, Person, name="a", kind="person", role="lead", made_at=WHEN)


def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    with pytest.raises(Exception, match="has no time zone"):
        database.write(bulk.put, Person, name=["a"], kind="person", role="lead", made_at=WHEN.replace(tzinfo=None))


def test_many_values_are_one_condition_that_uses_the_index(database: Database) -> None:
    names = [f"{name} {n}" for n, name in enumerate(AWKWARD * 50)]
    database.write(bulk.put, Person, name=names, kind="person", role="lead", made_at=WHEN)

    def found(session: Session, column: Any, values: list[Any]) -> list[str]:
        return list(session.scalars(select(Person.name).where(bulk.among(session, column, values)).order_by(Person.id)))

    assert database.read(found, Person.name, [*names[5:400], "nobody"]) == names[5:400]
    assert database.read(found, Person.id, [3, 1, 10**15]) == [names[0], names[2]]
    assert database.read(found, Person.id, []) == []


@pytest.mark.parametrize("count", [1, 2, 255, 256, 257, 1_000, 1_023])
def test_any_number_of_rows_is_put(sqlite: Database, count: int) -> None:
    names = [str(n) for n in range(count)]
    sqlite.write(bulk.put, Person, name=names, kind="person", role="lead", made_at=WHEN)
    assert sqlite.read(lambda s: list(s.scalars(select(Person.name).order_by(Person.id)))) == names
