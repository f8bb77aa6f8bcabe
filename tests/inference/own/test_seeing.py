"""What is seen inside brought pipelines: that it answers as the model does, and whose each column of the design is."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from contract.inside import Linear, Trees
from contract.predictors import Floats
from explain.linear_shap import LinearShap
from explain.looking import TableLook
from explain.tree_shap import TreeShap
from inference.own import forests, frames, pipeline
from inference.own.predictors import OwnCard, OwnTable
from tests.inference import data
from tests.inference.own import fits

WINE = data.wine()
BOOSTED = [
    GradientBoostingClassifier(n_estimators=15, random_state=0),
    HistGradientBoostingClassifier(max_iter=15, random_state=0),
    XGBClassifier(n_estimators=15, max_depth=3),
    LGBMClassifier(n_estimators=15, verbose=-1),
]
AVERAGED = [
    RandomForestClassifier(15, random_state=0),
    ExtraTreesClassifier(15, random_state=0),
    DecisionTreeClassifier(random_state=0),
]
LINEAR = [LogisticRegression(max_iter=500), LinearDiscriminantAnalysis()]


def name_of(model: BaseEstimator) -> str:
    return type(model).__name__


def predictor(model: Any, held: pd.DataFrame, features: dict[str, Any], labels: list[str]) -> OwnTable:
    """The model as a worker has it, with all of the frame as background."""
    made = fits.sample(held, features, labels)
    given = pipeline.given(made)
    engine = pipeline.Engine(tuple(map(str, model.classes_)), model, b"", pipeline.handing(model, given))
    assert isinstance(engine.handing, frames.Handing)
    card = OwnCard("sklearn", "tabular", engine.labels, made.project.input.features, made.dtypes)
    return OwnTable(card, engine, made.rows)


def mixed(last: Any) -> OwnTable:
    """Numbers with gaps and flags, one-hot codes of texts and of whole numbers, TF-IDF of a note; two labels."""
    held = fits.frame().copy()
    model = Pipeline([("prepare", fits.prepared(sparse_threshold=0)), ("last", last)])
    if isinstance(last, XGBClassifier):  # which takes no labels that are texts
        held["label"] = (held["label"] == "malignant").astype(int)
    model.fit(held.drop(columns="label"), held["label"])
    return predictor(model, held, fits.FEATURES, sorted(map(str, set(held["label"]))))


def wine(*steps: Any, gaps: bool = False, codes: bool = False) -> OwnTable:
    """Thirteen numbers and three labels; labels as numbers, as XGBoost asks."""
    project, (rows, labels) = WINE
    held = pd.DataFrame(rows)
    if gaps:
        held.iloc[::5, 2] = np.nan
    truth = np.array([list(project.labels).index(label) for label in labels])
    model = make_pipeline(*steps).fit(held, truth)
    features = {name: {"type": "number", "optional": True} for name in held}
    return predictor(model, held, features, ["0", "1", "2"])


def check(model: OwnTable, method: type[TableLook[Any]], background: int = 60) -> TableLook[Any]:
    """Explained with no gap, and what one feature does is its own alone: see what changes with it."""
    rows = model.background
    explainer = method(model, rows[:background], rows=16)  # type: ignore[call-arg]
    for label in model.labels:
        for row in rows[60:66]:
            found = explainer.explain(row, label=label, seed=0)
            assert found.problem is None
            assert found.quality["additivity_gap"] < 1e-4
    return explainer


@pytest.mark.parametrize("last", [*BOOSTED, *AVERAGED], ids=name_of)
def test_trees_behind_encoders_of_two_labels(last: Any) -> None:
    model = mixed(last)
    assert isinstance(model.inside, Trees)
    assert (model.inside.last is None) == (last in AVERAGED)
    explainer = check(model, TreeShap)
    assert explainer.unit == ("probability" if last in AVERAGED else "log-odds")


@pytest.mark.parametrize("last", [*BOOSTED, *AVERAGED], ids=name_of)
def test_trees_of_three_labels(last: Any) -> None:
    missing = type(last) is not GradientBoostingClassifier
    model = wine(*([] if missing else [StandardScaler()]), last, gaps=missing)
    assert isinstance(model.inside, Trees)
    assert model.inside.owners[:13].tolist() == list(range(13))
    check(model, TreeShap)


@pytest.mark.parametrize("last", LINEAR, ids=name_of)
def test_linear_models_behind_encoders(last: Any) -> None:
    assert isinstance(mixed(last).inside, Linear)
    check(mixed(last), LinearShap)
    three = wine(SimpleImputer(add_indicator=True), StandardScaler(), last, gaps=True)
    assert isinstance(three.inside, Linear)
    assert three.inside.owners.tolist() == [*range(13), 2]
    check(three, LinearShap)


def test_owners_are_found_by_the_names_that_the_pipeline_gives() -> None:
    """Words and categories beyond the few rows that are tried among them."""
    model = mixed(LogisticRegression())
    places = model.engine.model[0].output_indices_  # type: ignore[attr-defined]
    due = {"numbers": "radius", "codes": "size", "cells": "cells", "words": "note"}
    columns = [column.name for column in model.columns]
    assert isinstance(model.inside, Linear)
    for part, feature in due.items():
        assert places[part].stop > places[part].start
        assert {columns[at] for at in model.inside.owners[places[part]]} == {feature}


def categories(model: Any) -> OwnTable:
    """Categories that the trees split by themselves, from a column of dtype category."""
    held = fits.frame()[["cells", "size", "label"]].dropna().reset_index(drop=True).astype({"size": "category"})
    features = {name: fits.FEATURES[name] for name in ("cells", "size")}
    return predictor(model.fit(held[["cells", "size"]], held["label"]), held, features, fits.LABELS)


@pytest.mark.parametrize(
    "model",
    [
        HistGradientBoostingClassifier(max_iter=10, min_samples_leaf=5, categorical_features="from_dtype"),
        LGBMClassifier(n_estimators=10, min_data_per_group=5, max_cat_to_onehot=1, verbose=-1),
    ],
    ids=name_of,
)
def test_splits_by_sets_of_categories(model: Any) -> None:
    made = categories(model)
    assert isinstance(made.inside, Trees)
    assert len(made.inside.owners) > 2
    explainer = check(made, TreeShap)
    strange = {"cells": "3", "size": "unheard"}
    found = explainer.explain(strange, label="benign", seed=0)
    assert found.problem is None
    assert found.quality["additivity_gap"] < 1e-4


@pytest.mark.parametrize(("code", "seen"), [(255, True), (256, False)])
def test_categories_of_more_codes_than_are_told_apart_are_not_followed(code: int, seen: bool) -> None:
    held = np.random.default_rng(0).integers(0, code + 1, size=10_000)
    table = pd.DataFrame({"many": pd.Categorical(held, categories=range(code + 1))})
    settings: dict[str, Any] = {"cat_smooth": 0, "max_cat_to_onehot": 1, "min_data_per_group": 1, "max_cat_threshold": 300}
    model = LGBMClassifier(n_estimators=3, min_child_samples=2, max_bin=1_000, verbose=-1, **settings)
    model.fit(table, (held >= code - 3).astype(int))
    found = forests.forest(model, 1)
    assert (found is not None) == seen
    if found is not None:
        some = pd.DataFrame({"many": pd.Categorical([code, None, 3], categories=range(code + 1))})
        leaves = forests.leaves(found.trees, found.sets.beside(found.before(some)))[:, 1]
        np.testing.assert_allclose(leaves, model.predict(some, raw_score=True))


def test_categories_of_a_matrix() -> None:
    held = fits.frame()[["cells", "size", "label"]].dropna().reset_index(drop=True)
    coded = make_column_transformer((OrdinalEncoder(), ["size", "cells"]))
    model = make_pipeline(coded, HistGradientBoostingClassifier(max_iter=10, min_samples_leaf=5, categorical_features=[0, 1]))
    model.fit(held[["cells", "size"]], held["label"])
    made = predictor(model, held, {name: fits.FEATURES[name] for name in ("cells", "size")}, fits.LABELS)
    assert isinstance(made.inside, Trees)
    check(made, TreeShap)


@pytest.mark.parametrize("mixing", [PCA(5), Normalizer()], ids=name_of)
def test_a_design_that_mixes_features_is_not_shown(mixing: Any) -> None:
    assert wine(mixing, LogisticRegression(max_iter=5000)).inside is None
    assert wine(mixing, RandomForestClassifier(5, random_state=0)).inside is None


@pytest.mark.parametrize(
    "last", [GaussianNB(), GradientBoostingClassifier(init=GaussianNB(), n_estimators=5)], ids=["bayes", "start"]
)
def test_what_is_neither_trees_nor_linear_alone_is_not_shown(last: Any) -> None:
    assert wine(last).inside is None


def test_a_model_that_answers_otherwise_than_its_weights_is_not_shown() -> None:
    class Doubled(LogisticRegression):
        def predict_proba(self, rows: Any) -> Floats:
            held = super().predict_proba(rows) ** 2
            return np.asarray(held / held.sum(axis=1, keepdims=True))

    assert wine(StandardScaler(), Doubled()).inside is None


def test_an_ignored_feature_has_nothing() -> None:
    last = RandomForestClassifier(10, random_state=0)
    chosen = ColumnTransformer([("some", "passthrough", ["alcohol", "ash", "hue"])])
    model = wine(chosen, last)
    found = check(model, TreeShap).explain(model.background[0], label="1", seed=0)
    moved = [each["feature"] for each in found.contributions if each["contribution"]]
    assert set(moved) <= {"alcohol", "ash", "hue"}
    assert moved


def test_a_step_that_raises_on_the_sample_shows_nothing() -> None:
    model = wine(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    assert isinstance(model.inside, Linear)
    broken = OwnTable(model.card, model.engine, ({"alcohol": "much"},))
    assert broken.inside is None
