"""MLflow models: a folder with MLmodel, read without MLflow, or a URI, which MLflow fetches."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from inference.errors import ModelAddError
from inference.own import formats, outputs, reviewed
from inference.own.engine import Engine, Format, Options, Sample

_WAYS = (
    "log it with mlflow.sklearn (skops), mlflow.pytorch (pt2), mlflow.onnx or mlflow.transformers, or bring a function that asks "
    "it: python:FILE.py:FUNCTION"
)


def add(folder: Path, sample: Sample, options: Options) -> Engine:
    """The model of a folder with MLmodel, by the first flavor that can be taken. Raises ModelAddError."""
    flavors = _flavors(folder)
    for name, find in _FINDERS.items():
        if name in flavors:
            with tempfile.TemporaryDirectory(prefix="signoff-mlflow-") as spare:
                kind, path = find(folder, flavors[name], Path(spare))
                return formats.add(kind, path, sample, options)
    raise ModelAddError(
        f"{folder} is an MLflow model of {outputs.listed(flavors) or 'no flavor'}, which runs Python code: {_WAYS}"
    )


def fetched(uri: str, sample: Sample, options: Options) -> Engine:
    """The model of a URI (models:/NAME@ALIAS, models:/NAME/VERSION, runs:/RUN/NAME). Raises ModelAddError."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    try:
        from mlflow.artifacts import download_artifacts
    except ModuleNotFoundError as error:
        raise ModelAddError(f"mlflow:{uri} needs {error.name}, which is not installed: {reviewed.install('mlflow')}") from error
    with tempfile.TemporaryDirectory(prefix="signoff-mlflow-") as folder:
        try:
            held = Path(download_artifacts(artifact_uri=uri, dst_path=folder))
        except Exception as error:
            raise ModelAddError(
                f"MLflow cannot fetch {uri}: {outputs.first_line(error)}; write mlflow:models:/NAME@ALIAS or "
                "mlflow:runs:/RUN/NAME, and say where the server is by MLFLOW_TRACKING_URI"
            ) from error
        if not (held / "MLmodel").is_file():
            raise ModelAddError(f"mlflow:{uri} is no MLflow model: there is no MLmodel in it")
        return add(held, sample, options)


def _flavors(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    try:
        held = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
        return {str(name): dict(each) for name, each in held["flavors"].items()}
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise ModelAddError(f"{folder / 'MLmodel'} is not what MLflow writes: {outputs.first_line(error)}") from error


def _inside(folder: Path, flavor: Mapping[str, Any], key: str) -> Path:
    name = flavor.get(key)
    path = (folder / str(name)).resolve()
    if name is None or not path.is_relative_to(folder.resolve()) or not path.exists():
        raise ModelAddError(f"{folder / 'MLmodel'} says {key}: {name}, which is not in the folder")
    return path


def _sklearn(folder: Path, flavor: Mapping[str, Any], spare: Path) -> tuple[Format, Path]:
    return "sklearn", _inside(folder, flavor, "pickled_model")


def _lightgbm(folder: Path, flavor: Mapping[str, Any], spare: Path) -> tuple[Format, Path]:
    path = _inside(folder, flavor, "data")
    if path.suffix not in (".skops", ".pkl", ".joblib"):
        raise ModelAddError(
            f"{path.name} is a bare Booster, which names no labels: log the LGBMClassifier, or a Pipeline with it"
        )
    return "sklearn", path


def _xgboost(folder: Path, flavor: Mapping[str, Any], spare: Path) -> tuple[Format, Path]:
    """The model's own format is data alone; the classifier around it is kept as skops."""
    import skops.io

    path = _inside(folder, flavor, "data")
    if flavor.get("model_class") != "xgboost.sklearn.XGBClassifier":
        raise ModelAddError(f"{path.name} is a {flavor.get('model_class')}, which names no labels: log the XGBClassifier")
    try:
        from xgboost import XGBClassifier
    except ModuleNotFoundError as error:
        raise ModelAddError(f"{path.name} needs xgboost, which is not installed: {reviewed.install('xgboost')}") from error
    model = XGBClassifier()
    model.load_model(path)
    skops.io.dump(model, spare / "model.skops")
    return "sklearn", spare / "model.skops"


def _pytorch(folder: Path, flavor: Mapping[str, Any], spare: Path) -> tuple[Format, Path]:
    path = _inside(folder, flavor, "model_data") / "model.pt2"
    if not path.is_file():
        raise ModelAddError(f"{path.parent} holds no model.pt2 but a pickled module: log it with an input_example")
    return "torch-export", path


def _onnx(folder: Path, flavor: Mapping[str, Any], spare: Path) -> tuple[Format, Path]:
    return "onnx", _inside(folder, flavor, "data")


def _transformers(folder: Path, flavor: Mapping[str, Any], spare: Path) -> tuple[Format, Path]:
    """Model and tokenizer lie apart in MLflow; they are put together as save_pretrained writes them."""
    places = [_inside(folder, flavor, "model_binary"), folder / "components" / "tokenizer"]
    for path in (each for place in places if place.is_dir() for each in place.iterdir() if each.is_file()):
        shutil.copy(path, spare / path.name)
    return "hf", spare


_FINDERS: Mapping[str, Callable[[Path, Mapping[str, Any], Path], tuple[Format, Path]]] = {
    "sklearn": _sklearn,
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "onnx": _onnx,
    "transformers": _transformers,
    "pytorch": _pytorch,
}
