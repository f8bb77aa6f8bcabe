"""Which rows a model learns from and which judge it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Progress = Callable[[float, str], None]
"""Called with the share done, 0 to 1, and what is being done."""


@dataclass(frozen=True, slots=True)
class Task:
    """Rows to learn from and rows to judge by; truth and weights are of all rows."""

    truth: Integers
    weights: NDArray[np.float64]
    training: Integers
    validation: Integers


def split(truth: Integers, groups: Integers, seed: int, share: float = 0.2) -> tuple[Integers, Integers]:
    """Row numbers to learn from and to validate by, stratified by label; equal rows stay on one side.

    A label with one row, or one group of equal rows, stays in training.
    """
    generator = np.random.default_rng(seed)
    held = np.zeros(len(truth), dtype=bool)
    taken: dict[int, bool] = {}
    for label in np.unique(truth):
        rows = generator.permutation(np.flatnonzero(truth == label))
        distinct = list(dict.fromkeys(groups[rows].tolist()))
        count = 0 if len(distinct) < 2 else max(1, round(share * len(distinct)))
        for place, group in enumerate(distinct):
            taken.setdefault(group, place < count)
        held[rows] = [taken[group] for group in groups[rows].tolist()]
    return np.flatnonzero(~held), np.flatnonzero(held)
