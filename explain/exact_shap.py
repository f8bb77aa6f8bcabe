"""Shapley values of a table's features from every coalition of them.

Shapley 1953, "A value for n-person games"; Lundberg and Lee 2017, "A Unified Approach to Interpreting Model Predictions". The
numbers are those of `shap.ExactExplainer`.
"""

from collections.abc import Sequence
from math import comb

import numpy as np

from contract.predictors import Floats, TableModel
from contract.records import Row
from explain.background import background_hash, drawn
from explain.chunked import chunked
from explain.coalitions import Masks, Places, contributions, plan, varying
from explain.errors import NotExplainable
from explain.explainer import Ask
from explain.finding import Finding, Heading, gaps, steadied
from explain.pooling import Pooled, Search
from explain.table import Asked, answered, beside, encoded_background
from explain.target import CLIP, log_odds

MOST = 12
"""Of so many features all 4,096 coalitions are asked for."""


class ExactShap(Pooled[Asked]):
    """Log-odds of a label shared among the features of the project, of which there are at most MOST. Nothing is drawn.

    Hidden features take the values of `rows` background rows. Raises NotExplainable for more features, and for an empty
    background.
    """

    method = "shap.exact"

    def __init__(self, model: TableModel, background: Sequence[Row], *, rows: int = 64) -> None:
        super().__init__(model.labels)
        if len(model.columns) > MOST:
            raise NotExplainable(
                f"All coalitions of {len(model.columns)} features are too many; of up to {MOST} they can be asked."
            )
        used = drawn(background, rows)
        self._model = chunked(model)
        self._background = encoded_background(model, used)
        self._hash = background_hash(used)
        self._params = {"background_rows": len(used), "clip": CLIP}

    def _heading(self, ask: Ask) -> Heading:
        return Heading(self.method, "tabular", "log-odds", ask.label, ask.seed, self._hash, self._params)

    def _find(self, ask: Ask) -> Search[Asked]:
        pair = beside(self._model, ask.row, self._background)
        differs = varying(pair)
        features = np.flatnonzero(differs.any(axis=0))
        asked = plan(pair, _every(features, len(pair.row)), _sources(differs[:, features]), whole=2 ** len(features) - 1)
        answers = log_odds((yield Asked(asked.cells, pair.texts)))
        means = asked.means(answers)
        weights, note = steadied(_shapley(means, features, len(pair.row)), answers)
        names = [column.name for column in self._model.columns]
        quality = gaps(float(means[0]), weights, float(means[-1]))
        return Finding(float(means[0]), weights.tolist(), contributions(names, ask.row, weights), quality, note)

    def _answer(self, questions: Sequence[Asked]) -> Floats:
        return answered(self._model, self._background, questions)


def _every(features: Places, width: int) -> Masks:
    """(2^n, d): the bits of a coalition's number say which of the n features it has."""
    coalitions = np.zeros((2 ** len(features), width), dtype=bool)
    coalitions[:, features] = np.arange(len(coalitions))[:, None] >> np.arange(len(features)) & 1
    return coalitions


def _sources(differs: Masks) -> Places:
    """(2^n, b): of a coalition only the features count in which a background row differs, and all of those make the item."""
    own = differs @ (1 << np.arange(differs.shape[1]))
    sources = np.arange(2 ** differs.shape[1])[:, None] & own
    return np.where(sources == own, len(sources) - 1, sources)


def _shapley(means: Floats, features: Places, width: int) -> Floats:
    """(d,) from (2^n,) answers to each coalition."""
    count, numbers = len(features), np.arange(len(means))
    sizes = sum((numbers >> bit & 1 for bit in range(count)), np.zeros(len(means), dtype=np.intp))
    shares = np.array([1 / (count * comb(count - 1, size)) for size in range(count)])
    weights = np.zeros(width)
    for bit, feature in enumerate(features):
        without = numbers[numbers >> bit & 1 == 0]
        weights[feature] = shares[sizes[without]] @ (means[without | 1 << bit] - means[without])
    return weights
