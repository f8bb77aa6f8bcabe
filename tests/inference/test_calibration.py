import json

import numpy as np
import pytest

from inference import calibration


def test_softmax_of_extreme_scores() -> None:
    assert calibration.softmax(np.array([[1e4, -1e4], [0.0, 0.0]])).tolist() == [[1, 0], [0.5, 0.5]]
    assert calibration.softmax(np.empty((0, 3))).shape == (0, 3)


def test_labels_that_were_never_seen_get_a_little() -> None:
    full = calibration.spread(np.array([[0.25, 0.75]]), (0, 2), 4)
    assert full[0, [1, 3]].tolist() == [1e-6, 1e-6]
    assert full.sum() == pytest.approx(1)


@pytest.mark.parametrize("true", [0.7, 1.0, 2.5])
def test_temperature_is_found(true: float) -> None:
    generator = np.random.default_rng(0)
    honest = generator.normal(size=(20_000, 3)) * 2
    drawn = (generator.random((20_000, 1)) > calibration.softmax(honest).cumsum(axis=1)).sum(axis=1)
    assert calibration.fit_temperature(honest * true, drawn, np.ones(20_000)) == pytest.approx(true, rel=0.05)


def test_temperature_stays_in_bounds() -> None:
    scores, truth = np.array([[4.0, 0.0]] * 500), np.zeros(500, dtype=np.int64)
    assert calibration.fit_temperature(scores, truth, np.ones(500)) >= calibration.COLDEST
    assert calibration.fit_temperature(-scores, truth, np.ones(500)) <= calibration.HOTTEST
    few = calibration.fit_temperature(scores[:5], truth[:5], np.ones(5))
    assert few > 0.8
    assert calibration.fit_temperature(scores[:0], truth[:0], np.ones(0)) == 1


def test_calibration_error_of_known_cases() -> None:
    assert calibration.expected_calibration_error(np.full(750, 0.8), np.arange(750) % 5 > 0) == pytest.approx(0)
    assert calibration.expected_calibration_error(np.full(100, 0.9), np.zeros(100, dtype=bool)) == pytest.approx(0.9)
    assert calibration.expected_calibration_error(np.ones(3), np.ones(3, dtype=bool)) == 0


def test_figures_by_hand() -> None:
    p = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]])
    figures = calibration.figures(p, np.array([0, 1, 1, 0]), np.ones(4), ("a", "b"))
    assert figures["accuracy"] == 0.75
    assert figures["log_loss"] == pytest.approx(-np.log([0.9, 0.4, 0.8, 0.7]).mean())
    assert figures["per_label"]["a"] == {"precision": 2 / 3, "recall": 1.0, "n_predicted": 3, "n_true": 2, "n_right": 2}
    assert figures["per_label"]["b"] == {"precision": 1.0, "recall": 0.5, "n_predicted": 1, "n_true": 2, "n_right": 1}
    weighted = calibration.figures(p, np.array([0, 1, 1, 0]), np.array([1.0, 7.0, 1.0, 1.0]), ("a", "b"))
    assert weighted["accuracy"] == pytest.approx(0.3)


def test_figures_of_nothing_are_none() -> None:
    figures = calibration.figures(np.empty((0, 2)), np.empty(0, dtype=np.int64), np.empty(0), ("a", "b"))
    assert json.loads(json.dumps(figures, allow_nan=False))["accuracy"] is None
    assert figures["per_label"]["a"]["precision"] is None
