"""How a model sees items as near or far: one vector of length one for each."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from contract.inside import Hidden, Inspectable, Linear, Representing, Trees
from contract.predictors import Floats, ImageModel, TableModel, TextModel
from contract.records import Row
from explain.errors import NotExplainable
from explain.isolation import isolated
from explain.pacing import Between, nothing, pieces
from explain.segments import image_of
from explain.target import CLIP
from explain.words import text_of

ANSWERS = "the model's answers"
WIDEST = 1_024
"""Contributions of an item at most, over all features and labels: those of 100,000 cases are held in memory to be searched."""
_FOLDED = "what each feature contributes"


def space(model: object) -> str:
    """In which space the model's items are near each other, in words for people."""
    hidden = _hidden(model)
    if hidden:
        return hidden.words
    return _FOLDED if _view_to_fold(model) else ANSWERS


def represented(model: object, background: Sequence[Row], rows: Sequence[Row], between: Between = nothing) -> Floats:
    """(n, e) vectors of length one, zero rows left zero; a row that cannot be read, or that the model fails on, is all NaN.

    `between` is called between pieces of the work. Raises NotExplainable for a model without a view of a table, a text or an
    image.
    """
    work = _vectors(model, background)
    found = [vector for part in pieces(rows, between) for vector in isolated(part, work)]
    width = next((vector.size for vector in found if not isinstance(vector, Exception)), 1)
    held = [np.full(width, np.nan) if isinstance(vector, Exception) else vector for vector in found]
    return _unit(np.array(held).reshape(len(rows), width))


def _vectors(model: object, background: Sequence[Row]) -> Callable[[Sequence[Row]], list[Floats]]:
    """How rows become numbers; it raises where one of them cannot be read."""
    read, answer = _view(model)
    hidden = _hidden(model)
    folded = None if hidden else _folded(model, background)
    if folded is not None:
        return lambda rows: list(folded(rows))
    of = hidden.of if hidden else lambda given: np.log(np.clip(answer(given), CLIP, 1.0))
    return lambda rows: list(np.asarray(of(read(rows)), dtype=np.float64))


def _folded(model: object, background: Sequence[Row]) -> Callable[[Sequence[Row]], Floats] | None:
    """Contributions of the features: towards the second of two labels, towards each of more; None where they cannot be had."""
    view = _view_to_fold(model)
    method = _LOOKS.of(model, view, background) if view else None
    return (lambda rows: method.folded(rows, _towards(model))) if method else None


def _towards(model: Any) -> Sequence[str]:
    return model.labels[1:] if len(model.labels) == 2 else model.labels  # type: ignore[no-any-return]


def _view_to_fold(model: object) -> Linear | Trees | None:
    """What the contributions come from; None where there are none, or too many."""
    view = _inside(model)
    if not isinstance(model, TableModel) or not isinstance(view, Linear | Trees):
        return None
    return view if len(_towards(model)) * len(model.columns) <= WIDEST else None


def _looking(view: Linear | Trees) -> Any:
    if isinstance(view, Trees):
        from explain.tree_shap import TreeShap

        return TreeShap
    from explain.linear_shap import LinearShap

    return LinearShap


class _Looks:
    """What looks inside the models that were asked last: to make it takes longer than to ask it."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, threading.Lock()
        self._held: OrderedDict[int, tuple[object, Sequence[Row], Any]] = OrderedDict()

    def of(self, model: object, view: Linear | Trees, background: Sequence[Row]) -> Any:
        """None where the view answers otherwise than the model."""
        with self._lock:
            known, behind, look = self._held.get(id(model), (None, None, None))
            if known is not model or behind is not background:
                look = _made(model, view, background)
                self._held[id(model)] = model, background, look
            self._held.move_to_end(id(model))
            while len(self._held) > self._most:
                self._held.popitem(last=False)
            return look


_LOOKS = _Looks(4)


def _made(model: Any, view: Linear | Trees, background: Sequence[Row]) -> Any:
    try:
        return _looking(view)(model, background)
    except NotExplainable:
        return None


def _inside(model: object) -> object:
    try:
        return model.inside if isinstance(model, Inspectable) else None
    except Exception:  # what cannot be seen is not shown
        return None


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


def _unit(found: Floats) -> Floats:
    length = np.sqrt((found**2).sum(axis=1, keepdims=True))
    return np.asarray(np.where(np.isfinite(length), found / np.where(length > 0, length, 1.0), np.nan))
