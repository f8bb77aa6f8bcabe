"""Real rows and what these tests ask of every engine."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from contract.project import Project
from contract.records import Prediction
from inference import store
from inference.own import adding, inputs
from inference.own.adding import Brought
from inference.own.engine import Engine, Options, Sample
from tests.inference import data


def breast_cancer(rows: int = 60, columns: int = 6) -> tuple[Sample, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A sample of few columns, all its rows as a float32 matrix, and the truth as 0 and 1."""
    project, (held, truth) = data.breast_cancer()
    names = list(project.input.features)[:columns]
    small = data.project("tabular", list(project.labels), {name: {"type": "number"} for name in names})
    matrix = np.array([[row[name] for name in names] for row in held], dtype=np.float32)
    sample = Sample(small, tuple({name: row[name] for name in names} for row in held[:rows]), {}, tuple(truth[:rows]))
    return sample, matrix, np.array([list(project.labels).index(label) for label in truth])


def cells(sample: Sample, rows: Sequence[Mapping[str, Any]] | None = None) -> Any:
    return inputs.columns(sample.rows if rows is None else rows, tuple(sample.project.input.features))


def with_features(sample: Sample, features: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Sample:
    return Sample(data.project("tabular", list(sample.project.labels), dict(features)), tuple(rows))


def reloaded(module: ModuleType, engine: Engine, device: str = "cpu") -> Engine:
    """The engine as a worker makes it: from its settings through JSON, and its files."""
    import json

    settings = json.loads(json.dumps(engine.settings(), allow_nan=False))
    again: Engine = module.load(engine.labels, settings, dict(engine.files()), device)
    assert (again.labels, again.format, again.settings()) == (engine.labels, engine.format, settings)
    return again


def options(*labels: str, **other: Any) -> Options:
    return Options(labels=labels, **{"device": "cpu", **other})


def softmax(values: Any) -> Any:
    held = np.asarray(values, dtype=np.float64)
    powers = np.exp(held - held.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def text_project(*labels: str) -> Project:
    return data.project("text", labels)


def brought(source: Any, sample: Sample, options: Options, folder: Path, device: str = "cpu") -> Brought:
    """A model taken as `model add` does, once saved, packed, unpacked and loaded as a worker does: the same answers."""
    taken = adding.add(str(source), sample, options)
    store.save(taken.predictor, folder / "saved")
    store.unpack(store.pack(folder / "saved"), folder / "there")
    there = store.load(folder / "there", device=device)
    expected, found = taken.predictor.predict(sample.rows), there.predict(sample.rows)
    for one, other in zip(expected, found, strict=True):
        if isinstance(one, Prediction):
            assert isinstance(other, Prediction)
            assert one.labels == other.labels
            assert np.abs(np.array(one.probabilities) - other.probabilities).max() < 1e-6
        else:
            assert one == other
    return taken


def probabilities(taken: Brought) -> Any:
    """The answers to the sample, NaN where there is none."""
    none = (np.nan,) * len(taken.predictor.labels)
    return np.array([answer.probabilities if isinstance(answer, Prediction) else none for answer in taken.answers])
