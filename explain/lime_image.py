"""A linear model fitted on an image with pieces hidden.

Ribeiro, Singh and Guestrin 2016, "Why Should I Trust You?", section 3. By `lime.lime_image.LimeImageExplainer`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from lime.lime_image import LimeImageExplainer
from numpy.typing import NDArray

from contract.predictors import Floats, ImageModel
from contract.records import Explanation, Row
from explain.background import NONE
from explain.finding import Finding, Heading, explained, steadied
from explain.segments import BLUR, SMALL, along_edges, image_of, image_target
from explain.target import Target


class LimeImage:
    """Weights of a ridge regression on "this piece is shown", unit probability.

    Pieces: see `segments.along_edges`. A hidden piece is blurred, for LIME's own mean colour of a piece leaves small pieces
    nearly as they were. `samples` changed images are asked for, by default 2000 of a small image and 1000 of a large one.
    """

    method = "lime.image"

    def __init__(self, model: ImageModel, *, samples: int | None = None) -> None:
        self._model, self._samples = model, samples
        self._params = {"hidden": f"blurred by {BLUR:g} of the side"}

    def explain(self, row: Row, *, label: str, seed: int) -> Explanation:
        heading = Heading(self.method, "image", "probability", label, seed, NONE, self._params)
        return explained(heading, lambda: self._find(row, label, seed))

    def _find(self, row: Row, label: str, seed: int) -> Finding:
        image = image_of(self._model, row)
        pieces = along_edges(image)
        samples = self._samples or (2000 if min(image.shape[:2]) <= SMALL else 1000)
        asked = Asked(image_target(self._model, label, image, pieces.numbers))
        found = Pooled(feature_selection="none", random_state=np.random.RandomState(seed)).explain_instance(
            image,
            asked,
            labels=(1,),
            top_labels=None,
            hide_color=0,  # not used: the target hides pieces itself
            num_samples=samples,
            segmentation_fn=lambda _: pieces.numbers,
        )
        weights = np.zeros(pieces.count)
        for place, weight in found.local_exp[1]:
            weights[place] = weight
        weights, note = steadied(weights, asked.answers)
        own = float(asked.answers[0])
        surrogate = own if note else float(found.local_pred[0])
        quality = {"local_r2": 1.0 if note else float(found.score), "prediction_gap": abs(surrogate - own)}
        base = own if note else float(found.intercept[1])
        return Finding(
            base, weights.tolist(), pieces.contributions(weights), quality, {"samples": samples, "cut": pieces.how, **note}
        )


class Asked:
    """LIME's predict function: (n, pieces) of which are shown to (n, 2) probabilities; the label's are kept in `answers`."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.answers: Floats = np.empty(0)

    def __call__(self, shown: NDArray[np.bool_]) -> Floats:
        both = self._target.against(shown)
        self.answers = both[:, 1]
        return both


class Pooled(LimeImageExplainer):  # type: ignore[misc]  # lime has no types
    """LIME for images that asks for all changed images at once, as the pieces they show, and draws no progress bar.

    The random draws are the library's.
    """

    def data_labels(
        self,
        image: Floats,
        fudged_image: Floats,
        segments: NDArray[np.intp],
        classifier_fn: Callable[[NDArray[np.bool_]], Floats],
        num_samples: int,
        batch_size: int = 10,
    ) -> tuple[NDArray[Any], Floats]:
        count = int(segments.max()) + 1
        data = self.random_state.randint(0, 2, num_samples * count).reshape((num_samples, count))
        data[0, :] = 1
        return data, classifier_fn(data.astype(bool))
