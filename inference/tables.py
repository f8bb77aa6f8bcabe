"""Rows of a table as numbers: every value read strictly, column by column, and every bad value told apart from a missing one."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.predictors import Column, Encoded, Floats
from contract.project import Feature
from contract.records import Row

MAX_CATEGORIES = 250
"""Categories of one column that are told apart; rarer ones count as never seen. Boosted trees have 255 bins."""
DATE_PARTS = ("days", "year", "month", "weekday", "hour")
_NONE = type(None)
_PLAIN: Mapping[str, frozenset[type]] = {
    "number": frozenset({float, int, _NONE}),
    "boolean": frozenset({bool, _NONE}),
    "category": frozenset({str, _NONE}),
    "text": frozenset({str, _NONE}),
    "date": frozenset({str, _NONE}),
}
_NAMED = frozenset({"category", "text"})
_ABSENT = object()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_SECOND, _LAST_SECOND = -719_162 * 86_400, 2_932_897 * 86_400 - 1

Problems = dict[int, str]
"""Row number to what is wrong with it."""


def fit_columns(features: Mapping[str, Feature], rows: Sequence[Row]) -> tuple[Column, ...]:
    """The columns of a project's features; categories are those of these rows, the most frequent 250, in order of text."""
    return tuple(_fit_column(name, feature, rows) for name, feature in features.items())


def _fit_column(name: str, feature: Feature, rows: Sequence[Row]) -> Column:
    if feature.type == "image":
        raise ValueError(f"{name} is an image, which no table holds")
    if feature.type != "category":
        return Column(name, feature.type)
    counts = Counter(value for value in _read_many(_category, [row.get(name) for row in rows], {}) if value is not None)
    kept = sorted(counts, key=lambda value: (-counts[value], value))[:MAX_CATEGORIES]
    return Column(name, "category", tuple(sorted(kept)))


def read(
    columns: Sequence[Column], optional: frozenset[str], rows: Sequence[Row], *, every_category: bool = False
) -> tuple[Encoded, Problems]:
    """Rows as numbers, and what is wrong with those that cannot be scored (their cells hold NaN).

    With `every_category`, categories are coded like texts, so that one which the columns do not list keeps its value.
    """
    problems: Problems = {}
    rows = _mappings(rows, problems)
    matrix = np.empty((len(rows), len(columns)))
    texts: dict[int, tuple[str, ...]] = {}
    for place, column in enumerate(columns):
        values = _values(column.name, column.name in optional, rows, problems)
        if column.kind == "text" or (every_category and column.kind == "category"):
            matrix[:, place], texts[place] = _text_codes(values, column, problems)
        else:
            matrix[:, place] = _numbers(values, column, problems)
    return Encoded(matrix, texts), problems


def take(encoded: Encoded, indices: Sequence[int]) -> Encoded:
    """Some rows of an encoded table."""
    return encoded if len(indices) == len(encoded.matrix) else Encoded(encoded.matrix[list(indices)], encoded.texts)


def _mappings(rows: Sequence[Row], problems: Problems) -> Sequence[Row]:
    if set(map(type, rows)) <= {dict}:
        return rows
    problems.update({n: "the row is not a mapping of features" for n, row in enumerate(rows) if not isinstance(row, Mapping)})
    return [{} if n in problems else row for n, row in enumerate(rows)]


def _values(name: str, optional: bool, rows: Sequence[Row], problems: Problems) -> list[Any]:
    try:
        return [row[name] for row in rows]
    except KeyError:
        values = [row.get(name, _ABSENT) for row in rows]
    for n, value in enumerate(values):
        if value is _ABSENT:
            values[n] = None
            if not optional:
                problems.setdefault(n, f"{name}: is not in the row, and the model needs it")
    return values


def _numbers(values: list[Any], column: Column, problems: Problems) -> Floats:
    if column.kind == "category":
        return _codes(values, column, problems)
    if set(map(type, values)) <= _PLAIN[column.kind] and column.kind != "date":
        try:
            plain = np.array(values, dtype=np.float64)
        except OverflowError:
            plain = np.array([np.inf])
        if not np.isinf(plain).any():
            return plain
    return np.array(_checked(values, column, problems), dtype=np.float64)


def _codes(values: list[Any], column: Column, problems: Problems) -> Floats:
    codes: dict[Any, float] = {category: float(code) for code, category in enumerate(column.categories)}
    codes[None], unknown = math.nan, float(len(column.categories))
    if not set(map(type, values)) <= _PLAIN["category"]:
        values = _checked(values, column, problems)
    return np.array([codes.get(value, unknown) for value in values], dtype=np.float64)


def _text_codes(values: list[Any], column: Column, problems: Problems) -> tuple[Floats, tuple[str, ...]]:
    if not set(map(type, values)) <= _PLAIN["text"]:
        values = _checked(values, column, problems)
    codes: dict[str, int] = {}
    held = [math.nan if value is None else codes.setdefault(value, len(codes)) for value in values]
    return np.array(held, dtype=np.float64), tuple(codes)


def _checked(values: list[Any], column: Column, problems: Problems) -> list[Any]:
    found: Problems = {}
    checked = _read_many(_READERS[column.kind], values, found)
    for n, message in found.items():
        problems.setdefault(n, f"{column.name}: {message}")
    return checked


def _read_many(reader: Callable[[Any], Any], values: Iterable[Any], problems: Problems) -> list[Any]:
    read: list[Any] = []
    for n, value in enumerate(values):
        try:
            read.append(None if value is None or value is _ABSENT or value != value else reader(value))
        except (ValueError, TypeError, OverflowError) as error:
            problems[n] = str(error)
            read.append(None)
    return read


def _number(value: Any) -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise ValueError(f"{_short(value)} is not a number")
    number = float(value)
    if math.isinf(number):
        raise ValueError(f"{_short(value)} is not finite")
    return number


def _boolean(value: Any) -> float:
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{_short(value)} is not true or false")
    return float(value)


def _category(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):
        number = float(value)
        return str(int(number)) if number.is_integer() else f"{number:g}"
    raise ValueError(f"{_short(value)} is not a category")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{_short(value)} is not text")
    return value


def _date(value: Any) -> float:
    """Days since 1970; a time without a zone is taken as UTC."""
    if not isinstance(value, (str, date)):
        raise ValueError(f"{_short(value)} is not a date")
    text = value if isinstance(value, str) else value.isoformat()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{_short(value)} is not a date; write it as 2026-11-24 or 2026-11-24T13:45:00Z") from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH).total_seconds() / 86_400


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "number": _number,
    "boolean": _boolean,
    "category": _category,
    "text": _text,
    "date": _date,
}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


@dataclass(frozen=True, slots=True)
class Parts:
    """An encoded table taken apart: (n, a) numbers with NaN where missing, (n, b) category codes from 0 (missing) to size - 1."""

    numbers: Floats
    codes: NDArray[np.int64]


def parts(columns: Sequence[Column], matrix: Floats) -> Parts:
    """Numbers, booleans and the parts of dates side by side; category codes moved up by one, so that 0 is missing."""
    numeric: list[Floats] = []
    codes: list[Floats] = []
    for place, column in enumerate(columns):
        if column.kind == "date":
            numeric.append(date_parts(matrix[:, place]))
        elif column.kind == "category":
            codes.append(_shifted(matrix[:, place], len(column.categories)))
        elif column.kind != "text":
            numeric.append(matrix[:, place : place + 1])
    empty = np.empty((len(matrix), 0))
    stacked = np.stack(codes, axis=1) if codes else empty
    return Parts(np.concatenate(numeric, axis=1) if numeric else empty, stacked.astype(np.int64))


@dataclass(frozen=True, slots=True)
class Owners:
    """The places of the columns that stand in the parts of a table: one for each number (five for a date), code and text."""

    numbers: tuple[int, ...]
    codes: tuple[int, ...]
    texts: tuple[int, ...]


def owners(columns: Sequence[Column]) -> Owners:
    """Which column each part comes from, in the order of `parts`."""
    places = list(enumerate(columns))
    numbers = [(place, len(DATE_PARTS) if each.kind == "date" else 1) for place, each in places if each.kind not in _NAMED]
    return Owners(
        tuple(place for place, count in numbers for _ in range(count)),
        tuple(place for place, each in places if each.kind == "category"),
        tuple(place for place, each in places if each.kind == "text"),
    )


def code_sizes(columns: Sequence[Column]) -> list[int]:
    """How many codes each category column has: missing, the categories, never seen."""
    return [len(column.categories) + 2 for column in columns if column.kind == "category"]


def date_parts(days: Floats) -> Floats:
    """(n,) days since 1970 to (n, 5): days, year, month, weekday (Monday 0), hour with its fraction."""
    known = ~np.isnan(days)
    found = np.full((len(days), len(DATE_PARTS)), np.nan)
    seconds = np.round(np.clip(days[known] * 86_400, _FIRST_SECOND, _LAST_SECOND)).astype(np.int64)
    whole = seconds // 86_400
    dates = whole.astype("datetime64[D]")
    months = dates.astype("datetime64[M]").astype(np.int64)
    found[known] = np.stack(
        [days[known], months // 12 + 1970, months % 12 + 1, (whole + 3) % 7, (seconds % 86_400) / 3_600], axis=1
    )
    return found


def _shifted(codes: Floats, categories: int) -> Floats:
    held = np.where((codes >= 0) & (codes <= categories), np.floor(codes), float(categories))
    return np.where(np.isnan(codes), 0.0, held + 1)
