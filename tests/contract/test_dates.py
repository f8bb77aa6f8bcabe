"""Spellings of dates that can be read in one way only."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.dates import iso


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-11-24", "2026-11-24"),
        ("2026-11-24T13:45:00Z", "2026-11-24T13:45:00Z"),
        ("2026-11-24 13:45:00 UTC", "2026-11-24 13:45:00+00:00"),
        ("20261124", "20261124"),
        ("24.11.2026", "2026-11-24"),
        ("1.2.2026 7:05", "2026-02-01T07:05"),
        ("2026/11/24 13:45:10", "2026-11-24T13:45:10"),
        ("24 Nov 2026", "2026-11-24"),
        ("24-NOV-2026", "2026-11-24"),
        ("November 24, 2026", "2026-11-24"),
        ("1700000000", "2023-11-14T22:13:20+00:00"),
        ("1700000000500", "2023-11-14T22:13:20.500000+00:00"),
    ],
)
def test_a_date_in_one_reading(text: str, said: str) -> None:
    assert iso(text) == said
    datetime.fromisoformat(said)


@pytest.mark.parametrize(
    "text",
    ["", "11/24/2026", "24/11/2026", "31.2.2026", "2026/13/01", "24 Foo 2026", "12:30", "5", "123456", "yesterday", "24.11.26"],
)
def test_no_date_or_more_than_one(text: str) -> None:
    assert iso(text) is None


@given(st.datetimes(min_value=datetime(1000, 1, 1)).map(lambda each: each.replace(microsecond=0)))
def test_every_spelling_says_the_same_moment(moment: datetime) -> None:
    expected = moment.isoformat()
    assert iso(moment.strftime("%d.%m.%Y %H:%M:%S")) == expected
    assert iso(moment.strftime("%Y/%m/%d %H:%M:%S")) == expected
    assert iso(expected) == expected


@given(st.integers(10**9, 10**10 - 1))
def test_seconds_and_milliseconds_since_1970(seconds: int) -> None:
    assert iso(str(seconds)) == iso(f"{seconds}000") == datetime.fromtimestamp(seconds, UTC).isoformat()


@given(st.text(max_size=24))
def test_whatever_is_taken_is_iso(text: str) -> None:
    found = iso(text)
    assert found is None or datetime.fromisoformat(found)
