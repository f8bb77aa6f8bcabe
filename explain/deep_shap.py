"""DeepLIFT's shares of a network's answer, against each row of a background.

Shrikumar, Greenside and Kundaje 2017, "Learning important features through propagating activation differences" (rescale rule);
Lundberg and Lee 2017, section 4.2. By `shap.DeepExplainer` in double precision. More than two labels, or labels without training
rows: see `rescale`.
"""

import threading
import warnings
from collections.abc import Sequence

import numpy as np
import shap

from contract.inside import Deep, Smooth
from contract.predictors import Floats, ImageModel, TableModel
from contract.records import Row
from explain.errors import NotExplainable
from explain.explainer import Ask
from explain.finding import Finding
from explain.image_look import ImageLook, Pixels
from explain.looking import ROWS, AllAtOnce
from explain.pacing import Between, nothing
from explain.rescale import multipliers

_lock = threading.Lock()
"""shap hangs hooks on the layers of a network while it works."""


def deep_of(view: Smooth) -> Deep:
    """Raises NotExplainable for a network that shows no layers."""
    if view.deep is None:
        raise NotExplainable("DeepLIFT follows a network layer by layer, and this model shows none of its layers.")
    return view.deep()


def shares(deep: Deep, point: Floats, behind: Floats, label: str) -> Floats:
    """(e,) mean shares of the label's log-odds of a point (e,) against a background (r, e)."""
    if deep.last.straight:
        counts = multipliers(deep.last, np.zeros((1, 2)), np.zeros((1, 2)), label)[0]
        return np.asarray(_scores(deep, point, behind) @ counts)
    own, others = _answers(deep, point[None]), _answers(deep, behind)
    counts = multipliers(deep.last, np.repeat(own, len(others), axis=0), others, label)
    each = [_scores(deep, point, row[None]) @ count for row, count in zip(behind, counts, strict=True)]
    return np.asarray(np.mean(each, axis=0))


def _scores(deep: Deep, point: Floats, behind: Floats) -> Floats:
    """(e, m) mean shares of each of the scores. Raises NotExplainable for a layer that shap does not know."""
    with _lock, warnings.catch_warnings():
        warnings.filterwarnings("error", message="unrecognized nn.Module")
        try:
            explainer = shap.DeepExplainer(deep.module, deep.tensor(behind))
            found = explainer.shap_values(deep.tensor(point[None]), check_additivity=False)
        except UserWarning as warning:
            layer = str(warning).rpartition(": ")[2]
            raise NotExplainable(f"DeepLIFT knows no rule for the layer {layer} of this model.") from warning
    return np.asarray(found, dtype=np.float64).reshape(len(point), -1)


def _answers(deep: Deep, points: Floats) -> Floats:
    """(n, e) points to (n, m) scores."""
    return np.asarray(deep.module(deep.tensor(points)).detach().cpu().numpy(), dtype=np.float64)


class DeepShap(AllAtOnce[Smooth]):
    """Log-odds of a label shared among the features of the project: over the numbers that a network makes of them first, summed
    for each feature. See TableLook. Raises NotExplainable for a network with a layer that has no rule.
    """

    method = "shap.deep"
    kind = Smooth

    def __init__(self, model: TableModel, background: Sequence[Row], *, rows: int = ROWS, between: Between = nothing) -> None:
        super().__init__(model, background, rows=rows, between=between)

    def _open(self) -> None:
        self._deep = deep_of(self.view)

    def _prepare(self) -> None:
        shares(self._deep, self.background[0], self.background[:1], self.labels[0])

    def _answer(self, points: Floats, label: str) -> Floats:
        return self.view.answer(points, label)

    def _find(self, asks: Sequence[Ask]) -> list[Finding]:
        """One by one, as for gradients."""
        return [finding for ask in asks for finding in super(DeepShap, self)._find([ask])]

    def _shares(self, points: Floats, labels: Sequence[str]) -> Floats:
        return np.array([shares(self._deep, point, self.background, label) for point, label in zip(points, labels, strict=True)])


class DeepImage(ImageLook):
    """See ImageLook."""

    method = "shap.deep"

    def __init__(self, model: ImageModel, *, between: Between = nothing) -> None:
        super().__init__(model, between)
        self._deep = deep_of(self.view)

    def _explained(self, ask: Ask, pixels: Pixels) -> Finding:
        return pixels.finding(shares(self._deep, pixels.point, pixels.behind[None], ask.label), {})
