"""Durations as people write them: `15s`, `10m`, `4h`, `7d`, `2w`, and `off`."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PATTERN = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")


def parse_duration(value: Any) -> timedelta:
    """A timedelta from `10m`. Raises ValueError with the forms that are understood."""
    if isinstance(value, timedelta):
        return value
    match = _PATTERN.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("is not a duration; write a number and s, m, h, d or w, e.g. 10m")
    return timedelta(seconds=float(match[1]) * _UNITS[match[2]])


def write_duration(value: timedelta) -> str:
    """The shortest text that reads back as the same duration."""
    seconds = value.total_seconds()
    unit = next(unit for unit in "wdhms" if seconds % _UNITS[unit] == 0 or unit == "s")
    return f"{seconds / _UNITS[unit]:g}{unit}"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(write_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?\s*[smhdw]$", "examples": ["10m"]}),
]
