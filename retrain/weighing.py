"""What each row weighs in training."""

from collections import Counter
from typing import Any, Literal

import numpy as np

from retrain import weights
from retrain.examples import Examples

Weighing = Literal["none", "full", "sqrt"]
WEIGHINGS = ("none", "full", "sqrt")


def weigh(held: Examples, how: Weighing) -> tuple[list[float] | None, dict[str, Any]]:
    """A weight for each row, their mean 1, and what is told of them; None where every row weighs the same.

    `full` is the inverse of the probability that a row was looked at, `sqrt` its root, which swings less where few rows weigh
    much. A row that nobody had to draw weighs 1: it came with the project, or stands for itself; an open one that was drawn the
    least that it can. Weights above the 99th percentile are cut to it, for training alone. `effective`: the rows of a plain
    sample that tell as much (Kish 1965).
    """
    if how == "none" or not len(held):
        return None, {"how": "none"}
    least = held.least or (1.0,) * len(held)
    whole = np.array([low if weight is None else weight for weight, low in zip(held.weights, least, strict=True)])
    at = float(np.quantile(whole, weights.CUT, method="inverted_cdf"))
    cut = np.minimum(whole, at)
    shares = np.sqrt(cut) if how == "sqrt" else cut
    shares = shares / shares.mean()
    told = {
        "how": how,
        "weighted": sum(weight is not None for weight in held.weights),
        "cut_at": at,
        "cut": int((whole > at).sum()),
        "largest": float(shares.max()),
        "effective": round(weights.effective(Counter(shares.tolist())), 1),
    }
    return shares.tolist(), told
