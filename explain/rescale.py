"""From what each feature does to a model's scores to what it does to a label's log-odds.

The last step, a softmax, is not linear in more than two scores. What a feature moves each score by, between a row and one of the
background, is weighed by the rescale rule of DeepLIFT (Shrikumar, Greenside and Kundaje 2017) through exp, sum and log, pair by
pair, and the mean taken over the background: G-DeepSHAP (Chen, Lundberg and Lee 2022, "Explaining a series of models by
propagating Shapley values"). The weighted moves of the scores add up to the move of the log-odds exactly.
"""

import numpy as np

from contract.inside import Last
from contract.predictors import Floats


def multipliers(last: Last, scores: Floats, others: Floats, label: str) -> Floats:
    """(n, m) scores, and as many to compare them with, to (n, m): Σ of these × (scores - others) is the log-odds' difference."""
    place = last.place(label)
    if place is None:
        return np.zeros_like(scores)
    with np.errstate(divide="ignore", invalid="ignore"):
        against = np.log(last.against(place))
        one, other = scores / last.temperature + against, others / last.temperature + against
        shares = np.exp(_log_mean(one, other) - _log_mean(_log_sum(one), _log_sum(other)))
    found = -np.where(np.isneginf(against), 0.0, shares)
    found[:, place] += 1.0
    return np.asarray(found / last.temperature)


def _log_sum(logs: Floats) -> Floats:
    most = logs.max(axis=1, keepdims=True)
    return np.asarray(most + np.log(np.exp(logs - most).sum(axis=1, keepdims=True)))


def _log_mean(one: Floats, other: Floats) -> Floats:
    """The logarithm of the logarithmic mean (a - b) / (log a - log b), from log a and log b."""
    apart = np.abs(one - other)
    return np.asarray(np.maximum(one, other) + np.log(np.where(apart < 1e-12, 1.0, -np.expm1(-apart) / apart)))
