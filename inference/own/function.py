"""python: a function of the owner's own, from a list of dicts to one probability per label; it runs where the model is loaded.

A dict holds the JSON values of the project's features: numbers, booleans and texts, dates as ISO text, None where a value is
missing, and images as the bytes that were sent. What comes back is a list or array of one row per dict, in the order of the
labels, or a list of dicts from label to probability; with two labels one number a row is the probability of the second.

Nothing is copied: the file is imported where it stands, with the rights of the worker, and only while its SHA-256 is the one that
was taken. For the reasons of an image the arrays that are tried are handed over as PNG, which loses nothing at eight bits.
"""

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from contract.predictors import Floats
from contract.project import Project
from contract.records import Row
from inference.errors import ModelAddError, ModelLoadError
from inference.own import importing, outputs
from inference.own.engine import Options, Sample

PREFIX = "python:"
Dicts = list[dict[str, Any]]


@dataclass(frozen=True)
class Engine:
    """A function, the file it stands in and what that file was when it was taken."""

    labels: tuple[str, ...]
    code: importing.Code
    module: str | None
    sha256: str
    meaning: outputs.Meaning
    feature: str
    modality: Literal["tabular", "text", "image"]
    findings: tuple[str, ...] = ()
    format: Literal["python"] = "python"

    def probabilities(self, given: Any) -> Floats:
        """Cells, texts, or (n, height, width, channels) images in 0..1, to (n, k). Raises what the function raises."""
        if self.modality == "tabular":
            return self.ask(_rows(given))
        values = [png(image) for image in given] if self.modality == "image" else given
        return self.ask([{self.feature: value} for value in values])

    def ask(self, rows: Dicts) -> Floats:
        """n dicts to (n, k)."""
        return outputs.probabilities(_table(_called(self.code, rows), len(rows), self.labels), self.meaning)

    def settings(self) -> dict[str, Any]:
        return {
            "path": str(self.code.path), "function": self.code.name, "module": self.module, "sha256": self.sha256,
            "folders": [str(folder) for folder in self.code.folders], "meaning": self.meaning, "feature": self.feature,
            "modality": self.modality,
        }  # fmt: skip

    def files(self) -> Mapping[str, bytes]:
        return {}

    def said(self) -> Sequence[str]:
        return self.findings


@dataclass(frozen=True)
class PictureEngine(Engine):
    """A function of images, which opens the bytes itself."""

    def of_bytes(self, images: Sequence[bytes]) -> Floats:
        """n encoded images, as they were sent, to (n, k)."""
        return self.ask([{self.feature: data} for data in images])


def add(source: Path | str, sample: Sample, options: Options) -> Engine:
    """The function of `python:FILE.py:FUNCTION` or `python:package.module:FUNCTION`, once it has answered the sample.

    Raises ModelAddError, with the mend.
    """
    spec = str(source).removeprefix(PREFIX)
    code = _code(spec)
    rows = _dicts(sample.project, sample.rows[: outputs.TRIED])
    values, names = _tried(code, rows, options.labels, sample.project)
    meaning = outputs.meaning(values)
    if meaning in ("log-odds", "second log-odds"):
        raise ModelAddError(
            f"{spec} gives numbers that are no probabilities (outside 0 to 1, or rows that do not sum to one); "
            "return the softmax of log-odds"
        )
    labels = outputs.named(names, options.labels if not names else (), sample.project, values.shape[1])
    feature = next(iter(sample.project.input.features))
    module = None if spec.rpartition(":")[0].endswith(".py") else spec.rpartition(":")[0]
    said = (
        f"{code.name} of {code.path} is asked as it stands: where the file changes, add it anew.",
        outputs.of_labels(names, labels),
        outputs.said(meaning, labels),
    )
    kind = PictureEngine if sample.project.input.type == "image" else Engine
    return kind(labels, code, module, _hash(code.path), meaning, feature, sample.project.input.type, said)


def load(labels: tuple[str, ...], settings: Mapping[str, Any], files: Mapping[str, bytes], device: str) -> Engine:
    """The engine from its settings; it has no files and knows no device. Raises ModelLoadError where the file is not the same."""
    try:
        path, module = Path(settings["path"]), settings["module"]
        _check_file(path, settings["sha256"])
        folders = tuple(Path(folder) for folder in settings["folders"])
        spec = f"{module or path}:{settings['function']}"
        code = importing.found(spec, folders)
        if code.path != path:
            raise ModelLoadError(f"{module} was taken from {path}, and here it is {code.path}; {_anew(spec)}")
        meaning, modality = outputs.read_meaning(settings["meaning"]), settings["modality"]
        kind = PictureEngine if modality == "image" else Engine
        return kind(labels, code, module, settings["sha256"], meaning, settings["feature"], modality)
    except importing.NotThere as error:
        raise ModelLoadError(f"the function cannot be loaded: {error}") from error
    except (KeyError, TypeError) as error:
        raise ModelLoadError(f"the settings of the function are not whole: {error}; add the model anew") from error


def _anew(spec: str) -> str:
    return f"add the model anew: signoff model add {PREFIX}{spec} --project P --sample FILE"


def _check_file(path: Path, expected: str) -> None:
    try:
        actual = _hash(path)
    except OSError as error:
        raise ModelLoadError(
            f"{path}, the file of the function, cannot be read: {error.strerror}; put it back, or {_anew(f'{path}:FUNCTION')}"
        ) from error
    if actual != expected:
        raise ModelLoadError(f"{path} has changed since the model was added; {_anew(f'{path}:FUNCTION')}")


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _code(spec: str) -> importing.Code:
    try:
        code = importing.found(spec, (Path.cwd(),))
    except importing.NotThere as error:
        raise ModelAddError(f"{PREFIX}{spec}: {error}") from error
    if not callable(code.value):
        raise ModelAddError(f"{PREFIX}{spec} is a {type(code.value).__name__}, not a function of a list of dicts")
    if not code.path.is_file():
        raise ModelAddError(f"{PREFIX}{spec} stands in no file of Python; write a function in a .py file that calls it")
    return code


def _dicts(project: Project, rows: Sequence[Row]) -> Dicts:
    return [{name: row.get(name) for name in project.input.features} for row in rows]


def _rows(cells: Mapping[str, Sequence[Any]]) -> Dicts:
    return [dict(zip(cells, values, strict=True)) for values in zip(*cells.values(), strict=True)]


def png(image: Floats) -> bytes:
    """(height, width, channels) in 0..1 as a PNG of eight bits."""
    eight = np.clip(np.asarray(image) * 255, 0, 255).round().astype(np.uint8)
    target = io.BytesIO()
    Image.fromarray(eight[..., 0] if eight.shape[-1] == 1 else eight).save(target, "PNG")
    return target.getvalue()


def _called(code: importing.Code, rows: Dicts) -> Any:
    with importing.importable(code.folders):
        return code.value(rows)


def _table(answers: Any, rows: int, labels: Sequence[str]) -> Floats:
    """What a function returned as (n, k) or (n, 1)."""
    if _are_dicts(answers):
        answers = [_in_order(answer, labels) for answer in answers]
    elif isinstance(answers, (list, tuple)):
        answers = _numbers(answers)
    return outputs.table(answers, rows)


def _in_order(answer: Mapping[Any, Any], labels: Sequence[str]) -> list[float]:
    """A dict's probabilities in the order of the labels; one that it leaves out is 0."""
    named = {outputs.as_label(label): value for label, value in answer.items()}
    if not set(named) <= set(labels):
        raise ValueError(f"the function answered for {outputs.listed(named)}; the labels are {outputs.listed(labels)}")
    return [float("nan") if named.get(label, 0.0) is None else float(named.get(label, 0.0)) for label in labels]


def _numbers(answers: Sequence[Any]) -> Any:
    """A list with its missing numbers as NaN. Raises WrongShape where rows have different lengths."""
    try:
        return np.array(answers, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise outputs.WrongShape(f"the function's answers are not one row of numbers for each dict: {error}") from error


def _tried(code: importing.Code, rows: Dicts, asked: Sequence[str], project: Project) -> tuple[Floats, tuple[str, ...]]:
    """The function's answers to the sample, and the labels that it names itself (in the project's order)."""
    names: tuple[str, ...] = ()

    def run(some: Sequence[int]) -> Floats:
        nonlocal names
        answers = _called(code, [dict(rows[n]) for n in some])
        if not names and _are_dicts(answers):
            names = _names(answers, asked, project)
        return _table(answers, len(some), names or asked)

    return outputs.tried(run, range(len(rows))), names


def _are_dicts(answers: Any) -> bool:
    return isinstance(answers, (list, tuple)) and bool(answers) and all(isinstance(answer, Mapping) for answer in answers)


def _names(answers: Sequence[Mapping[Any, Any]], asked: Sequence[str], project: Project) -> tuple[str, ...]:
    """The labels of dicts: in the owner's order where it names just these, else the project's, unknown ones last."""
    own = {outputs.as_label(label): None for answer in answers for label in answer}
    if asked and set(asked) == set(own):
        return tuple(asked)
    known = [label for label in project.labels if label in own]
    return tuple(known + [label for label in own if label not in project.labels])
