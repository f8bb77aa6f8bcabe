"""The function that is explained: the model's answer for one label, checked before anything is built on it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from contract.predictors import Floats
from explain.errors import ModelFailed, UnknownLabel

CLIP = 1e-6
"""Probabilities are kept this far from 0 and 1 before log-odds are taken (so these stay within ±13.8)."""


@dataclass(frozen=True)
class Target:
    """One label's probability as a function of n inputs. `answer` maps n inputs to (n, k) probabilities.

    All its functions raise ModelFailed where the model raises, or where its answer is no table of probabilities.
    """

    answer: Callable[[Any], Floats]
    labels: tuple[str, ...]
    label: str

    def __post_init__(self) -> None:
        if self.label not in self.labels:
            raise UnknownLabel(self.label, self.labels)

    def probability(self, inputs: Any) -> Floats:
        """n inputs to (n,) probabilities of the label."""
        try:
            table = np.asarray(self.answer(inputs), dtype=np.float64)
        except ModelFailed:
            raise
        except Exception as error:
            raise failed(error) from error
        return probability(table, len(inputs), self.labels, self.label)


def probability(table: Floats, count: int, labels: tuple[str, ...], label: str) -> Floats:
    """(count, k) probabilities of a model to (count,) of one label. Raises ModelFailed where they are none."""
    _check(table, (count, len(labels)))
    return table[:, labels.index(label)]


def log_odds(probabilities: Floats) -> Floats:
    """log p / (1 - p), p clipped."""
    p = np.clip(probabilities, CLIP, 1 - CLIP)
    return np.asarray(np.log(p) - np.log1p(-p), dtype=np.float64)


def failed(error: BaseException) -> ModelFailed:
    """What is told of a model that raised."""
    return ModelFailed(f"The model failed on changed copies of this item: {named(error)}")


def once_each(answer: Callable[[Sequence[str]], Floats]) -> Callable[[Sequence[str]], Floats]:
    """The same answers, asking for each distinct text once."""

    def asked(texts: Sequence[str]) -> Floats:
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        answers = np.asarray(answer(list(places)))
        if answers.shape[:1] != (len(places),):
            raise ModelFailed(f"The model answered with a table of shape {answers.shape} for {len(places)} texts.")
        return answers[[places[text] for text in texts]]

    return asked


def named(error: BaseException) -> str:
    """An error in one short line, without the character that no database keeps."""
    return f"{type(error).__name__}: {error}".replace("\0", "\N{REPLACEMENT CHARACTER}")[:300]


def _check(answer: Floats, shape: tuple[int, int]) -> None:
    if answer.shape != shape:
        raise ModelFailed(f"The model answered with a table of shape {answer.shape} where {shape} was due.")
    if not np.isfinite(answer).all():
        raise ModelFailed("The model answered with values that are not numbers.")
    if answer.min(initial=0) < -CLIP or answer.max(initial=0) > 1 + CLIP:
        raise ModelFailed("The model answered with values that are not probabilities between 0 and 1.")
