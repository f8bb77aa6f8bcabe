"""Columns of a table as a brought model is given them: JSON values of real rows, and the same values back from numbers."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from contract.predictors import Column, Encoded, Floats
from contract.records import Row
from inference.own.engine import Cells

Form = Literal["whole", "day", "naive", "zoned", ""]
"""How a column's values are written: numbers all whole; dates without a time, without a zone, with one."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Coded(Sequence[Any]):
    """A column that has few values: `codes` (n,) into `distinct`, whose last entry, at -1, is None."""

    def __init__(self, codes: NDArray[np.intp], distinct: tuple[Any, ...]) -> None:
        self.codes, self.distinct = codes, (*distinct, None)

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, place: int) -> Any: ...
    @overload
    def __getitem__(self, place: slice) -> "Coded": ...
    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            return Coded(self.codes[place], self.distinct[:-1])
        return self.distinct[self.codes[place]]

    def __iter__(self) -> Iterator[Any]:
        return iter([self.distinct[code] for code in self.codes.tolist()])


def of_rows(columns: Sequence[Column], encoded: Encoded, rows: Sequence[Row], some: Sequence[int]) -> Cells:
    """Some of the rows that were encoded, their values as they were sent; a category is a text whatever it was sent as."""
    held = {}
    for place, column in enumerate(columns):
        if place in encoded.texts:
            held[column.name] = list(_coded(encoded.matrix[list(some), place], encoded.texts[place]))
        else:
            held[column.name] = [_sent(rows[n].get(column.name)) for n in some]
    return held


def of_encoded(columns: Sequence[Column], forms: Mapping[str, Form], encoded: Encoded) -> Cells:
    """Encoded rows as values again, written as the column's form says; each distinct value is made once."""
    return {
        column.name: _coded(encoded.matrix[:, place], encoded.texts[place])
        if place in encoded.texts
        else _numbers(encoded.matrix[:, place], column, forms.get(column.name, ""))
        for place, column in enumerate(columns)
    }


def forms(columns: Sequence[Column], rows: Sequence[Row]) -> dict[str, Form]:
    """How these rows write each column's values."""
    return {
        column.name: _form(column, [row[column.name] for row in rows if row.get(column.name) is not None]) for column in columns
    }


def _form(column: Column, values: Sequence[Any]) -> Form:
    if column.kind == "number" and values and all(isinstance(value, int) for value in values):
        return "whole"
    if column.kind != "date":
        return ""
    texts = [str(value) for value in values]
    if all(len(text) <= len("2026-11-24") for text in texts):
        return "day"
    return "zoned" if any(datetime.fromisoformat(text).tzinfo for text in texts) else "naive"


def _sent(value: Any) -> Any:
    return None if value is None or value != value else value


def _coded(codes: Floats, distinct: tuple[str, ...]) -> Coded:
    return Coded(np.where(np.isnan(codes), -1, codes).astype(np.intp), distinct)


def _numbers(values: Floats, column: Column, form: Form) -> Coded:
    known = ~np.isnan(values)
    distinct, places = np.unique(values[known], return_inverse=True)
    codes = np.full(len(values), -1, dtype=np.intp)
    codes[known] = places
    return Coded(codes, tuple(_value(value, column, form) for value in distinct.tolist()))


def _value(number: float, column: Column, form: Form) -> Any:
    if column.kind == "boolean":
        return bool(number)
    if column.kind == "date":
        return _date(number, form)
    return int(number) if form == "whole" and number.is_integer() else number


def _date(days: float, form: Form) -> str:
    try:
        moment = _EPOCH + timedelta(days=days)
    except OverflowError:
        moment = datetime.max.replace(tzinfo=UTC) if days > 0 else datetime.min.replace(tzinfo=UTC)
    if form == "day":
        return moment.date().isoformat()
    return (moment if form == "zoned" else moment.replace(tzinfo=None)).isoformat()
