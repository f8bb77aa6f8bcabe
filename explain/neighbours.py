"""Copies of a row whose values are drawn around the background, as `lime.lime_tabular.LimeTabularExplainer` draws them.

A named value is drawn by its share of the background; of a number or date a quarter is, and then a value within it, from a normal
distribution cut off at its ends. Missing values are one more value, or one more bin below the others. What a seed draws for a row
whose own values are common enough depends on the seed alone, and is kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from contract.predictors import Floats
from explain.kept import DRAWN
from explain.scale import Scale
from explain.sliced import Sliced

POINT = 1e-11
"""What LIME takes for the standard deviation of a bin whose values are all the same."""
OWN_SHARE = 0.05
"""A row's own value, or the quarter that it lies in, is drawn at least this often; a text, or a category that the background
lacks, would never be drawn, and its weight would be that of one sample."""
Places = NDArray[np.intp]


class Values:
    """What is drawn for one column: distinct values or numbers of bins, and how often each."""

    def __init__(self, values: Floats, shares: Floats) -> None:
        self.values, self._shares = values, shares
        self.places = {value: place for place, value in enumerate(values.tolist())}

    def with_own(self, own: float) -> "Values":
        """The same, with the row's own drawn often enough, as the last where it is new."""
        at = self.places.get(own)
        if at is None:
            return Values(np.append(self.values, own), np.append(self._shares * (1 - OWN_SHARE), OWN_SHARE))
        if self._shares[at] >= OWN_SHARE:
            return self
        shares = self._shares * ((1 - OWN_SHARE) / (1 - self._shares[at]))
        shares[at] = OWN_SHARE
        return Values(self.values, shares)

    def picked(self, uniforms: Floats) -> Places:
        """As numpy's RandomState.choice picks by these shares."""
        ends = self._shares.cumsum()
        return np.searchsorted(ends / ends[-1], uniforms, side="right")


class Bins:
    """The bins of one column of numbers: missing, then up to four quarters.

    LIME's quartile bins with three differences: missing values have one of their own; where all of a bin is one value the library
    draws 0 for it, and here it is that value; and a bin that holds no row is drawn from its own range.
    """

    def __init__(self, column: Floats, low: float, absent: float, quarters: Sequence[float]) -> None:
        self.borders = np.unique([np.nextafter(low, -np.inf), *quarters])
        places = np.searchsorted(self.borders, column)
        held = [column[places == bin] for bin in range(len(self.borders) + 1)]
        least, most = np.array([absent, low, *self.borders[1:]]), np.array([absent, *self.borders[1:], column.max()])
        middle = np.array([part.mean() if part.size else 0.0 for part in held])
        spread = np.array([part.std() if part.size else 0.0 for part in held]) + POINT
        middle[0], spread[0] = absent, POINT
        for empty in (bin for bin in range(1, len(held)) if not held[bin].size):
            most[empty] = max(least[empty], most[empty])
            middle[empty], spread[empty] = (least[empty] + most[empty]) / 2, max(most[empty] - least[empty], POINT)
        self._middle, self._spread, self._single = middle, spread, spread < 2 * POINT
        low_end, high_end = (least - middle) / spread, (most - middle) / spread
        self.wide = low_end != high_end
        self._below, self._mass = ndtr(low_end), ndtr(high_end) - ndtr(low_end)

    def drawn(self, bins: Places, uniforms: Floats) -> Floats:
        """(n,) values within their bins; one uniform number for each that lies in a wide one."""
        position = np.full(len(bins), 0.5)
        position[self.wide[bins]] = uniforms
        values = ndtri(self._below[bins] + position * self._mass[bins]) * self._spread[bins] + self._middle[bins]
        return np.where(self._single[bins], self._middle[bins], values)


@dataclass(frozen=True, slots=True)
class Around:
    """(n, d) which values are as in the row, 1 or 0, and the values themselves; of both the row itself comes first."""

    same: Floats
    cells: Sliced


@dataclass(frozen=True, slots=True)
class Drawn:
    """(n, d) which of a column's values was picked, and the values, NaN for missing; `spent` uniform numbers each column used."""

    picks: NDArray[np.signedinteger[Any]]
    cells: Floats
    spent: dict[int, int]

    @property
    def nbytes(self) -> int:
        return self.picks.nbytes + self.cells.nbytes


class Neighbours:
    """Draws around one background: `samples` copies of a row, the first of them the row itself."""

    def __init__(self, scale: Scale, samples: int) -> None:
        self._scale, self._samples = scale, samples
        self._bins = {
            at: Bins(scale.background[:, at], scale.low[at], scale.absent[at], scale.quarters[at]) for at in scale.counted
        }
        self._borders = _padded([self._bins[at].borders for at in scale.counted])
        self._values = [_counted(column) for column in self._placed(scale.background).T]
        self._name = object()

    def around(self, row: Floats, seed: int) -> Around:
        """`row` (d,) as it is, NaN for missing."""
        drawn = DRAWN.of((self._name, seed), lambda: self._drawn(seed))
        owns = self._placed(self._scale.filled(row[None]))[0].tolist()
        values = [each.with_own(own) for each, own in zip(self._values, owns, strict=True)]
        raised = [at for at, each in enumerate(values) if each is not self._values[at]]
        own_places = [each.places[own] for each, own in zip(values, owns, strict=True)]
        same = drawn.picks == np.array(own_places, dtype=np.intp)
        again = self._again(seed, values, raised, drawn.spent, drawn.picks) if raised else _NOTHING
        for at, picks in again.picks.items():
            same[:, at] = picks == own_places[at]
        same[0] = True
        return Around(same.astype(np.float64), Patched(drawn.cells, row, again.cells))

    def _placed(self, filled: Floats) -> Floats:
        """Numbers and dates by the number of their bin."""
        placed, counted = filled.copy(), self._scale.counted
        placed[:, counted] = (filled[:, counted, None] > self._borders).sum(axis=2)
        return placed

    def _drawn(self, seed: int) -> Drawn:
        every = range(len(self._values))
        drawn = self._again(seed, self._values, every, {}, None)
        small = np.min_scalar_type(-max(len(each.values) for each in self._values))
        picks = np.stack([drawn.picks[at] for at in every], axis=1).astype(small)
        return Drawn(picks, np.stack([drawn.cells[at] for at in every], axis=1), drawn.spent)

    def _again(
        self, seed: int, values: Sequence[Values], at_places: Iterable[int], spent: Mapping[int, int], picks: Any
    ) -> "_Columns":
        """These columns from the seed's own stream, and those behind them that come to lie elsewhere in it."""
        stream = np.random.RandomState(seed)
        uniforms = stream.random_sample((len(values), self._samples))
        found = _Columns({at: values[at].picked(uniforms[at]) for at in at_places}, {}, dict(spent))
        for at in found.picks.keys() - self._bins.keys():
            found.cells[at] = self._scale.restored(at, values[at].values[found.picks[at]])
        if found.picks.keys() & self._bins.keys():
            self._numbers(stream.random_sample(len(self._bins) * (self._samples - 1)), values, found, picks)
        return found

    def _numbers(self, uniforms: Floats, values: Sequence[Values], found: "_Columns", picks: Any) -> None:
        begin = before = 0
        for at, bins in self._bins.items():
            due = found.spent.get(at, -1)
            if at in found.picks or begin != before:
                own = values[at].values[found.picks[at] if at in found.picks else picks[:, at]].astype(np.intp)
                found.spent[at] = int(np.count_nonzero(bins.wide[own[1:]]))
                drawn = bins.drawn(own[1:], uniforms[begin : begin + found.spent[at]])
                found.cells[at] = self._scale.restored(at, np.append(np.nan, drawn))
            begin, before = begin + found.spent[at], before + due


@dataclass(frozen=True, slots=True)
class _Columns:
    """By place."""

    picks: dict[int, Places]
    cells: dict[int, Floats]
    spent: dict[int, int]


_NOTHING = _Columns({}, {}, {})


@dataclass(frozen=True, slots=True)
class Patched:
    """Cells with some columns of their own and another first row."""

    cells: Floats
    row: Floats
    columns: Mapping[int, Floats]

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, part: slice) -> Floats:
        made = self.cells[part].copy()
        for at, column in self.columns.items():
            made[:, at] = column[part]
        if len(made) and not part.start:
            made[0] = self.row
        return made


def _counted(column: Floats) -> Values:
    values, counts = np.unique(column, return_counts=True)
    return Values(values, counts / counts.sum())


def _padded(borders: Sequence[Floats]) -> Floats:
    """(columns, most) ascending, infinite behind the last."""
    padded = np.full((len(borders), max(map(len, borders), default=0)), np.inf)
    for at, each in enumerate(borders):
        padded[at, : len(each)] = each
    return padded
