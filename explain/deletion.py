"""Does hiding what an explanation names move the model more than hiding anything?

Samek et al. 2017, "Evaluating the Visualization of What a Deep Neural Network Has Learned", section III: units are hidden one
after the other, those that speak most for the label first, and the area over the course is the mean of how far the label's
probability has fallen. A good order has a large one.
"""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.predictors import Floats, ImageModel, TableModel, TextModel
from contract.records import Explanation, Row
from explain.background import drawn
from explain.errors import ExplainError, NotExplainable
from explain.segments import image_of, image_target
from explain.table import beside, encoded_background
from explain.words import text_of, text_target, units

BACKGROUND = 16
"""Rows whose values stand for a hidden feature of a table, the answers averaged."""
STEPS = 20
"""States of the course, at most; units are hidden several at once where there are more."""
ORDERS = 10
"""Random orders that an explanation's own is compared with."""

Masks = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Hiding:
    """`answer` maps (n, count) of which units are shown to (n,) probabilities of the label."""

    count: int
    answer: Callable[[Masks], Floats]


def areas(model: object, background: Sequence[Row], row: Row, explanation: Explanation) -> tuple[float, float]:
    """The area over the course of the explanation's own order, and the mean of random ones; -1 to 1.

    Random orders follow from the explanation's seed. Raises ExplainError where the explanation has a problem or the model
    fails, NotExplainable for a model without a view.
    """
    if explanation.problem is not None:
        raise ExplainError(explanation.problem)
    weights = weights_of(explanation)
    hiding = _hiding(model, background, row, explanation)
    draw = np.random.default_rng(explanation.seed)
    orders = [np.argsort(-weights, kind="stable"), *(draw.permutation(hiding.count) for _ in range(ORDERS))]
    courses = [_course(order) for order in orders]
    answers = hiding.answer(np.concatenate(courses)).reshape(len(courses), -1)
    found = answers[:, 0] - np.trapezoid(answers, axis=1) / (answers.shape[1] - 1)
    return float(found[0]), float(found[1:].mean())


def weights_of(explanation: Explanation) -> Floats:
    """(units,) contributions, in the order in which the explanation lists them."""
    if explanation.modality == "image":
        return np.asarray(explanation.contributions["weights"], dtype=np.float64)
    return np.asarray([part["contribution"] for part in explanation.contributions], dtype=np.float64)


def _course(order: NDArray[np.intp]) -> Masks:
    """(steps, units) of which units are shown, from all to none."""
    places = np.empty(len(order), dtype=np.intp)
    places[order] = np.arange(len(order))
    hidden = np.round(np.linspace(0, len(order), min(len(order), STEPS) + 1)).astype(np.intp)
    return np.asarray(places[None] >= hidden[:, None])


def _hiding(model: object, background: Sequence[Row], row: Row, explanation: Explanation) -> Hiding:
    label = explanation.label
    if isinstance(model, TableModel):
        return _table(model, background, row, label)
    if isinstance(model, TextModel):
        return _text(model, row, label)
    if isinstance(model, ImageModel):
        image, numbers = image_of(model, row), pieces_of(explanation.contributions["segments"])
        return Hiding(int(numbers.max()) + 1, image_target(model, label, image, numbers).probability)
    raise NotExplainable(f"{type(model).__name__} offers no view of a table, a text or an image to explain.")


def _table(model: TableModel, background: Sequence[Row], row: Row, label: str) -> Hiding:
    pair = beside(model, row, encoded_background(model, drawn(background, BACKGROUND)))
    target = pair.target(model, label)

    def answer(shown: Masks) -> Floats:
        rows = np.where(shown[:, None], pair.row, pair.background[None])
        found = target.probability(rows.reshape(-1, rows.shape[-1]))
        return np.asarray(found.reshape(len(shown), -1).mean(axis=1))

    return Hiding(len(pair.row), answer)


def _text(model: TextModel, row: Row, label: str) -> Hiding:
    target, parts = text_target(model, label), units(text_of(row, model.feature))
    return Hiding(len(parts.spans), lambda shown: target.probability([parts.kept(np.flatnonzero(each)) for each in shown]))


def pieces_of(png: str) -> NDArray[np.intp]:
    """(height, width) numbers of an image's pieces, as the explanation keeps them."""
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        return np.asarray(image).astype(np.intp)
