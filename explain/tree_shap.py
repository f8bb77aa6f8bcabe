"""Shapley values of trees, exact against each row of a background.

Lundberg et al. 2020, "From local explanations to global understanding with explainable AI for trees" (interventional Tree SHAP).
By `shap.TreeExplainer`, given the trees as numbers. Boosting with more than two labels, or with labels that had no training rows:
see `rescale`.
"""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import shap

from contract.inside import Last, Tree, Trees
from contract.predictors import Encoded, Floats, TableModel
from contract.records import Row
from explain.errors import NotExplainable
from explain.looking import ROWS, AllAtOnce
from explain.pacing import Between, nothing
from explain.rescale import multipliers

NODES, ALL_NODES = 32_767, 4_000_000
"""shap counts the nodes of a tree in 16 bits, and keeps all trees as long as the longest."""


class TreeShap(AllAtOnce[Trees]):
    """Log-odds of a label (of a forest, which averages probabilities, its probability) shared among the features of the project.

    See TableLook.
    """

    method = "shap.tree"
    kind = Trees

    def __init__(self, model: TableModel, background: Sequence[Row], *, rows: int = ROWS, between: Between = nothing) -> None:
        super().__init__(model, background, rows=rows, between=between)

    def _open(self) -> None:
        _check(self.view.trees)
        self._ranks = Ranks(self.view.trees, len(self.view.owners))
        self.unit = "log-odds" if self.view.last else "probability"
        self._two = len(self.view.base) == 2 and (self.view.last is None or self.view.last.straight)

    def _prepare(self) -> None:
        self._shaps = _explainers(self.view, self._ranks, self.background, self._two)
        self._others = self._scores(self.background)

    def _points(self, encoded: Encoded) -> Floats:
        return self._ranks.of(super()._points(encoded))

    def _scores(self, points: Floats) -> Floats:
        """(n, e) points to (n, m) scores; where two are known by one number alone, that of the first follows from it."""
        found = np.hstack([np.asarray(each.model.predict(points)).reshape(len(points), -1) for each in self._shaps])
        if not self._two:
            return found
        return np.column_stack([np.zeros(len(found)) if self.view.last else 1 - found, found])

    def _answer(self, points: Floats, label: str) -> Floats:
        scores = self._scores(points)
        return self.view.last.log_odds(scores, label) if self.view.last else scores[:, self.labels.index(label)]

    def _shares(self, points: Floats, labels: Sequence[str]) -> Floats:
        return self._several(points, [labels])[0]

    def _sides(self, points: Floats, labels: Sequence[str]) -> list[Floats]:
        return self._several(points, [[label] * len(points) for label in labels])

    def _several(self, points: Floats, labels: Sequence[Sequence[str]]) -> list[Floats]:
        """Shares of several lists of labels, one of each list for each point."""
        if self.view.last is None or self._two:
            found = self._against(points, self.background)
            weights = [np.array([self._weights(label) for label in some]).reshape(-1, found.shape[2]) for some in labels]
            return [np.einsum("nem,nm->ne", found, each) for each in weights]
        return self._paired(points, [self._counts(points, some, self.view.last) for some in labels])

    def _weights(self, label: str) -> Floats:
        """What each output of the trees counts for a label."""
        place = self.labels.index(label)
        if not self._two:
            return np.asarray(np.eye(len(self.labels))[place])
        return np.array([(2.0 * place - 1.0) / (self.view.last.temperature if self.view.last else 1.0)])

    def _counts(self, points: Floats, labels: Sequence[str], last: Last) -> Floats:
        """(n, r, m) what each score counts for against each row of the background."""
        scores = self._scores(points)[:, None].repeat(len(self.background), axis=1)
        found = [multipliers(last, own, self._others, label) for own, label in zip(scores, labels, strict=True)]
        return np.array(found).reshape(scores.shape)

    def _paired(self, points: Floats, counts: Sequence[Floats]) -> list[Floats]:
        """Against one background row after the other, since what a score counts for depends on both rows."""
        totals = [np.zeros(points.shape) for _ in counts]
        for place, row in enumerate(self.background):
            found = self._against(points, row[None])
            for total, each in zip(totals, counts, strict=True):
                total += np.einsum("nem,nm->ne", found, each[:, place])
            self.between()
        return [total / len(self.background) for total in totals]

    def _against(self, points: Floats, background: Floats) -> Floats:
        """(n, e) points to (n, e, outputs) Shapley values."""
        return np.concatenate([_values(each, points, background) for each in self._shaps], axis=2)


class Ranks:
    """Each column by how many of the trees' thresholds lie below it.

    shap compares with thresholds in single precision, in which a value may fall to their other side; ranks are exact there.
    """

    def __init__(self, trees: Sequence[Tree], width: int) -> None:
        columns = np.concatenate([tree.feature[tree.left >= 0] for tree in trees])
        thresholds = np.concatenate([tree.threshold[tree.left >= 0] for tree in trees])
        self._known = [np.unique(thresholds[columns == column]) for column in range(width)]

    def of(self, points: Floats) -> Floats:
        """(n, e) values to (n, e) ranks; NaN stays NaN."""
        ranks = np.empty(points.shape)
        for column, known in enumerate(self._known):
            ranks[:, column] = np.searchsorted(known, points[:, column])
        return np.where(np.isnan(points), np.nan, ranks)

    def thresholds(self, tree: Tree) -> Floats:
        """(nodes,) thresholds as ranks: a value is at most the threshold where its rank is at most that one's."""
        found = np.full(len(tree.left), -1.0)
        for node in np.flatnonzero(tree.left >= 0):
            found[node] = np.searchsorted(self._known[tree.feature[node]], tree.threshold[node])
        return found


def _check(trees: Sequence[Tree]) -> None:
    """Raises NotExplainable for what shap cannot take."""
    if not any((tree.left >= 0).any() for tree in trees):
        raise NotExplainable("The model's trees ask for nothing, so there is nothing to share out.")
    largest = max(len(tree.left) for tree in trees)
    if largest > NODES or len(trees) * largest > ALL_NODES:
        raise NotExplainable(
            f"The model has {len(trees):,} trees of up to {largest:,} nodes; up to {NODES:,} in one and {ALL_NODES:,} in all, "
            "each tree counted as the largest, are explained by this method."
        )


def _explainers(view: Trees, ranks: Ranks, background: Floats, two: bool) -> list[Any]:
    """shap's own: one over all outputs, or over the difference where that of two is all that counts; of trees that count for one
    score each, one for every score, which takes as many times less."""
    if two:
        return [_explainer(view.trees, ranks, background, view.base, _difference if view.last else _second)]
    if view.last is None:
        return [_explainer(view.trees, ranks, background, view.base, np.asarray)]
    scores = range(len(view.base))
    return [_explainer(_of_score(view.trees, at), ranks, background, view.base, partial(_column, at)) for at in scores]


def _of_score(trees: Sequence[Tree], score: int) -> list[Tree]:
    """The trees that count for a score; any one of them, which adds nothing, where none does."""
    return [tree for tree in trees if tree.values[:, score].any()] or [trees[0]]


def _explainer(trees: Sequence[Tree], ranks: Ranks, background: Floats, base: Floats, read: Callable[[Floats], Floats]) -> Any:
    grown = {
        "trees": [_grown(tree, ranks.thresholds(tree), read(tree.values)) for tree in trees],
        "base_offset": read(base[None])[0],
    }
    return shap.TreeExplainer(grown, background, feature_perturbation="interventional")


def _values(explainer: Any, points: Floats, background: Floats) -> Floats:
    own = copy.copy(explainer)
    own.data, own.data_missing = background, np.isnan(background)
    return np.asarray(own.shap_values(points, check_additivity=False)).reshape(*points.shape, -1)


def _difference(values: Floats) -> Floats:
    return values[:, 1:] - values[:, :1]


def _second(values: Floats) -> Floats:
    return values[:, 1:]


def _column(place: int, values: Floats) -> Floats:
    return values[:, [place]]


def _grown(tree: Tree, thresholds: Floats, values: Floats) -> dict[str, Any]:
    return {
        "children_left": tree.left,
        "children_right": tree.right,
        "children_default": tree.default,
        "features": tree.feature,
        "thresholds": thresholds,
        "values": values,
        "node_sample_weight": np.ones(len(values)),
    }
