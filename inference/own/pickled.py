"""A process of its own that reads one pickle, on its owner's machine and at their word. Nothing imports this module."""

import bz2
import functools
import gzip
import json
import lzma
import re
import sys
import warnings
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import joblib
import joblib.numpy_pickle
import numpy as np
import skops.io
from sklearn.model_selection._search import BaseSearchCV

from contract.project import Feature
from inference.errors import InferenceError
from inference.own import conversion, formats, pipeline, reviewed

MOST_NAMED = 5
_VERSION = re.compile(rb"_sklearn_version.{1,12}?(\d+\.\d+[\w.]*)", re.DOTALL)
_PACKED = (zlib.decompress, gzip.decompress, bz2.decompress, lzma.decompress)


class Stop(Exception):
    """Why there is no model, and the mend."""


class Missing:
    """Stands for a class or function that the pickle names and that cannot be found here."""

    why = ""

    def __new__(cls, *args: Any, **named: Any) -> "Missing":
        return object.__new__(cls)

    def __init__(self, *args: Any, **named: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


class Unpickler(joblib.numpy_pickle.NumpyUnpickler):  # type: ignore[misc]  # joblib has no types
    """joblib's, which goes on where a name is not found, so that it can be said where it stands."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return super().find_class(module, name)
        except (ImportError, AttributeError) as error:
            return type(name, (Missing,), {"__module__": module, "why": f"{type(error).__name__}: {error}"})


def main(source: Path, folder: Path, working: str) -> None:
    """Read the pickle and write what came of it into the folder."""
    sys.path += [working, str(source.parent)]
    try:
        said = _converted(source, folder)
    except (Stop, InferenceError) as error:
        said = {"error": str(error)}
    (folder / conversion.SAID).write_text(json.dumps(said), encoding="utf-8")


def _converted(source: Path, folder: Path) -> dict[str, Any]:
    asked = json.loads((folder / conversion.ASKED).read_text(encoding="utf-8"))
    features = {name: Feature.model_validate(each) for name, each in asked["features"].items()}
    rows = pipeline.Given(asked["modality"], features, asked["dtypes"], asked["rows"])
    model, said = _best(_read(source))
    pipeline.check(model, "the pickle")
    held = pipeline.handing(model, rows)
    found = pipeline.answered(model, held, rows, pipeline.worth_asking(model, held, rows))
    (folder / pipeline.FILE).write_bytes(_dumped(model))
    np.save(folder / conversion.ANSWERS, conversion.table(found, len(model.classes_)), allow_pickle=False)
    return {"handing": held.settings(), "said": said}


def _best(model: Any) -> tuple[Any, list[str]]:
    if not isinstance(model, BaseSearchCV):
        return model, []
    if not hasattr(model, "best_estimator_"):
        raise Stop(f"holds a {type(model).__name__} without best_estimator_; fit it with refit=True")
    return model.best_estimator_, [f"It is the best_estimator_ of a {type(model).__name__}."]


def _read(source: Path) -> Any:
    joblib.numpy_pickle.NumpyUnpickler = Unpickler
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            model = joblib.load(source)
        except Exception as error:
            raise Stop(_unread(source, error)) from error
    if other := pipeline.other_version(seen):
        raise Stop(other)
    for name, where, part in _places(model):
        if isinstance(part, Missing) or (isinstance(part, type) and issubclass(part, Missing)):
            raise Stop(_missing(name, where, part.why, source))
    return model


def _unread(source: Path, error: Exception) -> str:
    theirs = _written_by(source.read_bytes())
    if theirs and (other := formats.other_minor(theirs)):
        return f"{other} ({type(error).__name__}: {error})"[:600]
    reason = ": ".join(filter(None, (type(error).__name__, str(error))))
    return f"is no pickle that can be read, or is cut off: {reason}; save it again"[:400]


def _written_by(data: bytes) -> str | None:
    for unpack in (bytes, *_PACKED):
        try:
            found = _VERSION.search(unpack(data))
        except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
            continue
        if found:
            return found[1].decode().rstrip(".")
    return None


def _missing(name: str, where: str, why: str, source: Path) -> str:
    root = name.split(".")[0]
    theirs = _written_by(source.read_bytes())
    if root == "sklearn" and theirs:
        return f"it names {name}{where}, which is not in this scikit-learn: {formats.other_minor(theirs)}"
    if why.startswith("ModuleNotFoundError") and root in ("xgboost", "lightgbm", "catboost", "imblearn", "category_encoders"):
        return f"it names {name}{where}, and {root} is not installed: {reviewed.install(root)}"
    return f"it names {name}{where}, which is not to be found here ({why}). Ways on: {pipeline.WAYS}"


def _dumped(model: Any) -> bytes:
    try:
        data: bytes = skops.io.dumps(model)
        wrong = reviewed.untrusted(data)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"[:300]
        raise Stop(f"cannot be turned into a skops file: {reason}. Ways on: {pipeline.WAYS}") from error
    if wrong:
        where = {name: where for name, where, _ in _places(model)}
        named = "; ".join(f"{name}{where.get(name, '')}" for name in wrong[:MOST_NAMED])
        more = f" and {len(wrong) - MOST_NAMED} more" if len(wrong) > MOST_NAMED else ""
        raise Stop(f"holds what no server may load: {named}{more}. Ways on: {pipeline.WAYS}")
    return data


def _places(model: Any) -> Iterator[tuple[str, str, Any]]:
    """Everything in a model: the name of its type, or its own, the steps that it stands in, and itself."""
    seen: dict[int, Any] = {}
    waiting: list[tuple[tuple[str, ...], Any]] = [((), model)]
    while waiting:
        steps, part = waiting.pop()
        if id(part) in seen or isinstance(part, (str, bytes, int, float, type(None))):
            continue
        seen[id(part)] = part
        held = part if hasattr(part, "__name__") else type(part)
        yield f"{held.__module__}.{held.__name__}", f" in the step {' › '.join(steps)}" if steps else "", part
        waiting += [(steps + more, each) for more, each in _inside(part)]


def _inside(part: Any) -> list[tuple[tuple[str, ...], Any]]:
    if isinstance(part, functools.partial):
        return [((), each) for each in (part.func, *part.args, *part.keywords.values())]
    if isinstance(part, Mapping):
        return [((), each) for each in part.values()]
    if isinstance(part, tuple) and len(part) > 1 and isinstance(part[0], str):
        return [((part[0],), each) for each in part[1:]]
    if isinstance(part, (list, tuple, set)):
        return [((), each) for each in part]
    if isinstance(part, np.ndarray):
        return [((), each) for each in part.ravel()] if part.dtype == object else []
    return [] if isinstance(part, type) else [((), each) for each in getattr(part, "__dict__", {}).values()]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
