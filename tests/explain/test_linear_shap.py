import numpy as np
import pytest
import shap
from shown_models import Shown, fitted, straight, weights_of

from contract.inside import Last
from explain.background import background_hash, drawn
from explain.errors import NotExplainable, UnknownLabel
from explain.exact_shap import ExactShap
from explain.explainer import Ask
from explain.linear_shap import LinearShap

NAMES = ["x0", "x1", "x2"]
RNG = np.random.default_rng(0)
ROWS = [dict(zip(NAMES, map(float, row), strict=True)) for row in RNG.normal(size=(80, 3))]


def test_the_numbers_are_the_librarys() -> None:
    model, rows = fitted("sklearn-linear", "mixed")
    explainer = LinearShap(model, model.background)
    view, used = model.inside, drawn(model.background, 64)
    points = view.design(model.encode(rows[:20]))
    weight, bias = (view.weights[:, 1] - view.weights[:, 0], view.bias[1] - view.bias[0])
    alone = shap.LinearExplainer((weight, bias), shap.maskers.Independent(view.design(model.encode(used)), max_samples=64))
    due = alone(points)
    for row, values, base in zip(rows, due.values, due.base_values, strict=False):
        found = explainer.explain(row, label="benign", seed=0)
        folded = np.bincount(view.owners, values, minlength=5) / view.last.temperature
        np.testing.assert_allclose(weights_of(found), folded, atol=1e-9)
        assert found.base == pytest.approx(base / view.last.temperature, abs=1e-9)
    assert (found.method, found.unit, found.modality) == ("shap.linear", "log-odds", "tabular")
    assert found.background_hash == background_hash(used)


@pytest.mark.parametrize("label", ["malignant", "benign"])
def test_it_is_what_every_coalition_gives(label: str) -> None:
    model, rows = fitted("sklearn-linear", "breast_cancer", columns=6)
    ask = Ask(rows[0], label, 0)
    one, other = (method(model, model.background).explain_all([ask])[0] for method in (LinearShap, ExactShap))
    np.testing.assert_allclose(weights_of(one), weights_of(other), atol=1e-8)
    assert one.base == pytest.approx(other.base, abs=1e-8)
    assert one.quality["additivity_gap"] < 1e-9


@pytest.mark.parametrize("labels", [(), ("class_0", "class_1", "class_2", "class_3")])
def test_more_labels_and_one_without_rows(labels: tuple[str, ...]) -> None:
    model, rows = fitted("sklearn-linear", "wine", 120, labels=labels)
    explainer = LinearShap(model, model.background)
    for label in ("class_0", "class_1", "class_2"):
        made = explainer.explain_all([Ask(row, label, 0) for row in rows])
        assert max(each.quality["additivity_gap"] for each in made) < 1e-6
        assert max(np.abs(weights_of(each)).max() for each in made) > 0.5
    if labels:
        never = explainer.explain(rows[0], label="class_3", seed=0)
        assert not weights_of(never).any()
        assert "same answer" in never.params["note"]
        assert never.base == pytest.approx(np.log(1e-6), abs=1e-5)


def test_an_ignored_feature_has_nothing_and_missing_values_are_values() -> None:
    weights = np.array([[0, 2.0], [0, 0], [0, -1.0]])
    model = straight(weights, NAMES, Last(("no", "yes"), (0, 1), 0.5))
    found = LinearShap(model, ROWS, rows=80).explain({"x0": 1.0, "x1": 5.0, "x2": None}, label="yes", seed=0)
    means = model.encode(ROWS).matrix.mean(axis=0)
    np.testing.assert_allclose(weights_of(found), 2 * np.array([2 * (1 - means[0]), 0, -(0 - means[2])]), atol=1e-12)
    assert weights_of(found)[1] == 0
    assert [part["value"] for part in found.contributions] == [1.0, 5.0, None]


def test_many_are_each_as_alone_and_a_bad_one_fails_alone() -> None:
    model, rows = fitted("sklearn-linear", "wine", 120)
    explainer = LinearShap(model, model.background)
    asks = [Ask(row, model.labels[place % 3], 0) for place, row in enumerate(rows[:20])]
    asks[7], asks[11] = Ask({**rows[7], "ash": "much"}, "class_0", 0), Ask(rows[11], "unheard", 0)
    made = explainer.explain_all(asks)
    for place, (ask, each) in enumerate(zip(asks, made, strict=True)):
        if place in (7, 11):
            assert each.problem
            assert ("'much'" in each.problem) or ("unheard" in each.problem)
            continue
        np.testing.assert_allclose(weights_of(each), weights_of(explainer.explain(ask.row, label=ask.label, seed=0)), atol=1e-9)
    with pytest.raises(UnknownLabel, match="unheard"):
        explainer.explain(rows[0], label="unheard", seed=0)


def test_three_hundred_features() -> None:
    names = [f"x{place}" for place in range(300)]
    weights = np.zeros((300, 2))
    weights[[7, 250], 1] = 3, -2
    model = straight(weights, names, Last(("no", "yes"), (0, 1)))
    rows = [dict(zip(names, map(float, row), strict=True)) for row in RNG.normal(size=(100, 300)) / 4]
    found = LinearShap(model, rows).explain(rows[0], label="yes", seed=0)
    assert set(np.flatnonzero(weights_of(found))) == {7, 250}


def test_what_answers_otherwise_than_it_shows_is_refused() -> None:
    model = straight(np.array([[0, 2.0], [0, 0], [0, -1.0]]), NAMES, Last(("no", "yes"), (0, 1)))
    other = straight(np.array([[0, 2.0], [0, 0.1], [0, -1.0]]), NAMES, Last(("no", "yes"), (0, 1)))
    with pytest.raises(NotExplainable, match="does not answer as the model does"):
        LinearShap(Shown(model.columns, model.function, model.labels, other.inside), ROWS)
    with pytest.raises(NotExplainable, match="background"):
        LinearShap(model, [])
    with pytest.raises(NotExplainable, match="shows no weights"):
        LinearShap(Shown(model.columns, model.function), ROWS)


def test_answers_beyond_what_probabilities_tell_are_no_gap() -> None:
    model = straight(np.array([[0, 30.0], [0, 0], [0, 0.0]]), NAMES, Last(("no", "yes"), (0, 1)))
    found = LinearShap(model, ROWS).explain({"x0": 3.0, "x1": 0.0, "x2": 0.0}, label="yes", seed=0)
    assert found.base + weights_of(found).sum() == pytest.approx(90, abs=1e-9)
    assert found.quality["additivity_gap"] == 0
