"""A weighted straight line around a row, with all that its selection asks from one Gram matrix.

Ribeiro, Singh and Guestrin 2016, "Why Should I Trust You?", section 3.4: ridge regression (α = 1) of a label's log-odds on which
parts are shown, nearer copies of the row counting more. In probabilities, which bend near 0 and 1, such a line fits far worse.
The numbers are those of `lime.lime_base.LimeBase`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.predictors import Floats
from explain.finding import Finding, steadied

ALPHA, SELECTING = 1.0, 0.01
FORWARD = 6
"""Up to so many features are chosen one after the other, more by the weights of all."""
LINEAR = 1e-12
"""A column with less left than this share of its own is a combination of those chosen before."""
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Line:
    """`weights` (d,), zero where not chosen; what the line says of the row itself, and its weighted R²."""

    weights: Floats
    base: float
    at_row: float
    r2: float

    def finding(self, answers: Floats, contributions: Any, params: dict[str, Any]) -> Finding:
        """`answers` are the model's, the row's own first; `contributions` makes them of the weights."""
        weights, note = steadied(self.weights, answers)
        own = float(answers[0])
        at_row, base, r2 = (own, own, 1.0) if note else (self.at_row, self.base, self.r2)
        quality = {"local_r2": r2, "prediction_gap": abs(at_row - own)}
        return Finding(base, weights.tolist(), contributions(weights), quality, {**params, **note})


def line(shown: Floats, answers: Floats, nearness: Floats, features: int | None = None) -> Line:
    """Fitted to (n, d) zeros and ones, the row itself first, their (n,) answers and weights; at most `features` are used."""
    total = nearness.sum()
    means, middle = nearness @ shown / total, nearness @ answers / total
    root, centred = np.sqrt(nearness), shown - means
    centred *= root[:, None]
    held = (answers - middle) * root
    gram, moments, spread = centred.T @ centred, centred.T @ held, float(held @ held)
    used = _chosen(gram, moments, features)
    own, along = gram[np.ix_(used, used)], moments[used]
    slopes = _ridge(own, along, ALPHA)
    left = spread - 2 * float(slopes @ along) + float(slopes @ own @ slopes)
    weights = np.zeros(len(gram))
    weights[used] = slopes
    base = float(middle - means @ weights)
    return Line(weights, base, base + float(slopes.sum()), 1 - left / spread if spread else 1.0)


def _chosen(gram: Floats, moments: Floats, features: int | None) -> Places:
    if features is None or (features >= len(gram) and features > FORWARD):
        return np.arange(len(gram))
    if features <= FORWARD:
        return _forward(gram, moments, min(features, len(gram)))
    return np.argsort(-np.abs(_ridge(gram, moments, SELECTING)), kind="stable")[:features]


def _forward(gram: Floats, moments: Floats, count: int) -> Places:
    """Each time the one that explains most of what is left; what is explained is taken out of the Gram matrix."""
    gram, moments = gram.copy(), moments.copy()
    free, least = np.ones(len(gram), dtype=bool), LINEAR * np.diag(gram)
    chosen: list[int] = []
    for _ in range(count):
        room = np.diag(gram)
        gains = np.where(room > least, moments**2 / np.where(room > least, room, 1.0), 0.0)
        best = int(np.argmax(np.where(free, gains, -np.inf)))
        chosen.append(best)
        free[best] = False
        if room[best] > least[best]:
            column = gram[:, best] / gram[best, best]
            gram, moments = gram - np.outer(column, gram[best]), moments - column * moments[best]
    return np.array(chosen, dtype=np.intp)


def _ridge(gram: Floats, moments: Floats, alpha: float) -> Floats:
    return np.asarray(np.linalg.solve(gram + alpha * np.eye(len(gram)), moments), dtype=np.float64)
