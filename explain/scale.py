"""A background's columns without missing values, so that they can be drawn from, and back again: NaN out, NaN in."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np

from contract.predictors import Column, Floats

MISSING = -1.0
"""The code of a missing category, boolean or text."""


class Scale:
    """`counted` are the places of numbers and dates, `named` those of all else."""

    def __init__(self, columns: Sequence[Column], background: Floats) -> None:
        self._columns = columns
        self.counted = [place for place, column in enumerate(columns) if column.kind in ("number", "date")]
        self.named = [place for place in range(len(columns)) if place not in set(self.counted)]
        self.low, high = _ends(background)
        self.absent = self.low - np.maximum(np.maximum(high - self.low, 1.0), np.abs(self.low) / 1000)
        self._middle = (self.low + self.absent) / 2
        self._stand_ins, self._least = np.full(len(columns), MISSING), np.full(len(columns), -np.inf)
        self._stand_ins[self.counted], self._least[self.counted] = self.absent[self.counted], self.low[self.counted]
        self.background = self.filled(background)
        self.quarters = {place: _quarters(self._known(place)) for place in self.counted}

    def filled(self, matrix: Floats) -> Floats:
        """Missing values by their stand-ins; numbers below the smallest seen by that one."""
        return np.where(np.isnan(matrix), self._stand_ins, np.maximum(matrix, self._least))

    def restored(self, place: int, column: Floats) -> Floats:
        """Stand-ins of one column back to missing values."""
        gone = column < self._middle[place] if place in self.quarters else column == MISSING
        return np.where(gone, np.nan, column)

    def rule(self, place: int, filled: float, value: Any) -> str:
        """What "as in the row" means for one feature, in words."""
        name = self._columns[place].name
        if value is None:
            return f"{name} is missing"
        if place not in self.quarters:
            return f"{name} is this text" if self._columns[place].kind == "text" else f"{name} = {value}"
        return _between(name, self.quarters[place], filled)

    def _known(self, place: int) -> Floats:
        column = self.background[:, place]
        return np.asarray(column[column >= self.low[place]])


def _ends(matrix: Floats) -> tuple[Floats, Floats]:
    """(d,) smallest and largest known values; 0 and 0 for a column that knows none."""
    known = ~np.isnan(matrix)
    low = np.where(known, matrix, np.inf).min(axis=0)
    high = np.where(known, matrix, -np.inf).max(axis=0)
    seen = known.any(axis=0)
    return np.where(seen, low, 0.0), np.where(seen, high, 0.0)


def _quarters(known: Floats) -> list[float]:
    return np.unique(np.percentile(known, [25, 50, 75])).tolist() if known.size else [0.0]


def _between(name: str, borders: Sequence[float], value: float) -> str:
    place = bisect_left(borders, value)
    if place == 0:
        return f"{name} ≤ {borders[0]:.4g}"
    if place == len(borders):
        return f"{name} > {borders[-1]:.4g}"
    return f"{borders[place - 1]:.4g} < {name} ≤ {borders[place]:.4g}"
