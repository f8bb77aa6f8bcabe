"""sklearn: estimators and Pipelines of scikit-learn, with XGBoost and LightGBM in them, as skops files."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.pipeline import Pipeline

from contract.inside import View
from contract.predictors import Floats
from contract.project import Feature
from contract.records import Prediction, Row, Unscored
from inference import tables
from inference.errors import ModelAddError, ModelLoadError, UntrustedType
from inference.own import cells, formats, frames, outputs, reviewed, seeing, sound
from inference.own.engine import Format, Options, Sample, Table
from inference.predictors import answers, read_text

FILE = "model.skops"
TOLERANCE = 1e-6
TRIED = 20
"""Rows that tell in which form a model takes them."""
DRAWN = 50
"""Rows that tell whether a model answers any."""
WAYS = (
    "give the step a named function of numpy or scikit-learn, export the model to ONNX (skl2onnx), or bring a function that "
    "asks it: python:FILE.py:FUNCTION"
)


class Engine:
    """A fitted estimator, and how it is handed its rows."""

    format: Format = "sklearn"

    def __init__(
        self, labels: tuple[str, ...], model: Any, data: bytes, handing: frames.Handing, said: Sequence[str] = ()
    ) -> None:
        self.labels, self.model, self.data, self.handing = labels, model, data, handing
        self._said = tuple(said)

    def probabilities(self, inputs: Any) -> Floats:
        """Cells or n texts to (n, k) probabilities, k in the order of the model's classes_."""
        return ask(self.model, self.handing, inputs)

    def inside(self, table: Table) -> View | None:
        return seeing.view(self.model, self.handing.table, table)

    def settings(self) -> dict[str, Any]:
        return {"handing": self.handing.settings(), "libraries": _libraries(self.model)}

    def files(self) -> dict[str, bytes]:
        return {FILE: self.data}

    def said(self) -> Sequence[str]:
        return self._said

    @property
    def named(self) -> tuple[str, ...] | None:
        """The columns that the model was fitted on by name, in its order; None where it knows none."""
        return self.handing.columns if _names(self.model) is not None else None


@dataclass(frozen=True)
class Given:
    """The rows of a sample, read once: what a model is tried on."""

    modality: str
    features: Mapping[str, Feature]
    dtypes: Mapping[str, str]
    rows: Sequence[Row]

    @cached_property
    def _read(self) -> tuple[Any, Any, tables.Problems]:
        if self.modality == "text":
            texts = [read_text(next(iter(self.features)), row) for row in self.rows]
            return None, texts, {n: each.reason for n, each in enumerate(texts) if isinstance(each, Unscored)}
        columns = tables.fit_columns(self.features, ())
        optional = frozenset(name for name, feature in self.features.items() if feature.optional)
        encoded, problems = tables.read(columns, optional, self.rows, every_category=True)
        return columns, encoded, problems

    @property
    def problems(self) -> tables.Problems:
        return self._read[2]

    @property
    def good(self) -> list[int]:
        return [n for n in range(len(self.rows)) if n not in self.problems]

    def inputs(self, some: Sequence[int]) -> Any:
        """Some rows as `Engine.probabilities` takes them."""
        columns, held, _ = self._read
        return [held[n] for n in some] if columns is None else cells.of_rows(columns, held, self.rows, some)


def given(sample: Sample) -> Given:
    """Raises ModelAddError for images."""
    held = sample.project.input
    if held.type == "image":
        raise ModelAddError(
            "a scikit-learn model takes no encoded images; bring a function that opens them and asks it "
            "(python:FILE.py:FUNCTION), or an ONNX or torch model"
        )
    return Given(held.type, held.features, sample.dtypes, sample.rows)


def add(source: Path, sample: Sample, options: Options) -> Engine:
    """The model of a skops file. Raises ModelAddError."""
    rows = given(sample)
    try:
        data = source.read_bytes()
        model = opened(data, source.name)
    except OSError as error:
        raise ModelAddError(f"{source} cannot be read: {error.strerror}") from error
    except ModelLoadError as error:
        raise ModelAddError(f"{error}. Ways on: {WAYS}") from error
    return engine(model, data, handing(model, rows), sample, options)


def load(labels: tuple[str, ...], settings: dict[str, Any], files: Mapping[str, bytes], device: str) -> Engine:
    """On a worker. Raises UntrustedType or ModelLoadError."""
    try:
        held = frames.read(settings["handing"])
        data = files[FILE]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelLoadError(f"the model's settings do not say how rows are handed over: {error}; add the model again") from error
    model = opened(data, FILE)
    if len(model.classes_) != len(labels):
        raise ModelLoadError(f"{FILE} knows {len(model.classes_)} classes, where model.json names {len(labels)} labels")
    return Engine(labels, model, data, held)


def opened(data: bytes, name: str) -> Any:
    """The estimator of a skops file, looked through. Raises UntrustedType, ModelLoadError."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            model = reviewed.load(data, name)
        except UntrustedType:
            raise
        except ModelLoadError as error:
            raise ModelLoadError(f"{name}: {other}" if (other := other_version(seen)) else str(error)) from error
    if other := other_version(seen):
        raise ModelLoadError(f"{name}: {other}")
    sound.check(model)
    check(model, name)
    for part in sound.parts(model):
        if isinstance(part, BaseEstimator) and type(part).__module__.startswith("sklearn.") and getattr(part, "n_jobs", None):
            part.n_jobs = 1
    return model


def other_version(seen: Sequence[warnings.WarningMessage]) -> str:
    """What is said of a model that another scikit-learn saved, by the warnings of loading it; empty where it was this one."""
    versions = [each.message.original_sklearn_version for each in seen if isinstance(each.message, InconsistentVersionWarning)]
    return next(filter(None, map(formats.other_minor, versions)), "")


def check(model: Any, name: str) -> None:
    """Raises ModelLoadError for what is no fitted classifier that answers probabilities."""
    if isinstance(model, Mapping):
        raise ModelLoadError(f"{name} holds a dict of {outputs.listed(map(str, model))}; save the estimator itself")
    if not hasattr(model, "predict_proba"):
        mend = (
            "wrap it in sklearn.calibration.CalibratedClassifierCV and fit that"
            if hasattr(model, "decision_function") or getattr(model, "_estimator_type", "") == "classifier"
            else "bring a fitted classifier or a Pipeline that ends in one"
        )
        raise ModelLoadError(f"{name} holds a {_named(model)}, which has no predict_proba: {mend}")
    if not hasattr(model, "classes_"):
        raise ModelLoadError(f"{name} holds a {_named(model)} without classes_: fit it before you save it")


def _named(model: Any) -> str:
    last = getattr(model, "steps", [(None, None)])[-1][1]
    return type(model).__name__ + (f" that ends in {type(last).__name__}" if last is not None else "")


def engine(model: Any, data: bytes, held: frames.Handing, sample: Sample, options: Options, said: Sequence[str] = ()) -> Engine:
    """The model with its labels. Raises ModelAddError where they do not fit the project."""
    labels = _labels(list(model.classes_), sample, options)
    return Engine(labels, model, data, held, (*said, _handed(held)))


def _labels(classes: list[Any], sample: Sample, options: Options) -> tuple[str, ...]:
    try:
        own = tuple(outputs.as_label(each) for each in classes)
    except ValueError as error:
        raise ModelAddError(f"the model's classes_ are {outputs.listed(map(str, classes))}: {error}") from error
    project = sample.project
    if not options.labels and not set(own) <= set(project.labels):
        listed = ", ".join(project.labels)
        raise ModelAddError(
            f"the model's classes_ are {', '.join(own)}, and the project's labels are {listed}; say which label each class is, "
            f"in the order of classes_: --labels {','.join(f'LABEL-OF-{each}' for each in own)}"
        )
    return outputs.named(own, options.labels, project, len(own))


def _handed(held: frames.Handing) -> str:
    names = outputs.listed(held.columns)
    return {
        "frame": f"It is handed a DataFrame with the columns {names}.",
        "array": f"It was fitted without names of columns, and is handed a matrix of {names}.",
        "series": f"It is handed a Series of {names}.",
    }[held.form]


def _libraries(model: Any) -> list[str]:
    roots = {type(part).__module__.split(".")[0] for part in sound.parts(model)}
    return sorted(roots & {"xgboost", "lightgbm"})


def ask(model: Any, held: frames.Handing, inputs: Any) -> Floats:
    """Cells or texts to the model's probabilities."""
    rows = held.table(inputs) if isinstance(inputs, Mapping) else held.texts(inputs)
    return np.asarray(model.predict_proba(rows), dtype=np.float64)


def handing(model: Any, rows: Given) -> frames.Handing:
    """In which form the model takes its rows: the first of those it may want that it answers. Raises ModelAddError."""
    names = _names(model)
    columns = tuple(rows.features) if names is None else frames.ordered(names, rows.features)
    wanted = getattr(model, "n_features_in_", len(columns))
    if rows.modality == "tabular" and names is None and wanted != len(columns):
        raise ModelAddError(
            f"the model was fitted on {wanted} columns without names, and the project has {len(columns)} features "
            f"({outputs.listed(columns)}): leave the others out of input.features, or fit the model on a DataFrame, whose names "
            "it keeps"
        )
    some = rows.good[:TRIED]
    tried = rows.inputs(some)
    sample = tried if isinstance(tried, Mapping) else {}
    everything = rows.inputs(rows.good) if isinstance(tried, Mapping) else sample
    held = [frames.handing(form, columns, rows.features, rows.dtypes, everything) for form in _forms(rows, names is not None)]
    return next((each for each in held if any(answered(model, each, rows, some))), held[0])


def _forms(rows: Given, named: bool) -> tuple[frames.Form, ...]:
    if rows.modality == "text":
        return ("frame",) if named else ("series", "frame")
    plain = all(feature.type in ("number", "boolean") for feature in rows.features.values())
    if named:
        return ("frame",)
    return ("array", "frame") if plain else ("frame", "array")


def _names(model: Any) -> list[str] | None:
    """The columns that a model was fitted on, None where it knows none; LightGBM makes some up."""
    try:
        names = [str(name) for name in model.feature_names_in_]
    except AttributeError:
        return None
    names = _read(model, names)
    return None if names == [f"Column_{n}" for n in range(len(names))] else names


def worth_asking(model: Any, held: frames.Handing, rows: Given) -> list[int]:
    """All rows that can be read; an even draw of them where the model answers none of it, since each failure is costly."""
    draw = rows.good[:: -(-len(rows.good) // DRAWN)] if rows.good else []
    return rows.good if any(answered(model, held, rows, draw)) else draw


def _read(model: Any, names: list[str]) -> list[str]:
    """Of the columns that a model was fitted on those that it reads: a ColumnTransformer at its head may leave some out."""
    head = model.steps[0][1] if isinstance(model, Pipeline) else model
    if not isinstance(head, ColumnTransformer):
        return names
    read = [name for name, part, _ in head.transformers_ if not (isinstance(part, str) and part == "drop")]
    places = {place for name in read for place in head._transformer_to_input_indices[name]}
    return [name for place, name in enumerate(names) if place in places]


def answered(model: Any, held: frames.Handing, rows: Given, some: Sequence[int]) -> list[Prediction | None]:
    """The model's answer to each of some rows, None where it has none."""
    labels = tuple(map(str, range(len(model.classes_))))
    found = answers(labels, len(some), {}, lambda places: ask(model, held, rows.inputs([some[place] for place in places])))
    return [each if isinstance(each, Prediction) else None for each in found]
