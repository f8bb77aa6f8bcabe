"""A linear model fitted around one row of a table.

Ribeiro, Singh and Guestrin 2016, "Why Should I Trust You?", section 3. By `lime.lime_tabular.LimeTabularExplainer`.
"""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from lime.discretize import QuartileDiscretizer
from lime.lime_tabular import LimeTabularExplainer
from numpy.typing import NDArray

from contract.predictors import Column, Floats, TableModel
from contract.records import Explanation, Row
from explain.background import background_hash, drawn
from explain.finding import Finding, Heading, explained, steadied
from explain.table import beside, encoded_background
from explain.target import Target

MISSING = -1.0
"""The code of a missing category, boolean or text."""
POINT = 1e-11
"""What LIME takes for the standard deviation of a bin whose values are all the same."""
OWN_SHARE = 0.05
"""A row's own value, or the quarter that it lies in, is drawn at least this often; a text, or a category that the background
lacks, would never be drawn, and its weight would be that of one sample."""


class LimeTabular:
    """Weights of a ridge regression on "this feature is as in the row" (numbers: in the same quarter), unit probability.

    Missing values are a group of their own: numbers and dates get a fifth bin below the smallest value seen, the rest a
    code. Contributions sum, with `base`, to the surrogate's answer at the row. Raises NotExplainable for an empty background.
    """

    method = "lime.tabular"

    def __init__(self, model: TableModel, background: Sequence[Row], *, rows: int = 2000, samples: int = 5000) -> None:
        used = drawn(background, rows)
        self._model = model
        self._background = encoded_background(model, used)
        self._scale = Scale(model.columns, self._background.matrix)
        self._lime = self._scale.lime()
        self._hash = background_hash(used)
        self._samples = samples
        self._params = {"samples": samples, "background_rows": len(used), "bins": "quartile", "own_share": OWN_SHARE}

    def explain(self, row: Row, *, label: str, seed: int) -> Explanation:
        heading = Heading(self.method, "tabular", "probability", label, seed, self._hash, self._params)
        return explained(heading, lambda: self._find(row, label, seed))

    def _find(self, row: Row, label: str, seed: int) -> Finding:
        pair = beside(self._model, row, self._background)
        asked = Asked(pair.target(self._model, label), self._scale, pair.row)
        filled = self._scale.filled(pair.row[None])[0]
        found = _around(self._lime, filled, seed).explain_instance(
            filled, asked, labels=(1,), num_features=len(filled), num_samples=self._samples
        )
        weights = np.zeros(len(filled))
        for place, weight in found.local_exp[1]:
            weights[place] = weight
        weights, note = steadied(weights, asked.answers)
        own = float(asked.answers[0])
        surrogate = own if note else float(found.local_pred[0])
        quality = {"local_r2": 1.0 if note else float(found.score), "prediction_gap": abs(surrogate - own)}
        base = own if note else float(found.intercept[1])
        return Finding(base, weights.tolist(), self._contributions(row, filled, weights), quality, note)

    def _contributions(self, row: Row, filled: Floats, weights: Floats) -> list[dict[str, Any]]:
        return [
            {
                "feature": column.name,
                "value": row.get(column.name),
                "contribution": float(weights[place]),
                "rule": self._scale.rule(place, float(filled[place]), row.get(column.name)),
            }
            for place, column in enumerate(self._model.columns)
        ]


class Asked:
    """LIME's predict function: (n, d) samples, the first of them the row itself, to (n, 2) probabilities, kept in `answers`."""

    def __init__(self, target: Target, scale: "Scale", row: Floats) -> None:
        self._target, self._scale, self._row = target, scale, row
        self.answers: Floats = np.empty(0)

    def __call__(self, samples: Floats) -> Floats:
        matrix = self._scale.restored(samples)
        matrix[0] = self._row
        both = self._target.against(matrix)
        self.answers = both[:, 1]
        return both


class Scale:
    """The background's columns as LIME can take them, and back again: NaN out, NaN in."""

    def __init__(self, columns: Sequence[Column], background: Floats) -> None:
        self.columns = columns
        self.counted = [place for place, column in enumerate(columns) if column.kind in ("number", "date")]
        self.named = [place for place in range(len(columns)) if place not in set(self.counted)]
        self.low, high = _ends(background)
        self.absent = self.low - np.maximum(np.maximum(high - self.low, 1.0), np.abs(self.low) / 1000)
        self.middle = (self.low + self.absent) / 2
        self.background = self.filled(background)

    def filled(self, matrix: Floats) -> Floats:
        """Missing values by their stand-ins; numbers below the smallest seen by that one."""
        filled = matrix.copy()
        for place in self.counted:
            column = matrix[:, place]
            filled[:, place] = np.where(np.isnan(column), self.absent[place], np.maximum(column, self.low[place]))
        filled[:, self.named] = np.where(np.isnan(matrix[:, self.named]), MISSING, matrix[:, self.named])
        return filled

    def restored(self, samples: Floats) -> Floats:
        """Stand-ins back to missing values."""
        restored = samples.copy()
        counted, named = samples[:, self.counted], samples[:, self.named]
        restored[:, self.counted] = np.where(counted < self.middle[self.counted], np.nan, counted)
        restored[:, self.named] = np.where(named == MISSING, np.nan, named)
        return restored

    def lime(self) -> LimeTabularExplainer:
        """LIME over this background; to be copied with its own generator for each row."""
        names = [column.name for column in self.columns]
        bins = Quarters(self.background, self.named, names, self.low, self.absent)
        return LimeTabularExplainer(
            self.background,
            feature_names=names,
            categorical_features=self.named,
            feature_selection="none",
            discretizer=bins,
            random_state=0,
        )

    def rule(self, place: int, filled: float, value: Any) -> str:
        """What "as in the row" means for one feature, in words."""
        name = self.columns[place].name
        if value is None:
            return f"{name} is missing"
        if place in set(self.named):
            return f"{name} is this text" if self.columns[place].kind == "text" else f"{name} = {value}"
        known = self.background[self.background[:, place] >= self.low[place], place]
        return _between(name, _quarters(known), filled)


class Quarters(QuartileDiscretizer):  # type: ignore[misc]  # lime has no types
    """LIME's quartile bins of the known values, with one for missing values before them.

    Two more differences: where all of a bin is one value the library draws 0 for it and here it is that value; and a bin that
    holds no row is drawn from its own range.
    """

    def __init__(self, data: Floats, named: Sequence[int], names: Sequence[str], low: Floats, absent: Floats) -> None:
        self._low, self._absent = low, absent
        super().__init__(data, named, names)
        for place in self.to_discretize:
            self._mend(place, np.bincount(self.lambdas[place](data[:, place]), minlength=len(self.means[place])))

    def bins(self, data: Floats, labels: object) -> list[Floats]:
        return [self._borders(data[:, place], self._low[place]) for place in self.to_discretize]

    def get_undiscretize_values(self, feature: int, values: NDArray[np.int_]) -> Floats:
        drawn_values = super().get_undiscretize_values(feature, values)
        means, stds = np.array(self.means[feature])[values], np.array(self.stds[feature])[values]
        return np.asarray(np.where(stds < 2 * POINT, means, drawn_values))

    def _borders(self, column: Floats, low: float) -> Floats:
        return np.array([np.nextafter(low, -np.inf), *_quarters(column[column >= low])])

    def _mend(self, place: int, counts: NDArray[np.int_]) -> None:
        mins, maxs, means, stds = self.mins[place], self.maxs[place], self.means[place], self.stds[place]
        mins[0] = maxs[0] = means[0] = self._absent[place]
        mins[1], stds[0] = self._low[place], POINT
        for empty in np.flatnonzero(counts[1:] == 0) + 1:
            maxs[empty] = max(mins[empty], maxs[empty])
            means[empty] = (mins[empty] + maxs[empty]) / 2
            stds[empty] = max(maxs[empty] - mins[empty], POINT)


def _around(lime: LimeTabularExplainer, filled: Floats, seed: int) -> LimeTabularExplainer:
    """LIME for one row: the library's own explainer as built with this seed, and the row's own values drawn often enough."""
    own = copy.copy(lime)
    own.random_state = np.random.RandomState(seed)
    own.base, own.discretizer = copy.copy(lime.base), copy.copy(lime.discretizer)
    own.base.random_state = own.discretizer.random_state = own.random_state
    own.feature_values, own.feature_frequencies = dict(lime.feature_values), dict(lime.feature_frequencies)
    for place, value in enumerate(own.discretizer.discretize(filled)):
        values, shares = _with_own(own.feature_values[place], own.feature_frequencies[place], value)
        own.feature_values[place], own.feature_frequencies[place] = values, shares
    return own


def _with_own(values: list[float], shares: Floats, own: float) -> tuple[list[float], Floats]:
    at = values.index(own) if own in values else len(values)
    if at == len(values):
        values, shares = [*values, own], np.append(shares, 0.0)
    if shares[at] >= OWN_SHARE:
        return values, shares
    raised = shares * ((1 - OWN_SHARE) / (1 - shares[at]))
    raised[at] = OWN_SHARE
    return values, raised


def _ends(matrix: Floats) -> tuple[Floats, Floats]:
    """(d,) smallest and largest known values; 0 and 0 for a column that knows none."""
    known = ~np.isnan(matrix)
    low = np.where(known, matrix, np.inf).min(axis=0)
    high = np.where(known, matrix, -np.inf).max(axis=0)
    seen = known.any(axis=0)
    return np.where(seen, low, 0.0), np.where(seen, high, 0.0)


def _quarters(known: Floats) -> Floats:
    return np.unique(np.percentile(known, [25, 50, 75])) if known.size else np.zeros(1)


def _between(name: str, borders: Floats, value: float) -> str:
    place = int(np.searchsorted(borders, value))
    if place == 0:
        return f"{name} ≤ {borders[0]:.4g}"
    if place == len(borders):
        return f"{name} > {borders[-1]:.4g}"
    return f"{borders[place - 1]:.4g} < {name} ≤ {borders[place]:.4g}"
