"""Which feature each column of a pipeline's design belongs to, found by trying: what moves with one feature is its own."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.inside import Places
from contract.predictors import Column, Encoded, Floats

NOBODY = -1
CELLS = 16_000
"""About so many cells of the sample are changed for one round of trying; wide tables get fewer rows."""
FEWEST = 16
SINGLY = 20
"""Rows tried one by one where a pipeline refuses one of many."""
Moved = NDArray[np.bool_]


@dataclass(frozen=True)
class Words:
    """Values that a pipeline knows beside those in the sample: categories of its encoders, and all words of its vectorizers."""

    categories: tuple[str, ...] = ()
    text: str = ""


def owners(columns: Sequence[Column], design: Callable[[Encoded], Floats], rows: Encoded, words: Words) -> Places | None:
    """(e,) places of the columns, NOBODY for one that nothing moved; None where one moves with two features."""
    some = _fewer(rows, max(FEWEST, CELLS // max(len(columns), 1)))
    before = design(some)
    moved = np.array([_moved(column, place, design, some, before, words) for place, column in enumerate(columns)])
    if (moved.sum(axis=0) > 1).any():
        return None
    return _between(np.where(moved.any(axis=0), moved.argmax(axis=0), NOBODY))


def _fewer(rows: Encoded, most: int) -> Encoded:
    return Encoded(rows.matrix[:most], rows.texts)


def _moved(column: Column, place: int, design: Callable[[Encoded], Floats], rows: Encoded, before: Floats, words: Words) -> Moved:
    found = np.zeros(before.shape[1], dtype=bool)
    for at, changed in _changes(column, place, rows, words):
        for some in _answered(design, changed):
            found |= _differ(some.points, before[at[some.rows]])
    return found


@dataclass(frozen=True)
class _Answered:
    rows: Places
    points: Floats


def _answered(design: Callable[[Encoded], Floats], changed: Encoded) -> list[_Answered]:
    """All rows at once; where the pipeline refuses one, some of them one by one, but for those that it refuses."""
    every = np.arange(len(changed.matrix))
    tries = [every, *(every[[n]] for n in every[:: -(-len(every) // SINGLY)])]
    found = list[_Answered]()
    for rows in tries:
        try:
            found.append(_Answered(rows, design(Encoded(changed.matrix[rows], changed.texts))))
        except Exception:  # a pipeline may refuse a value: that one then moves nothing
            continue
        if len(rows) == len(every):
            break
    return found


def _differ(after: Floats, before: Floats) -> Moved:
    return np.asarray(~((after == before) | (np.isnan(after) & np.isnan(before))).all(axis=0))


def _changes(column: Column, place: int, rows: Encoded, words: Words) -> Iterator[tuple[Places, Encoded]]:
    """The sample with one column changed: each row has its neighbour's value, none, or one that the pipeline knows."""
    every = np.arange(len(rows.matrix))
    yield every, _with(rows, place, np.roll(rows.matrix[:, place], 1))
    yield every, _with(rows, place, np.full(len(every), np.nan))
    if place in rows.texts:
        more = (*words.categories, words.text)
        texts = {**rows.texts, place: (*rows.texts[place], *more)}
        codes = len(rows.texts[place]) + np.arange(len(more), dtype=np.float64)
        yield _each(Encoded(rows.matrix, texts), place, codes)
    elif column.kind == "boolean":
        yield every, _with(rows, place, 1.0 - rows.matrix[:, place])
    elif not np.isnan(rows.matrix[:, place]).all():
        low, high = np.nanmin(rows.matrix[:, place]), np.nanmax(rows.matrix[:, place])
        yield _each(rows, place, np.array([2 * low - high - 1, *np.linspace(low, high, 33), 2 * high - low + 1]))


def _each(rows: Encoded, place: int, values: Floats) -> tuple[Places, Encoded]:
    """The first row with each of some values."""
    first = np.zeros(len(values), dtype=np.intp)
    return first, _with(Encoded(rows.matrix[first], rows.texts), place, values)


def _with(rows: Encoded, place: int, values: Floats) -> Encoded:
    matrix = rows.matrix.copy()
    matrix[:, place] = values
    return Encoded(matrix, rows.texts)


def _between(found: Places) -> Places:
    """What nothing moved, a rare word say, belongs where both its neighbours do that something moved."""
    known = np.flatnonzero(found != NOBODY)
    for place in np.flatnonzero(found == NOBODY):
        at = int(np.searchsorted(known, place))
        if 0 < at < len(known) and found[known[at - 1]] == found[known[at]]:
            found[place] = found[known[at]]
    return found
