"""How a model does on labelled rows that it has not seen, and what of it could act alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.confidence import confidence as sureness
from contract.policy import Policy, Score
from contract.predictors import Predictor
from contract.records import Prediction, Row, Scored
from inference.batching import predict_in_batches
from retrain import weights
from retrain.alone import LEVELS, alone
from retrain.examples import Examples

CHUNK = 512
MOST_PARTS = 50
"""Labels, and values of a group, of which figures are told."""
LEAST = 1e-15
"""What a true label is given where the model gives it nothing, for the log loss."""


@dataclass(frozen=True, slots=True)
class Judged:
    """(n,) confidences, NaN where there is no answer; (n,) whether the answer is wrong; (n,) -log p of the true label in nats."""

    confidences: NDArray[np.float64]
    wrong: NDArray[np.bool_]
    losses: NDArray[np.float64]


def judge(
    predictor: Predictor,
    examples: Examples,
    *,
    score: Score = "max_probability",
    confidence: float = 0.95,
    levels: Sequence[float] = LEVELS,
) -> dict[str, Any]:
    """Figures for `Model.figures`: `held_out`, `alone` and `parts`, JSON-ready; empty where there is no row to judge by.

    Accuracy and log loss are of the rows that the model answered, and None where it answered none. A row without an answer
    never acts alone. The examples must be new to the model and like its traffic: not what was chosen for people to decide.
    """
    found = asked(predictor, examples.rows, examples.labels, score)
    told = figures(found, score=score, confidence=confidence, levels=levels)
    return told | ({"parts": _parts(found, examples, np.ones(len(examples)))} if told else {})


def weighed(predictor: Predictor, examples: Examples) -> dict[str, Any]:
    """`traffic`, for `Model.figures`: how a model does on all traffic, estimated from decided rows that have a weight, by it.

    Empty where there is none. Accuracy is the weighted mean (Hájek); `effective`, the rows of a plain sample that tell as much.
    """
    places = [place for place, weight in enumerate(examples.weights) if weight is not None]
    if not places:
        return {}
    some = examples.pick(places)
    shares = np.array(some.weights, dtype=np.float64)
    found = asked(predictor, some.rows, some.labels, "max_probability")
    effective = weights.effective(Counter(shares.tolist()))
    told = {"n": len(places), "effective": round(effective, 1), "accuracy": _share(~found.wrong, shares)}
    return {"traffic": told | _parts(found, some, shares)}


def figures(
    found: Judged, *, score: Score = "max_probability", confidence: float = 0.95, levels: Sequence[float] = LEVELS
) -> dict[str, Any]:
    """The same of answers that were given already."""
    if not len(found.wrong):
        return {}
    answered = ~np.isnan(found.confidences)
    sure = alone(found.confidences, found.wrong, confidence=confidence, levels=levels)
    held_out = {
        "n": len(found.wrong),
        "answered": int(answered.sum()),
        "accuracy": _mean(~found.wrong[answered]),
        "log_loss": _mean(found.losses[answered]),
    }
    return {"held_out": held_out, "alone": {**sure.as_dict(), "score": score}}


def wished(policy: Policy) -> dict[str, Any]:
    """What a policy asks of `judge`: its score, its confidence, and its own error beside those of the table."""
    levels = sorted({*LEVELS, policy.evidence.max_error})
    return {"score": policy.score, "confidence": policy.evidence.confidence, "levels": levels}


def asked(predictor: Predictor, rows: Sequence[Row], labels: Sequence[str], score: Score) -> Judged:
    """A model's answers to labelled rows, asked for in parts."""
    return told(predict_in_batches(predictor, rows, CHUNK), labels, score)


def probabilities(predictor: Predictor, rows: Sequence[Row]) -> NDArray[np.float64]:
    """(n, k) of the rows that a model answers."""
    answers = predict_in_batches(predictor, rows, CHUNK)
    return np.array([each.probabilities for each in answers if isinstance(each, Prediction)], dtype=np.float64)


def told(answers: Sequence[Scored], labels: Sequence[str], score: Score) -> Judged:
    """What answers to labelled rows say."""
    found = [_one(answer, truth, score) for answer, truth in zip(answers, labels, strict=True)]
    confidences, wrong, losses = zip(*found, strict=True) if found else ((), (), ())
    return Judged(np.array(confidences, dtype=np.float64), np.array(wrong, dtype=bool), np.array(losses, dtype=np.float64))


def _one(answer: Scored, truth: str, score: Score) -> tuple[float, bool, float]:
    if not isinstance(answer, Prediction):
        return float("nan"), True, float("nan")
    sure = float(sureness(answer.probabilities, score))
    return sure, answer.label != truth, -float(np.log(max(answer.of(truth), LEAST)))


def _parts(found: Judged, examples: Examples, shares: NDArray[np.float64]) -> dict[str, Any]:
    """How often a model is right of each true label, and in each group, with the rows that say it; an unanswered row is wrong."""
    right = ~found.wrong
    labels = np.array(examples.labels)
    kinds = {str(label): labels == label for label in dict.fromkeys(examples.labels)}
    groups: dict[str, dict[str, NDArray[np.bool_]]] = {}
    for place, named in enumerate(examples.groups):
        for name, value in named.items():
            groups.setdefault(name, {}).setdefault(value, np.zeros(len(right), dtype=bool))[place] = True
    return {
        "labels": _each(kinds, right, shares),
        "groups": {name: _each(values, right, shares) for name, values in sorted(groups.items())},
    }


def _each(
    parts: Mapping[str, NDArray[np.bool_]], right: NDArray[np.bool_], shares: NDArray[np.float64]
) -> dict[str, dict[str, Any]]:
    """The largest parts, at most MOST_PARTS."""
    largest = sorted(parts, key=lambda name: (-int(parts[name].sum()), name))[:MOST_PARTS]
    return {name: {"n": int(parts[name].sum()), "accuracy": _share(right[parts[name]], shares[parts[name]])} for name in largest}


def _share(right: NDArray[np.bool_], shares: NDArray[np.float64]) -> float:
    return round(float(np.average(right, weights=shares)), 6)


def _mean(values: NDArray[Any]) -> float | None:
    return float(values.mean()) if len(values) else None
