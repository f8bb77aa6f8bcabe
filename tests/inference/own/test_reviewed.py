"""The reviewed list of types: every estimator is dumped, loaded under it and compared; what is outside is refused."""

import importlib
import io
import json
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import skops.io
from lightgbm import LGBMClassifier
from sklearn import calibration, ensemble, feature_selection, linear_model, model_selection, neighbors, preprocessing, svm
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_iris
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  # without it there is no IterativeImputer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.gaussian_process import GaussianProcessClassifier, kernels
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators
from xgboost import XGBClassifier, XGBRFClassifier

from inference.errors import ModelLoadError, UntrustedType
from inference.own import reviewed, sound
from tests.inference.own import fits

X, Y = load_iris(return_X_y=True)
Logistic = linear_model.LogisticRegression
WRAPPED = (
    "OneVsOneClassifier", "OneVsRestClassifier", "OutputCodeClassifier", "FixedThresholdClassifier", "TunedThresholdClassifierCV",
    "SelfTrainingClassifier", "SelectFromModel", "RFE", "RFECV", "SequentialFeatureSelector",
)  # fmt: skip
SEVERAL = ("VotingClassifier", "StackingClassifier")
OTHER_ROWS = (
    "CCA", "PLSCanonical", "PLSSVD", "ClassifierChain", "MultiOutputClassifier", "ColumnTransformer", "FeatureUnion",
    "DictVectorizer", "FeatureHasher", "HashingVectorizer", "CountVectorizer", "TfidfVectorizer", "IsotonicRegression",
    "KernelCenterer", "LabelBinarizer", "LabelEncoder", "MultiLabelBinarizer", "PatchExtractor", "SparseCoder",
    "GaussianRandomProjection", "SparseRandomProjection", "TSNE", "StackingRegressor", "VotingRegressor",
)  # fmt: skip
"""Fitted on something else than a table of numbers and its labels; the mixed ones below hold what matters of them."""
KEPT_OUT = ("Birch", "BisectingKMeans")
"""skops keeps no Birch; BisectingKMeans holds a compiled function that follows arrays without looking."""


def public() -> list[Any]:
    named = dict(all_estimators(type_filter="classifier") + all_estimators(type_filter="transformer"))
    return [pytest.param(cls, id=name) for name, cls in sorted(named.items()) if name not in (*OTHER_ROWS, *KEPT_OUT)]


def given(name: str) -> dict[str, Any]:
    if name in SEVERAL:
        return {"estimators": [("a", Logistic()), ("b", DecisionTreeClassifier())]}
    return {"estimator": Logistic()} if name in WRAPPED else {}


def trip(model: Any) -> Any:
    loaded = reviewed.load(skops.io.dumps(model))
    sound.check(loaded)
    return loaded


def answer(model: Any, rows: Any) -> Any:
    ask = next(getattr(model, name) for name in ("predict_proba", "transform", "predict") if hasattr(model, name))
    found = ask(rows)
    return found.toarray() if hasattr(found, "toarray") else np.asarray(found)


def fitted(model: Any, *rows: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(*rows)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", public())
def test_every_public_classifier_and_transformer(kind: Any) -> None:
    two = kind.__name__ in ("TunedThresholdClassifierCV", "FixedThresholdClassifier")
    rows = X[::3]
    model = fitted(kind(**given(kind.__name__)), rows, (Y > 0).astype(int)[::3] if two else Y[::3])
    assert np.allclose(answer(trip(model), rows), answer(model, rows), atol=1e-9, equal_nan=True)


def dense(**how: Any) -> Any:
    return fits.prepared(**how, sparse_threshold=0)


def numbers(*steps: Any) -> Any:
    return make_pipeline(make_column_transformer((make_pipeline(SimpleImputer(), *steps), ["radius", "cells"])), Logistic())


MIXED: dict[str, Callable[[], Any]] = {
    "boosting": lambda: make_pipeline(fits.prepared(), ensemble.GradientBoostingClassifier(n_estimators=3)),
    "exponential": lambda: make_pipeline(dense(), ensemble.GradientBoostingClassifier(loss="exponential", n_estimators=3)),
    "histograms": lambda: make_pipeline(dense(), ensemble.HistGradientBoostingClassifier(max_iter=3)),
    "forest": lambda: make_pipeline(fits.prepared(), ensemble.RandomForestClassifier(3)),
    "bagging": lambda: make_pipeline(dense(), ensemble.BaggingClassifier(Logistic(), 3, random_state=np.random.RandomState(1))),
    "ordinal": lambda: make_pipeline(
        fits.prepared(codes=preprocessing.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)), Logistic()
    ),
    "target": lambda: make_pipeline(fits.prepared(codes=preprocessing.TargetEncoder()), Logistic()),
    "infrequent": lambda: make_pipeline(
        fits.prepared(codes=preprocessing.OneHotEncoder(min_frequency=80, handle_unknown="infrequent_if_exist")), Logistic()
    ),
    "counts": lambda: make_pipeline(
        fits.prepared(words=CountVectorizer(ngram_range=(1, 2), stop_words="english", strip_accents="unicode")), Logistic()
    ),
    "hashes": lambda: make_pipeline(fits.prepared(words=HashingVectorizer(n_features=64)), Logistic()),
    "union": lambda: make_pipeline(
        fits.prepared(words=FeatureUnion([("w", TfidfVectorizer()), ("c", TfidfVectorizer(analyzer="char_wb"))])), Logistic()
    ),
    "selector": lambda: make_pipeline(
        make_column_transformer((KNNImputer(), make_column_selector(dtype_include=np.number))),
        feature_selection.SelectKBest(k=1), Logistic(),
    ),
    "iterative": lambda: make_pipeline(make_column_transformer((IterativeImputer(), ["radius", "cells"])), Logistic()),
    "functions": lambda: numbers(
        *map(preprocessing.FunctionTransformer, (np.log1p, np.nan_to_num, np.abs, np.sqrt, preprocessing.normalize)),
        preprocessing.FunctionTransformer(np.clip, kw_args={"a_min": 0, "a_max": 9}),
    ),
    "numbers": lambda: numbers(
        preprocessing.PolynomialFeatures(), preprocessing.QuantileTransformer(n_quantiles=10), preprocessing.PowerTransformer(),
        preprocessing.SplineTransformer(), preprocessing.KBinsDiscretizer(encode="onehot-dense"),
    ),
    "isotonic": lambda: make_pipeline(
        fits.prepared(), calibration.CalibratedClassifierCV(svm.LinearSVC(), method="isotonic")
    ),
    "sigmoid": lambda: make_pipeline(fits.prepared(), calibration.CalibratedClassifierCV(ensemble.RandomForestClassifier(3))),
    "temperature": lambda: make_pipeline(
        fits.prepared(), calibration.CalibratedClassifierCV(svm.LinearSVC(), method="temperature")
    ),
    "support": lambda: make_pipeline(dense(), svm.SVC(probability=True)),
    "sparse support": lambda: make_pipeline(fits.prepared(sparse_threshold=1), svm.NuSVC(probability=True, nu=0.2)),
    "neighbours": lambda: make_pipeline(dense(), neighbors.KNeighborsClassifier(algorithm="kd_tree", metric="manhattan")),
    "balls": lambda: make_pipeline(dense(), neighbors.KNeighborsClassifier(algorithm="ball_tree", weights="distance")),
    "all neighbours": lambda: make_pipeline(fits.prepared(sparse_threshold=1), neighbors.KNeighborsClassifier()),
    "descent": lambda: make_pipeline(fits.prepared(), linear_model.SGDClassifier(loss="modified_huber")),
    "gaussian": lambda: make_pipeline(
        dense(), GaussianProcessClassifier(kernels.Matern() * 2.0 + kernels.WhiteKernel() + kernels.RationalQuadratic() ** 2)
    ),
    "network": lambda: make_pipeline(fits.prepared(), MLPClassifier(solver="sgd", max_iter=3)),
    "search": lambda: model_selection.RandomizedSearchCV(
        make_pipeline(fits.prepared(), Logistic()), {"logisticregression__C": [0.1, 1]}, n_iter=2, scoring="roc_auc_ovr",
        cv=model_selection.StratifiedKFold(3),
    ),
    "stacked": lambda: make_pipeline(
        dense(), ensemble.StackingClassifier([("x", XGBClassifier(n_estimators=3)), ("f", ensemble.ExtraTreesClassifier(3))])
    ),
    "voting": lambda: make_pipeline(
        dense(), ensemble.VotingClassifier([("l", LGBMClassifier(n_estimators=3, verbose=-1)), ("n", Logistic())], voting="soft")
    ),
    "xgboost": lambda: make_pipeline(fits.prepared(), XGBClassifier(n_estimators=3)),
    "xgboost forest": lambda: make_pipeline(fits.prepared(), XGBRFClassifier(n_estimators=3)),
    "lightgbm": lambda: make_pipeline(fits.prepared(), LGBMClassifier(n_estimators=3, verbose=-1)),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in MIXED.items()])
def test_pipelines_of_mixed_columns(make: Callable[[], Any]) -> None:
    rows, truth = fits.frame().drop(columns="label"), (fits.frame()["label"] == "benign").astype(int)
    model = fitted(make(), rows, truth)
    assert np.allclose(answer(trip(model), rows), answer(model, rows), atol=1e-9, equal_nan=True)


def test_estimators_that_are_kept_out_are_refused_by_name() -> None:
    model = fitted(dict(all_estimators())["BisectingKMeans"](), X)
    with pytest.raises(UntrustedType, match="_kmeans_single_lloyd") as caught:
        reviewed.load(skops.io.dumps(model))
    assert set(caught.value.types) == {
        "sklearn.cluster._kmeans._kmeans_single_lloyd",
        "sklearn.cluster._bisect_k_means._BisectingTree",
    }


@pytest.mark.parametrize("name", sorted(reviewed.LOADERS))
def test_every_name_on_the_list_is_there_and_comes_by_its_loader(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    held = getattr(importlib.import_module(module), attribute)
    if reviewed.LOADERS[name] in ("FunctionNode", "TypeNode"):
        with zipfile.ZipFile(io.BytesIO(skops.io.dumps(held))) as archive:
            schema = json.loads(archive.read("schema.json"))
        assert (f"{schema['__module__']}.{schema['__class__']}", schema["__loader__"]) == (name, reviewed.LOADERS[name])
    else:
        assert callable(held)


def test_nothing_on_the_list_opens_files_or_runs_text() -> None:
    parts = {part for name in reviewed.LOADERS for part in name.split(".")}
    acts = "load save loadtxt genfromtxt fromfile tofile memmap frompyfunc vectorize eval exec system open compile fromregex"
    assert not parts & set(acts.split())


def altered(model: Any, change: Callable[[str], str]) -> bytes:
    """A skops file whose description somebody wrote over."""
    source = zipfile.ZipFile(io.BytesIO(skops.io.dumps(model)))
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            data = source.read(name)
            archive.writestr(name, change(data.decode()) if name == "schema.json" else data)
    return target.getvalue()


def clipped() -> Any:
    return preprocessing.FunctionTransformer(np.clip)


@pytest.mark.parametrize(("module", "name"), [("os", "system"), ("builtins", "eval"), ("subprocess", "run"), ("numpy", "load")])
def test_function_that_acts_is_refused_and_named(module: str, name: str) -> None:
    def change(schema: str) -> str:
        held = json.loads(schema)
        function = held["content"]["content"]["func"]
        assert function["__class__"] == "clip"
        function |= {"__class__": name, "__module__": module}
        return json.dumps(held)

    with pytest.raises(UntrustedType, match=rf"{module}\.{name}"):
        reviewed.load(altered(clipped(), change))


@pytest.mark.parametrize("loader", ["ConstructorFromReduceNode", "TypeNode", "DictNode"])
def test_listed_name_by_another_loader_is_refused(loader: str) -> None:
    def change(schema: str) -> str:
        held = json.loads(schema)
        function = held["content"]["content"]["func"]
        assert function["__loader__"] == "FunctionNode"
        empty = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "content": []}
        keys = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": []}
        function |= {"__loader__": loader, "content": {} if loader == "DictNode" else empty, "key_types": keys}
        return json.dumps(held)

    with pytest.raises(UntrustedType, match=r"numpy\.clip") as caught:
        reviewed.load(altered(clipped(), change))
    assert caught.value.types == ("numpy.clip",)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x80\x04N."])
def test_file_that_is_none(data: bytes) -> None:
    with pytest.raises(ModelLoadError, match=r"model\.skops cannot be read"):
        reviewed.load(data)


def test_file_that_unpacks_to_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviewed, "MAX_BYTES", 100)
    with pytest.raises(ModelLoadError, match="unpacks to more"):
        reviewed.load(skops.io.dumps(clipped()))
