"""How a model sees items as near or far: one vector of length one for each."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from contract.inside import Hidden, Representing
from contract.predictors import Floats, ImageModel, TableModel, TextModel
from contract.records import Row
from explain.errors import NotExplainable
from explain.segments import image_of
from explain.target import CLIP
from explain.words import text_of

ANSWERS = "the model's answers"
Vectors = Callable[[Sequence[Row]], Floats]
"""n rows to (n, e) numbers; raises where one of them cannot be read."""


def space(model: object) -> str:
    """In which space the model's items are near each other, in words for people."""
    hidden = _hidden(model)
    return hidden.words if hidden else ANSWERS


def represented(model: object, background: Sequence[Row], rows: Sequence[Row]) -> Floats:
    """(n, e) vectors of length one, zero rows left zero; a row that cannot be read, or that the model fails on, is all NaN.

    Raises NotExplainable for a model without a view of a table, a text or an image.
    """
    read, answer = _view(model)
    hidden = _hidden(model)
    of = hidden.of if hidden else lambda given: np.log(np.clip(answer(given), CLIP, 1.0))
    found = list(_each(rows, lambda some: np.asarray(of(read(some)), dtype=np.float64)))
    width = next((vector.size for vector in found if vector is not None), 1)
    held = [np.full(width, np.nan) if vector is None else vector for vector in found]
    return _unit(np.array(held).reshape(len(rows), width))


def _hidden(model: object) -> Hidden | None:
    return model.hidden if isinstance(model, Representing) else None


def _view(model: object) -> tuple[Callable[[Sequence[Row]], Any], Callable[[Any], Floats]]:
    """How rows are read, and how what was read is answered with probabilities."""
    if isinstance(model, TableModel):
        return model.encode, model.table_probabilities
    if isinstance(model, TextModel):
        feature = model.feature
        return lambda rows: [text_of(row, feature) for row in rows], model.text_probabilities
    if isinstance(model, ImageModel):
        picture = model
        return lambda rows: np.stack([image_of(picture, row) for row in rows]), model.image_probabilities
    raise NotExplainable(f"{type(model).__name__} offers no view of a table, a text or an image to represent.")


def _each(rows: Sequence[Row], vectors: Vectors) -> list[Floats | None]:
    """A vector for each row, None where there is none; where some raise, each half is tried alone."""
    if not rows:
        return []
    try:
        return list(vectors(rows))
    except Exception:
        half = len(rows) // 2
        return [*_each(rows[:half], vectors), *_each(rows[half:], vectors)] if half else [None]


def _unit(found: Floats) -> Floats:
    length = np.sqrt((found**2).sum(axis=1, keepdims=True))
    return np.asarray(np.where(np.isfinite(length), found / np.where(length > 0, length, 1.0), np.nan))
