"""A linear model fitted around one row of a table.

Ribeiro, Singh and Guestrin 2016, "Why Should I Trust You?", section 3. The numbers are those of
`lime.lime_tabular.LimeTabularExplainer`, called alone with the same seed.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from contract.predictors import Floats, TableModel
from contract.records import Row
from explain.background import background_hash, drawn
from explain.chunked import chunked
from explain.explainer import Ask
from explain.finding import Heading
from explain.neighbours import OWN_SHARE, Neighbours
from explain.pooling import Pooled, Search
from explain.scale import Scale
from explain.surrogate import line
from explain.table import Asked, answered, beside, encoded_background
from explain.target import CLIP, log_odds

ROWS = 2000
"""Background rows around which is drawn, at most."""
WIDTH = 0.75
"""The width of the kernel, in square roots of the number of features."""


class LimeTabular(Pooled[Asked]):
    """Weights of a ridge regression on "this feature is as in the row" (numbers: in the same quarter), unit log-odds.

    Missing values are a group of their own: numbers and dates get a fifth bin below the smallest value seen, the rest a
    code. Contributions sum, with `base`, to the surrogate's answer at the row. At most `features` of them are not zero, chosen as
    the library's `auto` chooses. Raises NotExplainable for an empty background.
    """

    method = "lime.tabular"

    def __init__(
        self, model: TableModel, background: Sequence[Row], *, rows: int = ROWS, samples: int = 5000, features: int | None = None
    ) -> None:
        super().__init__(model.labels)
        used = drawn(background, rows)
        self._model = chunked(model)
        self._background = encoded_background(model, used)
        self._scale = Scale(model.columns, self._background.matrix)
        self._neighbours = Neighbours(self._scale, samples)
        self._hash, self._features = background_hash(used), features
        fixed = {"samples": samples, "background_rows": len(used), "bins": "quartile", "own_share": OWN_SHARE, "clip": CLIP}
        self._params = fixed if features is None else {**fixed, "features": features}

    def _heading(self, ask: Ask) -> Heading:
        return Heading(self.method, "tabular", "log-odds", ask.label, ask.seed, self._hash, self._params)

    def _find(self, ask: Ask) -> Search[Asked]:
        pair = beside(self._model, ask.row, self._background)
        around = self._neighbours.around(pair.row, ask.seed)
        answers = log_odds((yield Asked(around.cells, pair.texts)))
        found = line(around.same, answers, _nearness(around.same), self._features)
        return found.finding(answers, lambda weights: self._contributions(ask.row, pair.row, weights), {})

    def _answer(self, questions: Sequence[Asked]) -> Floats:
        return answered(self._model, self._background, questions)

    def _contributions(self, row: Row, values: Floats, weights: Floats) -> list[dict[str, Any]]:
        filled = self._scale.filled(values[None])[0]
        return [
            {
                "feature": column.name,
                "value": row.get(column.name),
                "contribution": float(weights[place]),
                "rule": self._scale.rule(place, float(filled[place]), row.get(column.name)),
            }
            for place, column in enumerate(self._model.columns)
        ]


def _nearness(same: Floats) -> Floats:
    """(n,) weights by the number of features that are not as in the row."""
    width = same.shape[1]
    return np.asarray(np.exp((same @ np.ones(width) - width) / (WIDTH**2 * width) / 2))
