"""Shapley values of a linear model: each weight times how far the row lies from the background's mean.

Lundberg and Lee 2017, "A Unified Approach to Interpreting Model Predictions", corollary 1; the numbers of `shap.LinearExplainer`
for independent features. More than two labels, or labels without training rows: see `rescale`.
"""

from collections.abc import Sequence

import numpy as np

from contract.inside import Linear
from contract.predictors import Floats, TableModel
from contract.records import Row
from explain.looking import ROWS, AllAtOnce
from explain.pacing import Between, nothing
from explain.rescale import multipliers


class LinearShap(AllAtOnce[Linear]):
    """Log-odds of a label shared among the features of the project, by the model's own weights. See TableLook."""

    method = "shap.linear"
    kind = Linear

    def __init__(self, model: TableModel, background: Sequence[Row], *, rows: int = ROWS, between: Between = nothing) -> None:
        super().__init__(model, background, rows=rows, between=between)

    def _prepare(self) -> None:
        self._scores = self._of(self.background)

    def _of(self, points: Floats) -> Floats:
        return np.asarray(points @ self.view.weights + self.view.bias)

    def _answer(self, points: Floats, label: str) -> Floats:
        return self.view.last.log_odds(self._of(points), label)

    def _shares(self, points: Floats, labels: Sequence[str]) -> Floats:
        return np.array([self._share(*each) for each in zip(points, self._of(points), labels, strict=True)])

    def _share(self, point: Floats, scores: Floats, label: str) -> Floats:
        behind = self._scores[:1] if self.view.last.straight else self._scores
        weights = multipliers(self.view.last, np.broadcast_to(scores, behind.shape), behind, label) @ self.view.weights.T
        return np.asarray((weights * (point - self.background)).mean(axis=0))
