"""Exact limits of a share: those of Clopper and Pearson (1934), which cover the true share at least as often as they say."""

from functools import lru_cache

import numpy as np

CONFIDENCE = 0.95
STEPS = 60
"""Halvings: the limit is right to within 2^-60."""


def interval(part: int, of: int) -> tuple[float, float]:
    """Between which values the true share lies with 95 % confidence or more, whatever it is. Raises ValueError of nothing."""
    delta = (1 - CONFIDENCE) / 2
    return 1 - upper(of - part, of, delta), upper(part, of, delta)


@lru_cache(maxsize=4096)
def upper(part: int, of: int, delta: float) -> float:
    """The share above which so few of `of` would be seen with a probability below `delta`. Raises ValueError."""
    if not 0 <= part <= of or of == 0 or not 0 < delta < 1:
        raise ValueError(f"{part} of {of} at {delta} is no share with a limit")
    if part == of:
        return 1.0
    low, high = part / of, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _up_to(part, of, middle) > delta else (low, middle)
    return (low + high) / 2


def _up_to(part: int, of: int, share: float) -> float:
    """P(Bin(of, share) <= part)."""
    if share >= 1.0:
        return 0.0
    k = np.arange(part + 1)
    ways = np.concatenate([[0.0], np.cumsum(np.log(of - k[:-1]) - np.log(k[1:]))]) if part else np.zeros(1)
    return float(np.exp(ways + k * np.log(share) + (of - k) * np.log1p(-share)).sum()) if share else 1.0
