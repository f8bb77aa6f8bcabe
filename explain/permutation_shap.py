"""Shapley values of a table's features by permutations in both directions.

Lundberg and Lee 2017, "A Unified Approach to Interpreting Model Predictions", section 4; antithetic permutations as in
Mitchell et al. 2022, "Sampling Permutations for Shapley Value Estimation", section 4. The numbers are those of
`shap.PermutationExplainer`, called alone with the same seed.
"""

from collections.abc import Sequence

import numpy as np

from contract.predictors import Floats, TableModel
from contract.records import Row
from explain.background import background_hash, drawn
from explain.chunked import chunked
from explain.coalitions import Masks, Places, Plan, contributions, plan, varying
from explain.explainer import Ask
from explain.finding import Finding, Heading, gaps, steadied
from explain.pooling import Pooled, Search
from explain.table import Asked, Beside, answered, beside, encoded_background
from explain.target import CLIP, log_odds

CELLS = 16_000_000
"""At most so many cells in the changed rows of one permutation; wide tables get fewer background rows."""
NONE, ALL = 0, 1
"""The coalitions that every permutation goes through."""


class PermutationShap(Pooled[Asked]):
    """Log-odds of a label shared among the features of the project, categories, dates and texts as one feature each.

    Hidden features take the values of `rows` background rows; `evaluations` coalitions are asked for, at least two
    permutations. A missing value is a value like others. Raises NotExplainable for an empty background.
    """

    method = "shap.permutation"

    def __init__(self, model: TableModel, background: Sequence[Row], *, rows: int = 64, evaluations: int = 1000) -> None:
        super().__init__(model.labels)
        d = len(model.columns)
        used = drawn(background, max(1, min(rows, CELLS // ((2 * d + 1) * max(d, 1)))))
        self._model = chunked(model)
        self._background = encoded_background(model, used)
        self._hash = background_hash(used)
        self._evaluations = max(evaluations, 2 * (2 * d + 1))
        self._params = {"evaluations": self._evaluations, "background_rows": len(used), "clip": CLIP}

    def _heading(self, ask: Ask) -> Heading:
        return Heading(self.method, "tabular", "log-odds", ask.label, ask.seed, self._hash, self._params)

    def _find(self, ask: Ask) -> Search[Asked]:
        pair = beside(self._model, ask.row, self._background)
        differs = varying(pair)
        orders = _orders(np.flatnonzero(differs.any(axis=0)), self._evaluations, ask.seed)
        asked = _plan(pair, differs, orders)
        answers = log_odds((yield Asked(asked.cells, pair.texts)))
        means = asked.means(answers)
        weights, note = steadied(_shapley(means, orders, len(pair.row)), answers)
        names = [column.name for column in self._model.columns]
        quality = gaps(float(means[NONE]), weights, float(means[ALL]))
        return Finding(float(means[NONE]), weights.tolist(), contributions(names, ask.row, weights), quality, note)

    def _answer(self, questions: Sequence[Asked]) -> Floats:
        return answered(self._model, self._background, questions)


def _orders(features: Places, evaluations: int, seed: int) -> Places:
    """(permutations, features), as the library shuffles them one from the other."""
    stream, order = np.random.RandomState(seed), features.copy()
    orders = np.empty((evaluations // (2 * len(features) + 1), len(features)), dtype=np.intp)
    for each in orders:
        stream.shuffle(order)
        each[:] = order
    return orders


def _plan(pair: Beside, differs: Masks, orders: Places) -> Plan:
    """After none and all, of each permutation the coalitions that grow by one feature, then those that shrink by one.

    A feature in which a background row does not differ changes nothing of it: the row is that of the coalition before.
    """
    count, steps = len(orders), max(orders.shape[1] - 1, 0)
    coalitions = np.concatenate([_ends(pair), _grown(orders, len(pair.row))])
    changes = differs[:, orders[:, :steps]].transpose(1, 2, 0)
    numbers = 2 + np.arange(count * 2 * steps).reshape(count, 2, steps, 1)
    through = changes.cumsum(axis=1) == differs.sum(axis=1)
    sources = [np.stack([np.where(differs.any(axis=1), NONE, ALL), np.full(len(differs), ALL)])]
    halves = [
        np.where(through, end, np.maximum.accumulate(np.where(changes, numbers[:, half], start), axis=1))
        for half, (start, end) in enumerate(((NONE, ALL), (ALL, NONE)))
    ]
    sources.append(np.stack(halves, axis=1).reshape(-1, len(differs)))
    return plan(pair, coalitions, _first(coalitions, np.concatenate(sources)), ALL)


def _ends(pair: Beside) -> Masks:
    return np.array([[False], [True]]).repeat(len(pair.row), axis=1)


def _grown(orders: Places, width: int) -> Masks:
    """(permutations x 2 x steps, d); features that never vary count as hidden."""
    count, features = orders.shape
    ranks = np.full((count, width), features)
    np.put_along_axis(ranks, orders, np.arange(features)[None], axis=1)
    step = np.arange(1, features)[:, None]
    rising = ranks[:, None] < step
    falling = (ranks[:, None] >= step) & (ranks[:, None] < features)
    return np.stack([rising, falling], axis=1).reshape(-1, width)


def _first(coalitions: Masks, sources: Places) -> Places:
    """The same with every coalition that came before by its first place."""
    seen: dict[bytes, int] = {}
    packed = np.packbits(coalitions, axis=1)
    first = np.array([seen.setdefault(each.tobytes(), place) for place, each in enumerate(packed)])
    rows = np.arange(sources.shape[1])
    while not np.array_equal(sources, earlier := sources[first[sources], rows]):
        sources = earlier
    return sources


def _shapley(means: Floats, orders: Places, width: int) -> Floats:
    """(d,) mean steps over all permutations and both directions."""
    count, features = orders.shape
    weights = np.zeros(width)
    if not features:
        return weights
    halves = means[2:].reshape(count, 2, features - 1)
    none, full = np.full((count, 1), means[NONE]), np.full((count, 1), means[ALL])
    rising = np.diff(np.hstack([none, halves[:, 0], full]), axis=1)
    falling = -np.diff(np.hstack([full, halves[:, 1], none]), axis=1)
    np.add.at(weights, orders, rising + falling)
    return np.asarray(weights / (2 * count))
