"""The library itself for tables: what our numbers are held against."""

from typing import Any

import numpy as np
import shap

from contract.predictors import Floats
from contract.records import Row
from explain.randomness import seeded
from explain.table import Beside, beside


class Coded:
    """A row and its background as whole numbers, so that the library compares cells exactly and knows missing values.

    It takes cells that differ by less than 1e-5 of their size for equal, and NaN for different from itself.
    """

    def __init__(self, pair: Beside) -> None:
        cells = np.vstack([pair.background, pair.row])
        self.codes, self._values = np.empty_like(cells), np.full(cells.shape, np.nan)
        for column in range(cells.shape[1]):
            distinct, self.codes[:, column] = np.unique(cells[:, column], return_inverse=True)
            self._values[: len(distinct), column] = distinct

    def decoded(self, codes: Floats) -> Floats:
        return self._values[codes.astype(np.intp), np.arange(codes.shape[1])]


def library(kind: Any, model: Any, background: list[Row], row: Row, label: str, seed: int, **more: Any) -> tuple[float, Floats]:
    """Base and values of `shap.PermutationExplainer` or `shap.ExactExplainer`, called alone for this row."""
    pair = beside(model, row, model.encode(background))
    coded, target = Coded(pair), pair.target(model, label)

    def log_odds(codes: Floats) -> Floats:
        p = np.clip(target.probability(coded.decoded(codes)), 1e-6, 1 - 1e-6)
        return np.log(p) - np.log1p(-p)

    masker = shap.maskers.Independent(coded.codes[:-1], max_samples=len(background))
    given = {"seed": seed} if kind is shap.PermutationExplainer else {}
    with seeded(seed):
        found = kind(log_odds, masker, **given)(coded.codes[-1:], silent=True, **more)
    return float(np.ravel(found.base_values)[0]), np.array(found.values[0], dtype=np.float64)
