"""The library itself for tables, configured as it must be for missing values and rare ones: what our numbers are held against."""

import copy
from typing import Any

import numpy as np
from explained_models import in_log_odds
from lime.discretize import QuartileDiscretizer
from lime.lime_tabular import LimeTabularExplainer

from contract.predictors import Encoded, Floats
from contract.records import Row
from explain.neighbours import OWN_SHARE, POINT
from explain.scale import Scale
from explain.table import beside


class Quarters(QuartileDiscretizer):
    """LIME's quartile bins of the known values, with one for missing values before them."""

    def __init__(self, scale: Scale, names: list[str]) -> None:
        self._scale = scale
        data = scale.background
        super().__init__(data, scale.named, names)
        for place in self.to_discretize:
            self._mend(place, np.bincount(self.lambdas[place](data[:, place]), minlength=len(self.means[place])))

    def bins(self, data: Floats, labels: object) -> list[Floats]:
        return [self._borders(data[:, place], self._scale.low[place]) for place in self.to_discretize]

    def get_undiscretize_values(self, feature: int, values: Any) -> Floats:
        drawn_values = super().get_undiscretize_values(feature, values)
        means, stds = np.array(self.means[feature])[values], np.array(self.stds[feature])[values]
        return np.where(stds < 2 * POINT, means, drawn_values)

    def _borders(self, column: Floats, low: float) -> Floats:
        known = column[column >= low]
        quarters = np.unique(np.percentile(known, [25, 50, 75])) if known.size else np.zeros(1)
        return np.array([np.nextafter(low, -np.inf), *quarters])

    def _mend(self, place: int, counts: Any) -> None:
        mins, maxs, means, stds = self.mins[place], self.maxs[place], self.means[place], self.stds[place]
        mins[0] = maxs[0] = means[0] = self._scale.absent[place]
        mins[1], stds[0] = self._scale.low[place], POINT
        for empty in np.flatnonzero(counts[1:] == 0) + 1:
            maxs[empty] = max(mins[empty], maxs[empty])
            means[empty] = (mins[empty] + maxs[empty]) / 2
            stds[empty] = max(maxs[empty] - mins[empty], POINT)


def library(model: Any, background: list[Row], row: Row, label: str, seed: int, features: int | None, samples: int) -> Any:
    """What `lime` finds when it is called alone for this row."""
    pair = beside(model, row, model.encode(background))
    scale = Scale(model.columns, pair.background)
    names = [column.name for column in model.columns]
    lime = LimeTabularExplainer(
        scale.background,
        feature_names=names,
        categorical_features=scale.named,
        feature_selection="none" if features is None else "auto",
        discretizer=Quarters(scale, names),
        random_state=np.random.RandomState(seed),
    )
    lime.discretizer.random_state = lime.random_state
    filled = scale.filled(pair.row[None])[0]
    for place, value in enumerate(lime.discretizer.discretize(filled)):
        _raise(lime, place, value)

    def asked(drawn: Floats) -> Floats:
        matrix = np.column_stack([scale.restored(place, column) for place, column in enumerate(drawn.T)])
        matrix[0] = pair.row
        place = model.labels.index(label)
        found = in_log_odds(model.table_probabilities)(Encoded(matrix, pair.texts))[:, place]
        return np.column_stack([1 - found, found])  # the library wants rows that sum to one

    return lime.explain_instance(filled, asked, labels=(1,), num_features=features or len(names), num_samples=samples)


def _raise(lime: Any, place: int, own: float) -> None:
    """The row's own value is drawn often enough."""
    values, shares = list(lime.feature_values[place]), copy.copy(lime.feature_frequencies[place])
    if own not in values:
        values, shares = [*values, own], np.append(shares, 0.0)
    at = values.index(own)
    if shares[at] < OWN_SHARE:
        shares = shares * ((1 - OWN_SHARE) / (1 - shares[at]))
        shares[at] = OWN_SHARE
    lime.feature_values[place], lime.feature_frequencies[place] = values, shares
