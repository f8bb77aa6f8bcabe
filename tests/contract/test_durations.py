"""Durations as people write them."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from contract.durations import MOST, Duration, parse_duration, write_duration


class Holder(BaseModel):
    lasts: Duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15s", 15), ("10m", 600), ("4h", 14_400), ("7d", 604_800), ("2w", 1_209_600), ("1.5h", 5_400), (" 3 m ", 180), ("0s", 0)],
)
def test_units(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("value", ["", "10", "m", "ten minutes", "-5m", "5 y", "1h30m", 10, None, True, [], "5M", "1e3s", "٣m m"])
def test_what_is_none_names_the_form(value: object) -> None:
    with pytest.raises(ValueError, match=r"e\.g\. 10m"):
        parse_duration(value)


def test_digits_of_other_scripts_are_no_surprise() -> None:
    assert parse_duration("٣m") == timedelta(minutes=3)


@pytest.mark.parametrize("text", ["11000d", "99999999999w", f"{'9' * 400}s"])
def test_more_than_ten_years_is_a_mistake_not_an_overflow(text: str) -> None:
    with pytest.raises(ValueError, match="longer than 10 years"):
        parse_duration(text)
    with pytest.raises(ValidationError):
        Holder(lasts=text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "written"), [("60s", "1m"), ("24h", "1d"), ("14d", "2w"), ("90m", "90m"), ("1.5s", "1.5s"), ("1000001m", "1000001m")]
)
def test_the_shortest_text_is_written(text: str, written: str) -> None:
    assert write_duration(parse_duration(text)) == written


@settings(max_examples=200, deadline=None)
@given(st.timedeltas(min_value=timedelta(0), max_value=MOST))
def test_what_is_written_reads_back(value: timedelta) -> None:
    assert parse_duration(write_duration(value)) == value
    assert Holder.model_validate_json(Holder(lasts=value).model_dump_json()).lasts == value
