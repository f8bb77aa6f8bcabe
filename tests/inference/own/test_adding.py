"""Taking a brought model: its format by its name, the sample tried as a whole, and what is kept of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from contract.predictors import Floats
from contract.records import Prediction
from explain.catalog import explainers_for
from inference.errors import ModelAddError, ModelLoadError
from inference.own import adding, formats
from inference.own.engine import Format, Options, Sample
from tests.inference import data
from tests.inference.own import fits


def sample(rows: int = 120) -> Sample:
    project, (held, labels) = data.breast_cancer()
    return Sample(project, tuple(held[:rows]), {}, tuple(labels[:rows]))


def source(tmp_path: Path, *steps: Any) -> str:
    _, (rows, labels) = data.breast_cancer()
    matrix = np.array([list(row.values()) for row in rows])
    model = make_pipeline(*steps, LogisticRegression(max_iter=50, C=1e-6)).fit(matrix, labels)
    skops.io.dump(model, tmp_path / "m.skops")
    return str(tmp_path / "m.skops")


def test_whole_sample_is_tried_and_a_part_is_kept_as_background(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adding, "BACKGROUND", 50)
    brought = adding.add(source(tmp_path), sample(), Options())
    assert brought.answered == len(brought.answers) == 120
    assert len(brought.predictor.background) == 50
    assert all(row in sample().rows for row in brought.predictor.background)
    assert brought.predictor.card.kind == "own:sklearn"
    assert brought.predictor.modality == "tabular"
    assert brought.rows_per_second > 100


def test_rows_at_fault_are_named_and_are_no_background(tmp_path: Path) -> None:
    held = sample()
    first = next(iter(held.project.input.features))
    rows = [{**row, first: None} if n in (3, 77) else row for n, row in enumerate(held.rows)]
    brought = adding.add(source(tmp_path), replace(held, rows=tuple(rows)), Options())
    assert sorted(brought.problems) == [3, 77]
    assert "NaN" in brought.problems[3]
    assert brought.answered == 118
    assert all(row[first] is not None for row in brought.predictor.background)


def test_model_that_answers_no_row(tmp_path: Path) -> None:
    held = sample()
    first, second = list(held.project.input.features)[:2]
    rows = [{**row, (second if n % 3 else first): None if n % 3 else "wide"} for n, row in enumerate(held.rows)]
    with pytest.raises(ModelAddError, match=r"none of 40 rows drawn evenly .*: 'wide' is not a number \(row 0\)"):
        adding.add(source(tmp_path), replace(held, rows=tuple(rows)), Options())


def test_no_rows(tmp_path: Path) -> None:
    with pytest.raises(ModelAddError, match="no rows to try the model on"):
        adding.add(source(tmp_path), replace(sample(), rows=()), Options())


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("m.h5", r"of a kind that is not known \(\.h5\); a model is a scikit-learn estimator .*python:FILE\.py:FUNCTION"),
        ("model", r"of a kind that is not known \(no ending\)"),
        ("score.py", r"is Python code: name the function in it, python:.*score\.py:FUNCTION"),
    ],
)
def test_file_of_another_kind(tmp_path: Path, name: str, match: str) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(ModelAddError, match=match):
        adding.add(str(tmp_path / name), sample(), Options())


def test_path_that_is_not_there(tmp_path: Path) -> None:
    source(tmp_path)
    with pytest.raises(ModelAddError, match=r"n\.skops is not there; nearest is m\.skops"):
        adding.add(str(tmp_path / "n.skops"), sample(), Options())
    with pytest.raises(ModelAddError, match=r"nowhere.* is not there"):
        adding.add(str(tmp_path / "nowhere" / "n.skops"), sample(), Options())


def test_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(ModelAddError, match=r"holds neither MLmodel \(MLflow\) nor config\.json"):
        adding.add(str(tmp_path), sample(), Options())


@dataclass
class Constant:
    labels: tuple[str, ...]
    format: Format

    def probabilities(self, inputs: Any) -> Floats:
        return np.tile(np.full(len(self.labels), 1 / len(self.labels)), (len(next(iter(inputs.values()))), 1))

    def settings(self) -> dict[str, Any]:
        return {}

    def files(self) -> dict[str, bytes]:
        return {}

    def said(self) -> Sequence[str]:
        return ("It is constant.",)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("m.pt2", "torch-export"), ("m.pt", "torch-export"), ("m.PTH", "torch-export"), ("m.safetensors", "torch-export"),
        ("m.onnx", "onnx"), ("folder", "hf"), ("python:score.py:score", "python"), ("m.skops", "sklearn"), ("m.PKL", "sklearn"),
    ],
)  # fmt: skip
def test_format_is_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: Format) -> None:
    asked = []

    class Module:
        @staticmethod
        def add(source: Any, sample: Sample, options: Options) -> Constant:
            asked.append(str(source))
            return Constant(tuple(sample.project.labels), kind)

    monkeypatch.setattr(formats.importlib, "import_module", lambda name: Module)  # type: ignore[attr-defined]
    if name == "folder":
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    else:
        (tmp_path / name).touch()
    given = name if kind == "python" else str(tmp_path / name)
    brought = adding.add(given, sample(), Options())
    assert asked == [given.removeprefix("python:")]
    assert brought.predictor.card.kind == f"own:{kind}"
    assert brought.said == ("It is constant.",)
    assert brought.answers[0] == Prediction(brought.predictor.labels, (0.5, 0.5))


@pytest.mark.parametrize("kind", list(formats.MODULES))
def test_library_of_a_format_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, kind: Format) -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError("No module named 'lib'", name="lib")

    monkeypatch.setattr(formats.importlib, "import_module", absent)  # type: ignore[attr-defined]
    with pytest.raises(ModelAddError, match=r"needs lib, which is not installed: pip install 'signoff\[worker"):
        formats.add(kind, "x", sample(), Options())
    with pytest.raises(ModelLoadError, match="needs lib, which is not installed"):
        formats.load(kind, ("a", "b"), {}, {}, "cpu")


def test_kept_rows_explain_the_models_own_answer(tmp_path: Path) -> None:
    skops.io.dump(fits.boosted(), tmp_path / "m.skops")
    brought = adding.add(str(tmp_path / "m.skops"), fits.sample(), Options())
    row = {**fits.sample().rows[7], "size": "enormous", "note": "never seen words"}
    own = brought.predictor.predict([row])[0]
    assert isinstance(own, Prediction)
    shap, lime = explainers_for(brought.predictor, brought.predictor.background, samples=500)
    found = shap.explain(row, label="benign", seed=0)
    assert found.problem is None
    total = found.base + sum(each["contribution"] for each in found.contributions)  # type: ignore[operator]
    p = own.of("benign")
    assert total == pytest.approx(np.log(p / (1 - p)), abs=1e-6)
    assert [each["feature"] for each in found.contributions] == list(fits.FEATURES)
    assert lime.explain(row, label="benign", seed=0).problem is None


def test_steps_with_many_workers_keep_to_one(tmp_path: Path) -> None:
    from sklearn.ensemble import RandomForestClassifier

    _, (rows, labels) = data.breast_cancer()
    model = make_pipeline(FunctionTransformer(), RandomForestClassifier(3, n_jobs=-1))
    skops.io.dump(model.fit(np.array([list(row.values()) for row in rows]), labels), tmp_path / "m.skops")
    engine: Any = adding.add(str(tmp_path / "m.skops"), sample(), Options()).predictor.engine
    assert engine.model[-1].n_jobs == 1
    assert engine.files()["model.skops"] == (tmp_path / "m.skops").read_bytes()
