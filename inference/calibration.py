"""From a network's scores to probabilities that mean something, and the figures that say how well they do."""

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from contract.confidence import confidence, grid
from contract.policy import Score
from contract.predictors import Floats

Integers = NDArray[np.int64]

UNSEEN = 1e-6
"""The probability of a label that had no training row."""
COLDEST, HOTTEST = 0.5, 5.0
"""Bounds of the temperature."""
PRIOR_SPREAD = 0.5
"""Standard deviation of log temperature before any validation row is seen."""
BINS = 15


def softmax(scores: Floats, temperature: float = 1.0) -> Floats:
    """(n, m) scores to (n, m) probabilities in double precision."""
    shifted = scores / temperature
    powers = np.exp(shifted - shifted.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def spread(seen: Floats, known: Sequence[int], labels: int) -> Floats:
    """(n, m) probabilities of the labels that were trained to (n, labels): every other label gets UNSEEN."""
    if len(known) == labels:
        return seen
    full = np.full((len(seen), labels), UNSEEN)
    full[:, list(known)] = seen * (1 - UNSEEN * (labels - len(known)))
    return full


def fit_temperature(scores: Floats, truth: Integers, weights: Floats) -> float:
    """The temperature that makes validation rows most likely (Guo et al. 2017, section 4.2), within bounds.

    A normal prior on its logarithm keeps a handful of rows, all answered well, from asking for certainty.
    """
    if len(scores) == 0:
        return 1.0
    share = weights / weights.mean()

    def loss(log_temperature: float) -> float:
        p = softmax(scores, float(np.exp(log_temperature)))[np.arange(len(truth)), truth]
        prior = 0.5 * (log_temperature / PRIOR_SPREAD) ** 2
        return float(-(share * np.log(np.maximum(p, 1e-300))).sum() + prior)

    return float(np.exp(_golden(loss, np.log(COLDEST), np.log(HOTTEST))))


def _golden(function: Any, low: float, high: float) -> float:
    """The minimum of a function with one valley, by golden-section search."""
    ratio = (np.sqrt(5) - 1) / 2
    for _ in range(40):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if function(left) < function(right) else (left, high)
    return (low + high) / 2


def log_loss(probabilities: Floats, truth: Integers, weights: Floats) -> float:
    """Weighted mean of -log p of the true label, in nats."""
    return float(np.average(losses(probabilities, truth), weights=weights))


def losses(probabilities: Floats, truth: Integers) -> Floats:
    """(n,) -log p of the true label, in nats."""
    return np.asarray(-np.log(np.clip(probabilities[np.arange(len(truth)), truth], 1e-15, 1)))


def expected_calibration_error(confidences: Floats, right: NDArray[np.bool_]) -> float:
    """Mean gap between confidence and accuracy over 15 bins of equal mass (Nixon et al. 2019, adaptive binning)."""
    order = np.argsort(confidences, kind="stable")
    parts = np.array_split(order, min(BINS, len(order)))
    gaps = (len(part) * abs(confidences[part].mean() - right[part].mean()) for part in parts)
    return float(sum(gaps) / len(order))


def figures(probabilities: Floats, truth: Integers, weights: Floats, labels: Sequence[str]) -> dict[str, Any]:
    """What validation says of (n, k) probabilities, JSON-ready; None where there is nothing to say it from."""
    if len(truth) == 0:
        empty = {"accuracy": None, "log_loss": None, "ece": None}
        return {**empty, "per_label": per_label(truth, truth, labels), "grids": grids(probabilities)}
    guess = probabilities.argmax(axis=1).astype(np.int64)
    right = guess == truth
    return {
        "accuracy": float(np.average(right, weights=weights)),
        "log_loss": log_loss(probabilities, truth, weights),
        "ece": expected_calibration_error(probabilities.max(axis=1), right),
        "per_label": per_label(guess, truth, labels),
        "grids": grids(probabilities),
    }


def grids(probabilities: Floats) -> dict[str, list[float]]:
    """The grid of thresholds of (n, k) probabilities, by the score of a policy."""
    return {score: grid(confidence(probabilities, score)) if len(probabilities) else [] for score in get_args(Score)}


def per_label(guess: Integers, truth: Integers, labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Precision and recall of each label with their counts of validation rows."""
    found = {}
    for index, label in enumerate(labels):
        said, true = int((guess == index).sum()), int((truth == index).sum())
        both = int(((guess == index) & (truth == index)).sum())
        precision, recall = both / said if said else None, both / true if true else None
        found[label] = {"precision": precision, "recall": recall, "n_predicted": said, "n_true": true, "n_right": both}
    return found
