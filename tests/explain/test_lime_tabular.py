import numpy as np
import pytest
from explained_models import Table, cancer, in_log_odds, linear, mixed, numbers, rows_of, sigmoid
from lime.lime_tabular import LimeTabularExplainer

from contract.predictors import Column, Encoded
from explain import lime_itself
from explain.errors import NotExplainable
from explain.explainer import Ask
from explain.lime_tabular import LimeTabular


def weights(found) -> dict[str, float]:
    assert found.problem is None
    return {part["feature"]: part["contribution"] for part in found.contributions}


def test_the_numbers_are_the_librarys() -> None:
    model, rows = cancer()
    found = LimeTabular(model, rows[100:]).explain(rows[0], label="benign", seed=3)
    alone = LimeTabularExplainer(model.encode(rows[100:]).matrix, feature_selection="none", random_state=3).explain_instance(
        model.encode(rows[:1]).matrix[0],
        lambda matrix: np.column_stack([1 - log_odds(model, matrix), log_odds(model, matrix)]),
        labels=(1,),
        num_features=30,
        num_samples=5000,
    )
    due = dict(alone.local_exp[1])
    np.testing.assert_allclose(list(weights(found).values()), [due[place] for place in range(30)], atol=1e-6)
    assert found.base == pytest.approx(alone.intercept[1], abs=1e-6)
    assert found.quality["local_r2"] == pytest.approx(alone.score, abs=1e-6)
    surrogate = found.base + sum(weights(found).values())
    own = log_odds(model, model.encode(rows[:1]).matrix)[0]
    assert found.quality["prediction_gap"] == pytest.approx(abs(surrogate - own), abs=1e-9)
    assert (found.unit, found.method) == ("log-odds", "lime.tabular")


def log_odds(model: Table, matrix: np.ndarray) -> np.ndarray:
    return in_log_odds(model.table_probabilities)(Encoded(matrix, {}))[:, 1]


@pytest.mark.parametrize("features", [None, 1, 3, 6, 7])
def test_missing_values_categories_texts_and_selections_are_the_librarys_too(features: int | None) -> None:
    model, rows = mixed()
    explainer = LimeTabular(model, rows[20:], features=features, samples=800)
    strange = [{**rows[0], "n": None}, {**rows[1], "c": "new"}, {**rows[2], "m": -9e9, "few": None}, {**rows[3], "t": None}, {}]
    for seed, row in enumerate([*strange, *rows[:6]]):
        found = explainer.explain(row, label="yes", seed=seed)
        alone = lime_itself.table(model, rows[20:], row, found)
        due = dict(alone.local_exp[1])
        got = list(weights(found).values())
        np.testing.assert_allclose(got, [due.get(place, 0.0) for place in range(7)], rtol=1e-6, atol=1e-9)
        assert found.base == pytest.approx(alone.intercept[1], rel=1e-6)
        assert found.quality["local_r2"] == pytest.approx(alone.score, abs=1e-6)
        assert found.params.get("features") == features


@pytest.mark.parametrize("features", [5, 10])
def test_the_selection_of_real_rows_is_the_librarys(features: int) -> None:
    model, rows = cancer()
    explainer = LimeTabular(model, rows[100:], features=features)
    for seed in range(3):
        found = explainer.explain(rows[seed], label="benign", seed=seed)
        due = dict(lime_itself.table(model, rows[100:], rows[seed], found).local_exp[1])
        np.testing.assert_allclose(
            list(weights(found).values()), [due.get(place, 0.0) for place in range(30)], rtol=1e-6, atol=1e-12
        )


def test_many_rows_together_are_each_as_alone() -> None:
    model, rows = mixed()
    explainer = LimeTabular(model, rows[20:], samples=300)
    asks = [Ask({**row, "t": f"own {n % 3}"} if n % 2 else row, ("no", "yes")[n % 2], n % 4) for n, row in enumerate(rows[:9])]
    for ask, found in zip(asks, explainer.explain_all(asks), strict=True):
        alone = explainer.explain(ask.row, label=ask.label, seed=ask.seed)
        np.testing.assert_allclose(list(weights(found).values()), list(weights(alone).values()), rtol=1e-9, atol=1e-12)
        assert found.contributions[5]["value"] == ask.row["t"]


def test_few_features_are_all_fitted_together() -> None:
    rows = rows_of(["x0", "x1"], np.random.default_rng(0).normal(size=(60, 2)))
    assert len(weights(LimeTabular(linear([1.0, -1.0]), rows).explain(rows[0], label="yes", seed=0))) == 2


def test_an_ignored_feature_gets_next_to_nothing() -> None:
    rows = rows_of(["x0", "x1", "x2"], np.random.default_rng(0).normal(size=(200, 3)))
    found = weights(LimeTabular(linear([2.0, 0.0, -1.0]), rows).explain({"x0": 2.0, "x1": 2.0, "x2": 2.0}, label="yes", seed=0))
    assert found["x0"] > 2 > -1 > found["x2"]
    assert abs(found["x1"]) < 0.05


def test_rules_say_what_as_in_the_row_means() -> None:
    columns = (Column("n", "number"), Column("c", "category", ("a", "b")), Column("t", "text"), Column("m", "number"))
    model = Table(columns, lambda encoded: sigmoid(np.nan_to_num(encoded.matrix[:, 0])))
    rows = [{"n": i / 1000, "c": "ab"[i % 2], "t": f"text {i}", "m": i} for i in range(101)]
    explainer = LimeTabular(model, rows)
    found = explainer.explain({"n": 0.03, "c": "a", "t": "new", "m": None}, label="yes", seed=0)
    assert [part["rule"] for part in found.contributions] == ["0.025 < n ≤ 0.05", "c = a", "t is this text", "m is missing"]
    assert (
        explainer.explain({"n": -5, "c": "a", "t": "new", "m": 9e9}, label="yes", seed=0).contributions[0]["rule"] == "n ≤ 0.025"
    )


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_missing_number_has_its_own_weight(share: float) -> None:
    """Also where the background never misses it."""
    rng = np.random.default_rng(0)
    model = Table(numbers(["x", "y"]), lambda encoded: sigmoid(4.0 * np.isnan(encoded.matrix[:, 0]) - 2))
    rows = [{"x": None if rng.random() < share else float(rng.normal()), "y": float(rng.normal())} for _ in range(200)]
    explainer = LimeTabular(model, rows)
    missing = weights(explainer.explain({"x": None, "y": 0.0}, label="yes", seed=0))
    assert missing["x"] > 0.5
    assert abs(missing["y"]) < 0.05
    if share:
        assert weights(explainer.explain({"x": 0.0, "y": 0.0}, label="yes", seed=0))["x"] < -0.05


def test_unseen_categories_missing_ones_and_texts_have_weights() -> None:
    columns = (Column("c", "category", ("a", "b")), Column("t", "text"), Column("b", "boolean"))

    def function(encoded: Encoded) -> np.ndarray:
        angry = np.array([not np.isnan(code) and "angry" in encoded.texts[1][int(code)] for code in encoded.matrix[:, 1]])
        return sigmoid(3.0 * (encoded.matrix[:, 0] == 2) + 3.0 * angry + 3.0 * np.isnan(encoded.matrix[:, 2]) - 4)

    rows = [{"c": "ab"[i % 2], "t": f"calm {i}", "b": bool(i % 3)} for i in range(100)]
    found = weights(
        LimeTabular(Table(columns, function), rows).explain({"c": "new", "t": "angry", "b": None}, label="yes", seed=0)
    )
    assert all(weight > 0.2 for weight in found.values())


def test_a_column_of_one_value_is_drawn_as_that_value() -> None:
    """The library draws 0 where all of a bin is one value."""
    seen = []

    def function(encoded: Encoded) -> np.ndarray:
        seen.append(encoded.matrix)
        return sigmoid(encoded.matrix[:, 1])

    model = Table(numbers(["same", "low", "x"]), function)
    rows = [{"same": 5.0, "low": float(max(5, i)), "x": float(i)} for i in range(20)]
    LimeTabular(model, rows).explain(rows[3], label="yes", seed=0)
    assert (seen[-1][:, 0] == 5).all()
    assert seen[-1][:, 1].min() >= 5 - 1e-6


def test_nothing_but_the_row_is_asked_beyond_what_the_background_holds() -> None:
    seen = []

    def function(encoded: Encoded) -> np.ndarray:
        seen.append(encoded.matrix)
        return sigmoid(encoded.matrix[:, 0])

    rows = [{"x": value, "y": 1.0} for value in (1.0, 2.0)]
    found = LimeTabular(Table(numbers(["x", "y"]), function), rows).explain({"x": -7.0, "y": 1.6}, label="yes", seed=0)
    assert found.problem is None
    asked = np.concatenate(seen)
    assert list(asked[0]) == [-7.0, 1.6]
    assert 1 - 1e-6 <= asked[1:, 0].min() <= asked[1:, 0].max() <= 2 + 1e-6


def test_a_column_that_nobody_filled() -> None:
    model = Table(numbers(["x", "empty"]), lambda encoded: sigmoid(encoded.matrix[:, 0] + 2 * ~np.isnan(encoded.matrix[:, 1])))
    rows = [{"x": float(i % 7), "empty": None} for i in range(50)]
    explainer = LimeTabular(model, rows)
    assert abs(weights(explainer.explain({"x": 1.0, "empty": None}, label="yes", seed=0))["empty"]) < 0.02
    filled = explainer.explain({"x": 1.0, "empty": 3.0}, label="yes", seed=0)
    assert filled.problem is None


def test_wide_tables() -> None:
    rng = np.random.default_rng(0)
    slopes = np.zeros(300)
    slopes[[7, 250]] = 3, -3
    rows = rows_of([f"x{place}" for place in range(300)], rng.normal(size=(200, 300)))
    found = weights(LimeTabular(linear(slopes), rows).explain(rows[0], label="yes", seed=0))
    assert set(sorted(found, key=lambda name: -abs(found[name]))[:2]) == {"x7", "x250"}


def test_no_background_is_refused() -> None:
    with pytest.raises(NotExplainable, match="background"):
        LimeTabular(linear([1.0]), [])
