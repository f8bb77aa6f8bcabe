"""A pickle is read at its owner's word, in a process of its own, and nowhere else."""

import json
import os
import pickle
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pytest
import sklearn.base
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

from contract.canonical import digest
from inference import store
from inference.errors import ModelAddError, ModelLoadError
from inference.own import adding, conversion, pipeline
from inference.own.engine import Options
from tests.inference.own import fits

TRUSTED = Options(trust_pickle=True)
RADIUS = {"radius": {"type": "number"}}


def sample() -> Any:
    return fits.sample(fits.frame().fillna({"radius": 0}), RADIUS)


def fitted(*steps: Any) -> Any:
    held = fits.frame().fillna({"radius": 0})
    return Pipeline([*steps, ("decide", LogisticRegression())]).fit(held[["radius"]], held["label"])


class Harmless:
    """Stands for a pickle that runs code: loading it writes down which process did."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return exec, (f"import os; open({str(self.path)!r}, 'a').write(str(os.getpid()) + ' ')",)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "it-ran"


@pytest.fixture
def harmless(tmp_path: Path, mark: Path) -> Path:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(Harmless(mark)))
    pickle.loads(path.read_bytes())
    assert mark.read_text().strip() == str(os.getpid())
    mark.unlink()
    return path


@pytest.mark.parametrize("ending", [".pkl", ".pickle", ".joblib"])
def test_without_a_word_of_trust_nothing_is_read(harmless: Path, mark: Path, ending: str) -> None:
    source = harmless.rename(harmless.with_suffix(ending))
    with pytest.raises(ModelAddError, match=r"runs whatever code its maker put into it.*--trust-pickle"):
        adding.add(str(source), sample(), Options())
    assert not mark.exists()


def test_with_it_another_process_reads(harmless: Path, mark: Path) -> None:
    with pytest.raises(ModelAddError, match="holds a NoneType, which has no predict_proba"):
        adding.add(str(harmless), sample(), TRUSTED)
    assert str(os.getpid()) not in mark.read_text().split()
    assert len(mark.read_text().split()) == 1


@pytest.mark.parametrize("kind", ["own:sklearn", "own:onnx", "own:torch-export", "sklearn-hgb"])
def test_a_worker_runs_nothing(harmless: Path, mark: Path, tmp_path: Path, kind: str) -> None:
    """Neither as the model's own file, nor under any name in an archive."""
    brought = adding.add(str(_skops(tmp_path)), sample(), Options())
    folder = tmp_path / "model"
    store.save(brought.predictor, folder)
    held = json.loads((folder / "model.json").read_text())
    name = {"own:onnx": "model.onnx", "own:torch-export": "model.pt2"}.get(kind, "model.skops")
    held |= {"kind": kind, "files": {name: digest(harmless.read_bytes())}}
    if kind == "sklearn-hgb":
        held |= {"known": [0, 1], "data_hash": "", "temperature": 1.0, "columns": [{"name": "radius", "kind": "number"}]}
        held["settings"] = {"known": 2}
        del held["modality"], held["dtypes"]
    (folder / "model.json").write_text(json.dumps(held))
    (folder / name).write_bytes(harmless.read_bytes())
    archive = store.pack(folder)
    store.unpack(archive, tmp_path / "in")
    with pytest.raises(ModelLoadError):
        store.load(tmp_path / "in", device="cpu")
    assert not mark.exists()


def test_an_archive_holds_no_pickle_under_its_own_name(harmless: Path, mark: Path, tmp_path: Path) -> None:
    store.save(adding.add(str(_skops(tmp_path)), sample(), Options()).predictor, tmp_path / "model")
    held = json.loads((tmp_path / "model" / "model.json").read_text())
    held["files"]["model.pkl"] = digest(harmless.read_bytes())
    (tmp_path / "model" / "model.json").write_text(json.dumps(held))
    (tmp_path / "model" / "model.pkl").write_bytes(harmless.read_bytes())
    with pytest.raises(ModelLoadError, match=r"names the file 'model\.pkl', which is no part of a own:sklearn model"):
        store.load(tmp_path / "model")
    assert not mark.exists()


def _skops(folder: Path) -> Path:
    import skops.io

    skops.io.dump(fitted(), folder / "m.skops")
    return folder / "m.skops"


def test_lambda_is_named_with_its_step(tmp_path: Path) -> None:
    model = fitted(("double", FunctionTransformer(lambda rows: rows * 2)))
    (tmp_path / "m.pkl").write_bytes(cloudpickle.dumps(model))
    with pytest.raises(ModelAddError, match=r"<lambda> in the step double\. Ways on: .*numpy.*ONNX.*python:FILE\.py:FUNCTION"):
        adding.add(str(tmp_path / "m.pkl"), sample(), TRUSTED)


OWN = """
from sklearn.base import BaseEstimator, TransformerMixin

class Doubled(TransformerMixin, BaseEstimator):
    def fit(self, rows, truth=None):
        self.seen_ = True
        return self
    def transform(self, rows):
        return rows * 2

def doubled(rows):
    return rows * 2
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of the owner's, beside the pickle."""
    (tmp_path / "owners_steps.py").write_text(textwrap.dedent(OWN))
    monkeypatch.syspath_prepend(tmp_path)
    import owners_steps  # type: ignore[import-not-found]

    yield owners_steps
    del sys.modules["owners_steps"]


@pytest.mark.parametrize("what", ["Doubled", "doubled"])
def test_owners_class_and_function_are_named_with_their_step(tmp_path: Path, own: Any, what: str) -> None:
    inner = make_pipeline(own.Doubled() if what == "Doubled" else FunctionTransformer(own.doubled))
    joblib.dump(fitted(("outer", inner)), tmp_path / "m.joblib")
    with pytest.raises(ModelAddError, match=rf"no server may load: owners_steps\.{what} in the step outer › \w+\. Ways on"):
        adding.add(str(tmp_path / "m.joblib"), sample(), TRUSTED)


@pytest.mark.parametrize("what", ["Doubled", "doubled"])
def test_code_that_is_not_there_is_named_with_its_step(tmp_path: Path, own: Any, what: str) -> None:
    step = own.Doubled() if what == "Doubled" else FunctionTransformer(own.doubled)
    joblib.dump(fitted(("mine", step)), tmp_path / "m.joblib")
    (tmp_path / "owners_steps.py").unlink()
    with pytest.raises(
        ModelAddError, match=rf"names owners_steps\.{what} in the step mine, .*not to be found here \(ModuleNotFound"
    ):
        adding.add(str(tmp_path / "m.joblib"), sample(), TRUSTED)


def test_function_of_the_script_that_fitted_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import __main__

    def mine(rows: Any) -> Any:
        return rows * 2

    mine.__module__, mine.__qualname__ = "__main__", "mine"
    monkeypatch.setattr(__main__, "mine", mine, raising=False)
    joblib.dump(fitted(("mine", FunctionTransformer(mine))), tmp_path / "m.joblib")
    with pytest.raises(ModelAddError, match=r"names __main__\.mine in the step mine, which is not to be found"):
        adding.add(str(tmp_path / "m.joblib"), sample(), TRUSTED)


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_library_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    from lightgbm import LGBMClassifier
    from xgboost import XGBClassifier

    held = fits.frame().fillna({"radius": 0})
    kind = {"xgboost": XGBClassifier, "lightgbm": LGBMClassifier}[library]
    model = kind(n_estimators=2).fit(held[["radius"]], held["label"] == "benign")
    joblib.dump(model, tmp_path / "m.joblib")
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent" / f"{library}.py").write_text(f"raise ModuleNotFoundError('gone', name={library!r})")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "absent"))
    with pytest.raises(ModelAddError, match=rf"{library} is not installed: pip install {library}"):
        adding.add(str(tmp_path / "m.joblib"), sample(), TRUSTED)


@pytest.mark.parametrize("data", [b"", b"not a pickle", b"\x80\x04\x95\xff", b"radius,size\n1,2\n"])
def test_file_that_is_no_pickle(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m.pkl").write_bytes(data)
    with pytest.raises(ModelAddError, match=r"m\.pkl: is no pickle that can be read, or is cut off: \w+"):
        adding.add(str(tmp_path / "m.pkl"), sample(), TRUSTED)


def test_trees_of_an_older_scikit_learn_that_cannot_even_be_read(tmp_path: Path) -> None:
    """Names and versions are in the file though nothing can be made of it."""
    held = fits.frame().fillna({"radius": 0})
    model = DecisionTreeClassifier(max_depth=2).fit(held[["radius"]], held["label"])
    data = pickle.dumps(model, protocol=4).replace(b"missing_go_to_left", b"missing_went_right")
    data = re.sub(re.escape(sklearn.__version__.encode()), b"1" + b".0.2"[: len(sklearn.__version__) - 1], data)
    (tmp_path / "m.pkl").write_bytes(data)
    with pytest.raises(
        ModelAddError, match=r"saved with scikit-learn 1\.0\.2.*pip install scikit-learn==1\.0\.2.*incompatible dtype"
    ):
        adding.add(str(tmp_path / "m.pkl"), sample(), TRUSTED)


def test_a_process_that_dies_says_so(tmp_path: Path) -> None:
    class Dying:
        def __reduce__(self) -> Any:
            return exec, ("import os; os._exit(7)",)

    (tmp_path / "m.pkl").write_bytes(pickle.dumps(Dying()))
    with pytest.raises(ModelAddError, match=r"the process that read m\.pkl ended with 7: it said nothing"):
        adding.add(str(tmp_path / "m.pkl"), sample(), TRUSTED)


def test_answers_that_differ_once_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    joblib.dump(fitted(), tmp_path / "m.joblib")
    ask = pipeline.ask

    def other(model: Any, held: Any, inputs: Any) -> Any:
        found = ask(model, held, inputs)
        return np.column_stack([found[:, 0] + 2e-6, found[:, 1] - 2e-6])

    monkeypatch.setattr(pipeline, "ask", other)
    with pytest.raises(
        ModelAddError, match=r"answers otherwise once it is turned into a skops file, in 300 of 300 rows: row 0 was 0"
    ):
        adding.add(str(tmp_path / "m.joblib"), sample(), TRUSTED)


def test_compressed_pickle(tmp_path: Path) -> None:
    joblib.dump(fitted(), tmp_path / "m.joblib", compress=3)
    assert adding.add(str(tmp_path / "m.joblib"), sample(), TRUSTED).answered == 300


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion.tempfile, "tempdir", str(tmp_path / "spare"))  # type: ignore[attr-defined]
    (tmp_path / "spare").mkdir()
    joblib.dump(fitted(), tmp_path / "m.joblib")
    adding.add(str(tmp_path / "m.joblib"), sample(), TRUSTED)
    assert not list((tmp_path / "spare").iterdir())
