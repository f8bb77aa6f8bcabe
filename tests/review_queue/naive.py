"""Rules for choosing a threshold that the product does not have: what others do, and what they do rightly for one look."""

import math

import numpy as np
from numpy.typing import NDArray

from review_queue import exact


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
