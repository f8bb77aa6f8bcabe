"""Hiding in the order of an explanation: the area by hand, against random orders, and what cannot be tried."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from explained_models import Picture, Text, cancer, digits

from contract.records import Explanation
from explain import deletion
from explain.catalog import explainers_for
from explain.errors import ExplainError, NotExplainable

WORTH = {"good": 0.3, "fine": 0.15, "bad": -0.3}


def said(*weights: float) -> Explanation:
    parts = [{"start": 0, "end": 0, "text": word, "contribution": w} for word, w in zip(WORTH, weights, strict=True)]
    return Explanation("any", "yes", "probability", 0.5, parts, {}, 1, "", {}, 0.1, modality="text")


def sums() -> Text:
    """A text's probability of `yes`: a half and what its words are worth."""

    def answer(texts: list[str]) -> np.ndarray:
        p = np.array([0.5 + sum(WORTH[word] for word in text.split()) for text in texts])
        return np.column_stack([1 - p, p])

    return Text(answer)  # type: ignore[arg-type]


def test_the_area_is_how_far_the_probability_falls_on_average() -> None:
    row = {"text": "good fine bad"}
    own, _ = deletion.areas(sums(), [], row, said(0.4, 0.2, -0.3))
    states = [0.65, 0.35, 0.2, 0.5]  # all, without good, without fine too, without any
    assert own == pytest.approx(0.65 - (states[0] / 2 + states[1] + states[2] + states[3] / 2) / 3)
    backwards, _ = deletion.areas(sums(), [], row, said(-0.4, -0.2, 0.3))
    assert backwards < own


def test_random_orders_lie_between_the_best_and_the_worst() -> None:
    row = {"text": "good fine bad"}
    best, drawn = deletion.areas(sums(), [], row, said(0.4, 0.2, -0.3))
    worst, same = deletion.areas(sums(), [], row, said(-0.4, -0.2, 0.3))
    assert worst < drawn == same < best


def predicted(model: Any, row: dict[str, Any]) -> str:
    """The label that a model gives a row."""
    if isinstance(model, Picture):
        p = model.image_probabilities(np.stack([model.decode(row["image"])]))
    else:
        p = model.table_probabilities(model.encode([row]))
    return str(model.labels[int(p[0].argmax())])


@pytest.mark.parametrize("modality", ["tabular", "image"])
def test_what_explains_beats_a_random_order_on_real_models(modality: str) -> None:
    model, rows = cancer() if modality == "tabular" else digits()[:2]
    for explainer in explainers_for(model, rows[100:]):
        found = [
            deletion.areas(model, rows[100:], row, explainer.explain(row, label=predicted(model, row), seed=3))
            for row in rows[:8]
        ]
        own, drawn = np.mean(found, axis=0)
        assert own > 1.3 * drawn > 0


def test_what_has_a_problem_cannot_be_tried() -> None:
    with pytest.raises(ExplainError, match="no text"):
        deletion.areas(sums(), [], {"text": "good"}, replace(said(1, 1, 1), problem="This item has no text."))
    with pytest.raises(NotExplainable, match="object"):
        deletion.areas(object(), [], {"text": "good"}, said(1, 1, 1))


def test_many_units_are_hidden_in_few_steps() -> None:
    asked = []

    def answer(texts: list[str]) -> np.ndarray:
        asked.append(len(texts))
        return np.full((len(texts), 2), 0.5)

    words = " ".join(f"w{n}" for n in range(150))
    parts = [{"contribution": 0.1}] * 150
    explanation = replace(said(1, 1, 1), contributions=parts)
    assert deletion.areas(Text(answer), [], {"text": words}, explanation) == (0.0, 0.0)  # type: ignore[arg-type]
    assert sum(asked) <= (deletion.STEPS + 1) * (deletion.ORDERS + 1)
