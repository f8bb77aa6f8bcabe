"""Confidence on 0..1, higher is surer, from the probabilities of one item or of many."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contract.policy import Score

COVERAGES = tuple(round(0.20 + 0.05 * step, 2) for step in range(16))
"""Shares of traffic, 0.20 to 0.95, whose thresholds make the grid of an evidence period (methods: fixed sequence)."""


def confidence(probabilities: ArrayLike, score: Score) -> NDArray[np.float64]:
    """(..., k) probabilities to (...) confidences: max p; p1 - p2; or 1 - H / log k."""
    p = np.asarray(probabilities, dtype=np.float64)
    if score == "max_probability":
        return np.asarray(p.max(axis=-1))
    if score == "margin":
        top = np.sort(p, axis=-1)
        return np.asarray(top[..., -1] - top[..., -2])
    terms = np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0)), 0.0)
    return np.asarray(np.clip(1.0 + terms.sum(axis=-1) / np.log(p.shape[-1]), 0.0, 1.0))


def grid(confidences: ArrayLike) -> list[float]:
    """Ascending thresholds that let 95, 90, ... 20 % of these calibration confidences through; duplicates fall away."""
    held = np.asarray(confidences, dtype=np.float64)
    if held.size == 0:
        return []
    return sorted({float(np.quantile(held, 1 - coverage, method="higher")) for coverage in COVERAGES})
