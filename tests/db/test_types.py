"""Column types give the same values on both databases."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session

from db.engine import Database
from db.tables import Activity, Person
from db.types import EPOCH, Json, UtcTime, microseconds


@pytest.mark.parametrize(
    "moment",
    [
        EPOCH,
        datetime(2026, 11, 24, 13, 45, 0, 123457, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 7, 1, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ],
)
def test_moments_come_back_to_the_microsecond_in_utc(database: Database, moment: datetime) -> None:
    database.write(lambda s: s.execute(insert(Person).values(name="a", role="lead", made_at=moment, disabled_at=None)) and None)
    made, disabled = database.read(lambda s: s.execute(select(Person.made_at, Person.disabled_at)).one()._tuple())
    assert (made, made.utcoffset(), disabled) == (moment, timedelta(0), None)
    at_or_before = database.read(lambda s: s.scalars(select(Person.name).where(Person.made_at <= moment)).all())
    assert at_or_before == ["a"]


def test_a_moment_without_a_zone_is_refused(sqlite: Database) -> None:
    naive = datetime(2026, 11, 24)
    with pytest.raises(StatementError, match="has no time zone"):
        sqlite.write(lambda s: s.execute(insert(Person).values(name="a", role="lead", made_at=naive)) and None)


@settings(max_examples=100, deadline=None)
@given(st.datetimes(datetime(1800, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC)))
def test_sqlite_keeps_whole_microseconds(moment: datetime) -> None:
    kind, dialect = UtcTime(), sqlite.dialect()  # type: ignore[no-untyped-call]
    kept = kind.process_bind_param(moment, dialect)
    assert kept == microseconds(moment)
    assert kind.process_result_value(kept, dialect) == moment


@pytest.mark.parametrize(
    "value", [{"z": 1, "a": [1.5, None, True]}, {"nul": "a\x00b", "text": "ä€😀"}, {"n": 2**53 - 1, "x": 1e-7}, {"a": {}}]
)
def test_json_comes_back_and_has_the_same_text_on_both(database: Database, value: dict[str, Any]) -> None:
    def put(session: Session) -> None:
        session.execute(insert(Activity).values(at=EPOCH, via="cli", verb="v", subject="s", after=value))

    database.write(put)
    back = database.read(lambda s: s.scalar(select(Activity.after)))
    assert back == value
    assert list(back) == list(value)  # the order of labels and features is meant
    kept = database.read(lambda s: s.scalar(text("SELECT after FROM activity")))
    assert kept == Json().process_bind_param(value, postgresql.dialect())  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_is_no_json_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        Json().process_bind_param({"a": number}, sqlite.dialect())  # type: ignore[no-untyped-call]


def test_ids_are_64_bit(database: Database) -> None:
    big = 2**62 + 1
    database.write(lambda s: s.execute(insert(Person).values(id=big, name="a", role="lead", made_at=EPOCH)) and None)
    assert database.read(lambda s: s.scalars(select(Person.id)).one()) == big
