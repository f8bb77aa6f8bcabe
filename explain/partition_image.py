"""Owen values of the squares of an image, shared along a tree of halves.

Lundberg and Lee 2017, "A Unified Approach to Interpreting Model Predictions"; Owen 1977, "Values of games with a priori
unions". By `shap.PartitionExplainer`.
"""

from typing import Any

import numpy as np
import shap

from contract.predictors import Floats, ImageModel
from contract.records import Explanation, Row
from explain.background import NONE
from explain.finding import Finding, Heading, explained, steadied
from explain.randomness import seeded
from explain.segments import BLUR, Pieces, image_of, image_target, squares
from explain.target import CLIP


class PartitionImage:
    """Log-odds of a label shared among the squares of an image; the base is the answer to the image blurred.

    The tree of shap's image masker halves the grid of squares, not the pixels, so that one square's channels stay together
    and `evaluations` changed images reach down to single squares where it matters.
    """

    method = "shap.partition"

    def __init__(self, model: ImageModel, *, evaluations: int = 1000) -> None:
        self._model, self._evaluations = model, evaluations
        self._params = {"evaluations": evaluations, "clip": CLIP, "hidden": f"blurred by {BLUR:g} of the side"}

    def explain(self, row: Row, *, label: str, seed: int) -> Explanation:
        heading = Heading(self.method, "image", "log-odds", label, seed, NONE, self._params)
        return explained(heading, lambda: self._find(row, label, seed))

    def _find(self, row: Row, label: str, seed: int) -> Finding:
        image = image_of(self._model, row)
        pieces = squares(*image.shape[:2])
        target = image_target(self._model, label, image, pieces.numbers)
        seen: list[Floats] = []

        def log_odds(grids: Floats) -> Floats:
            seen.append(target.log_odds(grids.reshape(len(grids), -1) > 0))
            return seen[-1]

        base, weights = _owen(log_odds, pieces, self._evaluations, seed)
        weights, note = steadied(weights, np.concatenate(seen))
        gap = abs(base + float(weights.sum()) - float(target.log_odds(np.ones((1, pieces.count), dtype=bool))[0]))
        params = {"cut": pieces.how, **note}
        return Finding(base, weights.tolist(), pieces.contributions(weights), {"additivity_gap": gap}, params)


def _owen(function: Any, pieces: Pieces, evaluations: int, seed: int) -> tuple[float, Floats]:
    """The answer to nothing but blur, and (squares,) Owen values."""
    across = int(pieces.numbers[0, -1]) + 1
    grid = np.ones((pieces.count // across, across, 1))
    with seeded(seed):
        explainer = shap.PartitionExplainer(function, shap.maskers.Image(np.zeros_like(grid), grid.shape))
        found = explainer(grid[None], max_evals=evaluations, batch_size=32, silent=True)
    return float(np.ravel(found.base_values)[0]), np.array(found.values[0], dtype=np.float64).ravel()
