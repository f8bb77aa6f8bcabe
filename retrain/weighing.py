"""What each row weighs in training."""

from collections import Counter
from typing import Any

import numpy as np

from contract.weighing import Weighing
from retrain import weights
from retrain.examples import Examples


def weigh(held: Examples, how: Weighing) -> tuple[list[float] | None, dict[str, Any]]:
    """A weight for each row, their mean 1, and what is told of them; None where every row weighs the same.

    `full` is the inverse of the probability that a row was looked at, `sqrt` its root, which swings less where few rows weigh
    much. A row that came with the project weighs 1; an item whose probability is not known the mean of those whose is. Weights
    above the 99th percentile are cut to it, for training alone. `effective`: the rows of a plain sample that tell as much (Kish
    1965).
    """
    if how == "none" or not len(held):
        return None, {"how": "none"}
    told = [weight for weight in held.weights if weight is not None]
    mean, arrived = sum(told) / max(1, len(told)) or 1.0, held.arrived or (False,) * len(held)
    pairs = zip(held.weights, arrived, strict=True)
    whole = np.array([weight if weight is not None else mean if new else 1.0 for weight, new in pairs])
    at = float(np.quantile(whole, weights.CUT, method="inverted_cdf"))
    cut = np.minimum(whole, at)
    shares = np.sqrt(cut) if how == "sqrt" else cut
    shares = shares / shares.mean()
    figures = {
        "how": how,
        "weighted": len(told),
        "cut_at": at,
        "cut": int((whole > at).sum()),
        "largest": float(shares.max()),
        "effective": round(weights.effective(Counter(shares.tolist())), 1),
    }
    return shares.tolist(), figures
