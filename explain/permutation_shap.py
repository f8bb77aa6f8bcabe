"""Shapley values of a table's features by permutations in both directions.

Lundberg and Lee 2017, "A Unified Approach to Interpreting Model Predictions", section 4; antithetic permutations as in
Mitchell et al. 2022, "Sampling Permutations for Shapley Value Estimation", section 4. By `shap.PermutationExplainer`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import shap

from contract.predictors import Floats, TableModel
from contract.records import Explanation, Row
from explain.background import background_hash, drawn
from explain.finding import Finding, Heading, explained, steadied
from explain.randomness import seeded
from explain.table import Codes, beside, coded, encoded_background
from explain.target import CLIP

CELLS = 16_000_000
"""At most so many cells in one matrix of changed rows; wide tables get fewer background rows."""


class PermutationShap:
    """Log-odds of a label shared among the features of the project, categories, dates and texts as one feature each.

    Hidden features take the values of `rows` background rows; `evaluations` coalitions are asked for, at least two
    permutations. A missing value is a value like others. Raises NotExplainable for an empty background.
    """

    method = "shap.permutation"

    def __init__(self, model: TableModel, background: Sequence[Row], *, rows: int = 64, evaluations: int = 1000) -> None:
        d = len(model.columns)
        used = drawn(background, max(1, min(rows, CELLS // ((2 * d + 1) * max(d, 1)))))
        self._model = model
        self._background = encoded_background(model, used)
        self._hash = background_hash(used)
        self._evaluations = max(evaluations, 2 * (2 * d + 1))
        self._params = {"evaluations": self._evaluations, "background_rows": len(used), "clip": CLIP}

    def explain(self, row: Row, *, label: str, seed: int) -> Explanation:
        heading = Heading(self.method, "tabular", "log-odds", label, seed, self._hash, self._params)
        return explained(heading, lambda: self._find(row, label, seed))

    def _find(self, row: Row, label: str, seed: int) -> Finding:
        pair = beside(self._model, row, self._background)
        target = pair.target(self._model, label)
        codes = coded(pair)
        seen: list[Floats] = []

        def log_odds(matrix: Floats) -> Floats:
            seen.append(target.log_odds(codes.decoded(matrix)))
            return seen[-1]

        base, weights = _shapley(log_odds, codes, self._evaluations, seed)
        weights, note = steadied(weights, np.concatenate(seen))
        gap = abs(base + float(weights.sum()) - float(target.log_odds(pair.row[None])[0]))
        return Finding(base, weights.tolist(), self._contributions(row, weights), {"additivity_gap": gap}, note)

    def _contributions(self, row: Row, weights: Floats) -> list[dict[str, Any]]:
        names = [column.name for column in self._model.columns]
        return [
            {"feature": name, "value": row.get(name), "contribution": float(weight)}
            for name, weight in zip(names, weights, strict=True)
        ]


def _shapley(function: Any, codes: Codes, evaluations: int, seed: int) -> tuple[float, Floats]:
    """The mean answer over the background, and (d,) Shapley values."""
    masker = shap.maskers.Independent(codes.background, max_samples=len(codes.background))
    with seeded(seed):
        explainer = shap.PermutationExplainer(function, masker, seed=seed)
        found = explainer(codes.row[None], max_evals=evaluations, silent=True)
    return float(np.ravel(found.base_values)[0]), np.array(found.values[0], dtype=np.float64)
