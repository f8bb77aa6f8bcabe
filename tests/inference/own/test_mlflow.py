"""MLflow models: a real store in a file, and folders as MLflow writes them."""

import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightgbm import LGBMClassifier
from sklearn.linear_model import LogisticRegression
from xgboost import XGBClassifier

from inference.errors import ModelAddError
from inference.own import adding, flavors, formats
from inference.own.engine import Options, Sample
from tests.inference import data

pytest.importorskip("mlflow", reason="no MLflow: pip install -e '.[mlflow]'")
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow
    import mlflow.lightgbm
    import mlflow.onnx
    import mlflow.pyfunc
    import mlflow.pytorch
    import mlflow.sklearn
    import mlflow.xgboost

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
PLAIN = {"pip_requirements": ["scikit-learn"]}


def sample() -> Sample:
    project, (rows, labels) = data.wine()
    return Sample(project, tuple(rows), {}, tuple(labels))


def frame() -> Any:
    import pandas as pd

    return pd.DataFrame(list(sample().rows))


@pytest.fixture(scope="module")
def logistic() -> Any:
    return LogisticRegression(max_iter=20, C=1e-5).fit(frame(), list(sample().truth))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "logged"


def same(brought: adding.Brought, expected: Any) -> bool:
    return bool(np.abs(np.array([each.probabilities for each in brought.answers]) - expected).max() < 1e-6)  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, logistic: Any) -> Iterator[str]:
    """A tracking store in SQLite with a registered model; the run in which it was logged."""
    place = tmp_path_factory.mktemp("mlflow")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{place / 'mlflow.db'}")
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("wine", artifact_location=(place / "artifacts").as_uri()))
    with mlflow.start_run() as run:
        mlflow.sklearn.log_model(logistic, name="wine", registered_model_name="wine", **PLAIN)
    mlflow.MlflowClient().set_registered_model_alias("wine", "champion", "1")
    yield run.info.run_id
    mlflow.set_tracking_uri(before)


def test_registered_model_by_its_alias_and_by_its_run(store: str, logistic: Any) -> None:
    for uri in ("mlflow:models:/wine@champion", "mlflow:models:/wine/1", f"mlflow:runs:/{store}/wine"):
        brought = adding.add(uri, sample(), Options())
        assert same(brought, logistic.predict_proba(frame()))
        assert brought.predictor.labels == tuple(logistic.classes_)
        assert brought.predictor.card.kind == "own:sklearn"


def test_uri_of_nothing(store: str) -> None:
    with pytest.raises(ModelAddError, match=r"MLflow cannot fetch models:/beer@champion: .*beer.*MLFLOW_TRACKING_URI"):
        adding.add("mlflow:models:/beer@champion", sample(), Options())


def test_uri_of_other_files(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(ModelAddError, match="is no MLflow model: there is no MLmodel in it"):
        adding.add(f"mlflow:{tmp_path.as_uri()}", sample(), Options())


def test_without_mlflow_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.artifacts", None)
    with pytest.raises(ModelAddError, match=r"not installed: pip install 'signoff\[mlflow\]'"):
        adding.add("mlflow:models:/wine@champion", sample(), Options())


def test_folder_with_skops(folder: Path, logistic: Any) -> None:
    mlflow.sklearn.save_model(logistic, folder, serialization_format="skops", **PLAIN)
    assert same(adding.add(str(folder), sample(), Options()), logistic.predict_proba(frame()))


def test_folder_with_a_pickle_needs_trust(folder: Path, logistic: Any) -> None:
    mlflow.sklearn.save_model(logistic, folder, serialization_format="cloudpickle", **PLAIN)
    with pytest.raises(ModelAddError, match=r"model\.pkl is a pickle.*--trust-pickle"):
        adding.add(str(folder), sample(), Options())
    brought = adding.add(str(folder), sample(), Options(trust_pickle=True))
    assert same(brought, logistic.predict_proba(frame()))


def test_folder_with_xgboost(folder: Path) -> None:
    names = sorted(set(sample().truth), key=str)
    model = XGBClassifier(n_estimators=5).fit(frame(), [names.index(each) for each in sample().truth])
    mlflow.xgboost.save_model(model, folder, **PLAIN)
    labels = tuple(str(name) for name in names)
    assert same(adding.add(str(folder), sample(), Options(labels=labels)), model.predict_proba(frame()))
    mlflow.xgboost.save_model(model.get_booster(), folder.with_name("bare"), **PLAIN)
    with pytest.raises(ModelAddError, match=r"xgboost\.core\.Booster, which names no labels: log the XGBClassifier"):
        adding.add(str(folder.with_name("bare")), sample(), Options())


def test_folder_with_lightgbm(folder: Path) -> None:
    model = LGBMClassifier(n_estimators=5, verbose=-1).fit(frame(), list(sample().truth))
    mlflow.lightgbm.save_model(model, folder, **PLAIN)
    assert same(adding.add(str(folder), sample(), Options()), model.predict_proba(frame()))
    mlflow.lightgbm.save_model(model.booster_, folder.with_name("bare"), **PLAIN)
    with pytest.raises(ModelAddError, match="is a bare Booster, which names no labels: log the LGBMClassifier"):
        adding.add(str(folder.with_name("bare")), sample(), Options())


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """What a format's module would have been given."""
    found: list[tuple[str, list[str]]] = []

    def add(kind: str, source: Path, sample: Sample, options: Options) -> Any:
        files = [source] if source.is_file() else list(source.iterdir())
        found.append((kind, sorted(each.name for each in files)))

    monkeypatch.setattr(formats, "add", add)
    return found


def test_folder_with_a_torch_module(folder: Path, asked: list[Any]) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(13, 3), torch.nn.Softmax(1))
    rows = frame().to_numpy(dtype=np.float32)[:2]
    mlflow.pytorch.save_model(net, folder, input_example=rows, pip_requirements=["torch"])
    flavors.add(folder, sample(), Options())
    assert asked == [("torch-export", ["model.pt2"])]
    (folder / "data" / "model.pt2").rename(folder / "data" / "model.pth")
    with pytest.raises(ModelAddError, match=r"no model\.pt2 but a pickled module: log it with an input_example"):
        flavors.add(folder, sample(), Options())


def test_folder_with_onnx(folder: Path, asked: list[Any], logistic: Any) -> None:
    from skl2onnx import to_onnx

    onnx = to_onnx(logistic, frame().to_numpy(dtype=np.float32)[:1], options={"zipmap": False})
    mlflow.onnx.save_model(onnx, folder, pip_requirements=["onnx"])
    flavors.add(folder, sample(), Options())
    assert asked == [("onnx", ["model.onnx"])]


def test_folder_with_transformers(folder: Path, asked: list[Any]) -> None:
    for name in ("model/config.json", "model/model.safetensors", "components/tokenizer/tokenizer.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    (folder / "MLmodel").write_text(
        "flavors: {python_function: {}, transformers: {model_binary: model, components: [tokenizer]}}"
    )
    flavors.add(folder, sample(), Options())
    assert asked == [("hf", ["config.json", "model.safetensors", "tokenizer.json"])]


def test_folder_of_python_code_alone(folder: Path) -> None:
    class Same(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
            return model_input

    mlflow.pyfunc.save_model(folder, python_model=Same(), pip_requirements=["mlflow"])
    with pytest.raises(
        ModelAddError, match=r"MLflow model of python_function, which runs Python code: log it .*python:FILE\.py:FUNCTION"
    ):
        adding.add(str(folder), sample(), Options())


@pytest.mark.parametrize("text", ["", "flavors: 3", "flavors: {sklearn: 3}", "{", "a: b", "flavors: [sklearn]"])
def test_description_that_is_none(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "MLmodel").write_text(text)
    with pytest.raises(ModelAddError, match="is not what MLflow writes"):
        adding.add(str(folder), sample(), Options())


@pytest.mark.parametrize("name", ["../other.skops", "gone.skops", "/etc/hostname"])
def test_description_that_points_elsewhere(folder: Path, name: str) -> None:
    folder.mkdir()
    (folder.parent / "other.skops").touch()
    (folder / "MLmodel").write_text(f"flavors: {{sklearn: {{pickled_model: {name}}}}}")
    with pytest.raises(ModelAddError, match=r"says pickled_model: .*, which is not in the folder"):
        adding.add(str(folder), sample(), Options())
