import numpy as np
import pytest
import shap
from explained_models import Table, cancer, linear, mixed, numbers, rows_of, sigmoid
from shap_reference import library

from contract.predictors import Column, Encoded
from explain.background import background_hash, drawn
from explain.errors import NotExplainable
from explain.explainer import Ask
from explain.permutation_shap import PermutationShap


def test_the_numbers_are_the_librarys() -> None:
    model, rows = cancer()
    found = PermutationShap(model, rows[100:]).explain(rows[0], label="benign", seed=3)
    background = model.encode(drawn(rows[100:], 64)).matrix

    def log_odds(matrix: np.ndarray) -> np.ndarray:
        p = np.clip(model.table_probabilities(Encoded(matrix, {}))[:, 1], 1e-6, 1 - 1e-6)
        return np.log(p / (1 - p))

    alone = shap.PermutationExplainer(log_odds, background, seed=3)(model.encode(rows[:1]).matrix, max_evals=1000, silent=True)
    np.testing.assert_allclose([part["contribution"] for part in found.contributions], alone.values[0], atol=1e-6)
    assert found.base == pytest.approx(float(alone.base_values[0]), abs=1e-6)
    assert found.background_hash == background_hash(drawn(rows[100:], 64))


def test_contributions_add_up_and_stand_in_the_projects_order() -> None:
    model, rows = cancer()
    for row in rows[:5]:
        found = PermutationShap(model, rows[100:]).explain(row, label="malignant", seed=0)
        p = model.table_probabilities(model.encode([row]))[0, 0].clip(1e-6, 1 - 1e-6)
        total = found.base + sum(part["contribution"] for part in found.contributions)
        assert total == pytest.approx(np.log(p / (1 - p)), abs=1e-4)
        assert found.quality["additivity_gap"] < 1e-4
        assert [part["feature"] for part in found.contributions] == [column.name for column in model.columns]
        assert [part["value"] for part in found.contributions] == list(row.values())
    assert (found.unit, found.modality, found.method) == ("log-odds", "tabular", "shap.permutation")


def test_an_ignored_feature_gets_nothing_and_the_rest_what_a_linear_model_says() -> None:
    rng = np.random.default_rng(0)
    model = linear([2.0, 0.0, -1.0])
    rows = rows_of(["x0", "x1", "x2"], rng.normal(size=(60, 3)))
    found = PermutationShap(model, rows).explain({"x0": 1.0, "x1": 9.0, "x2": 0.5}, label="yes", seed=0)
    means = model.encode(rows).matrix.mean(axis=0)
    due = np.array([2.0, 0.0, -1.0]) * (np.array([1.0, 9.0, 0.5]) - means)
    assert found.contributions[1]["contribution"] == 0
    np.testing.assert_allclose([part["contribution"] for part in found.contributions], due, atol=1e-9)


def test_values_that_lie_close_for_their_size_are_told_apart() -> None:
    model = Table(numbers(["at"]), lambda encoded: sigmoid((encoded.matrix[:, 0] - 1.7e9) / 1000))
    rows = [{"at": 1.7e9 + step} for step in range(0, 3000, 100)]
    found = PermutationShap(model, rows).explain({"at": 1.7e9 + 3000}, label="yes", seed=0)
    assert found.contributions[0]["contribution"] == pytest.approx(3 - 1.45)


def test_missing_values_categories_and_texts() -> None:
    columns = (Column("n", "number"), Column("c", "category", ("a", "b")), Column("t", "text"), Column("d", "date"))

    def function(encoded: Encoded) -> np.ndarray:
        m = encoded.matrix
        long = np.array([0 if np.isnan(code) else len(encoded.texts[2][int(code)]) for code in m[:, 2]])
        return sigmoid(3.0 * np.isnan(m[:, 0]) + (m[:, 1] == 1) + 2.0 * (m[:, 1] == 2) + long / 10 - np.isnan(m[:, 3]))

    model = Table(columns, function)
    rows = [{"n": float(i), "c": "ab"[i % 2], "t": "x" * (i % 5), "d": 20000.0 + i / 10} for i in range(20)]
    row = {"n": None, "c": "unseen", "t": "y" * 30, "d": None}
    found = PermutationShap(model, rows).explain(row, label="yes", seed=0)
    assert found.problem is None
    assert [part["value"] for part in found.contributions] == [None, "unseen", "y" * 30, None]
    np.testing.assert_allclose([part["contribution"] for part in found.contributions], [3, 1.5, 2.8, -1], atol=1e-9)


def test_wide_tables() -> None:
    rng = np.random.default_rng(0)
    weights = np.zeros(300)
    weights[[7, 250]] = 3, -2
    model = linear(weights)
    rows = rows_of([f"x{place}" for place in range(300)], rng.normal(size=(100, 300)))
    found = PermutationShap(model, rows).explain(rows[0], label="yes", seed=0)
    sizes = np.abs([part["contribution"] for part in found.contributions])
    assert len(sizes) == 300
    assert set(np.flatnonzero(sizes > 1e-9)) == {7, 250}
    assert found.quality["additivity_gap"] < 1e-4


def test_very_wide_tables_get_fewer_background_rows() -> None:
    model = linear(np.ones(1200) / 1200)
    rows = rows_of([f"x{place}" for place in range(1200)], np.random.default_rng(0).normal(size=(30, 1200)))
    found = PermutationShap(model, rows).explain(rows[0], label="yes", seed=0)
    assert found.params["background_rows"] == 5
    assert found.problem is None


def test_no_background_is_refused() -> None:
    with pytest.raises(NotExplainable, match="background"):
        PermutationShap(linear([1.0]), [])


def weights(found) -> list[float]:
    assert found.problem is None
    return [part["contribution"] for part in found.contributions]


@pytest.mark.parametrize("evaluations", [30, 200, 1000])
def test_missing_values_categories_and_texts_are_the_librarys_too(evaluations: int) -> None:
    model, rows = mixed()
    explainer = PermutationShap(model, rows[20:40], evaluations=evaluations)
    for seed, row in enumerate([{**rows[0], "n": None}, {**rows[1], "c": "new"}, {**rows[2], "t": "own text"}, {}, rows[25]]):
        found = explainer.explain(row, label="yes", seed=seed)
        base, values = library(
            shap.PermutationExplainer, model, rows[20:40], row, "yes", seed, max_evals=found.params["evaluations"]
        )
        np.testing.assert_allclose(weights(found), values, rtol=1e-6, atol=1e-9)
        assert found.base == pytest.approx(base, rel=1e-6)
        assert found.quality["relative_gap"] < 1e-9


@pytest.mark.parametrize("width", [1, 2, 3])
def test_few_features_are_the_librarys_and_no_row_is_asked_twice(width: int) -> None:
    seen = []

    def function(encoded: Encoded) -> np.ndarray:
        seen.append(encoded.matrix)
        return sigmoid(encoded.matrix.prod(axis=1))

    model = Table(numbers([f"x{place}" for place in range(width)]), function)
    rows = rows_of([column.name for column in model.columns], np.random.default_rng(0).integers(0, 4, (30, width)))
    explainer = PermutationShap(model, rows)
    seen.clear()
    found = explainer.explain(rows[3], label="yes", seed=1)
    asked = np.concatenate(seen)
    assert len(asked) <= 1 + 29 * (2**width - 1)
    _, values = library(shap.PermutationExplainer, model, rows, rows[3], "yes", 1, max_evals=1000)
    np.testing.assert_allclose(weights(found), values, rtol=1e-6, atol=1e-12)


def test_a_row_that_is_the_whole_background() -> None:
    found = PermutationShap(linear([1.0, 2.0]), [{"x0": 1.0, "x1": 1.0}]).explain({"x0": 1.0, "x1": 1.0}, label="yes", seed=0)
    assert weights(found) == [0.0, 0.0]
    assert found.base == pytest.approx(3.0)


def test_many_rows_together_are_each_as_alone() -> None:
    model, rows = mixed()
    explainer = PermutationShap(model, rows[20:40], evaluations=100)
    asks = [Ask({**row, "t": f"own {n % 3}"} if n % 2 else row, ("no", "yes")[n % 2], n) for n, row in enumerate(rows[:9])]
    for ask, found in zip(asks, explainer.explain_all(asks), strict=True):
        alone = explainer.explain(ask.row, label=ask.label, seed=ask.seed)
        np.testing.assert_allclose(weights(found), weights(alone), rtol=1e-9, atol=1e-12)
