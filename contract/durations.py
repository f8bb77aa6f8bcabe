"""Durations as people write them: `15s`, `10m`, `4h`, `7d`, `2w`, and `off`."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
MOST = timedelta(days=3650)
_PATTERN = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")


def parse_duration(value: Any) -> timedelta:
    """A timedelta from `10m`, at most ten years. Raises ValueError with the forms that are understood."""
    if isinstance(value, timedelta):
        return value
    match = _PATTERN.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("is not a duration; write a number and s, m, h, d or w, e.g. 10m")
    seconds = float(match[1]) * _UNITS[match[2]]
    if seconds > MOST.total_seconds():
        raise ValueError(f"is longer than {MOST.days // 365} years")
    return timedelta(seconds=seconds)


def write_duration(value: timedelta) -> str:
    """The shortest text that reads back as the same duration."""
    whole = value // timedelta(seconds=1)
    if value % timedelta(seconds=1):
        return f"{value.total_seconds():.6f}".rstrip("0") + "s"
    unit = next(unit for unit in "wdhms" if whole % _UNITS[unit] == 0)
    return f"{whole // _UNITS[unit]}{unit}"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(write_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?\s*[smhdw]$", "examples": ["10m"]}),
]
