"""A linear model fitted on an image with pieces hidden.

Ribeiro, Singh and Guestrin 2016, "Why Should I Trust You?", section 3. The numbers are those of
`lime.lime_image.LimeImageExplainer`, called alone with the same seed.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contract.predictors import Floats, ImageModel
from explain.background import NONE
from explain.chunked import chunked
from explain.explainer import Ask
from explain.finding import Heading
from explain.kept import DRAWN
from explain.pooling import Pooled, Search
from explain.segments import BLUR, SMALL, Hidden, along_edges, answered, blurred, image_of
from explain.surrogate import line
from explain.target import CLIP, log_odds

WIDTH = 0.25
"""The width of the kernel over cosine distances."""
SAMPLES, SAMPLES_SMALL = 1000, 2000


class LimeImage(Pooled[Hidden]):
    """Weights of a ridge regression on "this piece is shown", unit log-odds.

    Pieces: see `segments.along_edges`. A hidden piece is blurred, for LIME's own mean colour of a piece leaves small pieces
    nearly as they were. `samples` changed images are asked for, by default 2000 of a small image and 1000 of a large one.
    """

    method = "lime.image"

    def __init__(self, model: ImageModel, *, samples: int | None = None) -> None:
        super().__init__(model.labels)
        self._model, self._samples = chunked(model), samples
        self._params = {"hidden": f"blurred by {BLUR:g} of the side", "clip": CLIP}

    def _heading(self, ask: Ask) -> Heading:
        return Heading(self.method, "image", "log-odds", ask.label, ask.seed, NONE, self._params)

    def _find(self, ask: Ask) -> Search[Hidden]:
        image = image_of(self._model, ask.row)
        pieces = along_edges(image)
        samples = self._samples or (SAMPLES_SMALL if min(image.shape[:2]) <= SMALL else SAMPLES)
        shown = _drawn(ask.seed, samples, pieces.count)
        answers = log_odds((yield Hidden(self._model, image, blurred(image), pieces.numbers, shown)))
        found = line(shown.astype(np.float64), answers, _nearness(shown))
        return found.finding(answers, pieces.contributions, {"samples": samples, "cut": pieces.how})

    def _answer(self, questions: Sequence[Hidden]) -> Floats:
        return answered(self._model, questions)


def _drawn(seed: int, samples: int, pieces: int) -> NDArray[np.bool_]:
    """(samples, pieces) which are shown, all of them at first; the library draws a seed for its segmentation before."""

    def draw() -> NDArray[np.uint8]:
        stream = np.random.RandomState(seed)
        stream.randint(0, high=1000)
        return np.packbits(stream.randint(0, 2, samples * pieces).astype(bool).reshape(samples, pieces), axis=1)

    shown = np.unpackbits(DRAWN.of(("image", seed, samples, pieces), draw), axis=1, count=pieces).astype(bool)
    shown[0] = True
    return shown


def _nearness(shown: NDArray[np.bool_]) -> Floats:
    """(n,) weights by the cosine distance from the whole image; one that shows nothing is at distance 1."""
    distance = 1 - np.sqrt(shown.mean(axis=1))
    return np.asarray(np.exp(-((distance / WIDTH) ** 2) / 2))
