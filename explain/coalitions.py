"""Which features a changed row has of the item itself, and which of the background: each distinct row is asked about once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.predictors import Floats
from contract.records import Row
from explain.table import Beside

Masks = NDArray[np.bool_]
Places = NDArray[np.intp]


class Mixed:
    """Rows of an item with values of the background, made slice by slice: coalition `which[i]` with background row `of[i]`.

    Values are chosen as bits, which is many times faster than a masked copy and takes NaN like any other.
    """

    def __init__(self, pair: Beside, coalitions: Masks, which: Places, of: Places) -> None:
        self._background = np.ascontiguousarray(pair.background, dtype=np.float64).view(np.int64)
        self._change = self._background ^ np.ascontiguousarray(pair.row, dtype=np.float64).view(np.int64)
        self._coalitions, self._which, self._of = coalitions, which, of

    def __len__(self) -> int:
        return len(self._which)

    def __getitem__(self, part: slice) -> Floats:
        which, of = self._which[part], self._of[part]
        made = -self._coalitions.take(which, axis=0).astype(np.int64)
        made &= self._change.take(of, axis=0)
        made ^= self._background.take(of, axis=0)
        return made.view(np.float64)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for, and where the answer to each coalition (n) with each background row (b) then stands: `places` (n, b)."""

    cells: Mixed
    places: Places

    def means(self, answers: Floats) -> Floats:
        """(n,) mean answers over the background."""
        return np.asarray(answers[self.places].mean(axis=1))


def varying(pair: Beside) -> Masks:
    """(b, d) where a background row has another value than the item; missing values are equal to each other."""
    equal = (pair.background == pair.row) | (np.isnan(pair.background) & np.isnan(pair.row))
    return np.asarray(~equal)


def plan(pair: Beside, coalitions: Masks, sources: Places, whole: int) -> Plan:
    """`sources` (n, b): the coalition that makes the same row of a background row, the first of them its own. Coalition `whole`
    is the item itself, whatever the background."""
    numbers, rows = np.arange(len(coalitions)), np.arange(sources.shape[1])
    asked = sources == numbers[:, None]
    asked[whole] = rows == 0
    which, of = np.nonzero(asked)
    places = np.cumsum(asked.ravel()).reshape(asked.shape) - 1
    return Plan(Mixed(pair, coalitions, which, of), places[sources, np.where(sources == whole, 0, rows)])


def contributions(names: list[str], row: Row, weights: Floats) -> list[dict[str, Any]]:
    """By feature, in the project's order."""
    return [
        {"feature": name, "value": row.get(name), "contribution": float(weight)}
        for name, weight in zip(names, weights, strict=True)
    ]
