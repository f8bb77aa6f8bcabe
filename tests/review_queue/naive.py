"""Rules for choosing a threshold that the product does not have: what others do, and what they do rightly for one look."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

from review_queue import exact


def one_look_bounds(alpha: float, delta: float, most: int) -> NDArray[np.int64]:
    """For 0, 1, ... `most` errors the cases from which on the limit of Clopper and Pearson is `alpha` at most."""
    errors = np.arange(most + 1)
    low, high = errors.astype(float), errors * 2 / alpha + 10 / alpha
    while (high - low > 1).any():
        middle = np.floor((low + high) / 2)
        fits = special.bdtr(errors, middle, alpha) <= delta
        low, high = np.where(fits, low, middle), np.where(fits, middle, high)
    return high.astype(np.int64)


def enough(errors: NDArray[np.int64], n: NDArray[np.int64], bounds: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where `n` reaches the bound of its errors; never for more errors than there are bounds."""
    return (errors < len(bounds)) & (n >= bounds[np.minimum(errors, len(bounds) - 1)])


def selective_guarantee(
    confidence: NDArray[np.float64], wrong: NDArray[np.bool_], target: float, delta: float
) -> tuple[float, float]:
    """Threshold and bound by bisection over the sorted confidences (Geifman and El-Yaniv 2017, SGR, with exact bounds); a
    threshold whose bound exceeds the target is never returned. (inf, 1.0): none holds."""
    order = np.argsort(confidence, kind="stable")
    steps = math.ceil(math.log2(len(order)))
    low, high, found = 0, len(order) - 1, (math.inf, 1.0)
    for _ in range(steps):
        middle = (low + high + 1) // 2
        threshold = confidence[order[middle]]
        kept = confidence >= threshold
        bound = exact.upper(int(wrong[kept].sum()), int(kept.sum()), delta / steps)
        if bound < target:
            high, found = middle, (float(threshold), bound)
        else:
            low = middle
    return found
