"""Owen values of the squares of an image, shared along a tree of halves.

Lundberg and Lee 2017, "A Unified Approach to Interpreting Model Predictions"; Owen 1977, "Values of games with a priori
unions". The numbers are those of `shap.PartitionExplainer`, called alone with the same seed.
"""

from collections.abc import Sequence

from contract.predictors import Floats, ImageModel
from explain.background import NONE
from explain.chunked import chunked
from explain.explainer import Ask
from explain.finding import Finding, Heading, gaps, steadied
from explain.halves import halves
from explain.owen import shared
from explain.pooling import Pooled, Search
from explain.segments import BLUR, Hidden, answered, blurred, image_of, squares
from explain.target import CLIP, log_odds


class PartitionImage(Pooled[Hidden]):
    """Log-odds of a label shared among the squares of an image; the base is the answer to the image blurred.

    The tree halves the grid of squares, not the pixels, so that one square's channels stay together and `evaluations` changed
    images reach down to single squares where it matters.
    """

    method = "shap.partition"

    def __init__(self, model: ImageModel, *, evaluations: int = 1000) -> None:
        super().__init__(model.labels)
        self._model, self._evaluations = chunked(model), evaluations
        self._params = {"evaluations": evaluations, "clip": CLIP, "hidden": f"blurred by {BLUR:g} of the side"}

    def _heading(self, ask: Ask) -> Heading:
        return Heading(self.method, "image", "log-odds", ask.label, ask.seed, NONE, self._params)

    def _find(self, ask: Ask) -> Search[Hidden]:
        image = image_of(self._model, ask.row)
        pieces, behind = squares(*image.shape[:2]), blurred(image)
        tree = halves(int(pieces.numbers[-1, 0]) // (int(pieces.numbers[0, -1]) + 1) + 1, int(pieces.numbers[0, -1]) + 1)
        found = yield from shared(
            tree, self._evaluations, ask.seed, lambda shown: Hidden(self._model, image, behind, pieces.numbers, shown), log_odds
        )
        weights, note = steadied(found.values, found.seen)
        quality = gaps(found.base, weights, found.whole)
        return Finding(found.base, weights.tolist(), pieces.contributions(weights), quality, {"cut": pieces.how, **note})

    def _answer(self, questions: Sequence[Hidden]) -> Floats:
        return answered(self._model, questions)
