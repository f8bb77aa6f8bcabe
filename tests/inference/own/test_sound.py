"""Models that point outside themselves are refused before anything follows them."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import skops.io
from lightgbm import LGBMClassifier
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.neighbors import BallTree, KDTree, KNeighborsClassifier
from sklearn.preprocessing import SplineTransformer
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from inference.errors import ModelLoadError
from inference.own import reviewed, sound

X, Y = load_iris(return_X_y=True)


def with_tree(change: Callable[[dict[str, Any]], object]) -> Any:
    model = DecisionTreeClassifier(max_depth=3).fit(X, Y)
    state = model.tree_.__getstate__()
    state = {**state, "nodes": state["nodes"].copy(), "values": state["values"].copy()}
    change(state)
    model.tree_.__setstate__(state)
    return model


@pytest.mark.parametrize(
    ("part", "value"), [("left_child", 10**6), ("right_child", 10**6), ("right_child", 0), ("feature", 4), ("feature", -3)]
)
def test_tree(part: str, value: int) -> None:
    sound.check(with_tree(lambda state: None))
    with pytest.raises(ModelLoadError, match="has a Tree that points outside itself"):
        sound.check(with_tree(lambda state: state["nodes"][part].__setitem__(0, value)))


def test_tree_that_walks_in_a_circle() -> None:
    def circle(state: dict[str, Any]) -> None:
        inner = np.flatnonzero(state["nodes"]["left_child"] != -1)
        state["nodes"]["left_child"][inner[-1]] = inner[1]

    with pytest.raises(ModelLoadError, match="points outside itself"):
        sound.check(with_tree(circle))


def test_tree_with_more_nodes_than_it_holds() -> None:
    with pytest.raises(ModelLoadError, match="points outside itself"):
        sound.check(with_tree(lambda state: state.update(node_count=10**6)))


def test_estimator_that_sees_fewer_columns_than_its_trees() -> None:
    for kind in (DecisionTreeClassifier, RandomForestClassifier, GradientBoostingClassifier):
        model = kind(**({} if kind is DecisionTreeClassifier else {"n_estimators": 3})).fit(X, Y)
        sound.check(model)
        model.n_features_in_ = 2
        if kind is not RandomForestClassifier:  # its trees look for themselves
            with pytest.raises(ModelLoadError, match="points outside itself"):
                sound.check(model)


def histograms() -> Any:
    return HistGradientBoostingClassifier(max_iter=3).fit(X, Y)


@pytest.mark.parametrize(("part", "value"), [("left", 10**6), ("feature_idx", 9)])
def test_histogram_tree(part: str, value: int) -> None:
    model = histograms()
    sound.check(model)
    model._predictors[1][0].nodes[part][0] = value
    with pytest.raises(ModelLoadError, match="points outside itself"):
        sound.check(model)


def test_histogram_columns() -> None:
    model = histograms()
    model._bin_mapper.is_categorical_ = model._bin_mapper.is_categorical_[:2]
    with pytest.raises(ModelLoadError, match="points outside itself"):
        sound.check(model)


def test_sparse_matrix() -> None:
    model = KNeighborsClassifier().fit(sparse.csr_matrix(X), Y)
    sound.check(model)
    model._fit_X.indices[3] = 400
    with pytest.raises(ModelLoadError, match="csr_matrix is not whole"):
        sound.check(model)


def test_words() -> None:
    model = CountVectorizer().fit(["one two three"])
    sound.check(model)
    model.vocabulary_["two"] = 10**9
    with pytest.raises(ModelLoadError, match="CountVectorizer that points outside itself"):
        sound.check(model)


def test_texts_that_would_be_files() -> None:
    with pytest.raises(ModelLoadError, match="reads its texts from files"):
        sound.check([CountVectorizer(input="filename")])


@pytest.mark.parametrize(
    "change",
    [
        lambda model: setattr(model, "_n_support", np.array([10**6, 1, 1], np.int32)),
        lambda model: setattr(model, "_dual_coef_", model._dual_coef_[:, :3]),
        lambda model: setattr(model, "_probA", model._probA[:1]),
        lambda model: setattr(model, "support_vectors_", model.support_vectors_[:, :2]),
    ],
)
def test_support_vectors(change: Callable[[Any], None]) -> None:
    model = SVC(probability=True).fit(X, Y)
    sound.check(model)
    change(model)
    with pytest.raises(ModelLoadError, match="SVC that points outside itself"):
        sound.check(model)


@pytest.mark.parametrize("kind", [KDTree, BallTree])
@pytest.mark.parametrize("change", [(1, 10**6), (2, 10**6)])
def test_neighbours(kind: Any, change: tuple[int, int]) -> None:
    tree = kind(X, leaf_size=5)
    sound.check(tree)
    state = list(tree.__getstate__())
    place, value = change
    altered = np.array(state[place])
    (altered if place == 1 else altered["idx_end"])[0] = value
    state[place] = altered
    tree.__setstate__(tuple(state))
    with pytest.raises(ModelLoadError, match="points outside itself"):
        sound.check(tree)


def test_splines() -> None:
    model = SplineTransformer().fit(X)
    sound.check(model)
    model.bsplines_[0].c = model.bsplines_[0].c[:2]
    with pytest.raises(ModelLoadError, match="BSpline that points outside itself"):
        sound.check(model)


def xgboost_of(text: bytes) -> Any:
    """Stands for a loaded booster that says this of itself: the text is all that is looked at."""
    return type("Booster", (), {"__module__": "xgboost.core", "save_raw": lambda self, form: text})()


def lightgbm_of(text: str) -> Any:
    return type("Booster", (), {"__module__": "lightgbm.basic", "model_to_string": lambda self: text})()


def altered(text: str, pattern: str, value: str) -> str:
    """The first number after the pattern is another one."""
    found, count = re.subn(rf"({pattern})-?\d+", rf"\g<1>{value}", text, count=1)
    assert count == 1
    assert found != text
    return found


@pytest.mark.parametrize(
    ("name", "value"), [("left_children", "900"), ("split_indices", "77"), ("tree_info", "9"), ("left_children", "0")]
)
def test_xgboost(name: str, value: str) -> None:
    booster = XGBClassifier(n_estimators=3).fit(X, Y).get_booster()
    sound.check(booster)
    text = altered(bytes(booster.save_raw("json")).decode(), rf'"{name}":\[', value)
    with pytest.raises(ModelLoadError, match="Booster that points outside itself"):
        sound.check(xgboost_of(text.encode()))


@pytest.mark.parametrize(
    ("name", "value"), [("left_child", "900"), ("right_child", "-900"), ("split_feature", "77"), ("left_child", "0")]
)
def test_lightgbm(name: str, value: str) -> None:
    booster = LGBMClassifier(n_estimators=3, verbose=-1).fit(X, Y).booster_
    sound.check(booster)
    with pytest.raises(ModelLoadError, match="Booster that points outside itself"):
        sound.check(lightgbm_of(altered(booster.model_to_string(), rf"\n{name}=", value)))


def test_lightgbm_lists_of_categories() -> None:
    rows = np.column_stack([np.arange(150) % 9, X[:, 0]])
    model = LGBMClassifier(n_estimators=2, verbose=-1, min_data_per_group=1, cat_smooth=0)
    booster = model.fit(rows, (rows[:, 0] % 2).astype(int), categorical_feature=[0]).booster_
    text = booster.model_to_string()
    sound.check(booster)
    for changed in (altered(text, r"\ncat_boundaries=\d+ ", "99"), text.replace("\ncat_threshold=", "\ncat_threshold=\nx=")):
        with pytest.raises(ModelLoadError, match="points outside itself"):
            sound.check(lightgbm_of(changed))


def test_half_a_model() -> None:
    model = reviewed.load(skops.io.dumps(DecisionTreeClassifier().fit(X, Y)))
    del model.n_features_in_
    with pytest.raises(ModelLoadError, match="is not whole: AttributeError"):
        sound.check(model)
