from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from explained_models import cancer, digits, reviews

from contract.records import Explanation
from explain.errors import ExplainError
from explain.explainer import Ask
from explain.lime_tabular import LimeTabular
from explain.partition_image import PartitionImage
from explain.partition_text import PartitionText
from explain.stability import overlap, strongest

FOUND = Explanation("m", "yes", "probability", 0.0, [], {}, 0, "", {}, 0.0)


class Scripted:
    """An explainer that answers by seed."""

    method = "scripted"

    def __init__(self, *answers: list[float], problem: str | None = None) -> None:
        self.answers, self.problem = answers, problem

    def explain_all(self, asks: Sequence[Ask]) -> list[Explanation]:
        said = [[{"contribution": weight} for weight in self.answers[ask.seed]] for ask in asks]
        return [replace(FOUND, contributions=each, problem=self.problem) for each in said]


def stability(explainer: Any, row: Any, *, label: str) -> float:
    """Over three seeds."""
    return overlap(explainer.explain_all([Ask(row, label, seed) for seed in range(3)]))


def test_the_five_strongest_without_zeros() -> None:
    weights = [0.1, -9.0, 0.0, 3.0, 4.0, 5.0, 6.0]
    found = replace(FOUND, contributions=[{"contribution": weight} for weight in weights])
    assert strongest(found) == {1, 3, 4, 5, 6}
    assert strongest(replace(FOUND, modality="image", contributions={"weights": [0.0, 1.0]})) == {1}


def test_the_mean_overlap_of_all_pairs() -> None:
    one, same, other = [1.0, 1, 1, 1, 1, 0, 0], [2.0, 1, 1, 1, 1, 0, 0], [1.0, 1, 1, 0, 0, 1, 1]
    assert stability(Scripted(one, same, other), {}, label="yes") == pytest.approx((1 + 3 / 7 + 3 / 7) / 3)
    assert stability(Scripted([0.0], [0.0], [0.0]), {}, label="yes") == 1


def test_no_explanation_has_no_stability() -> None:
    with pytest.raises(ExplainError, match="broken"):
        stability(Scripted([], [], [], problem="broken"), {}, label="yes")


def test_real_explanations_stay() -> None:
    model, rows = cancer()
    assert stability(LimeTabular(model, rows[100:]), rows[0], label="benign") > 0.6
    assert stability(LimeTabular(model, rows[100:], samples=60), rows[0], label="benign") < 0.6
    assert stability(PartitionText(reviews()), {"text": "a boring film with a brilliant cast"}, label="good") == 1
    picture, images, labels = digits()
    assert stability(PartitionImage(picture), images[1], label=labels[1]) > 0.6
