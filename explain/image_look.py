"""Methods that look inside a model of images: shares over its pixels, against the image blurred, folded to squares."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from contract.inside import Places, Smooth
from contract.predictors import Floats, ImageModel
from explain.background import NONE
from explain.explainer import Ask
from explain.finding import Finding, Heading, gaps, steadied
from explain.looking import Each, view_of
from explain.pacing import Between
from explain.segments import BLUR, Pieces, blurred, image_of, squares
from explain.target import CLIP, log_odds, probability


@dataclass(frozen=True, slots=True)
class Pixels:
    """An image (e,) and its blurred copy in the model's design, the square of each pixel, and the model's answers to both."""

    point: Floats
    behind: Floats
    pieces: Pieces
    owners: Places
    whole: float
    base: float

    def finding(self, shares: Floats, params: Mapping[str, Any]) -> Finding:
        """Of (e,) shares of the pixels."""
        folded = np.bincount(self.owners, shares, minlength=self.pieces.count).astype(np.float64)
        weights, note = steadied(folded, np.array([self.whole, self.base]))
        quality, told = gaps(self.base, weights, self.whole), {**params, "cut": self.pieces.how, **note}
        return Finding(self.base, weights.tolist(), self.pieces.contributions(weights), quality, told)


class ImageLook(Each):
    """Log-odds of a label shared among the squares of an image, over its pixels; the base is the answer to the image blurred."""

    def __init__(self, model: ImageModel, between: Between) -> None:
        self.model, self.view = model, view_of(model, Smooth)
        self.labels, self.between = model.labels, between

    def _heading(self, ask: Ask) -> Heading:
        params = {"clip": CLIP, "hidden": f"blurred by {BLUR:g} of the side"}
        return Heading(self.method, "image", "log-odds", ask.label, ask.seed, NONE, params)

    def _find(self, asks: Sequence[Ask]) -> list[Finding]:
        return [self._explained(ask, self._pixels(ask)) for ask in asks]

    def _pixels(self, ask: Ask) -> Pixels:
        image = image_of(self.model, ask.row)
        pieces, both = squares(*image.shape[:2]), np.stack([image, blurred(image)])
        table = np.asarray(self.model.image_probabilities(both), dtype=np.float64)
        whole, base = log_odds(probability(table, 2, self.labels, ask.label)).tolist()
        point, behind = self.view.design(both)
        return Pixels(point, behind, pieces, pieces.numbers.ravel()[self.view.owners], whole, base)

    @abstractmethod
    def _explained(self, ask: Ask, pixels: Pixels) -> Finding: ...
