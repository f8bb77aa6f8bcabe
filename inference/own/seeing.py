"""What is seen inside a brought pipeline: its last step's trees or weights over what the steps before make of the rows."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from contract.inside import Last, Linear, Trees
from contract.predictors import Encoded, Floats
from inference.calibration import softmax
from inference.own import forests, sound
from inference.own.engine import Table
from inference.own.owners import NOBODY, Words, owners

logger = logging.getLogger(__name__)
WIDEST = 20_000
"""Columns of a design, at most."""
NEAR = 1e-5
"""How far a view's probabilities may be from the model's."""
COMPARED = 64


@dataclass(frozen=True)
class Steps:
    """A pipeline in two: `before` makes of cells what `last`, the classifier, takes."""

    before: Callable[[Any], Any]
    last: Any
    words: Words


def view(model: Any, hand: Callable[[Any], Any], table: Table) -> Trees | Linear | None:
    """The trees or weights of a fitted pipeline; `hand` makes of cells what it takes.

    None for a pipeline that ends in something else, whose design mixes features, or whose view would answer differently.
    """
    steps = _steps(model, hand)
    try:
        given = steps.before(table.cells(table.rows))
        if given.shape[1] > WIDEST:
            return None
        found = _trees(steps, given, table) or _linear(steps, given, table)
        return found if found is not None and _alike(found, model.predict_proba, hand, table) else None
    except Exception as error:
        logger.info("nothing is seen inside the model: %s", error)
        return None


def _steps(model: Any, hand: Callable[[Any], Any]) -> Steps:
    model = getattr(model, "best_estimator_", model)
    words = _words(model)
    if not isinstance(model, Pipeline):
        return Steps(hand, model, words)
    inner = _steps(model.steps[-1][1], lambda cells: model[:-1].transform(hand(cells)) if len(model.steps) > 1 else hand(cells))
    return Steps(inner.before, inner.last, words)


def _words(model: Any) -> Words:
    categories, texts = dict[str, None](), list[str]()
    for part in sound.parts(model):
        texts += map(str, getattr(part, "vocabulary_", ()))
        for held in getattr(part, "categories_", ()):
            categories.update({_text(value): None for value in held})
    return Words(tuple(categories), " ".join(texts))


def _text(value: Any) -> str:
    plain = value.item() if hasattr(value, "item") else value
    return str(int(plain)) if isinstance(plain, float) and plain.is_integer() else str(plain)


def _trees(steps: Steps, given: Any, table: Table) -> Trees | None:
    found = forests.forest(steps.last, given.shape[1])
    if found is None:
        return None

    def plain(encoded: Encoded) -> Floats:
        return found.before(steps.before(table.cells(encoded)))

    used = np.unique(np.concatenate([tree.feature[tree.left >= 0] for tree in found.trees]))
    at = owners(table.columns, plain, table.rows, steps.words)
    if at is None:
        return None
    whole = found.sets.owners(at)
    if (whole[used] == NOBODY).any():
        return None
    base, last = _base(found, given), None if found.margin is None else Last(table.labels, tuple(range(len(table.labels))))
    return Trees(lambda encoded: found.sets.beside(plain(encoded)), np.maximum(whole, 0), tuple(found.trees), base, last)


def _base(found: forests.Forest, given: Any) -> Floats:
    """(m,) what the model adds to its leaves, the same for every row."""
    sums = forests.leaves(found.trees, found.sets.beside(found.before(given)))
    if found.margin is None:
        return np.zeros(sums.shape[1])
    own = np.asarray(found.margin(given), dtype=np.float64)
    if own.ndim == 1:
        own = np.column_stack([np.zeros(len(own)), own])
    return np.asarray(np.median(own - sums, axis=0))


def _linear(steps: Steps, given: Any, table: Table) -> Linear | None:
    if not hasattr(steps.last, "coef_") or not hasattr(steps.last, "intercept_"):
        return None
    weights, bias = np.asarray(steps.last.coef_, dtype=np.float64).T, np.ravel(steps.last.intercept_).astype(np.float64)
    if len(bias) == 1:
        weights, bias = np.hstack([np.zeros_like(weights), weights]), np.array([0.0, bias[0]])

    def design(encoded: Encoded) -> Floats:
        return forests.matrix(steps.before(table.cells(encoded)))

    at = owners(table.columns, design, table.rows, steps.words)
    if at is None or weights[at == NOBODY].any():
        return None
    return Linear(design, np.maximum(at, 0), weights, bias, Last(table.labels, tuple(range(len(table.labels)))))


def _alike(found: Trees | Linear, answer: Callable[[Any], Any], hand: Callable[[Any], Any], table: Table) -> bool:
    """Whether what is seen answers the sample as the model does."""
    some = Encoded(table.rows.matrix[:COMPARED], table.rows.texts)
    due = np.asarray(answer(hand(table.cells(some))), dtype=np.float64)
    return bool(np.allclose(_probabilities(found, found.design(some)), due, rtol=0, atol=NEAR))


def _probabilities(found: Trees | Linear, points: Floats) -> Floats:
    if isinstance(found, Linear):
        return softmax(points @ found.weights + found.bias)
    sums = forests.leaves(found.trees, points) + found.base
    return softmax(sums) if found.last else sums
