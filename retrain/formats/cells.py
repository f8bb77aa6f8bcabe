"""One value of a row as it stands in a file, and back."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

_CELL = re.compile(r'("[^"]*(?:""[^"]*)*"|[^",\n]*)([,\n])')
_QUOTED = re.compile(r'[",\r\n]|^\s|\s$')


def iso(time: datetime | None) -> str | None:
    """A time as text, to the microsecond."""
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z") if time is not None else None


def as_json(value: Any, kind: str = "text") -> Any:
    """A cell as JSON has it."""
    if kind == "json":
        return None if value is None else json.loads(value)
    return iso(value) if isinstance(value, datetime) else value


def of_json(value: Any, kind: str) -> Any:
    """A cell out of JSON."""
    if value is None:
        return None
    if kind == "json":
        return json.dumps(value, ensure_ascii=False)
    return datetime.fromisoformat(value) if kind == "time" else value


def as_text(value: Any) -> str | None:
    """A cell as a file of text has it; None where there is none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(as_json(value))


def of_text(text: str | None, kind: str) -> Any:
    """A cell out of a file of text."""
    if text is None:
        return None
    if kind == "boolean":
        return text == "true"
    read: dict[str, Callable[[str], Any]] = {"number": _number, "time": datetime.fromisoformat}
    return read.get(kind, str)(text)


def line(values: Iterable[str | None]) -> str:
    """A line of CSV: what is missing is empty, an empty text is two quotes."""
    return ",".join(map(_field, values)) + "\n"


def lines(text: str) -> Iterator[list[str | None]]:
    """The lines of CSV, as `line` wrote them."""
    row = list[str | None]()
    for cell in _CELL.finditer(text):
        row.append(_value(cell[1]))
        if cell[2] == "\n":
            yield row
            row = []


def table(text: str, columns: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The rows of CSV with a head, as cells."""
    rows = lines(text)
    head = [str(name) for name in next(rows)]
    for row in rows:
        yield {name: of_text(value, columns.get(name, "text")) for name, value in zip(head, row, strict=True)}


def _field(value: str | None) -> str:
    if value is None:
        return ""
    return f'"{value.replace(chr(34), chr(34) * 2)}"' if not value or _QUOTED.search(value) else value


def _value(text: str) -> str | None:
    return text[1:-1].replace('""', '"') if text.startswith('"') else text or None


def _number(text: str) -> float | int:
    return int(text) if text.lstrip("-").isdigit() else float(text)
