"""The library itself for tables: what our numbers are held against."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import shap

from contract.predictors import Floats
from contract.records import Row
from explain.table import Beside, beside
from explain.words import Units


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """The library draws from numpy's global generator: it starts from `seed` inside and is as it was afterwards."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)


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


class Removal(shap.maskers.Text):
    """The library's text masker and its tree of phrases over our own units; hidden ones are left out."""

    def __init__(self, parts: Units) -> None:
        self.parts = parts
        super().__init__(self._tokens, mask_token="...")

    def __call__(self, mask: Any, s: str) -> tuple[Any]:
        return (np.array([self.parts.kept(np.flatnonzero(mask))], dtype=object),)

    def _tokens(self, s: str, return_offsets_mapping: bool = True) -> dict[str, Any]:
        if s != self.parts.text:
            return {"input_ids": [s] * bool(s), "offset_mapping": [(0, len(s))] * bool(s)}
        return {"input_ids": list(self.parts.segments), "offset_mapping": list(self.parts.spans)}


def halves_of(clustering: Floats) -> list[tuple[int, int]]:
    """The library's tree as pairs of nodes."""
    return [(int(left), int(right)) for left, right in clustering[:, :2]]


def partition(function: Any, masker: Any, item: Any, evaluations: int, seed: int) -> tuple[float, Floats]:
    """Base and values of `shap.PartitionExplainer`, called alone for this item."""
    with seeded(seed):
        found = shap.PartitionExplainer(function, masker)([item], max_evals=evaluations, batch_size=32, silent=True)
    return float(np.ravel(found.base_values)[0]), np.array(found.values[0], dtype=np.float64)
