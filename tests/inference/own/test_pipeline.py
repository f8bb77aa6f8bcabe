"""scikit-learn models: how rows are handed over, which label is which, and that the answers are the model's own."""

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn.base
import skops.io
from lightgbm import LGBMClassifier
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder
from sklearn.svm import LinearSVC
from xgboost import XGBClassifier

from inference import store
from inference.errors import ModelAddError, ModelLoadError
from inference.own import adding, pipeline
from inference.own.engine import Options, Sample
from tests.inference import data
from tests.inference.own import fits

TRUSTED = Options(trust_pickle=True)


def kept(model: Any, path: Path) -> str:
    """As its owner saves it."""
    if path.suffix == ".skops":
        skops.io.dump(model, path)
    else:
        joblib.dump(model, path)
    return str(path)


def values(brought: adding.Brought) -> Any:
    return np.array([answer.probabilities for answer in brought.answers])  # type: ignore[union-attr]


def same(brought: adding.Brought, expected: Any) -> bool:
    return np.abs(values(brought) - expected).max() < 1e-6


@pytest.mark.parametrize("name", [pytest.param("m.joblib", marks=pytest.mark.slow), "m.pkl", "m.skops"])
def test_pipeline_answers_as_its_owner_knows_it(tmp_path: Path, name: str) -> None:
    brought = adding.add(kept(fits.boosted(), tmp_path / name), fits.sample(), TRUSTED)
    rows = fits.frame().drop(columns="label")
    assert same(brought, fits.boosted().predict_proba(rows))
    assert brought.predictor.labels == ("benign", "malignant") == tuple(fits.boosted().classes_)
    assert brought.answered == len(rows)
    assert not brought.problems
    assert brought.rows_per_second > 0
    assert any("DataFrame with the columns radius, size, note, cells" in each for each in brought.said)


def test_saved_and_loaded_it_answers_the_same(tmp_path: Path) -> None:
    sample = fits.sample()
    brought = adding.add(kept(fits.boosted(), tmp_path / "m.joblib"), sample, TRUSTED)
    store.save(brought.predictor, tmp_path / "model")
    packed = store.pack(tmp_path / "model")
    store.unpack(packed, tmp_path / "again")
    loaded = store.load(tmp_path / "again", version="7")
    assert loaded.predict(sample.rows) == list(brought.answers)
    assert loaded.card == brought.predictor.card
    assert loaded.version == "7"
    store.save(loaded, tmp_path / "third")
    assert store.pack(tmp_path / "third") == packed


def test_xgboost_on_credit_default(tmp_path: Path, shared_data: Path) -> None:
    held = pd.read_parquet(shared_data / "credit_default" / "data.parquet").head(1500)
    columns = [name for name in held.columns if name not in ("row_id", "default_next_month")]
    features = {name: {"type": "number" if pd.api.types.is_numeric_dtype(held[name]) else "category"} for name in columns}
    coded = [name for name in columns if features[name]["type"] == "category"]
    model = make_pipeline(
        make_column_transformer((OneHotEncoder(handle_unknown="ignore"), coded), remainder="passthrough"),
        XGBClassifier(n_estimators=20),
    ).fit(held[columns], held["default_next_month"])
    sample = fits.sample(held, features, ["0", "1"])
    brought = adding.add(kept(model, tmp_path / "m.joblib"), sample, TRUSTED)
    assert same(brought, model.predict_proba(held[columns]))
    assert brought.predictor.labels == ("0", "1")
    store.save(brought.predictor, tmp_path / "model")
    assert '"xgboost"' in (tmp_path / "model" / "model.json").read_text()
    assert store.load(tmp_path / "model").predict(sample.rows[:20]) == list(brought.answers[:20])


MOMENTS = {
    "born": {"type": "date"},
    "seen": {"type": "date"},
    "told": {"type": "date"},
    "count": {"type": "number", "optional": True},
    "full": {"type": "number"},
    "code": {"type": "category"},
    "rate": {"type": "category"},
    "yes": {"type": "boolean"},
    "flag": {"type": "category"},
}


def moments() -> pd.DataFrame:
    """A file with dates in three ways, whole numbers with and without gaps, codes that are numbers, and booleans."""
    n = np.arange(80)
    held = pd.DataFrame(
        {
            "born": pd.to_datetime("2000-01-01") + pd.to_timedelta(n * 3, unit="D"),
            "seen": pd.to_datetime("2026-01-01T10:00:00Z") + pd.to_timedelta(n * 37, unit="min"),
            "told": [f"2026-02-{1 + each % 28:02}" for each in n],
            "count": np.where(n % 9 == 0, np.nan, n),
            "full": n.astype(np.int32),
            "code": n % 4,
            "rate": (n % 3).astype(float),
            "yes": n % 2 == 0,
            "flag": n % 5 == 0,
        }
    )
    held["label"] = np.where(n % 4 < 2, "benign", "malignant")
    return held


class Looking(sklearn.base.ClassifierMixin, sklearn.base.BaseEstimator):
    """Keeps the rows that it is handed."""

    classes_ = np.array(["benign", "malignant"])

    def predict_proba(self, rows: Any) -> Any:
        self.rows = rows
        return np.full((len(rows), 2), 0.5)


def test_rows_come_as_pandas_read_them() -> None:
    held, model = moments(), Looking()
    model.feature_names_in_ = np.array([*MOMENTS][::-1])
    rows = pipeline.given(fits.sample(held, MOMENTS))
    handing = pipeline.handing(model, rows)
    pipeline.ask(model, handing, rows.inputs(range(len(held))))
    pd.testing.assert_frame_equal(model.rows, held[[*MOMENTS][::-1]])


def test_whole_numbers_with_a_gap_become_floats_and_codes_that_are_none_stay_texts() -> None:
    held, model = moments(), Looking()
    model.feature_names_in_ = np.array([*MOMENTS])
    sample = fits.sample(held, MOMENTS)
    handing = pipeline.handing(model, pipeline.given(sample))
    odd = {**sample.rows[1], "full": None, "code": "x", "yes": None, "born": None, "told": None}
    rows = pipeline.Given("tabular", sample.project.input.features, sample.dtypes, [sample.rows[0], odd])
    pipeline.ask(model, handing, rows.inputs([0, 1]))
    assert model.rows["full"].dtype == np.float64
    assert np.isnan(model.rows["full"][1])
    assert model.rows["code"].tolist() == [0, "x"]
    assert model.rows["yes"].tolist() == [True, None]
    assert model.rows["born"].isna().tolist() == model.rows["told"].isna().tolist() == [False, True]


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "histograms"])
def test_columns_of_dtype_category(tmp_path: Path, name: str) -> None:
    held = fits.frame().astype({"size": "category", "cells": "category"})
    features = {"radius": {"type": "number"}, "size": {"type": "category"}}
    truth = (held["label"] == "benign").astype(int)
    model = {
        "lightgbm": LGBMClassifier(n_estimators=10, verbose=-1),
        "xgboost": XGBClassifier(n_estimators=10, enable_categorical=True),
        "histograms": HistGradientBoostingClassifier(max_iter=10, categorical_features="from_dtype"),
    }[name]
    model.fit(held[[*features]], truth)
    brought = adding.add(kept(model, tmp_path / "m.skops"), fits.sample(held, features), Options(labels=("malignant", "benign")))
    assert same(brought, model.predict_proba(held[[*features]]))
    rare = brought.predictor.predict([brought.predictor.background[0]])
    assert rare == [brought.predictor.predict(brought.predictor.background)[0]]


def test_fitted_on_a_matrix(tmp_path: Path) -> None:
    project, (rows, labels) = data.breast_cancer()
    matrix = np.array([list(row.values()) for row in rows])
    model = RandomForestClassifier(5, random_state=0).fit(matrix, labels)
    brought = adding.add(kept(model, tmp_path / "m.joblib"), Sample(project, tuple(rows)), TRUSTED)
    assert same(brought, model.predict_proba(matrix))
    fewer = RandomForestClassifier(2).fit(matrix[:, :7], labels)
    with pytest.raises(
        ModelAddError, match=r"fitted on 7 columns without names, and the project has 30 features .*leave the others"
    ):
        adding.add(kept(fewer, tmp_path / "m.joblib"), Sample(project, tuple(rows)), TRUSTED)


def test_fitted_on_a_matrix_of_mixed_values(tmp_path: Path) -> None:
    held = fits.frame()
    features = {"size": {"type": "category"}, "cells": {"type": "category"}}
    matrix = held[[*features]].fillna("none").to_numpy(dtype=object)
    model = make_pipeline(OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), RandomForestClassifier(5))
    model.fit(matrix, held["label"])
    sample = fits.sample(held.fillna({"size": "none"}), features)
    assert same(adding.add(kept(model, tmp_path / "m.joblib"), sample, TRUSTED), model.predict_proba(matrix))


def test_texts(tmp_path: Path) -> None:
    sample = fits.texts()
    brought = adding.add(kept(fits.spoken(), tmp_path / "m.joblib"), sample, TRUSTED)
    assert same(brought, fits.spoken().predict_proba([row["text"] for row in sample.rows]))
    assert any("a Series of text" in each for each in brought.said)
    store.save(brought.predictor, tmp_path / "model")
    assert store.load(tmp_path / "model").predict(sample.rows) == list(brought.answers)


def test_texts_in_a_column(tmp_path: Path) -> None:
    sample = fits.texts()
    held = pd.DataFrame(list(sample.rows))
    truth = [row["text"].count("card") > 0 for row in sample.rows]
    model = make_pipeline(make_column_transformer((TfidfVectorizer(), "text")), LogisticRegression()).fit(held, truth)
    labelled = Sample(data.project("text", ["false", "true"]), sample.rows)
    brought = adding.add(kept(model, tmp_path / "m.joblib"), labelled, TRUSTED)
    assert same(brought, model.predict_proba(held))
    assert brought.predictor.labels == ("false", "true")


def numbered(labels: list[Any]) -> Any:
    held = fits.frame()
    truth = [labels[each == "benign"] for each in held["label"]]
    return LogisticRegression().fit(held[["radius"]].fillna(0), truth)


RADIUS = {"radius": {"type": "number"}}


def radius(labels: list[str]) -> Sample:
    return fits.sample(fits.frame().fillna({"radius": 0}), RADIUS, labels)


@pytest.mark.parametrize(
    ("classes", "labels"),
    [([0, 1], ["0", "1"]), ([0.0, 1.0], ["1", "0"]), ([False, True], ["true", "false"]), (["b", "a"], ["a", "b"])],
)
def test_labels_are_those_of_classes(tmp_path: Path, classes: list[Any], labels: list[str]) -> None:
    model = numbered(classes)
    brought = adding.add(kept(model, tmp_path / "m.skops"), radius(labels), Options())
    assert set(brought.predictor.labels) == set(labels)
    benign = brought.predictor.labels.index(sorted(map(str, labels))[0])
    assert same(brought, model.predict_proba(fits.frame().fillna({"radius": 0})[["radius"]]))
    assert benign == 0


def test_classes_that_are_no_labels_ask_for_them(tmp_path: Path) -> None:
    source = kept(numbered([0, 1]), tmp_path / "m.skops")
    with pytest.raises(ModelAddError, match=r"classes_ are 0, 1, and the project's labels are malignant, benign; .*--labels"):
        adding.add(source, radius(fits.LABELS), Options())
    brought = adding.add(source, radius(fits.LABELS), Options(labels=("malignant", "benign")))
    assert brought.predictor.labels == ("malignant", "benign")
    for wrong in (("malignant",), ("malignant", "malign")):
        with pytest.raises(ModelAddError, match="labels"):
            adding.add(source, radius(fits.LABELS), Options(labels=wrong))


def test_labels_in_another_order_than_the_models(tmp_path: Path) -> None:
    with pytest.raises(ModelAddError, match=r"--labels says b,a, and the model itself names its answers a,b"):
        adding.add(kept(numbered(["a", "b"]), tmp_path / "m.skops"), radius(["a", "b"]), Options(labels=("b", "a")))


def test_column_that_the_project_lacks(tmp_path: Path) -> None:
    held = fits.frame().rename(columns={"radius": "radios"}).fillna({"radios": 0})
    model = LogisticRegression().fit(held[["radios"]], held["label"])
    with pytest.raises(ModelAddError, match=r"needs the column 'radios', which is no feature of the project; nearest is radius"):
        adding.add(kept(model, tmp_path / "m.skops"), fits.sample(), Options())


def test_column_with_a_blank_in_its_name(tmp_path: Path) -> None:
    held = fits.frame().rename(columns={"radius": "mean radius"})
    model = LGBMClassifier(n_estimators=3, verbose=-1).fit(held[["mean radius"]], held["label"])
    brought = adding.add(kept(model, tmp_path / "m.skops"), fits.sample(held, {"mean radius": {"type": "number"}}), Options())
    assert same(brought, model.predict_proba(held[["mean radius"]]))


def without(model: Any, match: str, path: Path) -> None:
    with pytest.raises(ModelAddError, match=match):
        adding.add(kept(model, path), fits.sample(), TRUSTED)


def test_what_is_no_classifier(tmp_path: Path) -> None:
    rows = np.arange(20.0)[:, None]
    source = tmp_path / "m.skops"
    for path in (source, tmp_path / "m.joblib"):
        without({"model": 1, "scaler": 2}, "a dict of model, scaler; save the estimator itself", path)
    without(RandomForestRegressor(2).fit(rows, rows[:, 0]), "RandomForestRegressor, which has no predict_proba: bring", source)
    without(LinearSVC().fit(rows, rows[:, 0] > 9), "LinearSVC, which has no predict_proba: wrap it in .*Calibrated", source)
    ended = make_pipeline(FunctionTransformer(), LinearSVC()).fit(rows, rows[:, 0] > 9)
    without(ended, "Pipeline that ends in LinearSVC, which has no predict_proba: wrap", source)
    without(LogisticRegression(), "LogisticRegression without classes_: fit it before you save it", source)


def test_search_gives_its_best_estimator(tmp_path: Path) -> None:
    held = fits.frame().fillna({"radius": 0})
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=3).fit(held[["radius"]], held["label"])
    brought = adding.add(kept(search, tmp_path / "m.joblib"), fits.sample(held, RADIUS), TRUSTED)
    assert same(brought, search.predict_proba(held[["radius"]]))
    assert any("best_estimator_ of a GridSearchCV" in each for each in brought.said)


def test_images_are_for_other_formats(tmp_path: Path) -> None:
    project, (rows, _) = data.digits()
    with pytest.raises(ModelAddError, match=r"takes no encoded images; .*python:FILE\.py:FUNCTION"):
        adding.add(kept(numbered(["0", "1"]), tmp_path / "m.skops"), Sample(project, tuple(rows[:5])), Options())


def test_saved_by_another_scikit_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sklearn.base, "__version__", "1.4.2")
    for name in ("m.skops", "m.joblib"):
        kept(numbered(["a", "b"]), tmp_path / name)
    monkeypatch.undo()
    for name in ("m.skops", "m.joblib"):
        with pytest.raises(
            ModelAddError, match=rf"saved with scikit-learn 1\.4\.2, and {sklearn.__version__} .*scikit-learn==1\.4\.2"
        ):
            adding.add(str(tmp_path / name), radius(["a", "b"]), TRUSTED)


def test_saved_by_another_patch_of_this_scikit_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minor = sklearn.__version__.rpartition(".")[0]
    monkeypatch.setattr(sklearn.base, "__version__", f"{minor}.99")
    kept(numbered(["a", "b"]), tmp_path / "m.skops")
    monkeypatch.undo()
    assert adding.add(str(tmp_path / "m.skops"), radius(["a", "b"]), Options()).answered


@pytest.mark.parametrize(
    "settings", [{}, {"handing": 3}, {"handing": {"form": "heap", "columns": ["a"], "kinds": {"a": "number"}}}]
)
def test_settings_that_say_nothing(settings: dict[str, Any]) -> None:
    with pytest.raises(ModelLoadError, match="do not say how rows are handed over"):
        pipeline.load(("a", "b"), settings, {}, "cpu")


def test_model_of_other_labels_than_its_description(tmp_path: Path) -> None:
    brought = adding.add(kept(numbered(["a", "b"]), tmp_path / "m.skops"), radius(["a", "b"]), Options())
    engine = brought.predictor.engine
    with pytest.raises(ModelLoadError, match=r"knows 2 classes, where model\.json names 3 labels"):
        pipeline.load(("a", "b", "c"), engine.settings(), engine.files(), "cpu")
