"""Scores by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.confidence import COVERAGES, confidence, grid
from contract.policy import Score
from contract.records import Prediction, Route

H3 = -(0.7 * math.log(0.7) + 0.2 * math.log(0.2) + 0.1 * math.log(0.1))


@pytest.mark.parametrize(
    ("score", "probabilities", "sure"),
    [
        ("max_probability", [0.7, 0.2, 0.1], 0.7),
        ("margin", [0.7, 0.2, 0.1], 0.5),
        ("entropy", [0.7, 0.2, 0.1], 1 - H3 / math.log(3)),
        ("max_probability", [0.5, 0.5], 0.5),
        ("margin", [0.5, 0.5], 0.0),
        ("entropy", [0.5, 0.5], 0.0),
        ("entropy", [1.0, 0.0], 1.0),
        ("margin", [0.0, 1.0, 0.0], 1.0),
        ("entropy", [0.25, 0.25, 0.25, 0.25], 0.0),
        ("entropy", [0.9, 0.1], 0.5310044064107188),
    ],
)
def test_scores(score: Score, probabilities: list[float], sure: float) -> None:
    assert float(confidence(probabilities, score)) == pytest.approx(sure, abs=1e-12)


def test_many_rows_at_once_are_the_rows_one_by_one() -> None:
    rows = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]]
    for score in ("max_probability", "margin", "entropy"):
        together = confidence(rows, score)
        assert together.tolist() == [float(confidence(row, score)) for row in rows]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=6).filter(lambda p: sum(p) > 1e-9))
def test_every_score_lies_between_0_and_1(weights: list[float]) -> None:
    p = [w / sum(weights) for w in weights]
    for score in ("max_probability", "margin", "entropy"):
        assert 0 <= float(confidence(p, score)) <= 1 + 1e-12


def test_the_grid_lets_the_coverages_through() -> None:
    held = np.linspace(0, 1, 1001)
    thresholds = grid(held)
    assert thresholds == sorted(set(thresholds))
    for coverage, threshold in zip(sorted(COVERAGES, reverse=True), thresholds, strict=True):
        assert (held >= threshold).mean() == pytest.approx(coverage, abs=0.0015)


def test_a_grid_of_nothing_or_of_one_value() -> None:
    assert grid([]) == []
    assert grid([0.8] * 50) == [0.8]


def test_a_prediction_names_the_first_of_equals_and_gives_nothing_to_strangers() -> None:
    said = Prediction(("a", "b", "c"), (0.4, 0.4, 0.2))
    assert (said.label, said.of("b"), said.of("z")) == ("a", 0.4, 0.0)


def test_only_drawn_routes_are_blind() -> None:
    assert Route("review", "", drawn=("second",)).blind
    assert not Route("review", "").blind
