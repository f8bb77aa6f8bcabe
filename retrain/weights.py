"""What a sample with unequal weights is worth, out of the weights alone."""

from collections import Counter
from math import ceil, fsum
from typing import Any

CUT = 0.99
"""The share of weights that a truncation leaves as they are."""


def summary(weights: Counter[float]) -> dict[str, Any] | None:
    """What the weights of rows come to, each given with how often it stands; None where no row has one.

    `effective`: the rows of a plain random sample that would tell as much, (sum w)^2 / sum w^2 (Kish, Survey Sampling, 1965).
    `price`: that per row. `cut`: the 99th percentile (the nearest rank), how many rows weigh more, and what the sample would be
    worth if they weighed no more. Nothing is cut: a cut weight no longer stands for the traffic.
    """
    if not weights:
        return None
    rows, cut = weights.total(), _percentile(weights)
    shortened = Counter[float]()
    for weight, n in weights.items():
        shortened[min(weight, cut)] += n
    above = sum(n for weight, n in weights.items() if weight > cut)
    worth = effective(weights)
    at = {"at": cut, "rows": above, "effective": round(effective(shortened), 3)}
    return {"rows": rows, "effective": round(worth, 3), "price": round(worth / rows, 6), "largest": max(weights), "cut": at}


def effective(weights: Counter[float]) -> float:
    """Kish's effective sample size; 0 without weights."""
    total = fsum(weight * n for weight, n in weights.items())
    squares = fsum(weight * weight * n for weight, n in weights.items())
    return total * total / squares if squares else 0.0


def _percentile(weights: Counter[float]) -> float:
    rank, seen = ceil(CUT * weights.total()), 0
    for weight in sorted(weights):
        seen += weights[weight]
        if seen >= rank:
            return weight
    return max(weights)
