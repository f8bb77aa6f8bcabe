from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import shap
from shown_models import Fitted, Shown, fitted, weights_of

from contract.inside import Last, Tree, Trees
from contract.predictors import Column, Encoded
from explain.background import background_hash, drawn
from explain.errors import NotExplainable
from explain.exact_shap import ExactShap
from explain.explainer import Ask
from explain.rescale import multipliers
from explain.tree_shap import NODES, Ranks, TreeShap
from inference.training import train
from tests.inference import data

LAST = Last(("no", "yes"), (0, 1))


@cache
def even(labels: tuple[str, ...]) -> Fitted:
    """Trees on wine, in steps that single precision holds exactly, so that the library errs at no threshold."""
    project, (rows, truth) = data.wine()
    held = [
        ({name: round(value * 64) / 64 for name, value in row.items()}, label) for row, label in zip(rows, truth, strict=True)
    ]
    held = [each for each in held if each[1] in labels]
    narrow = project.model_copy(update={"labels": labels})
    known, rest = held[:100], held[100:]
    model = train(narrow, [row for row, _ in known], [label for _, label in known], trainer="sklearn-hgb", device="cpu").predictor
    return model, [row for row, _ in rest]


def library(model: Any) -> tuple[shap.TreeExplainer, Any]:
    used = model.encode(drawn(model.background, 64)).matrix
    return shap.TreeExplainer(model.engine.model, used, feature_perturbation="interventional"), used


def test_the_numbers_are_the_librarys() -> None:
    model, rows = even(("class_0", "class_1"))
    explainer, (alone, _) = TreeShap(model, model.background), library(model)
    due = alone.shap_values(model.encode(rows).matrix) / model.card.temperature
    for row, values in zip(rows, due, strict=True):
        found = explainer.explain(row, label="class_1", seed=0)
        np.testing.assert_allclose(weights_of(found), values, atol=1e-6)
        assert found.base == pytest.approx(float(alone.expected_value) / model.card.temperature, abs=1e-6)
        opposite = explainer.explain(row, label="class_0", seed=0)
        np.testing.assert_allclose(weights_of(opposite), -weights_of(found), atol=1e-12)
    assert (found.method, found.unit, found.modality) == ("shap.tree", "log-odds", "tabular")
    assert found.background_hash == background_hash(drawn(model.background, 64))


def test_of_three_labels_they_are_the_librarys_weighed_row_by_row() -> None:
    model, rows = even(("class_0", "class_1", "class_2"))
    explainer, (alone, used) = TreeShap(model, model.background), library(model)
    points, last = model.encode(rows[:6]).matrix, model.inside.last
    scores, others = (model.engine.scores(Encoded(matrix, {})) for matrix in (points, used))
    due = np.zeros(points.shape)
    for row, other in zip(used, others, strict=True):
        alone.data, alone.data_missing = row[None], np.isnan(row[None])
        counts = multipliers(last, scores, np.repeat(other[None], 6, axis=0), "class_2")
        due += np.einsum("nem,nm->ne", alone.shap_values(points, check_additivity=False), counts) / len(used)
    made = explainer.explain_all([Ask(row, "class_2", 0) for row in rows[:6]])
    np.testing.assert_allclose([weights_of(each) for each in made], due, atol=1e-6)


@pytest.mark.parametrize("label", ["malignant", "benign"])
def test_it_is_what_every_coalition_gives(label: str) -> None:
    model, rows = fitted("sklearn-hgb", "breast_cancer", columns=6)
    asks = [Ask(row, label, 0) for row in rows[:10]]
    for one, other in zip(*(method(model, model.background).explain_all(asks) for method in (TreeShap, ExactShap)), strict=True):
        np.testing.assert_allclose(weights_of(one), weights_of(other), atol=1e-5)
        assert one.base == pytest.approx(other.base, abs=1e-6)


@pytest.mark.parametrize("labels", [(), ("class_0", "class_1", "class_2", "class_3")])
def test_more_labels_and_one_without_rows(labels: tuple[str, ...]) -> None:
    model, rows = fitted("sklearn-hgb", "wine", 120, labels=labels)
    explainer = TreeShap(model, model.background, rows=16)
    for label in ("class_0", "class_1", "class_2"):
        made = explainer.explain_all([Ask(row, label, 0) for row in rows[:10]])
        assert max(each.quality["additivity_gap"] for each in made) < 1e-6
        assert min(np.abs(weights_of(each)).max() for each in made) > 0.05
    if labels:
        assert not weights_of(explainer.explain(rows[0], label="class_3", seed=0)).any()


def test_every_type_of_column_missing_values_and_strange_ones() -> None:
    model, rows = fitted("sklearn-hgb", "mixed")
    explainer = TreeShap(model, model.background)
    strange = {"radius": None, "size": "unheard", "smooth": None, "seen": None, "note": "never said before"}
    for row in [*rows[:20], strange, dict.fromkeys(strange)]:
        found = explainer.explain(row, label="malignant", seed=0)
        assert [part["feature"] for part in found.contributions] == list(strange)
        assert [part["value"] for part in found.contributions] == list(row.values())
        p = model.table_probabilities(model.encode([row]))[0, 0]
        assert found.base + weights_of(found).sum() == pytest.approx(np.log(p) - np.log1p(-p), abs=1e-6)
    assert "cannot read" in str(explainer.explain({"radius": "wide"}, label="benign", seed=0).problem)


def test_many_are_each_as_alone_and_others_get_their_turn() -> None:
    model, rows = fitted("sklearn-hgb", "wine", 120)
    turns = list[int]()
    explainer = TreeShap(model, model.background, rows=8, between=lambda: turns.append(1))
    made = explainer.explain_all([Ask(row, "class_1", 0) for row in rows[:20]])
    assert len(turns) >= 2
    for row, each in zip(rows, made, strict=False):
        np.testing.assert_allclose(weights_of(each), weights_of(explainer.explain(row, label="class_1", seed=4)), atol=1e-12)


def test_others_get_their_turn_within_one_case_of_many_labels() -> None:
    model, rows = fitted("sklearn-hgb", "wine", 120)
    turns = list[int]()
    TreeShap(model, model.background, rows=20, between=lambda: turns.append(1)).explain(rows[0], label="class_1", seed=0)
    assert len(turns) >= 20


def test_a_label_whose_score_no_tree_moves() -> None:
    last = Last(("a", "b", "c"), (0, 1, 2))
    trees = tuple(replace(tree, values=np.pad(tree.values, ((0, 0), (0, 1)))) for tree in (stump(0.5), stump(0.5, feature=1)))
    model = replace(grown(*trees), labels=last.labels)
    model.inside = replace(model.inside, base=np.zeros(3), last=last)

    def answer(encoded: Encoded) -> np.ndarray:
        scores = np.zeros((len(encoded.matrix), 3))
        scores[:, 1] = 2.0 * (encoded.matrix > 0.5).sum(axis=1)
        return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)

    model.function = answer
    rows = [{"a": 0.0, "b": 0.0}, {"a": 1.0, "b": 0.0}]
    for label in last.labels:
        found = TreeShap(model, rows).explain({"a": 1.0, "b": 1.0}, label=label, seed=0)
        assert found.quality["additivity_gap"] < 1e-9
        assert weights_of(found)[1] > 0.4 if label == "b" else weights_of(found)[1] < -0.4


def stump(threshold: float, *, feature: int = 0, high: float = 2.0) -> Tree:
    """Nothing up to the threshold, and for a missing value; `high` beyond."""
    node = np.array([feature, -1, -1])
    values = np.array([[0.0, 0.0], [0.0, 0.0], [0.0, high]])
    return Tree(np.array([1, -1, -1]), np.array([2, -1, -1]), np.array([1, -1, -1]), node, np.array([threshold, 0, 0]), values)


def grown(*trees: Tree, last: Last | None = LAST) -> Shown:
    """Two numbers, seen as they are."""
    view = Trees(lambda encoded: encoded.matrix, np.arange(2), trees, np.zeros(2), last)

    def answer(encoded: Encoded) -> np.ndarray:
        score = sum(np.where(encoded.matrix[:, tree.feature[0]] > tree.threshold[0], tree.values[2, 1], 0.0) for tree in trees)
        p = 1 / (1 + np.exp(-np.asarray(score)))
        return np.column_stack([1 - p, p])

    return Shown((Column("a", "number"), Column("b", "number")), answer, LAST.labels, view)


def test_values_beside_a_threshold_are_told_apart() -> None:
    """In single precision 0.1 + 1e-12 is 0.1."""
    model = grown(stump(0.1))
    rows = [{"a": 0.1, "b": float(n)} for n in range(4)]
    found = TreeShap(model, rows).explain({"a": 0.1 + 1e-12, "b": 0.0}, label="yes", seed=0)
    assert weights_of(found).tolist() == [2.0, 0.0]
    assert found.quality["additivity_gap"] < 1e-9
    ranks = Ranks([stump(0.1), stump(0.3)], 2)
    np.testing.assert_array_equal(ranks.of(np.array([[0.1, 5], [0.1 + 1e-12, np.nan], [9, 1]])), [[0, 0], [1, np.nan], [2, 0]])


def test_a_missing_value_and_an_ignored_feature() -> None:
    found = TreeShap(grown(stump(0.5)), [{"a": 1.0, "b": 1.0}]).explain({"a": None, "b": 7.0}, label="yes", seed=0)
    assert weights_of(found).tolist() == [-2.0, 0.0]
    assert (
        weights_of(TreeShap(grown(stump(0.5)), [{"a": 1.0, "b": 1.0}]).explain({"a": 2.0, "b": 1.0}, label="no", seed=0)).any()
        == 0
    )


def test_forests_share_out_probabilities() -> None:
    shares = np.array([[0.0, 0.0], [0.9, 0.1], [0.2, 0.8]])
    tree = Tree(*(getattr(stump(0.5), name) for name in ("left", "right", "default", "feature", "threshold")), shares)
    view = Trees(lambda encoded: encoded.matrix, np.arange(2), (tree,), np.zeros(2), None)
    model = Shown((Column("a", "number"), Column("b", "number")), lambda e: shares[1 + (e.matrix[:, 0] > 0.5)], LAST.labels, view)
    rows = [{"a": 0.0, "b": 0.0}, {"a": 1.0, "b": 0.0}]
    for label, due in (("yes", 0.35), ("no", -0.35)):
        found = TreeShap(model, rows).explain({"a": 1.0, "b": 3.0}, label=label, seed=0)
        assert (found.unit, found.base) == ("probability", pytest.approx(0.45 if label == "yes" else 0.55))
        np.testing.assert_allclose(weights_of(found), [due, 0], atol=1e-7)


def test_trees_that_ask_for_nothing_or_too_much_are_refused() -> None:
    leaf = np.array([-1])
    alone = Tree(leaf, leaf, leaf, leaf, np.zeros(1), np.zeros((1, 2)))
    rows = [{"a": 0.0, "b": 0.0}]
    with pytest.raises(NotExplainable, match="ask for nothing"):
        TreeShap(grown(alone), rows)
    wide = Tree(*(np.full(NODES + 1, -1),) * 4, np.zeros(NODES + 1), np.zeros((NODES + 1, 2)))
    with pytest.raises(NotExplainable, match="up to 32,768 nodes"):
        TreeShap(grown(stump(0.5), wide), rows)
