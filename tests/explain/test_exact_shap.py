import numpy as np
import pytest
import shap
from explained_models import Table, linear, mixed, numbers, rows_of, sigmoid
from shap_reference import library

from contract.predictors import Encoded
from explain.errors import NotExplainable
from explain.exact_shap import MOST, ExactShap
from explain.explainer import Ask


def weights(found) -> list[float]:
    assert found.problem is None
    return [part["contribution"] for part in found.contributions]


def test_the_numbers_are_the_librarys() -> None:
    """With missing values, categories, dates and texts."""
    model, rows = mixed()
    explainer = ExactShap(model, rows[20:60])
    for row in [{**rows[0], "n": None}, {**rows[1], "c": "new"}, {**rows[2], "t": "own text"}, {}, rows[25], rows[26]]:
        found = explainer.explain(row, label="yes", seed=0)
        base, values = library(shap.ExactExplainer, model, rows[20:60], row, "yes", 0)
        np.testing.assert_allclose(weights(found), values, rtol=1e-6, atol=1e-9)
        assert found.base == pytest.approx(base, rel=1e-6)
        assert found.quality["additivity_gap"] < 1e-9
        assert (found.unit, found.method) == ("log-odds", "shap.exact")


def test_an_ignored_feature_gets_nothing_whatever_the_interactions() -> None:
    model = Table(numbers(["a", "b", "c"]), lambda encoded: sigmoid(encoded.matrix[:, 0] * encoded.matrix[:, 2] ** 2))
    rows = rows_of(["a", "b", "c"], np.random.default_rng(0).normal(size=(50, 3)))
    found = ExactShap(model, rows).explain({"a": 1.0, "b": 9.0, "c": -2.0}, label="yes", seed=0)
    assert abs(weights(found)[1]) < 1e-12
    assert all(abs(weight) > 0.1 for weight in weights(found)[::2])


def test_no_row_is_asked_twice() -> None:
    seen = []

    def function(encoded: Encoded) -> np.ndarray:
        seen.append(encoded.matrix)
        return sigmoid(encoded.matrix.sum(axis=1))

    model = Table(numbers(list("abcdef")), function)
    background = np.random.default_rng(0).integers(0, 2, (20, 6))
    ExactShap(model, rows_of(list("abcdef"), background)).explain(dict.fromkeys("abcdef", 1.0), label="yes", seed=0)
    differing = (background != 1).sum(axis=1)
    assert sum(map(len, seen)) == 1 + sum(2**count - 1 for count in differing)


def test_the_most_features_that_there_may_be() -> None:
    rows = rows_of([f"x{place}" for place in range(MOST)], np.random.default_rng(0).normal(size=(8, MOST)))
    slopes = np.linspace(-1, 1, MOST)
    found = ExactShap(linear(slopes.tolist()), rows).explain(rows[0], label="yes", seed=0)
    values = np.array([list(row.values()) for row in rows])
    np.testing.assert_allclose(weights(found), slopes * (values[0] - values.mean(axis=0)), atol=1e-9)
    with pytest.raises(NotExplainable, match="13 features"):
        ExactShap(linear([1.0] * (MOST + 1)), rows)


def test_no_background_is_refused() -> None:
    with pytest.raises(NotExplainable, match="background"):
        ExactShap(linear([1.0]), [])


def test_many_rows_together_are_each_as_alone() -> None:
    model, rows = mixed()
    explainer = ExactShap(model, rows[20:30])
    asks = [Ask({**row, "t": f"own {n % 3}"} if n % 2 else row, ("no", "yes")[n % 2], n) for n, row in enumerate(rows[:6])]
    for ask, found in zip(asks, explainer.explain_all(asks), strict=True):
        alone = explainer.explain(ask.row, label=ask.label, seed=ask.seed)
        np.testing.assert_allclose(weights(found), weights(alone), rtol=1e-9, atol=1e-12)
