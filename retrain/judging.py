"""How a model does on labelled rows that it has not seen, and what of it could act alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.confidence import confidence as sureness
from contract.policy import Policy, Score
from contract.predictors import Predictor
from contract.records import Prediction, Row, Scored
from inference.batching import predict_in_batches
from retrain.alone import LEVELS, alone
from retrain.examples import Examples

CHUNK = 512
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
    """Figures for `Model.figures`: `held_out` and `alone`, JSON-ready; empty where there is no row to judge by.

    Accuracy and log loss are of the rows that the model answered, and None where it answered none. A row without an answer
    never acts alone. The examples must be new to the model and like its traffic: not what was chosen for people to decide.
    """
    return figures(asked(predictor, examples.rows, examples.labels, score), score=score, confidence=confidence, levels=levels)


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


def _mean(values: NDArray[Any]) -> float | None:
    return float(values.mean()) if len(values) else None
