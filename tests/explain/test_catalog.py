"""Which method explains which model, by itself and as asked."""

from typing import Any

import numpy as np
import pytest
import torch
from explained_models import cancer, digits, reviews
from shown_models import Shown, fitted, network, weights_of
from torch import nn

from contract.predictors import Column
from contract.reasons import METHODS
from explain.catalog import explainer_for, explainers_for, modality_of
from explain.errors import NotExplainable
from explain.explainer import Ask

CHOSEN = {
    ("sklearn-hgb", "mixed"): ["shap.tree", "lime.tabular"],
    ("sklearn-linear", "mixed"): ["shap.linear", "lime.tabular"],
    ("torch-mlp", "mixed"): ["shap.gradient", "lime.tabular"],
    ("torch-text", "messages"): ["shap.partition", "lime.text"],
    ("torch-cnn", "digits"): ["shap.gradient", "lime.image"],
}


def made(model: Any, background: Any, **asked: Any) -> list[str]:
    return [each.method for each in explainers_for(model, background, **asked)]


@pytest.mark.parametrize(("kind", "name"), CHOSEN)
def test_what_suits_a_built_in_model(kind: str, name: str) -> None:
    model, _ = fitted(kind, name, 100 if name != "messages" else 40)
    assert made(model, model.background) == CHOSEN[kind, name]


def test_what_cannot_be_looked_into_is_asked() -> None:
    table, rows = cancer()
    assert made(table, rows[:50]) == ["shap.permutation", "lime.tabular"]
    few = Shown(tuple(Column(f"x{n}", "number") for n in range(9)), lambda encoded: np.full((len(encoded.matrix), 2), 0.5))
    rows = [{f"x{n}": float(n) for n in range(9)}]
    assert made(few, rows) == ["shap.exact", "lime.tabular"]
    assert made(few, rows, evaluations=500) == ["shap.permutation", "lime.tabular"]
    assert made(reviews(), []) == ["shap.partition", "lime.text"]
    assert made(digits()[0], []) == ["shap.partition", "lime.image"]


def test_a_view_that_answers_otherwise_or_cannot_be_seen_is_not_used() -> None:
    shown = network(nn.Sequential(nn.Linear(2, 2)), ["a", "b"])
    rows = [{"a": 0.5, "b": 1.0}, {"a": -0.5, "b": 2.0}]
    assert made(shown, rows)[0] == "shap.gradient"
    other = Shown(shown.columns, lambda encoded: np.full((len(encoded.matrix), 2), 0.5), inside=shown.inside)
    assert made(other, rows)[0] == "shap.exact"

    class Broken(Shown):
        @property
        def inside(self) -> Any:  # type: ignore[override]
            raise RuntimeError("no such thing")

        @inside.setter
        def inside(self, value: Any) -> None: ...

    assert made(Broken(shown.columns, shown.function), rows)[0] == "shap.exact"
    with pytest.raises(NotExplainable, match="no such thing"):
        explainer_for(Broken(shown.columns, shown.function), rows, "shap.gradient")


def test_methods_that_are_named_and_suit_are_taken() -> None:
    model, _ = fitted("torch-mlp", "mixed")
    ground = model.background
    assert made(model, ground, methods=["lime.tabular", "shap.deep"]) == ["lime.tabular", "shap.deep"]
    assert made(model, ground, methods=["shap.tree", "lime.text", "lime.tabular"]) == ["lime.tabular"]
    assert made(model, ground, methods=["shap.tree", "lime.text"]) == CHOSEN["torch-mlp", "mixed"]


def test_numbers_reach_the_methods_that_take_them() -> None:
    table, rows = cancer()
    shap, lime = explainers_for(table, rows[:60], samples=600, evaluations=200)
    assert lime.explain(rows[0], label="benign", seed=0).params["samples"] == 600
    assert shap.explain(rows[0], label="benign", seed=0).params["evaluations"] == 200
    asked = explainer_for(table, rows[:60], "lime.tabular", params={"samples": 700, "features": 4, "evaluations": 5})
    assert asked.explain(rows[0], label="benign", seed=0).params["samples"] == 700
    model, held = fitted("torch-mlp", "mixed")
    slopes = explainer_for(model, model.background, "shap.gradient", params={"samples": 5000})
    assert slopes.explain(held[0], label="benign", seed=0).params["samples"] == 5000


def test_gradients_that_were_asked_for_stay_what_they_are() -> None:
    torch.manual_seed(0)
    model = network(nn.Sequential(nn.Linear(3, 9), nn.Tanh(), nn.Linear(9, 2)), ["a", "b", "c"])
    rows = [dict(zip("abc", map(float, row), strict=True)) for row in np.random.default_rng(0).normal(size=(40, 3))]
    asks = [Ask(row, "yes", n) for n, row in enumerate(rows)]
    ahead = explainers_for(model, rows)[0].explain_all(asks)
    asked = explainer_for(model, rows, "shap.gradient").explain_all(asks)
    assert {each.method for each in ahead} == {"shap.gradient", "shap.exact"}
    assert {each.method for each in asked} == {"shap.gradient"}
    for one, other in zip(ahead, asked, strict=True):
        assert (one.method == "shap.gradient") == (other.doubt is None)


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("shap.tree", "shows no trees"),
        ("shap.linear", "shows no weights"),
        ("lime.text", "explains no model of tables"),
        ("shap.magic", "is no method"),
        ("producer", "is no method"),
    ],
)
def test_what_does_not_suit_is_refused_with_a_sentence(method: str, said: str) -> None:
    model, _ = fitted("torch-mlp", "mixed")
    with pytest.raises(NotExplainable, match=said):
        explainer_for(model, model.background, method)


def test_exact_values_of_many_features_are_refused() -> None:
    table, rows = cancer()
    with pytest.raises(NotExplainable, match="30 features"):
        explainer_for(table, rows[:50], "shap.exact")
    with pytest.raises(NotExplainable, match="background"):
        explainers_for(table, [])


@pytest.mark.parametrize("kind", ["sklearn-hgb", "sklearn-linear", "torch-mlp"])
def test_every_method_of_tables_that_suits_a_model_explains_it(kind: str) -> None:
    model, rows = fitted(kind, "mixed")
    found = list[str]()
    for method in METHODS:
        try:
            explainer = explainer_for(model, model.background, method)
        except NotExplainable:
            continue
        made = explainer.explain(rows[0], label="benign", seed=0)
        assert (made.method, made.problem, len(weights_of(made))) == (method, None, 5)
        found.append(method)
    own = {"sklearn-hgb": ["shap.tree"], "sklearn-linear": ["shap.linear"], "torch-mlp": ["shap.gradient", "shap.deep"]}[kind]
    assert found == [*own, "shap.exact", "shap.permutation", "lime.tabular"]


def test_a_model_without_a_view() -> None:
    with pytest.raises(NotExplainable, match="object offers no view"):
        modality_of(object())
