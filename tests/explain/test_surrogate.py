import numpy as np
import pytest
from lime.lime_base import LimeBase

from explain.surrogate import line


def around(width: int, seed: int, constant: float = 0.5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Zeros and ones, answers with interactions, and weights."""
    rng = np.random.default_rng(seed)
    shown = (rng.random((600, width)) < constant).astype(float)
    shown[0] = 1
    slopes = rng.normal(size=width)
    answers = shown @ slopes + np.sin(3 * shown @ rng.normal(size=width)) + 100
    return shown, answers, np.exp(-((1 - shown.mean(axis=1)) ** 2) / 0.1)


@pytest.mark.parametrize("width", [1, 5, 12])
@pytest.mark.parametrize("features", [None, 1, 3, 6, 7, 9, 50])
@pytest.mark.parametrize("share", [0.5, 0.97])
def test_the_numbers_and_the_selection_are_the_librarys(width: int, features: int | None, share: float) -> None:
    shown, answers, nearness = around(width, 10 * width + (features or 0), share)
    due = LimeBase(lambda distances: nearness, random_state=0).explain_instance_with_data(
        shown, answers[:, None], np.zeros(600), 0, features or width, feature_selection="auto" if features else "none"
    )
    found = line(shown, answers, nearness, features)
    expected = np.zeros(width)
    for place, weight in due[1]:
        expected[place] = weight
    np.testing.assert_allclose(found.weights, expected, rtol=1e-9, atol=1e-11)
    assert found.base == pytest.approx(due[0], rel=1e-9)
    assert found.r2 == pytest.approx(due[2], abs=1e-9)
    assert found.at_row == pytest.approx(float(due[3][0]), rel=1e-9)


@pytest.mark.parametrize("features", [None, 3, 8])
def test_columns_that_never_change_or_say_the_same_do_no_harm(features: int | None) -> None:
    shown, answers, nearness = around(9, 1)
    shown[:, 2] = 1
    shown[:, 5] = shown[:, 4]
    found = line(shown, answers, nearness, features)
    assert np.isfinite(found.weights).all()
    assert abs(found.weights[2]) < 1e-9
    assert 0 < found.r2 < 1


def test_answers_that_are_all_the_same_are_fitted_wholly() -> None:
    shown, _, nearness = around(4, 0)
    found = line(shown, np.full(600, 0.25), nearness)
    assert (found.r2, found.base) == (1.0, pytest.approx(0.25))
    assert not found.weights.round(12).any()


def test_small_differences_far_from_zero_are_seen() -> None:
    shown, answers, nearness = around(5, 2)
    near = line(shown, answers - 100, nearness)
    far = line(shown, (answers - 100) * 1e-5 + 13, nearness)
    np.testing.assert_allclose(far.weights, near.weights * 1e-5, rtol=1e-6)
    assert far.r2 == pytest.approx(near.r2, abs=1e-6)
